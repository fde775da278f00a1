package io.bezant.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import com.google.rpc.Status;
import io.grpc.StatusException;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A call that failed: the status of gRPC, and what the server says about it. The reason does not change from version to
 * version; the message is for humans and may.
 */
public class BezantException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final io.grpc.Status.Code code;
    private final Details details;

    BezantException(BezantException error) {
        this(error.getMessage(), error.code, error.details, error.getCause());
    }

    private BezantException(String message, io.grpc.Status.Code code, Details details, Throwable cause) {
        super(message, cause);
        this.code = code;
        this.details = details;
    }

    /**
     * Tells what a stub has thrown.
     *
     * @param thrown a {@link StatusRuntimeException}, or what it is the cause of, as of an
     *     {@link java.util.concurrent.ExecutionException}
     * @return the same as a typed error, with {@code thrown} as its cause; of something without a status, one of code
     *     UNKNOWN
     */
    public static BezantException from(Throwable thrown) {
        for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
            if (cause instanceof BezantException known) {
                return known;
            }
            if (cause instanceof StatusRuntimeException || cause instanceof StatusException) {
                break;
            }
        }
        io.grpc.Status status = io.grpc.Status.fromThrowable(thrown);
        Details details = Details.of(statusDetails(thrown));
        String what = details.info.getReason().isEmpty() ? "" : " " + details.info.getReason();
        String text = status.getDescription() != null ? status.getDescription() : String.valueOf(thrown.getMessage());
        return new BezantException(status.getCode() + what + ": " + text, status.getCode(), details, thrown);
    }

    /** {@return the code of gRPC} */
    public io.grpc.Status.Code code() {
        return code;
    }

    /** {@return why, such as {@code CONTRACT_NOT_FOUND}; empty when it was not the server that failed the call} */
    public String reason() {
        return details.info.getReason();
    }

    /** {@return further members by name, such as {@code next_action}; empty without any} */
    public Map<String, String> metadata() {
        return details.info.getMetadataMap();
    }

    /** {@return the fields of the request that are at fault; empty when it is not the request} */
    public List<FieldViolation> fieldViolations() {
        return details.violations;
    }

    /** {@return how long to wait before the next try, if the server says so} */
    public Optional<Duration> retryDelay() {
        return details.retryDelay;
    }

    /**
     * A field of a request that is at fault.
     *
     * @param field its path, such as {@code orders[1].limit_price}
     * @param description the rule, and what was given
     */
    public record FieldViolation(String field, String description) {}

    private static List<Any> statusDetails(Throwable thrown) {
        try {
            Status status = StatusProto.fromThrowable(thrown);
            return status == null ? List.of() : status.getDetailsList();
        } catch (IllegalArgumentException malformed) {
            // A proxy may have mangled them; the status itself is still good.
            return List.of();
        }
    }

    private record Details(ErrorInfo info, List<FieldViolation> violations, Optional<Duration> retryDelay) {
        static Details of(List<Any> details) {
            List<FieldViolation> violations = find(details, BadRequest.class)
                    .map(BadRequest::getFieldViolationsList)
                    .orElse(List.of())
                    .stream()
                    .map(violation -> new FieldViolation(violation.getField(), violation.getDescription()))
                    .toList();
            Optional<Duration> retryDelay = find(details, RetryInfo.class)
                    .map(RetryInfo::getRetryDelay)
                    .map(delay -> Duration.ofSeconds(delay.getSeconds(), delay.getNanos()));
            ErrorInfo info = find(details, ErrorInfo.class).orElse(ErrorInfo.getDefaultInstance());
            return new Details(info, violations, retryDelay);
        }

        private static <M extends Message> Optional<M> find(List<Any> details, Class<M> type) {
            for (Any detail : details) {
                if (detail.is(type)) {
                    try {
                        return Optional.of(detail.unpack(type));
                    } catch (InvalidProtocolBufferException malformed) {
                        return Optional.empty();
                    }
                }
            }
            return Optional.empty();
        }
    }
}
