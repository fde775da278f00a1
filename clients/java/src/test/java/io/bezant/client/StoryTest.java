package io.bezant.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.bezant.v1.BrokerageAccount;
import io.bezant.v1.CancelOrderRequest;
import io.bezant.v1.ConfirmOrderRequest;
import io.bezant.v1.Event;
import io.bezant.v1.EventTopic;
import io.bezant.v1.Execution;
import io.bezant.v1.GetContractRequest;
import io.bezant.v1.GetQuotesRequest;
import io.bezant.v1.GetSessionRequest;
import io.bezant.v1.ListBrokerageAccountsRequest;
import io.bezant.v1.ListExecutionsRequest;
import io.bezant.v1.ListOrdersRequest;
import io.bezant.v1.ListPositionsRequest;
import io.bezant.v1.Order;
import io.bezant.v1.OrderOutcome;
import io.bezant.v1.OrderSide;
import io.bezant.v1.OrderState;
import io.bezant.v1.OrderStatus;
import io.bezant.v1.OrderTicket;
import io.bezant.v1.OrderType;
import io.bezant.v1.OrderWarning;
import io.bezant.v1.PlaceOrdersRequest;
import io.bezant.v1.Position;
import io.bezant.v1.PreviewOrdersRequest;
import io.bezant.v1.Quote;
import io.bezant.v1.ResolveContractRequest;
import io.bezant.v1.Session;
import io.bezant.v1.SessionState;
import io.bezant.v1.StreamEventsRequest;
import io.bezant.v1.TimeInForce;
import io.bezant.v1.TopicSubscription;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.parallel.ResourceLock;

/** What a trader does against a running server, from the session to a stream that outlives its connection. */
@Timeout(120)
@ResourceLock(Stack.LOCK)
class StoryTest {
    private static final long APPLE = 265_598;
    private static final String ACCOUNT = "DU8730189";

    @Test
    void theStory() {
        Stack stack = Stack.running();
        try (BezantClient client = stack.client()) {
            Session session = client.session().getSession(GetSessionRequest.getDefaultInstance()).getSession();
            assertEquals(SessionState.SESSION_STATE_READY, session.getState());
            assertTrue(session.getCanTrade());

            List<String> accounts = client.portfolio()
                    .listBrokerageAccounts(ListBrokerageAccountsRequest.getDefaultInstance())
                    .getAccountsList()
                    .stream()
                    .map(BrokerageAccount::getAccountId)
                    .toList();
            assertTrue(accounts.contains(ACCOUNT), accounts.toString());

            var symbol = ResolveContractRequest.newBuilder().setSymbol("AAPL").build();
            assertEquals(APPLE, client.contracts().resolveContract(symbol).getContract().getConid());

            Quote quote = eventually(() -> quote(client), found -> found.hasBidPrice() && found.hasAskPrice());
            assertEquals(
                    new BigDecimal("230.00"),
                    Decimals.get(quote, Quote::hasBidPrice, Quote::getBidPrice).orElseThrow());
            assertEquals(
                    new BigDecimal("230.02"),
                    Decimals.get(quote, Quote::hasAskPrice, Quote::getAskPrice).orElseThrow());

            var preview = client.orders()
                    .previewOrders(PreviewOrdersRequest.newBuilder()
                            .setAccountId(ACCOUNT)
                            .addOrders(buy("3", "240.00", ""))
                            .build());
            assertTrue(Decimals.parse(preview.getAmount().getAmount()).signum() > 0);
            assertTrue(preview.hasCommission());
            assertTrue(Decimals.parse(preview.getCommission().getAmount()).signum() > 0);

            BigDecimal held = position(client);
            try (EventFollower events = client.follow(EventTopic.EVENT_TOPIC_ORDERS, EventTopic.EVENT_TOPIC_TRADES)) {
                Journal journal = new Journal(events);
                buyThree(client, journal, held);
                buyAndCancel(client, journal, "228.00");
                unknownContract(client);

                stack.cut();
                // A read finds out that the connection is gone, so that no order is lost to it.
                client.orders().listOrders(ListOrdersRequest.newBuilder().setAccountId(ACCOUNT).build());
                buyAndCancel(client, journal, "227.90");
                journal.assertWithoutGapOrRepetition();
            }
        }
    }

    @Test
    void theServerNamesTheTopicWhoseCursorHasExpired() {
        Stack stack = Stack.running();
        var ahead = TopicSubscription.newBuilder().setTopic(EventTopic.EVENT_TOPIC_TRADES).setAfterCursor(Long.MAX_VALUE);
        StreamEventsRequest request = StreamEventsRequest.newBuilder()
                .addTopics(TopicSubscription.newBuilder().setTopic(EventTopic.EVENT_TOPIC_ORDERS))
                .addTopics(ahead)
                .build();
        try (BezantClient client = stack.client();
                EventFollower events = client.follow(request)) {
            EventGapException gap = assertThrows(EventGapException.class, events::next);
            assertEquals("EVENT_TOPIC_TRADES", gap.metadata().get("topic"));
            assertEquals("0", gap.metadata().get("conid"));
            assertEquals(EventTopic.EVENT_TOPIC_TRADES, gap.topic());
            assertEquals(Long.MAX_VALUE, gap.afterCursor());
            assertTrue(gap.headCursor() > 0);
            buyAndCancel(client, new Journal(events), "227.80");
        }
    }

    private static void buyThree(BezantClient client, Journal journal, BigDecimal held) {
        String own = newId();
        OrderOutcome asked = place(client, buy("3", "240.00", own));
        assertEquals(own, asked.getClientOrderId());
        assertTrue(asked.hasNeedsConfirmation(), asked.toString());
        assertEquals(
                List.of("o163"),
                asked.getNeedsConfirmation().getWarningsList().stream().map(OrderWarning::getMessageId).toList());

        OrderOutcome answered = client.orders()
                .confirmOrder(ConfirmOrderRequest.newBuilder()
                        .setReplyId(asked.getNeedsConfirmation().getReplyId())
                        .setConfirmed(true)
                        .build())
                .getOutcomes(0);
        assertTrue(answered.hasAccepted(), answered.toString());
        String orderId = answered.getAccepted().getOrderId();
        assertNotEquals("", orderId);

        Order filled = journal.await(orderId, OrderStatus.ORDER_STATUS_FILLED);
        assertEquals(own, filled.getClientOrderId());
        assertTrue(filled.getIsTerminal());
        assertEquals(0, new BigDecimal("3").compareTo(Decimals.parse(filled.getFilledQuantity())));

        List<Execution> fills = eventually(() -> executions(client, own), found -> is("3", sum(found)));
        for (Execution fill : fills) {
            assertEquals(0, new BigDecimal("230.02").compareTo(Decimals.parse(fill.getPrice())), fill.toString());
            assertEquals(orderId, fill.getOrderId());
        }
        BigDecimal more = held.add(new BigDecimal("3"));
        eventually(() -> position(client), found -> found.compareTo(more) == 0);
    }

    private static void buyAndCancel(BezantClient client, Journal journal, String limit) {
        OrderOutcome placed = place(client, buy("1", limit, newId()));
        assertTrue(placed.hasAccepted(), placed.toString());
        String orderId = placed.getAccepted().getOrderId();
        journal.await(orderId, OrderStatus.ORDER_STATUS_SUBMITTED);
        client.orders()
                .cancelOrder(CancelOrderRequest.newBuilder().setAccountId(ACCOUNT).setOrderId(orderId).build());
        Order cancelled = journal.await(orderId, OrderStatus.ORDER_STATUS_CANCELLED);
        assertTrue(cancelled.getIsTerminal());
    }

    private static void unknownContract(BezantClient client) {
        var request = GetContractRequest.newBuilder().setConid(1).build();
        var failed = assertThrows(StatusRuntimeException.class, () -> client.contracts().getContract(request));
        BezantException error = BezantException.from(failed);
        assertEquals(Code.NOT_FOUND, error.code());
        assertEquals("CONTRACT_NOT_FOUND", error.reason());
    }

    /** What has been followed so far. */
    private record Journal(EventFollower events, List<Long> orderCursors) {
        Journal(EventFollower events) {
            this(events, new ArrayList<>());
        }

        Order await(String orderId, OrderStatus status) {
            while (true) {
                Event event = events.next();
                if (event.getTopic() == EventTopic.EVENT_TOPIC_ORDERS) {
                    orderCursors.add(event.getCursor());
                }
                for (OrderState state : event.getOrderUpdate().getOrdersList()) {
                    Order order = state.getOrder();
                    if (order.getOrderId().equals(orderId) && order.getStatus() == status) {
                        return order;
                    }
                }
            }
        }

        void assertWithoutGapOrRepetition() {
            assertFalse(orderCursors.isEmpty());
            long first = orderCursors.get(0);
            for (int index = 0; index < orderCursors.size(); index++) {
                assertEquals(first + index, orderCursors.get(index), orderCursors.toString());
            }
        }
    }

    private static String newId() {
        return "java-" + UUID.randomUUID();
    }

    private static OrderTicket buy(String quantity, String limit, String clientOrderId) {
        return OrderTicket.newBuilder()
                .setConid(APPLE)
                .setSide(OrderSide.ORDER_SIDE_BUY)
                .setOrderType(OrderType.ORDER_TYPE_LIMIT)
                .setTimeInForce(TimeInForce.TIME_IN_FORCE_DAY)
                .setQuantity(quantity)
                .setLimitPrice(limit)
                .setClientOrderId(clientOrderId)
                .build();
    }

    private static OrderOutcome place(BezantClient client, OrderTicket ticket) {
        return client.orders()
                .placeOrders(PlaceOrdersRequest.newBuilder().setAccountId(ACCOUNT).addOrders(ticket).build())
                .getOutcomes(0);
    }

    private static Quote quote(BezantClient client) {
        return client.marketData()
                .getQuotes(GetQuotesRequest.newBuilder().addConids(APPLE).build())
                .getQuotes(0);
    }

    private static BigDecimal position(BezantClient client) {
        return client.portfolio()
                .listPositions(ListPositionsRequest.newBuilder().setAccountId(ACCOUNT).setUncached(true).build())
                .getPositionsList()
                .stream()
                .filter(position -> position.getConid() == APPLE)
                .map(Position::getQuantity)
                .map(Decimals::parse)
                .reduce(BigDecimal.ZERO, BigDecimal::add);
    }

    private static List<Execution> executions(BezantClient client, String clientOrderId) {
        return client.orders()
                .listExecutions(ListExecutionsRequest.newBuilder().setAccountId(ACCOUNT).build())
                .getExecutionsList()
                .stream()
                .filter(execution -> execution.getClientOrderId().equals(clientOrderId))
                .toList();
    }

    private static BigDecimal sum(List<Execution> executions) {
        return executions.stream()
                .map(Execution::getQuantity)
                .map(Decimals::parse)
                .reduce(BigDecimal.ZERO, BigDecimal::add);
    }

    private static boolean is(String wanted, BigDecimal found) {
        return new BigDecimal(wanted).compareTo(found) == 0;
    }

    /** Asks until the answer is as wanted; the test's timeout bounds it. */
    private static <T> T eventually(Supplier<T> question, Predicate<T> wanted) {
        while (true) {
            T answer = question.get();
            if (wanted.test(answer)) {
                return answer;
            }
        }
    }
}
