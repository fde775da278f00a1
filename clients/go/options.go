package bezant

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

const defaultTimeout = 30 * time.Second

// Option changes how [Connect] connects.
type Option func(*settings)

type settings struct {
	apiKey            string
	tls               bool
	plaintext         bool
	caFile            string
	certFile, keyFile string
	timeout           time.Duration
	dialOptions       []grpc.DialOption
}

// WithAPIKey sends the key with every call, as `x-api-key`; none when it is empty.
func WithAPIKey(key string) Option { return func(s *settings) { s.apiKey = key } }

// WithTLS asks for TLS on this machine, too.
func WithTLS() Option { return func(s *settings) { s.tls = true } }

// WithPlaintext speaks in plain text to a server on another machine. Whoever is in between can read the API key and
// everything else, so something must guard the way, such as a private network.
func WithPlaintext() Option { return func(s *settings) { s.plaintext = true } }

// WithCAFile asks for TLS and trusts the certificates of this PEM file instead of the system's roots.
func WithCAFile(path string) Option { return func(s *settings) { s.caFile = path } }

// WithClientCertificate asks for mutual TLS: the server sees this certificate. Both files are PEM.
func WithClientCertificate(certFile, keyFile string) Option {
	return func(s *settings) { s.certFile, s.keyFile = certFile, keyFile }
}

// WithTimeout is the deadline of unary calls whose context has none: 30 seconds unless it is set here. None when 0.
func WithTimeout(timeout time.Duration) Option { return func(s *settings) { s.timeout = timeout } }

// WithDialOptions adds options of gRPC's, which win over those that this package sets.
func WithDialOptions(opts ...grpc.DialOption) Option {
	return func(s *settings) { s.dialOptions = append(s.dialOptions, opts...) }
}

func (s *settings) transport(host string) (credentials.TransportCredentials, error) {
	wanted := s.tls || s.caFile != "" || s.certFile != "" || s.keyFile != ""
	if s.plaintext && wanted {
		return nil, errors.New("WithPlaintext contradicts the options that ask for TLS")
	}
	if s.plaintext || !wanted && isLoopback(host) {
		return insecure.NewCredentials(), nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.caFile != "" {
		pem, err := os.ReadFile(s.caFile)
		if err != nil {
			return nil, fmt.Errorf("WithCAFile: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("WithCAFile: %s has no certificate in PEM", s.caFile)
		}
	}
	if s.certFile != "" || s.keyFile != "" {
		certificate, err := tls.LoadX509KeyPair(s.certFile, s.keyFile)
		if err != nil {
			return nil, fmt.Errorf("WithClientCertificate: %w", err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return credentials.NewTLS(config), nil
}

// checkKey keeps a key that no header can carry, such as one with the end of its line, from failing every call.
func (s *settings) checkKey() error {
	if strings.ContainsFunc(s.apiKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("WithAPIKey: the key has a space, a line end or another character that keys do not have")
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

type apiKey string

func (k apiKey) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"x-api-key": string(k)}, nil
}

// Whether the way is safe is settled by the options.
func (apiKey) RequireTransportSecurity() bool { return false }
