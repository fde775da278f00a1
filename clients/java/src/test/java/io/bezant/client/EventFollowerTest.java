package io.bezant.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.bezant.v1.Event;
import io.bezant.v1.EventTopic;
import io.bezant.v1.EventsServiceGrpc;
import io.bezant.v1.StreamEnd;
import io.bezant.v1.StreamEventsRequest;
import io.bezant.v1.StreamEventsResponse;
import io.bezant.v1.StreamHeartbeat;
import io.bezant.v1.StreamStarted;
import io.bezant.v1.TopicPosition;
import io.bezant.v1.TopicSubscription;
import io.grpc.Context;
import io.grpc.InsecureServerCredentials;
import io.grpc.Status;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class EventFollowerTest {
    private static final EventTopic ORDERS = EventTopic.EVENT_TOPIC_ORDERS;
    private static final EventTopic TRADES = EventTopic.EVENT_TOPIC_TRADES;
    private static final EventTopic MARKETDATA = EventTopic.EVENT_TOPIC_MARKETDATA;
    private static final long APPLE = 265_598;

    /** Answers each stream as it is told to; without anything told the stream stays open and quiet. */
    private static final class Script extends EventsServiceGrpc.EventsServiceImplBase {
        final List<StreamEventsRequest> requests = new CopyOnWriteArrayList<>();
        final BlockingQueue<Consumer<StreamObserver<StreamEventsResponse>>> answers = new LinkedBlockingQueue<>();

        @SafeVarargs
        final Script then(Consumer<StreamObserver<StreamEventsResponse>>... parts) {
            answers.add(observer -> {
                for (var part : parts) {
                    part.accept(observer);
                }
            });
            return this;
        }

        @Override
        public void streamEvents(StreamEventsRequest request, StreamObserver<StreamEventsResponse> observer) {
            requests.add(request);
            var answer = answers.poll();
            if (answer != null) {
                answer.accept(observer);
            }
        }
    }

    private final Script script = new Script();
    private LocalServer server;
    private BezantClient client;

    @BeforeEach
    void start() {
        server = new LocalServer(script);
        client = BezantClient.builder(server.address()).build();
    }

    @AfterEach
    void stop() {
        client.close();
        server.close();
    }

    @Test
    void itGivesEachEventInOrderAndNoHeartbeat() {
        script.then(
                started(at(ORDERS, 10), at(TRADES, 20)),
                event(ORDERS, 11),
                heartbeat(),
                event(TRADES, 21),
                event(ORDERS, 12));
        try (EventFollower events = client.follow(ORDERS, TRADES)) {
            assertNext(ORDERS, 11, events);
            assertNext(TRADES, 21, events);
            assertNext(ORDERS, 12, events);
            assertEquals(List.of(after(ORDERS, 12), after(TRADES, 21)), events.positions());
        }
        assertEquals(List.of(from(ORDERS), from(TRADES)), script.requests.get(0).getTopicsList());
    }

    @Test
    void theRequestIsKeptAcrossConnections() {
        StreamEventsRequest request = StreamEventsRequest.newBuilder()
                .addTopics(after(ORDERS, 5))
                .setIncludeRaw(true)
                .addAccountIds("DU1")
                .setHeartbeatSecs(7)
                .build();
        script.then(started(at(ORDERS, 5)), event(ORDERS, 6), fails(Status.UNAVAILABLE))
                .then(started(at(ORDERS, 6)), event(ORDERS, 7));
        try (EventFollower events = client.follow(request)) {
            assertNext(ORDERS, 6, events);
            assertNext(ORDERS, 7, events);
        }
        assertEquals(
                List.of(request, request.toBuilder().setTopics(0, after(ORDERS, 6)).build()), script.requests);
    }

    @Test
    void heartbeatsMoveTheCursorsOn() {
        script.then(started(at(ORDERS, 10)), heartbeat(at(ORDERS, 15)), fails(Status.UNAVAILABLE))
                .then(started(at(ORDERS, 15)), event(ORDERS, 16));
        try (EventFollower events = client.follow(ORDERS)) {
            assertNext(ORDERS, 16, events);
        }
        assertEquals(List.of(after(ORDERS, 15)), script.requests.get(1).getTopicsList());
    }

    @Test
    void aQuietTopicResumesWhereTheStreamBegan() {
        script.then(started(at(ORDERS, 10)), fails(Status.UNAVAILABLE)).then(event(ORDERS, 11));
        try (EventFollower events = client.follow(ORDERS)) {
            assertNext(ORDERS, 11, events);
        }
        assertEquals(List.of(after(ORDERS, 10)), script.requests.get(1).getTopicsList());
    }

    @Test
    void theEndSaysWhereToResume() {
        script.then(started(at(ORDERS, 10)), end(at(ORDERS, 12)), StreamObserver::onCompleted)
                .then(started(at(ORDERS, 12)), event(ORDERS, 13));
        try (EventFollower events = client.follow(ORDERS)) {
            assertNext(ORDERS, 13, events);
        }
        assertEquals(List.of(after(ORDERS, 12)), script.requests.get(1).getTopicsList());
    }

    @Test
    void aSlowReaderResumesBehindWhatItWasGiven() {
        var slow = Failures.failure(Code.RESOURCE_EXHAUSTED, "SLOW_READER", Map.of("cursors", "orders=11,trades=20"));
        script.then(started(at(ORDERS, 10), at(TRADES, 20)), event(ORDERS, 11), fails(slow)).then(event(ORDERS, 12));
        try (EventFollower events = client.follow(ORDERS, TRADES)) {
            assertNext(ORDERS, 11, events);
            assertNext(ORDERS, 12, events);
        }
        assertEquals(List.of(after(ORDERS, 11), after(TRADES, 20)), script.requests.get(1).getTopicsList());
    }

    @Test
    void brokenStreamsWithoutAReasonAreResumed() {
        script.then(started(at(ORDERS, 10)), fails(Status.INTERNAL))
                .then(fails(Status.CANCELLED))
                .then(fails(Status.UNKNOWN))
                .then(event(ORDERS, 11));
        try (EventFollower events = client.follow(ORDERS)) {
            assertNext(ORDERS, 11, events);
        }
        assertEquals(4, script.requests.size());
    }

    @Test
    void whatComesAgainIsNotGivenAgain() {
        script.then(started(at(ORDERS, 10)), event(ORDERS, 11), fails(Status.UNAVAILABLE))
                .then(event(ORDERS, 11), event(ORDERS, 12));
        try (EventFollower events = client.follow(ORDERS)) {
            assertNext(ORDERS, 11, events);
            assertNext(ORDERS, 12, events);
        }
    }

    @Test
    void aHoleIsShownAndPassed() {
        script.then(started(at(ORDERS, 10), at(TRADES, 20)), event(ORDERS, 11), fails(Status.UNAVAILABLE))
                .then(fails(Failures.cursorExpired("EVENT_TOPIC_TRADES", 0, 100)))
                .then(started(at(ORDERS, 11), at(TRADES, 99)), event(TRADES, 100), event(ORDERS, 12));
        try (EventFollower events = client.follow(ORDERS, TRADES)) {
            assertNext(ORDERS, 11, events);
            assertTrue(events.hasNext());
            EventGapException gap = assertThrows(EventGapException.class, events::next);
            assertEquals(TRADES, gap.topic());
            assertEquals(0, gap.conid());
            assertEquals(20, gap.afterCursor());
            assertEquals(100, gap.headCursor());
            assertEquals(7, gap.resetEpoch());
            assertEquals(Code.OUT_OF_RANGE, gap.code());
            assertEquals(List.of(after(ORDERS, 11), after(TRADES, 99)), events.positions());
            assertNext(TRADES, 100, events);
            assertNext(ORDERS, 12, events);
        }
        assertEquals(List.of(after(ORDERS, 11), after(TRADES, 99)), script.requests.get(2).getTopicsList());
    }

    @Test
    void holesAtTheStartAreShownOneByOneAndTheRestIsFollowedMeanwhile() {
        long pear = 4711;
        StreamEventsRequest request = StreamEventsRequest.newBuilder()
                .addTopics(quotesAfter(APPLE, 5))
                .addTopics(from(ORDERS))
                .addTopics(quotesAfter(pear, 6))
                .build();
        script.then(fails(Failures.cursorExpired("EVENT_TOPIC_MARKETDATA", pear, 60)))
                .then(fails(Failures.cursorExpired("EVENT_TOPIC_MARKETDATA", APPLE, 50)))
                .then(started(at(MARKETDATA, 49), at(ORDERS, 10)), event(ORDERS, 11));
        try (EventFollower events = client.follow(request)) {
            assertEquals(3, script.requests.size());
            // Whoever resumed here would be told of both holes.
            assertEquals(List.of(quotesAfter(APPLE, 5), after(ORDERS, 10), quotesAfter(pear, 6)), events.positions());
            assertEquals(pear, assertThrows(EventGapException.class, events::next).conid());
            assertEquals(APPLE, assertThrows(EventGapException.class, events::next).conid());
            assertNext(ORDERS, 11, events);
            assertEquals(List.of(quotesAfter(APPLE, 49), after(ORDERS, 11), quotesAfter(pear, 59)), events.positions());
        }
    }

    @Test
    void numbersMayBeginAnewBehindAHole() {
        StreamEventsRequest request =
                StreamEventsRequest.newBuilder().addTopics(after(ORDERS, 5000)).build();
        script.then(fails(Failures.cursorExpired("EVENT_TOPIC_ORDERS", 0, 1)))
                .then(started(at(ORDERS, 0)), event(ORDERS, 1));
        try (EventFollower events = client.follow(request)) {
            assertEquals(1, assertThrows(EventGapException.class, events::next).headCursor());
            assertNext(ORDERS, 1, events);
        }
        assertEquals(List.of(after(ORDERS, 0)), script.requests.get(1).getTopicsList());
    }

    @Test
    void aHoleInNoTopicThatIsFollowedIsAnError() {
        script.then(started(at(ORDERS, 10), at(TRADES, 20)), fails(Status.UNAVAILABLE))
                .then(fails(Failures.cursorExpired("EVENT_TOPIC_FROM_A_NEWER_SERVER", 0, 1)));
        try (EventFollower events = client.follow(ORDERS, TRADES)) {
            BezantException expired = assertThrows(BezantException.class, events::next);
            assertEquals(BezantException.class, expired.getClass());
            assertEquals("CURSOR_EXPIRED", expired.reason());
            assertFalse(events.hasNext());
        }
    }

    @Test
    void ofOneTopicAHoleNeedsNoName() {
        var unnamed = Failures.failure(Code.OUT_OF_RANGE, "CURSOR_EXPIRED", Map.of("head_cursor", "7", "reset_epoch", "1"));
        script.then(started(at(ORDERS, 3)), fails(Status.UNAVAILABLE))
                .then(fails(unnamed))
                .then(started(at(ORDERS, 6)), event(ORDERS, 7));
        try (EventFollower events = client.follow(ORDERS)) {
            assertEquals(ORDERS, assertThrows(EventGapException.class, events::next).topic());
            assertNext(ORDERS, 7, events);
        }
    }

    @Test
    void aRefusedRequestIsAnErrorOfFollow() {
        script.then(fails(Failures.failure(Code.INVALID_ARGUMENT, "BAD_REQUEST", Map.of())));
        BezantException refused = assertThrows(BezantException.class, () -> client.follow(ORDERS));
        assertEquals("BAD_REQUEST", refused.reason());
    }

    @Test
    void aRefusalLaterOnEndsTheEvents() {
        var disabled = Failures.failure(Code.FAILED_PRECONDITION, "EVENTS_DISABLED", Map.of());
        script.then(started(at(ORDERS, 10)), fails(Status.UNAVAILABLE)).then(fails(disabled));
        try (EventFollower events = client.follow(ORDERS)) {
            assertEquals("EVENTS_DISABLED", assertThrows(BezantException.class, events::next).reason());
            assertFalse(events.hasNext());
            assertThrows(NoSuchElementException.class, events::next);
        }
    }

    @Test
    void aServerThatIsNotThereIsAnErrorOfFollowAfterTheDeadline() {
        String address = server.address();
        server.close();
        try (BezantClient hasty = BezantClient.builder(address).deadline(Duration.ofMillis(500)).build()) {
            BezantException absent = assertThrows(BezantException.class, () -> hasty.follow(ORDERS));
            assertEquals(Code.UNAVAILABLE, absent.code());
        }
    }

    @Test
    void itOutlivesTheServer() {
        script.then(started(at(ORDERS, 10)), event(ORDERS, 11));
        try (EventFollower events = client.follow(ORDERS)) {
            assertNext(ORDERS, 11, events);
            int port = server.port();
            server.close();
            CompletableFuture<Event> next = CompletableFuture.supplyAsync(events::next);
            script.then(started(at(ORDERS, 11)), event(ORDERS, 12));
            server = new LocalServer(port, InsecureServerCredentials.create(), script);
            assertEquals(12, next.join().getCursor());
        }
    }

    @Test
    void aStreamThatFallsSilentIsLeftAndMadeAnew() {
        CompletableFuture<Void> left = new CompletableFuture<>();
        script.then(whenLeft(left), started(at(ORDERS, 10)), event(ORDERS, 11))
                .then(started(at(ORDERS, 11)), event(ORDERS, 12));
        try (EventFollower events = followWithThreeSecondsOfPatience(Duration.ofSeconds(30))) {
            assertNext(ORDERS, 11, events);
            assertNext(ORDERS, 12, events);
        }
        assertEquals(List.of(after(ORDERS, 11)), script.requests.get(1).getTopicsList());
        left.join();
    }

    @Test
    void aServerThatSaysNothingIsAnErrorOfFollow() {
        BezantException silent = assertThrows(
                BezantException.class, () -> followWithThreeSecondsOfPatience(Duration.ofSeconds(1)));
        assertEquals(Code.UNAVAILABLE, silent.code());
        assertEquals(1, script.requests.size());
    }

    @Test
    void closingEndsAWait() {
        script.then(started(at(ORDERS, 10)));
        EventFollower events = client.follow(ORDERS);
        CompletableFuture<Boolean> waiting = CompletableFuture.supplyAsync(events::hasNext);
        events.close();
        assertFalse(waiting.join());
    }

    @Test
    void theEndOfTheContextEndsAWait() {
        script.then(started(at(ORDERS, 10)));
        AtomicReference<EventFollower> events = new AtomicReference<>();
        Context.CancellableContext work = Context.current().withCancellation();
        work.run(() -> events.set(client.follow(ORDERS)));
        CompletableFuture<Boolean> waiting = CompletableFuture.supplyAsync(events.get()::hasNext);
        work.close();
        assertFalse(waiting.join());
    }

    @Test
    void anInterruptEndsAWait() throws InterruptedException {
        script.then(started(at(ORDERS, 10)));
        try (EventFollower events = client.follow(ORDERS)) {
            AtomicReference<Throwable> thrown = new AtomicReference<>();
            Thread waiting = new Thread(() -> thrown.set(assertThrows(BezantException.class, events::next)));
            waiting.start();
            waiting.interrupt();
            waiting.join();
            assertEquals(Code.CANCELLED, BezantException.from(thrown.get()).code());
            assertFalse(events.hasNext());
        }
    }

    private EventFollower followWithThreeSecondsOfPatience(Duration deadline) {
        StreamEventsRequest request = StreamEventsRequest.newBuilder()
                .addTopics(from(ORDERS))
                .setHeartbeatSecs(1)
                .build();
        return EventFollower.start(client.events(), request, deadline, () -> {}, Duration.ZERO);
    }

    private static void assertNext(EventTopic topic, long cursor, EventFollower events) {
        assertTrue(events.hasNext());
        Event event = events.next();
        assertEquals(topic, event.getTopic());
        assertEquals(cursor, event.getCursor());
    }

    private static TopicSubscription from(EventTopic topic) {
        return TopicSubscription.newBuilder().setTopic(topic).build();
    }

    private static TopicSubscription after(EventTopic topic, long cursor) {
        return from(topic).toBuilder().setAfterCursor(cursor).build();
    }

    private static TopicSubscription quotesAfter(long conid, long cursor) {
        return after(MARKETDATA, cursor).toBuilder().setConid(conid).build();
    }

    private static TopicPosition at(EventTopic topic, long cursor) {
        return TopicPosition.newBuilder()
                .setTopic(topic)
                .setConid(topic == MARKETDATA ? APPLE : 0)
                .setCursor(cursor)
                .build();
    }

    private static Consumer<StreamObserver<StreamEventsResponse>> started(TopicPosition... positions) {
        return send(StreamEventsResponse.newBuilder()
                .setStarted(StreamStarted.newBuilder().addAllPositions(List.of(positions))));
    }

    private static Consumer<StreamObserver<StreamEventsResponse>> event(EventTopic topic, long cursor) {
        return send(StreamEventsResponse.newBuilder().setEvent(Event.newBuilder().setTopic(topic).setCursor(cursor)));
    }

    private static Consumer<StreamObserver<StreamEventsResponse>> heartbeat(TopicPosition... positions) {
        return send(StreamEventsResponse.newBuilder()
                .setHeartbeat(StreamHeartbeat.newBuilder().addAllPositions(List.of(positions))));
    }

    private static Consumer<StreamObserver<StreamEventsResponse>> end(TopicPosition... positions) {
        return send(StreamEventsResponse.newBuilder()
                .setEnd(StreamEnd.newBuilder().setReason("shutdown").addAllPositions(List.of(positions))));
    }

    private static Consumer<StreamObserver<StreamEventsResponse>> send(StreamEventsResponse.Builder message) {
        return observer -> observer.onNext(message.build());
    }

    private static Consumer<StreamObserver<StreamEventsResponse>> whenLeft(CompletableFuture<Void> left) {
        return observer -> ((ServerCallStreamObserver<StreamEventsResponse>) observer)
                .setOnCancelHandler(() -> left.complete(null));
    }

    private static Consumer<StreamObserver<StreamEventsResponse>> fails(Status status) {
        return fails(status.asRuntimeException());
    }

    private static Consumer<StreamObserver<StreamEventsResponse>> fails(StatusRuntimeException failure) {
        return observer -> observer.onError(failure);
    }
}
