package bezant_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	bezant "github.com/bezant/bezant-grpc/clients/go"
	"github.com/bezant/bezant-grpc/clients/go/bezantv1"
)

// mute is a connection whose peer can fall silent, as behind a cable that was cut: nothing arrives, and nobody says so.
type mute struct {
	net.Conn
	silent *atomic.Bool
}

func (m mute) Read(into []byte) (int, error) {
	for {
		count, err := m.Conn.Read(into)
		if err != nil || !m.silent.Load() {
			return count, err
		}
	}
}

// TestADeadConnectionIsNoticed waits by a clock of its own, on which nothing takes time but waiting.
func TestADeadConnectionIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &sessions{seen: make(chan context.Context, 1), stays: true}
		client, silent := connectInMemory(t, func(s *grpc.Server) { bezantv1.RegisterSessionServiceServer(s, service) })
		stream, err := client.Session.WatchSession(t.Context(), &bezantv1.WatchSessionRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		silent.Store(true)
		began := time.Now()
		_, err = stream.Recv()
		var failure *bezant.Error
		if !errors.As(err, &failure) || failure.Code != codes.Unavailable {
			t.Error(err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAStreamThatFallsSilentIsLeft(t *testing.T) {
	for name, test := range map[string]struct {
		heartbeatSecs int32
		want          time.Duration
	}{
		"by default":                {0, 45 * time.Second},
		"with heartbeats at length": {60, 3 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service := newScript(
					send(errStay, started(position(orders, 0, 5))),
					send(errStay, started(position(orders, 0, 5)), event(orders, 0, 6)),
				)
				client, _ := connectInMemory(t, service.register)
				request := bezant.Topics(orders)
				request.HeartbeatSecs = test.heartbeatSecs
				follower, err := client.Follow(t.Context(), request)
				if err != nil {
					t.Fatal(err)
				}
				defer follower.Close()
				began := time.Now()
				checkTaken(t, take(t, follower, 1), "ORDERS 6")
				if took := time.Since(began); took < test.want || took > test.want+time.Second {
					t.Errorf("it took %v", took)
				}
				service.check(t, "ORDERS", "ORDERS>5")
			})
		})
	}
}

func TestFollowIsNotBegunInSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := connectInMemory(t, newScript(send(errStay)).register)
		_, err := client.Follow(t.Context(), bezant.Topics(orders))
		var failure *bezant.Error
		if !errors.As(err, &failure) || failure.Code != codes.Unavailable || !strings.Contains(err.Error(), "45s") {
			t.Error(err)
		}
	})
}

func TestFollowWaitsAsLongAsTheServerAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := failure(codes.Unavailable, "no line of market data is free", reason("EVENTS_SUBSCRIBE_FAILED", nil),
			&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Minute)})
		client, _ := connectInMemory(t, newScript(
			send(busy, started(position(orders, 0, 5))),
			send(errStay, started(position(orders, 0, 5)), event(orders, 0, 6)),
		).register)
		follower, err := client.Follow(t.Context(), bezant.Topics(orders))
		if err != nil {
			t.Fatal(err)
		}
		defer follower.Close()
		began := time.Now()
		checkTaken(t, take(t, follower, 1), "ORDERS 6")
		if took := time.Since(began); took < time.Minute || took > time.Minute+time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// connectInMemory connects to a server within the process, which a bubble of synctest can wait for; true in what it
// gives silences the server.
func connectInMemory(t *testing.T, register func(*grpc.Server)) (*bezant.Client, *atomic.Bool) {
	t.Helper()
	listener, silent := bufconn.Listen(1<<20), &atomic.Bool{}
	serveOn(t, listener, register, grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second}))
	client := connect(t, "127.0.0.1:1", bezant.WithDialOptions(grpc.WithContextDialer(
		func(ctx context.Context, _ string) (net.Conn, error) {
			conn, err := listener.DialContext(ctx)
			return mute{conn, silent}, err
		})))
	return client, silent
}
