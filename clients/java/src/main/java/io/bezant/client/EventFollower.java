package io.bezant.client;

import io.bezant.v1.Event;
import io.bezant.v1.EventsServiceGrpc.EventsServiceBlockingStub;
import io.bezant.v1.StreamEventsRequest;
import io.bezant.v1.StreamEventsResponse;
import io.bezant.v1.TopicSubscription;
import io.grpc.Context;
import io.grpc.Status;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/**
 * The events of topics: each once, in the order of its topic, for as long as you read them.
 *
 * <p>When the connection breaks, the server stops or falls silent (not even a heartbeat for as long as three take, and
 * for 45 seconds at least), or you read too slowly, it connects again, with waits that grow to ten seconds, and goes on
 * behind the last event that it gave. What the server cannot give any more is an {@link EventGapException} of
 * {@link #next}, after which you may go on. Any other {@link BezantException} ends the events, as does an interrupt of
 * the thread that waits. {@link #close}, from any thread, ends them without an error, and so does the end of the
 * {@link Context} that this was made in. One thread at a time may read.
 *
 * <pre>{@code
 * try (EventFollower events = client.follow(EventTopic.EVENT_TOPIC_ORDERS)) {
 *     for (Event event : events) {
 *         System.out.println(event.getOrderUpdate());
 *     }
 * }
 * }</pre>
 */
public final class EventFollower implements Iterator<Event>, Iterable<Event>, AutoCloseable {
    /** Or as long as three heartbeats take. The server may have to subscribe a topic before it says anything. */
    static final Duration LONGEST_SILENCE = Duration.ofSeconds(45);

    private static final long SILENT_HEARTBEATS = 3;
    private static final Set<Code> BROKEN = Set.of(Code.UNAVAILABLE, Code.CANCELLED, Code.INTERNAL, Code.UNKNOWN);

    private final EventsServiceBlockingStub stub;
    private final StreamEventsRequest request;
    private final Runnable connectAtOnce;
    private final Duration patience;
    private final Positions positions;
    private final Backoff backoff = new Backoff();
    private final CountDownLatch closed = new CountDownLatch(1);
    private final Context.CancellableContext life = Context.current().withCancellation();

    private MessageStream<StreamEventsResponse> stream;
    private boolean follows;
    private Event pending;

    private EventFollower(
            EventsServiceBlockingStub stub,
            StreamEventsRequest request,
            Runnable connectAtOnce,
            Duration longestSilence) {
        this.stub = stub;
        this.request = request;
        this.connectAtOnce = connectAtOnce;
        this.patience = longer(longestSilence, Duration.ofSeconds(SILENT_HEARTBEATS * request.getHeartbeatSecs()));
        this.positions = new Positions(request.getTopicsList());
        life.addListener(ended -> closed.countDown(), Runnable::run);
    }

    static EventFollower start(
            EventsServiceBlockingStub stub,
            StreamEventsRequest request,
            Duration deadline,
            Runnable connectAtOnce,
            Duration longestSilence) {
        EventFollower follower = new EventFollower(stub, request, connectAtOnce, longestSilence);
        long started = System.nanoTime();
        while (!follower.follows && !follower.isClosed()) {
            follower.step(() -> System.nanoTime() - started < deadline.toNanos());
        }
        return follower;
    }

    /**
     * Waits for the next event, or for the news that some were missed.
     *
     * @return whether there is any: false once this is closed
     * @throws BezantException if the server refuses to go on, or the thread is interrupted
     */
    @Override
    public boolean hasNext() {
        while (pending == null && !positions.hasGap() && !isClosed()) {
            step(() -> true);
        }
        return !isClosed();
    }

    /**
     * Waits for the next event, and gives it.
     *
     * @return the event
     * @throws NoSuchElementException if this is closed
     * @throws EventGapException if events were missed; the next call goes on behind them
     * @throws BezantException if the server refuses to go on, or the thread is interrupted
     */
    @Override
    public Event next() {
        if (!hasNext()) {
            throw new NoSuchElementException("the follower of events is closed");
        }
        if (positions.hasGap()) {
            throw positions.nextGap();
        }
        Event event = pending;
        pending = null;
        positions.advance(event);
        return event;
    }

    /** {@return this: a second loop goes on where the first was left} */
    @Override
    public Iterator<Event> iterator() {
        return this;
    }

    /** {@return where to resume: the topics, each behind the last event that was given, for a later request} */
    public List<TopicSubscription> positions() {
        return positions.told();
    }

    /** Ends the events at once. */
    @Override
    public void close() {
        life.close();
    }

    private boolean isClosed() {
        return closed.getCount() == 0;
    }

    /** Reads one message, or connects once. */
    private void step(BooleanSupplier mayRetry) {
        if (stream == null) {
            connectAtOnce.run();
            stream = open();
        }
        try {
            take(stream.read());
        } catch (StatusRuntimeException failed) {
            stream.close();
            stream = null;
            if (!isClosed()) {
                recover(BezantException.from(failed), mayRetry.getAsBoolean());
            }
        }
    }

    private MessageStream<StreamEventsResponse> open() {
        StreamEventsRequest wanted = request.toBuilder()
                .clearTopics()
                .addAllTopics(positions.subscriptions())
                .build();
        return new MessageStream<>(life, patience, () -> stub.streamEvents(wanted));
    }

    private void take(StreamEventsResponse message) {
        switch (message.getMessageCase()) {
            case STARTED -> {
                follows = true;
                positions.advance(message.getStarted().getPositionsList());
            }
            case EVENT -> {
                backoff.reset();
                pending = positions.isNew(message.getEvent()) ? message.getEvent() : null;
            }
            case HEARTBEAT -> {
                backoff.reset();
                positions.advance(message.getHeartbeat().getPositionsList());
            }
            case END -> positions.advance(message.getEnd().getPositionsList());
            default -> { }
        }
    }

    private void recover(BezantException error, boolean mayRetry) {
        if (!mayRetry || Thread.currentThread().isInterrupted() || !isPassing(error)) {
            throw last(error);
        }
        pause(longer(backoff.next(), error.retryDelay().orElse(Duration.ZERO)));
    }

    /** Whether another stream may do better. */
    private boolean isPassing(BezantException error) {
        return switch (error.reason()) {
            case "CURSOR_EXPIRED" -> positions.pass(error);
            // The cursors that it names are those of what has been given before it.
            case "SLOW_READER" -> true;
            // What the server itself says has a reason; without one it is a connection that broke in mid-stream.
            case "" -> BROKEN.contains(error.code());
            default -> error.code() == Code.UNAVAILABLE || error.retryDelay().isPresent();
        };
    }

    private void pause(Duration wait) {
        try {
            closed.await(wait.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            throw last(BezantException.from(
                    Status.CANCELLED.withDescription("interrupted").withCause(interrupted).asRuntimeException()));
        }
    }

    private BezantException last(BezantException error) {
        close();
        return error;
    }

    private static Duration longer(Duration one, Duration other) {
        return one.compareTo(other) > 0 ? one : other;
    }
}
