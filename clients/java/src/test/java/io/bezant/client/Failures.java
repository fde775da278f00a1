package io.bezant.client;

import com.google.protobuf.Any;
import com.google.protobuf.Message;
import com.google.rpc.ErrorInfo;
import com.google.rpc.Status;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.Map;

/** Errors as the server sends them. */
final class Failures {
    private Failures() {}

    static StatusRuntimeException failure(Code code, String reason, Map<String, String> metadata, Message... further) {
        Status.Builder status = Status.newBuilder()
                .setCode(code.value())
                .setMessage("what happened")
                .addDetails(Any.pack(ErrorInfo.newBuilder()
                        .setReason(reason)
                        .setDomain("bezant-grpc")
                        .putAllMetadata(metadata)
                        .build()));
        for (Message detail : further) {
            status.addDetails(Any.pack(detail));
        }
        return StatusProto.toStatusRuntimeException(status.build());
    }

    static StatusRuntimeException cursorExpired(String topic, long conid, long head) {
        return failure(
                Code.OUT_OF_RANGE,
                "CURSOR_EXPIRED",
                Map.of(
                        "topic", topic,
                        "conid", String.valueOf(conid),
                        "head_cursor", String.valueOf(head),
                        "reset_epoch", "7"));
    }
}
