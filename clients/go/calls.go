package bezant

import (
	"context"
	"encoding/json"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/bezant/bezant-grpc/clients/go/bezantv1"
)

// calls gives unary calls a deadline, and the errors of all calls their type.
type calls struct {
	timeout time.Duration
}

func (c calls) unary(
	ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	if _, has := ctx.Deadline(); !has && c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	return typed(invoke(ctx, method, request, reply, conn, opts...))
}

func (calls) stream(
	ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	stream, err := open(ctx, desc, conn, method, opts...)
	if err != nil {
		return nil, typed(err)
	}
	return typedStream{stream}, nil
}

type typedStream struct{ grpc.ClientStream }

func (s typedStream) RecvMsg(message any) error { return typed(s.ClientStream.RecvMsg(message)) }

func (s typedStream) SendMsg(message any) error { return typed(s.ClientStream.SendMsg(message)) }

type methodName struct {
	Service string `json:"service"`
	Method  string `json:"method"`
}

type retryPolicy struct {
	MaxAttempts          int      `json:"maxAttempts"`
	InitialBackoff       string   `json:"initialBackoff"`
	MaxBackoff           string   `json:"maxBackoff"`
	BackoffMultiplier    float64  `json:"backoffMultiplier"`
	RetryableStatusCodes []string `json:"retryableStatusCodes"`
}

type methodConfig struct {
	Name        []methodName `json:"name"`
	RetryPolicy retryPolicy  `json:"retryPolicy"`
}

// serviceConfig has reads retried when the server is unavailable. Nothing else is in it, so that nothing else is.
func serviceConfig() string {
	config, err := json.Marshal(map[string][]methodConfig{"methodConfig": {{
		Name: reads(),
		RetryPolicy: retryPolicy{
			MaxAttempts:          5,
			InitialBackoff:       "0.1s",
			MaxBackoff:           "2s",
			BackoffMultiplier:    3,
			RetryableStatusCodes: []string{"UNAVAILABLE"},
		},
	}}})
	if err != nil {
		panic(err) // Strings and numbers always have a JSON.
	}
	return string(config)
}

// reads are the RPCs whose proto says that they have no side effects.
func reads() []methodName {
	var names []methodName
	pkg := bezantv1.File_bezant_v1_types_proto.Package()
	protoregistry.GlobalFiles.RangeFilesByPackage(pkg, func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				options, _ := method.Options().(*descriptorpb.MethodOptions)
				if options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS {
					names = append(names, methodName{string(service.FullName()), string(method.Name())})
				}
			}
		}
		return true
	})
	return names
}
