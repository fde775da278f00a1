package bezant_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	bezant "github.com/bezant/bezant-grpc/clients/go"
	"github.com/bezant/bezant-grpc/clients/go/bezantv1"
)

// failing answers every call with its error.
type failing struct{ err error }

func (f failing) handle(any, grpc.ServerStream) error { return f.err }

func TestErrors(t *testing.T) {
	for name, test := range map[string]struct {
		sent error
		want bezant.Error
		text string
	}{
		"with a reason": {
			sent: failure(codes.NotFound, "there is no contract 1", reason("CONTRACT_NOT_FOUND", map[string]string{"conid": "1"})),
			want: bezant.Error{
				Code: codes.NotFound, Message: "there is no contract 1",
				Reason: "CONTRACT_NOT_FOUND", Metadata: map[string]string{"conid": "1"},
			},
			text: "NotFound: CONTRACT_NOT_FOUND: there is no contract 1",
		},
		"with fields at fault": {
			sent: failure(codes.InvalidArgument, "bad", reason("BAD_REQUEST", nil), &errdetails.BadRequest{
				FieldViolations: []*errdetails.BadRequest_FieldViolation{
					{Field: "orders[0].limit_price", Description: "is required"},
					{Field: "account_id", Description: "is too long"},
				},
			}),
			want: bezant.Error{
				Code: codes.InvalidArgument, Message: "bad", Reason: "BAD_REQUEST",
				Violations: []bezant.FieldViolation{
					{Field: "orders[0].limit_price", Description: "is required"},
					{Field: "account_id", Description: "is too long"},
				},
			},
			text: "InvalidArgument: BAD_REQUEST: bad",
		},
		"with a delay": {
			sent: failure(codes.ResourceExhausted, "slow down", reason("RATE_LIMITED", nil), &errdetails.RetryInfo{
				RetryDelay: durationpb.New(1500 * time.Millisecond),
			}),
			want: bezant.Error{
				Code: codes.ResourceExhausted, Message: "slow down", Reason: "RATE_LIMITED",
				RetryDelay: 1500 * time.Millisecond,
			},
			text: "ResourceExhausted: RATE_LIMITED: slow down",
		},
		"without details": {
			sent: status.Error(codes.PermissionDenied, "no"),
			want: bezant.Error{Code: codes.PermissionDenied, Message: "no"},
			text: "PermissionDenied: no",
		},
		"with details of another kind": {
			sent: failure(codes.Internal, "oh", &errdetails.DebugInfo{Detail: "somewhere"}),
			want: bezant.Error{Code: codes.Internal, Message: "oh"},
			text: "Internal: oh",
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := connect(t, serve(t, func(*grpc.Server) {}, grpc.UnknownServiceHandler(failing{test.sent}.handle)))
			_, unary := client.Orders.PlaceOrders(t.Context(), &bezantv1.PlaceOrdersRequest{})
			stream, err := client.Session.WatchSession(t.Context(), &bezantv1.WatchSessionRequest{})
			if err != nil {
				t.Fatal(err)
			}
			_, streamed := stream.Recv()
			for kind, err := range map[string]error{"unary": unary, "stream": streamed} {
				// However deep the error is, it is found.
				err = fmt.Errorf("wrapped: %w", err)
				var got *bezant.Error
				if !errors.As(err, &got) {
					t.Fatalf("%s: %v", kind, err)
				}
				for field, pair := range map[string][2]any{
					"Code":       {got.Code, test.want.Code},
					"Message":    {got.Message, test.want.Message},
					"Reason":     {got.Reason, test.want.Reason},
					"Metadata":   {got.Metadata, test.want.Metadata},
					"Violations": {got.Violations, test.want.Violations},
					"RetryDelay": {got.RetryDelay, test.want.RetryDelay},
					"Error":      {got.Error(), test.text},
					"status":     {status.Code(err), test.want.Code},
				} {
					if !reflect.DeepEqual(pair[0], pair[1]) {
						t.Errorf("%s: %s is %#v, not %#v", kind, field, pair[0], pair[1])
					}
				}
			}
		})
	}
}

func TestTheEndOfAContextIsToldFromTheServersErrors(t *testing.T) {
	timeout := failing{failure(codes.DeadlineExceeded, "the gateway", reason("UPSTREAM_TIMEOUT", nil))}
	client := connect(t, serve(t, func(*grpc.Server) {}, grpc.UnknownServiceHandler(timeout.handle)))
	if _, err := client.Session.GetSession(t.Context(), &bezantv1.GetSessionRequest{}); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := client.Session.GetSession(ctx, &bezantv1.GetSessionRequest{})
	if !errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
