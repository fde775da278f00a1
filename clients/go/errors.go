package bezant

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Error is what went wrong with a call. Get it with [errors.As]:
//
//	var failure *bezant.Error
//	if errors.As(err, &failure) && failure.Reason == "CONTRACT_NOT_FOUND" {
//
// Without a Reason it does not come from the server's own code but from the connection, or from something between.
// [errors.Is] finds [context.Canceled] when your context has ended the call, and [context.DeadlineExceeded] when its time
// was up.
type Error struct {
	// Code is the gRPC status.
	Code codes.Code
	// Message says it in words, for people.
	Message string
	// Reason says it for programs, such as CONTRACT_NOT_FOUND; the comments of each service list them. Empty without one.
	Reason string
	// Metadata has what belongs to the reason, such as head_cursor.
	Metadata map[string]string
	// Violations are the fields of the request that are at fault.
	Violations []FieldViolation
	// RetryDelay says when trying again makes sense; 0 when the server does not say.
	RetryDelay time.Duration

	status *status.Status
}

// FieldViolation is a field at fault.
type FieldViolation struct {
	// Field is its path, such as orders[1].limit_price.
	Field string
	// Description says what is wrong with it.
	Description string
}

// Error is the code, the reason if there is one, and the message.
func (e *Error) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("%s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%s: %s: %s", e.Code, e.Reason, e.Message)
}

// GRPCStatus lets package status of gRPC read the error.
func (e *Error) GRPCStatus() *status.Status { return e.status }

// Is tells whether the error stands for the end of the call's context.
func (e *Error) Is(target error) bool {
	switch target {
	case context.Canceled:
		return e.Reason == "" && e.Code == codes.Canceled
	case context.DeadlineExceeded:
		return e.Reason == "" && e.Code == codes.DeadlineExceeded
	}
	return false
}

// typed makes an *Error of an error that has a gRPC status, and leaves others, such as io.EOF, alone.
func typed(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) && err != io.EOF {
		// What gRPC has left of an attempt whose stream ended early when it gives up trying: text without a status.
		err = status.Error(codes.Unavailable, err.Error())
	}
	from, ok := status.FromError(err)
	if !ok {
		return err
	}
	failure := &Error{Code: from.Code(), Message: from.Message(), status: from}
	for _, detail := range from.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			failure.Reason, failure.Metadata = detail.GetReason(), detail.GetMetadata()
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				failure.Violations = append(failure.Violations, FieldViolation{violation.GetField(), violation.GetDescription()})
			}
		case *errdetails.RetryInfo:
			failure.RetryDelay = detail.GetRetryDelay().AsDuration()
		}
	}
	return failure
}
