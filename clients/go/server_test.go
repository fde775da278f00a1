package bezant_test

import (
	"net"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	bezant "github.com/bezant/bezant-grpc/clients/go"
	"github.com/bezant/bezant-grpc/clients/go/internal/stacktest"
)

// serve runs a server of its own until the test ends, and gives its address.
func serve(t *testing.T, register func(*grpc.Server), opts ...grpc.ServerOption) string {
	t.Helper()
	return serveOn(t, listen(t), register, opts...)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func serveOn(t *testing.T, listener net.Listener, register func(*grpc.Server), opts ...grpc.ServerOption) string {
	t.Helper()
	server := grpc.NewServer(opts...)
	healthv1.RegisterHealthServer(server, health.NewServer())
	register(server)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func connect(t *testing.T, target string, opts ...bezant.Option) *bezant.Client {
	t.Helper()
	return stacktest.Connect(t.Context(), t, target, opts...)
}

// failure is an error as the server sends it.
func failure(code codes.Code, message string, details ...protoadapt.MessageV1) error {
	with, err := status.New(code, message).WithDetails(details...)
	if err != nil {
		panic(err)
	}
	return with.Err()
}

func reason(reason string, metadata map[string]string) *errdetails.ErrorInfo {
	return &errdetails.ErrorInfo{Reason: reason, Domain: "bezant", Metadata: metadata}
}
