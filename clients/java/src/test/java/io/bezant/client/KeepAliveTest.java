package io.bezant.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.bezant.v1.PlaceOrdersRequest;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(120)
class KeepAliveTest {
    private static final byte[] EMPTY_HTTP2_SETTINGS = {0, 0, 0, 4, 0, 0, 0, 0, 0};

    @Test
    void aConnectionThatFallsSilentIsNoticedBeforeTheDeadline() throws Exception {
        try (ServerSocket listener = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
                BezantClient client = BezantClient.builder("127.0.0.1:" + listener.getLocalPort())
                        .keepAlive(Duration.ofSeconds(1))
                        .deadline(Duration.ofMinutes(2))
                        .build()) {
            var failed = CompletableFuture.supplyAsync(() -> assertThrows(
                    StatusRuntimeException.class,
                    () -> client.orders().placeOrders(PlaceOrdersRequest.getDefaultInstance())));
            try (Socket connection = listener.accept()) {
                connection.getOutputStream().write(EMPTY_HTTP2_SETTINGS);
                assertEquals(Code.UNAVAILABLE, failed.join().getStatus().getCode());
            }
        }
    }
}
