package io.bezant.client;

import io.bezant.v1.ContractsServiceGrpc;
import io.bezant.v1.EventTopic;
import io.bezant.v1.EventsServiceGrpc;
import io.bezant.v1.GatewayServiceGrpc;
import io.bezant.v1.HistoricalDataServiceGrpc;
import io.bezant.v1.MarketDataServiceGrpc;
import io.bezant.v1.OrdersServiceGrpc;
import io.bezant.v1.PortfolioServiceGrpc;
import io.bezant.v1.ScannerServiceGrpc;
import io.bezant.v1.SessionServiceGrpc;
import io.bezant.v1.StreamEventsRequest;
import io.bezant.v1.TargetOrdersServiceGrpc;
import io.bezant.v1.TopicSubscription;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.stub.AbstractStub;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/**
 * A connection to a bezant-grpc server. Make one for the whole program: it is safe for use by many threads.
 *
 * <p>Calls send the API key, if there is one. A unary call that names no deadline has that of the client. Reads are
 * tried again, up to four times in all, when the server is unavailable; an order never is. Calls fail with
 * {@link io.grpc.StatusRuntimeException}, of which {@link BezantException#from} tells the reason.
 *
 * <pre>{@code
 * try (BezantClient client = BezantClient.builder("127.0.0.1:50051").build()) {
 *     Session session = client.session().getSession(GetSessionRequest.getDefaultInstance()).getSession();
 * }
 * }</pre>
 */
public final class BezantClient implements AutoCloseable {
    private static final Duration LONGEST_CLOSE = Duration.ofSeconds(5);

    private final ManagedChannel connection;
    private final Channel channel;
    private final Duration deadline;

    BezantClient(ManagedChannel connection, String apiKey, Duration deadline) {
        this.connection = connection;
        this.channel = ClientInterceptors.intercept(connection, CallDefaults.of(apiKey, deadline));
        this.deadline = deadline;
    }

    /**
     * Begins a client of the server at an address.
     *
     * @param address host and port, such as {@code 127.0.0.1:50051} or {@code [::1]:50051}
     * @return what the connection is made by
     * @throws IllegalArgumentException if it is no host and port
     */
    public static BezantClientBuilder builder(String address) {
        return new BezantClientBuilder(address);
    }

    /**
     * Makes a stub of any kind, such as {@code client.stub(OrdersServiceGrpc::newFutureStub)}.
     *
     * @param <S> the stub's type
     * @param newStub {@code newBlockingStub}, {@code newFutureStub} or {@code newStub} (asynchronous) of a service
     * @return the stub
     */
    public <S extends AbstractStub<S>> S stub(Function<Channel, S> newStub) {
        return newStub.apply(channel);
    }

    /** {@return whether you can trade, and if not, why} */
    public SessionServiceGrpc.SessionServiceBlockingStub session() {
        return stub(SessionServiceGrpc::newBlockingStub);
    }

    /** {@return accounts, positions, balances and performance} */
    public PortfolioServiceGrpc.PortfolioServiceBlockingStub portfolio() {
        return stub(PortfolioServiceGrpc::newBlockingStub);
    }

    /** {@return orders and executions} */
    public OrdersServiceGrpc.OrdersServiceBlockingStub orders() {
        return stub(OrdersServiceGrpc::newBlockingStub);
    }

    /** {@return quotes and bars} */
    public MarketDataServiceGrpc.MarketDataServiceBlockingStub marketData() {
        return stub(MarketDataServiceGrpc::newBlockingStub);
    }

    /** {@return contracts: search, definitions, chains and schedules} */
    public ContractsServiceGrpc.ContractsServiceBlockingStub contracts() {
        return stub(ContractsServiceGrpc::newBlockingStub);
    }

    /** {@return scans of the market} */
    public ScannerServiceGrpc.ScannerServiceBlockingStub scanner() {
        return stub(ScannerServiceGrpc::newBlockingStub);
    }

    /** {@return events, listed; {@link #follow(StreamEventsRequest)} follows them} */
    public EventsServiceGrpc.EventsServiceBlockingStub events() {
        return stub(EventsServiceGrpc::newBlockingStub);
    }

    /** {@return any other path of the gateway} */
    public GatewayServiceGrpc.GatewayServiceBlockingStub gateway() {
        return stub(GatewayServiceGrpc::newBlockingStub);
    }

    /** {@return historical data in the words of Trader Workstation} */
    public HistoricalDataServiceGrpc.HistoricalDataServiceBlockingStub historicalData() {
        return stub(HistoricalDataServiceGrpc::newBlockingStub);
    }

    /** {@return stocks by target position} */
    public TargetOrdersServiceGrpc.TargetOrdersServiceBlockingStub targetOrders() {
        return stub(TargetOrdersServiceGrpc::newBlockingStub);
    }

    /**
     * Follows what happens in topics from now on: see {@link #follow(StreamEventsRequest)}.
     *
     * @param topics what to follow; {@code MARKETDATA} needs a contract, and so the other method
     * @return the events
     */
    public EventFollower follow(EventTopic... topics) {
        StreamEventsRequest.Builder request = StreamEventsRequest.newBuilder();
        Arrays.stream(topics).map(TopicSubscription.newBuilder()::setTopic).forEach(request::addTopics);
        return follow(request.build());
    }

    /**
     * Follows events until it is closed, across whatever happens to the connection. When this returns, the server
     * follows: an event of a topic without {@code after_cursor} that happens later will be given.
     *
     * @param request the topics, each from its {@code after_cursor} on, and how to give them
     * @return the events; close it
     * @throws BezantException if the request is refused, or the server stays unavailable for as long as the client's
     *     deadline; one that says nothing is unavailable after 45 seconds, or three heartbeats if those take longer
     */
    public EventFollower follow(StreamEventsRequest request) {
        return EventFollower.start(
                events(), request, deadline, connection::resetConnectBackoff, EventFollower.LONGEST_SILENCE);
    }

    /** Ends the connection: calls under way have five seconds to end, streams are cancelled then. */
    @Override
    public void close() {
        connection.shutdown();
        try {
            connection.awaitTermination(LONGEST_CLOSE.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        } finally {
            connection.shutdownNow();
        }
    }
}
