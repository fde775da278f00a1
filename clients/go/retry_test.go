package bezant_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/bezant/bezant-grpc/clients/go/bezantv1"
)

// counter counts the attempts of each call and fails the first ones of each method.
type counter struct {
	mu       sync.Mutex
	attempts map[string]int
	failing  int
	code     codes.Code
}

func (c *counter) handle(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	c.mu.Lock()
	c.attempts[method]++
	failing := c.attempts[method] <= c.failing
	c.mu.Unlock()
	if failing {
		return status.Error(c.code, "not now")
	}
	if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	return stream.SendMsg(&emptypb.Empty{})
}

// TestReadsAloneAreRetried calls every RPC of every service against a server that is unavailable at first.
func TestReadsAloneAreRetried(t *testing.T) {
	service := &counter{attempts: map[string]int{}, failing: 2, code: codes.Unavailable}
	client := connect(t, serve(t, func(*grpc.Server) {}, grpc.UnknownServiceHandler(service.handle)))
	reads, writes := methods()
	if !reads["/bezant.v1.OrdersService/ListOrders"] || !writes["/bezant.v1.OrdersService/PlaceOrders"] {
		t.Fatal("the descriptors do not tell reads from writes")
	}
	var calls sync.WaitGroup
	for method := range reads {
		calls.Go(func() {
			if err := client.Conn().Invoke(t.Context(), method, &emptypb.Empty{}, &emptypb.Empty{}); err != nil {
				t.Errorf("%s: %v", method, err)
			}
		})
	}
	for method := range writes {
		calls.Go(func() {
			err := client.Conn().Invoke(t.Context(), method, &emptypb.Empty{}, &emptypb.Empty{})
			if status.Code(err) != codes.Unavailable {
				t.Errorf("%s: %v", method, err)
			}
		})
	}
	calls.Wait()
	for method, attempts := range service.attempts {
		if want := map[bool]int{true: 3, false: 1}[reads[method]]; attempts != want {
			t.Errorf("%s was sent %d times, not %d", method, attempts, want)
		}
	}
	if called := len(service.attempts); called != len(reads)+len(writes) {
		t.Errorf("%d RPCs were called of %d", called, len(reads)+len(writes))
	}
}

func TestReadsAreGivenUpInTheEnd(t *testing.T) {
	service := &counter{attempts: map[string]int{}, failing: 100, code: codes.Unavailable}
	client := connect(t, serve(t, func(*grpc.Server) {}, grpc.UnknownServiceHandler(service.handle)))
	_, err := client.Orders.ListOrders(t.Context(), &bezantv1.ListOrdersRequest{})
	if status.Code(err) != codes.Unavailable || service.attempts["/bezant.v1.OrdersService/ListOrders"] != 5 {
		t.Fatal(err, service.attempts)
	}
}

func TestOtherErrorsAreNotRetried(t *testing.T) {
	for _, code := range []codes.Code{codes.DeadlineExceeded, codes.ResourceExhausted, codes.Internal, codes.Aborted} {
		t.Run(code.String(), func(t *testing.T) {
			service := &counter{attempts: map[string]int{}, failing: 100, code: code}
			client := connect(t, serve(t, func(*grpc.Server) {}, grpc.UnknownServiceHandler(service.handle)))
			_, err := client.Orders.ListOrders(t.Context(), &bezantv1.ListOrdersRequest{})
			if status.Code(err) != code || service.attempts["/bezant.v1.OrdersService/ListOrders"] != 1 {
				t.Fatal(err, service.attempts)
			}
		})
	}
}

// methods are the names of all RPCs, by whether their proto says that they have no side effects.
func methods() (reads, writes map[string]bool) {
	reads, writes = map[string]bool{}, map[string]bool{}
	protoregistry.GlobalFiles.RangeFilesByPackage("bezant.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				name := "/" + string(service.FullName()) + "/" + string(method.Name())
				options, _ := method.Options().(*descriptorpb.MethodOptions)
				if options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS {
					reads[name] = true
				} else {
					writes[name] = true
				}
			}
		}
		return true
	})
	return reads, writes
}

// hangingUp closes the connection of each order that arrives.
type hangingUp struct {
	bezantv1.UnimplementedOrdersServiceServer
	listener *remembering
	arrived  atomic.Int32
}

func (h *hangingUp) PlaceOrders(ctx context.Context, _ *bezantv1.PlaceOrdersRequest) (*bezantv1.PlaceOrdersResponse, error) {
	h.arrived.Add(1)
	h.listener.hangUp()
	<-ctx.Done()
	return nil, ctx.Err()
}

// remembering is a listener that can close the connections it has accepted.
type remembering struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (r *remembering) Accept() (net.Conn, error) {
	conn, err := r.Listener.Accept()
	if err == nil {
		r.mu.Lock()
		r.conns = append(r.conns, conn)
		r.mu.Unlock()
	}
	return conn, err
}

func (r *remembering) hangUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range r.conns {
		_ = conn.Close()
	}
	r.conns = nil
}

func TestAnOrderWhoseConnectionIsLostIsNotSentAgain(t *testing.T) {
	listener := &remembering{Listener: listen(t)}
	service := &hangingUp{listener: listener}
	target := serveOn(t, listener, func(s *grpc.Server) { bezantv1.RegisterOrdersServiceServer(s, service) })
	client := connect(t, target)
	_, err := client.Orders.PlaceOrders(t.Context(), &bezantv1.PlaceOrdersRequest{})
	if status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
	// The server is there again: had the order been sent anew, it would have arrived.
	if _, err := client.Orders.ListOrders(t.Context(), &bezantv1.ListOrdersRequest{}); status.Code(err) != codes.Unimplemented {
		t.Error(err)
	}
	if arrived := service.arrived.Load(); arrived != 1 {
		t.Errorf("it arrived %d times", arrived)
	}
}
