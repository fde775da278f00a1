package io.bezant.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import com.google.rpc.BadRequest;
import com.google.rpc.RetryInfo;
import io.bezant.client.BezantException.FieldViolation;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.Test;

class BezantExceptionTest {
    private static final Metadata.Key<byte[]> DETAILS =
            Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);

    @Test
    void itTellsReasonMetadataFieldsAndDelay() {
        StatusRuntimeException failed = Failures.failure(
                Code.INVALID_ARGUMENT,
                "BAD_REQUEST",
                Map.of("next_action", "LOG_IN"),
                BadRequest.newBuilder()
                        .addFieldViolations(BadRequest.FieldViolation.newBuilder()
                                .setField("orders[1].limit_price")
                                .setDescription("must be a decimal"))
                        .build(),
                RetryInfo.newBuilder()
                        .setRetryDelay(com.google.protobuf.Duration.newBuilder().setSeconds(1).setNanos(500_000_000))
                        .build());
        BezantException error = BezantException.from(failed);
        assertEquals(Code.INVALID_ARGUMENT, error.code());
        assertEquals("BAD_REQUEST", error.reason());
        assertEquals(Map.of("next_action", "LOG_IN"), error.metadata());
        assertEquals(
                List.of(new FieldViolation("orders[1].limit_price", "must be a decimal")), error.fieldViolations());
        assertEquals(Optional.of(Duration.ofMillis(1500)), error.retryDelay());
        assertEquals("INVALID_ARGUMENT BAD_REQUEST: what happened", error.getMessage());
        assertSame(failed, error.getCause());
    }

    @Test
    void aStatusWithoutDetailsIsUsable() {
        assertBare(BezantException.from(Status.UNAVAILABLE.withDescription("io").asRuntimeException()));
    }

    @Test
    void mangledDetailsLeaveTheStatus() {
        Metadata trailers = new Metadata();
        trailers.put(DETAILS, new byte[] {(byte) 0xff, 1, 2});
        assertBare(BezantException.from(Status.UNAVAILABLE.withDescription("io").asRuntimeException(trailers)));
    }

    private static void assertBare(BezantException error) {
        assertEquals(Code.UNAVAILABLE, error.code());
        assertEquals("", error.reason());
        assertEquals(Map.of(), error.metadata());
        assertEquals(List.of(), error.fieldViolations());
        assertEquals(Optional.empty(), error.retryDelay());
        assertEquals("UNAVAILABLE: io", error.getMessage());
    }

    @Test
    void theFailureOfAFutureIsFound() {
        StatusRuntimeException failed = Failures.failure(Code.NOT_FOUND, "ORDER_NOT_FOUND", Map.of());
        assertEquals("ORDER_NOT_FOUND", BezantException.from(new ExecutionException(failed)).reason());
        BezantException error = BezantException.from(failed);
        assertSame(error, BezantException.from(new ExecutionException(error)));
    }

    @Test
    void whatHasNoStatusIsUnknown() {
        BezantException error = BezantException.from(new IllegalStateException("broken"));
        assertEquals(Code.UNKNOWN, error.code());
        assertEquals("UNKNOWN: broken", error.getMessage());
    }
}
