package io.bezant.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.DescriptorProtos.MethodOptions.IdempotencyLevel;
import io.bezant.v1.GetOrderRequest;
import io.bezant.v1.GetOrderResponse;
import io.bezant.v1.GetSessionRequest;
import io.bezant.v1.GetSessionResponse;
import io.bezant.v1.OrdersServiceGrpc;
import io.bezant.v1.PlaceOrdersRequest;
import io.bezant.v1.PlaceOrdersResponse;
import io.bezant.v1.SessionServiceGrpc;
import io.bezant.v1.WatchSessionRequest;
import io.bezant.v1.WatchSessionResponse;
import io.grpc.Context;
import io.grpc.ServiceDescriptor;
import io.grpc.Status;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsServerCredentials;
import io.grpc.protobuf.ProtoMethodDescriptorSupplier;
import io.grpc.stub.StreamObserver;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(120)
class BezantClientTest {
    /** Is unavailable for a while. */
    private static final class Orders extends OrdersServiceGrpc.OrdersServiceImplBase {
        final AtomicInteger refusals;

        Orders(int refusals) {
            this.refusals = new AtomicInteger(refusals);
        }

        @Override
        public void getOrder(GetOrderRequest request, StreamObserver<GetOrderResponse> observer) {
            answer(GetOrderResponse.getDefaultInstance(), observer);
        }

        @Override
        public void placeOrders(PlaceOrdersRequest request, StreamObserver<PlaceOrdersResponse> observer) {
            answer(PlaceOrdersResponse.getDefaultInstance(), observer);
        }

        private <R> void answer(R response, StreamObserver<R> observer) {
            if (refusals.getAndDecrement() > 0) {
                observer.onError(Status.UNAVAILABLE.asRuntimeException());
            } else {
                observer.onNext(response);
                observer.onCompleted();
            }
        }
    }

    private static final class Sessions extends SessionServiceGrpc.SessionServiceImplBase {
        @Override
        public void getSession(GetSessionRequest request, StreamObserver<GetSessionResponse> observer) {
            observer.onNext(GetSessionResponse.getDefaultInstance());
            observer.onCompleted();
        }

        @Override
        public void watchSession(WatchSessionRequest request, StreamObserver<WatchSessionResponse> observer) {
            observer.onCompleted();
        }
    }

    private static void ask(BezantClient client) {
        client.session().getSession(GetSessionRequest.getDefaultInstance());
    }

    @Test
    void aReadIsTriedAgain() {
        try (LocalServer server = new LocalServer(new Orders(3));
                BezantClient client = BezantClient.builder(server.address()).build()) {
            client.orders().getOrder(GetOrderRequest.getDefaultInstance());
            assertEquals(4, server.calls.size());
        }
    }

    @Test
    void aReadIsGivenUpAfterFourTries() {
        try (LocalServer server = new LocalServer(new Orders(100));
                BezantClient client = BezantClient.builder(server.address()).build()) {
            var failed = assertThrows(
                    StatusRuntimeException.class,
                    () -> client.orders().getOrder(GetOrderRequest.getDefaultInstance()));
            assertEquals(Code.UNAVAILABLE, failed.getStatus().getCode());
            assertEquals(4, server.calls.size());
        }
    }

    @Test
    void anOrderIsSentOnce() {
        try (LocalServer server = new LocalServer(new Orders(1));
                BezantClient client = BezantClient.builder(server.address()).build()) {
            var failed = assertThrows(
                    StatusRuntimeException.class,
                    () -> client.orders().placeOrders(PlaceOrdersRequest.getDefaultInstance()));
            assertEquals(Code.UNAVAILABLE, failed.getStatus().getCode());
            assertEquals(1, server.calls.size());
        }
    }

    @Test
    void whatIsRetriedIsWhatTheProtosCallFreeOfSideEffects() throws Exception {
        Set<String> reads = new HashSet<>();
        for (String service : generatedServices()) {
            var described = (ServiceDescriptor) Class.forName("io.bezant.v1." + service + "Grpc")
                    .getMethod("getServiceDescriptor")
                    .invoke(null);
            described.getMethods().stream()
                    .map(method -> ((ProtoMethodDescriptorSupplier) method.getSchemaDescriptor()).getMethodDescriptor())
                    .filter(method -> method.getOptions().getIdempotencyLevel() == IdempotencyLevel.NO_SIDE_EFFECTS)
                    .forEach(method -> reads.add(method.getFullName()));
        }
        assertEquals(reads, names(ReadRetries.serviceConfig()));
        assertTrue(reads.contains("bezant.v1.EventsService.StreamEvents"));
        assertFalse(reads.contains("bezant.v1.OrdersService.PlaceOrders"));
    }

    @SuppressWarnings("unchecked")
    private static Set<String> names(Map<String, Object> serviceConfig) {
        var config = ((List<Map<String, Object>>) serviceConfig.get("methodConfig")).get(0);
        return ((List<Map<String, String>>) config.get("name"))
                .stream().map(name -> name.get("service") + "." + name.get("method")).collect(Collectors.toSet());
    }

    /** The services of every proto, by the stubs that were generated. */
    private static Set<String> generatedServices() throws Exception {
        URI classes = OrdersServiceGrpc.class.getProtectionDomain().getCodeSource().getLocation().toURI();
        try (Stream<Path> files = Files.list(Path.of(classes).resolve("io/bezant/v1"))) {
            return files.map(file -> file.getFileName().toString())
                    .filter(name -> name.endsWith("Grpc.class"))
                    .map(name -> name.substring(0, name.length() - "Grpc.class".length()))
                    .collect(Collectors.toSet());
        }
    }

    @Test
    void theKeyGoesWithEveryCall() throws Exception {
        try (LocalServer server = new LocalServer(new Sessions());
                BezantClient client = BezantClient.builder(server.address()).apiKey("secret-1").build()) {
            ask(client);
            client.stub(SessionServiceGrpc::newFutureStub).getSession(GetSessionRequest.getDefaultInstance()).get();
            CompletableFuture<Void> ended = new CompletableFuture<>();
            client.stub(SessionServiceGrpc::newStub)
                    .watchSession(WatchSessionRequest.getDefaultInstance(), new StreamObserver<>() {
                        @Override
                        public void onNext(WatchSessionResponse response) {}

                        @Override
                        public void onError(Throwable failed) {
                            ended.completeExceptionally(failed);
                        }

                        @Override
                        public void onCompleted() {
                            ended.complete(null);
                        }
                    });
            ended.get();
            assertEquals(
                    List.of("secret-1", "secret-1", "secret-1"),
                    server.calls.stream().map(LocalServer.Call::apiKey).toList());
        }
    }

    @Test
    void aUnaryCallHasADeadlineUnlessItNamesOne() {
        ScheduledExecutorService clock = Executors.newSingleThreadScheduledExecutor();
        try (LocalServer server = new LocalServer(new Sessions());
                BezantClient client = BezantClient.builder(server.address()).build();
                Context.CancellableContext minutes = Context.current().withDeadlineAfter(10, TimeUnit.MINUTES, clock)) {
            ask(client);
            client.session().withDeadlineAfter(5, TimeUnit.MINUTES).getSession(GetSessionRequest.getDefaultInstance());
            minutes.run(() -> ask(client));
            client.session().watchSession(WatchSessionRequest.getDefaultInstance()).hasNext();
            assertWithin(0, 30, server.calls.get(0));
            assertWithin(240, 300, server.calls.get(1));
            assertWithin(540, 600, server.calls.get(2));
            assertFalse(server.calls.get(3).hasDeadline());
        } finally {
            clock.shutdownNow();
        }
    }

    private static void assertWithin(long least, long most, LocalServer.Call call) {
        assertTrue(call.hasDeadline());
        assertTrue(least * 1000 < call.deadlineMillis() && call.deadlineMillis() <= most * 1000, call.toString());
    }

    @Test
    void theDeadlineCanBeSet() {
        try (LocalServer server = new LocalServer(new Sessions());
                BezantClient client =
                        BezantClient.builder(server.address()).deadline(Duration.ofMinutes(2)).build()) {
            ask(client);
            assertWithin(60, 120, server.calls.get(0));
        }
    }

    @Test
    void tlsTrustsTheGivenAuthorityAndNoOther(@TempDir Path folder) throws Exception {
        Certificates ours = Certificates.make(folder, "server");
        var credentials = TlsServerCredentials.create(ours.certificate().toFile(), ours.key().toFile());
        try (LocalServer server = new LocalServer(0, credentials, new Sessions());
                BezantClient trusting = BezantClient.builder(server.address())
                        .trustedCertificates(ours.certificate())
                        .build();
                BezantClient wary = BezantClient.builder(server.address()).tls().build();
                BezantClient plain = BezantClient.builder(server.address()).build()) {
            ask(trusting);
            assertThrows(StatusRuntimeException.class, () -> ask(wary));
            assertThrows(StatusRuntimeException.class, () -> ask(plain));
            assertEquals(1, server.calls.size());
        }
    }

    @Test
    void aClientShowsItsCertificate(@TempDir Path folder) throws Exception {
        Certificates ours = Certificates.make(folder, "server");
        Certificates theirs = Certificates.make(folder, "client");
        var credentials = TlsServerCredentials.newBuilder()
                .keyManager(ours.certificate().toFile(), ours.key().toFile())
                .trustManager(theirs.certificate().toFile())
                .clientAuth(TlsServerCredentials.ClientAuth.REQUIRE)
                .build();
        try (LocalServer server = new LocalServer(0, credentials, new Sessions());
                BezantClient known = BezantClient.builder(server.address())
                        .trustedCertificates(ours.certificate())
                        .clientCertificate(theirs.certificate(), theirs.key())
                        .build();
                BezantClient unknown = BezantClient.builder(server.address())
                        .trustedCertificates(ours.certificate())
                        .build()) {
            ask(known);
            assertThrows(StatusRuntimeException.class, () -> ask(unknown));
            assertEquals(1, server.calls.size());
        }
    }

    @Test
    void aCertificateThatIsNotThereIsNamed(@TempDir Path folder) {
        var builder = BezantClient.builder("127.0.0.1:1").trustedCertificates(folder.resolve("absent.pem"));
        var unreadable = assertThrows(UncheckedIOException.class, builder::build);
        assertTrue(unreadable.getMessage().contains("absent.pem"), unreadable.getMessage());
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "localhost", ":50051", "host:", "host:0", "host:65536", "http://host:1", "host:1/x", "::1:5"})
    void anAddressThatIsNoneIsNamed(String address) {
        var refused = assertThrows(IllegalArgumentException.class, () -> BezantClient.builder(address));
        assertTrue(refused.getMessage().startsWith("address: "), refused.getMessage());
    }

    @Test
    void aKeyThatIsNoneIsNamedAndNotShown() {
        var builder = BezantClient.builder("127.0.0.1:1");
        var refused = assertThrows(IllegalArgumentException.class, () -> builder.apiKey("sec\nret"));
        assertEquals("apiKey: must be printable ASCII without spaces", refused.getMessage());
    }

    @Test
    void durationsMustBePositive() {
        var builder = BezantClient.builder("127.0.0.1:1");
        assertEquals(
                "deadline: must be positive, not PT0S",
                assertThrows(IllegalArgumentException.class, () -> builder.deadline(Duration.ZERO)).getMessage());
        assertEquals(
                "keepAlive: must be positive, not PT-1S",
                assertThrows(IllegalArgumentException.class, () -> builder.keepAlive(Duration.ofSeconds(-1)))
                        .getMessage());
    }
}
