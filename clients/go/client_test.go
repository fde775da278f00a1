package bezant_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	bezant "github.com/bezant/bezant-grpc/clients/go"
	"github.com/bezant/bezant-grpc/clients/go/bezantv1"
)

// sessions keeps the context of the last call.
type sessions struct {
	bezantv1.UnimplementedSessionServiceServer
	seen  chan context.Context
	cause string
	stays bool
}

func (s *sessions) GetSession(ctx context.Context, _ *bezantv1.GetSessionRequest) (*bezantv1.GetSessionResponse, error) {
	s.seen <- ctx
	return &bezantv1.GetSessionResponse{Session: &bezantv1.Session{Cause: s.cause}}, nil
}

func (s *sessions) WatchSession(_ *bezantv1.WatchSessionRequest, stream grpc.ServerStreamingServer[bezantv1.WatchSessionResponse]) error {
	s.seen <- stream.Context()
	if err := stream.Send(&bezantv1.WatchSessionResponse{}); err != nil || !s.stays {
		return err
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}

func serveSessions(t *testing.T, opts ...grpc.ServerOption) (*sessions, string) {
	service := &sessions{seen: make(chan context.Context, 1)}
	return service, serve(t, func(s *grpc.Server) { bezantv1.RegisterSessionServiceServer(s, service) }, opts...)
}

func TestUnaryCallsHaveADeadline(t *testing.T) {
	for name, test := range map[string]struct {
		opts   []bezant.Option
		own    time.Duration
		want   time.Duration
		wanted bool
	}{
		"by default":                 {want: 30 * time.Second, wanted: true},
		"set when connecting":        {opts: []bezant.Option{bezant.WithTimeout(time.Minute)}, want: time.Minute, wanted: true},
		"set by the caller":          {own: 5 * time.Minute, want: 5 * time.Minute, wanted: true},
		"none when that is asked of": {opts: []bezant.Option{bezant.WithTimeout(0)}},
	} {
		t.Run(name, func(t *testing.T) {
			service, target := serveSessions(t)
			client := connect(t, target, test.opts...)
			ctx := t.Context()
			if test.own > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, test.own)
				defer cancel()
			}
			if _, err := client.Session.GetSession(ctx, &bezantv1.GetSessionRequest{}); err != nil {
				t.Fatal(err)
			}
			deadline, has := (<-service.seen).Deadline()
			if has != test.wanted {
				t.Fatalf("has a deadline: %v", has)
			}
			if left := time.Until(deadline); has && (left > test.want || left < test.want-10*time.Second) {
				t.Fatalf("%v are left of %v", left, test.want)
			}
		})
	}
}

func TestStreamsHaveNoDeadline(t *testing.T) {
	service, target := serveSessions(t)
	client := connect(t, target)
	stream, err := client.Session.WatchSession(t.Context(), &bezantv1.WatchSessionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, has := (<-service.seen).Deadline(); has {
		t.Fatal("it has one")
	}
}

func TestTheKeyGoesWithEveryCall(t *testing.T) {
	service, target := serveSessions(t)
	client := connect(t, target, bezant.WithAPIKey("bz_secret"))
	for name, call := range map[string]func() error{
		"unary": func() error {
			_, err := client.Session.GetSession(t.Context(), &bezantv1.GetSessionRequest{})
			return err
		},
		"stream": func() error {
			stream, err := client.Session.WatchSession(t.Context(), &bezantv1.WatchSessionRequest{})
			if err != nil {
				return err
			}
			_, err = stream.Recv()
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := call(); err != nil {
				t.Fatal(err)
			}
			headers, _ := metadata.FromIncomingContext(<-service.seen)
			if keys := headers.Get("x-api-key"); !slices.Equal(keys, []string{"bz_secret"}) {
				t.Errorf("the key is %q", keys)
			}
			if agent := strings.Join(headers.Get("user-agent"), " "); !strings.HasPrefix(agent, "bezant-go/"+bezant.Version) {
				t.Errorf("the user agent is %q", agent)
			}
		})
	}
}

func TestAnswersMayBeLarge(t *testing.T) {
	service, target := serveSessions(t)
	service.cause = strings.Repeat("x", 25<<20)
	answer, err := connect(t, target).Session.GetSession(t.Context(), &bezantv1.GetSessionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if answer.GetSession().GetCause() != service.cause {
		t.Fatal("it is another")
	}
}

func TestConnectSaysThatNobodyIsThere(t *testing.T) {
	listener := listen(t)
	target := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := bezant.Connect(t.Context(), target)
	var failure *bezant.Error
	if !errors.As(err, &failure) || failure.Code != codes.Unavailable || failure.Reason != "" {
		t.Fatal(err)
	}
	if !strings.Contains(err.Error(), target) || !strings.Contains(err.Error(), "refused") {
		t.Fatal(err)
	}
}

func TestConnectGivesUpWithItsContext(t *testing.T) {
	listener := listen(t)
	defer listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := bezant.Connect(ctx, listener.Addr().String()); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestConnectRefusesWhatMakesNoSense(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		target string
		opts   []bezant.Option
		want   string
	}{
		"no port":              {"localhost", nil, "host:port"},
		"a key with its line":  {"127.0.0.1:1", []bezant.Option{bezant.WithAPIKey("bz_secret\n")}, "WithAPIKey"},
		"a key beyond ASCII":   {"127.0.0.1:1", []bezant.Option{bezant.WithAPIKey("bz_secrét")}, "WithAPIKey"},
		"plain and TLS":        {"127.0.0.1:1", []bezant.Option{bezant.WithPlaintext(), bezant.WithTLS()}, "WithPlaintext"},
		"no such CA file":      {"127.0.0.1:1", []bezant.Option{bezant.WithCAFile("absent.pem")}, "WithCAFile"},
		"a CA file without CA": {"127.0.0.1:1", []bezant.Option{bezant.WithCAFile(empty)}, "WithCAFile"},
		"no such certificate":  {"127.0.0.1:1", []bezant.Option{bezant.WithClientCertificate("absent.pem", "absent.key")}, "WithClientCertificate"},
		"a key without certificate": {
			"127.0.0.1:1", []bezant.Option{bezant.WithClientCertificate("", "absent.key")}, "WithClientCertificate",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bezant.Connect(t.Context(), test.target, test.opts...)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "bz_") {
				t.Fatal(err)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	authority := newAuthority(t)
	issued := authority.issue(t, "server")
	secured, err := credentials.NewServerTLSFromFile(issued.cert, issued.key)
	if err != nil {
		t.Fatal(err)
	}
	service, target := serveSessions(t, grpc.Creds(secured))
	client := connect(t, target, bezant.WithCAFile(authority.file), bezant.WithAPIKey("bz_secret"))
	if _, err := client.Session.GetSession(t.Context(), &bezantv1.GetSessionRequest{}); err != nil {
		t.Fatal(err)
	}
	headers, _ := metadata.FromIncomingContext(<-service.seen)
	if keys := headers.Get("x-api-key"); !slices.Equal(keys, []string{"bz_secret"}) {
		t.Errorf("the key is %q", keys)
	}
	// Its authority is none of the system's.
	_, err = bezant.Connect(t.Context(), target, bezant.WithTLS())
	var failure *bezant.Error
	if !errors.As(err, &failure) || failure.Code != codes.Unavailable || !strings.Contains(err.Error(), "certificate") {
		t.Fatal(err)
	}
}

func TestEveryServiceHasAField(t *testing.T) {
	fields := reflect.TypeFor[bezant.Client]()
	protoregistry.GlobalFiles.RangeFilesByPackage("bezant.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			name := strings.TrimSuffix(string(file.Services().Get(i).Name()), "Service")
			isForREST := strings.HasSuffix(name, "Rest") || name == "Sidecar" || name == "Docs"
			if _, has := fields.FieldByName(name); has == isForREST {
				t.Errorf("%s has a field: %v", name, has)
			}
		}
		return true
	})
}

func TestMutualTLS(t *testing.T) {
	authority := newAuthority(t)
	serverCert, clientCert := authority.issue(t, "server"), authority.issue(t, "client")
	pair, err := tls.LoadX509KeyPair(serverCert.cert, serverCert.key)
	if err != nil {
		t.Fatal(err)
	}
	_, target := serveSessions(t, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authority.pool,
	})))
	connect(t, target, bezant.WithCAFile(authority.file), bezant.WithClientCertificate(clientCert.cert, clientCert.key))

	for name, opts := range map[string][]bezant.Option{
		"without a certificate": {bezant.WithCAFile(authority.file)},
		"with the wrong roots":  {bezant.WithTLS(), bezant.WithClientCertificate(clientCert.cert, clientCert.key)},
		"in plain text":         nil,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bezant.Connect(t.Context(), target, opts...)
			var failure *bezant.Error
			if !errors.As(err, &failure) || failure.Code != codes.Unavailable {
				t.Fatal(err)
			}
		})
	}
}

func TestOtherMachinesAreSpokenToOverTLS(t *testing.T) {
	// The name resolves to this machine, but nothing says so beforehand.
	_, target := serveSessions(t)
	_, port, err := net.SplitHostPort(target)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := net.JoinHostPort("0.0.0.0", port)
	if _, err := bezant.Connect(t.Context(), elsewhere); err == nil || !strings.Contains(err.Error(), "tls") {
		t.Fatal(err)
	}
	connect(t, elsewhere, bezant.WithPlaintext())
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	file string
}

type files struct{ cert, key string }

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	template := template("authority")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	issued := sign(t, template, a)
	a.file = issued.cert
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) issue(t *testing.T, name string) files {
	t.Helper()
	template := template(name)
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	return sign(t, template, a)
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
}

// sign has the authority sign the template; the first one it signs is its own.
func sign(t *testing.T, template *x509.Certificate, by *authority) files {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if by.key == nil {
		by.cert, by.key = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	if by.key == key {
		if by.cert, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	made := files{filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")}
	for path, block := range map[string]*pem.Block{
		made.cert: {Type: "CERTIFICATE", Bytes: der},
		made.key:  {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return made
}
