package io.bezant.examples;

import io.bezant.client.BezantClient;
import io.bezant.client.BezantException;
import io.bezant.client.Decimals;
import io.bezant.client.EventFollower;
import io.bezant.v1.ConfirmOrderRequest;
import io.bezant.v1.Event;
import io.bezant.v1.EventTopic;
import io.bezant.v1.Execution;
import io.bezant.v1.GetQuotesRequest;
import io.bezant.v1.ListBrokerageAccountsRequest;
import io.bezant.v1.Order;
import io.bezant.v1.OrderOutcome;
import io.bezant.v1.OrderSide;
import io.bezant.v1.OrderState;
import io.bezant.v1.OrderStatus;
import io.bezant.v1.OrderTicket;
import io.bezant.v1.OrderType;
import io.bezant.v1.PlaceOrdersRequest;
import io.bezant.v1.Quote;
import io.bezant.v1.ResolveContractRequest;
import io.bezant.v1.TimeInForce;
import io.grpc.StatusRuntimeException;
import java.math.BigDecimal;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;

/**
 * Quotes Apple, buys a share with a target two dollars above and a stop two dollars below, and follows the three orders
 * until one of the two has closed the position.
 *
 * <p>Arguments: the server's address, and an API key if it wants one.
 */
public final class BracketOrder {
    private static final BigDecimal DISTANCE = new BigDecimal("2.00");

    private BracketOrder() {}

    /**
     * Runs the example.
     *
     * @param arguments the server's address, and an API key if it wants one
     */
    public static void main(String[] arguments) {
        var builder = BezantClient.builder(arguments.length > 0 ? arguments[0] : "127.0.0.1:50051");
        if (arguments.length > 1) {
            builder.apiKey(arguments[1]);
        }
        try (BezantClient client = builder.build();
                // Followed before anything is sent, so that nothing is missed.
                EventFollower events = client.follow(EventTopic.EVENT_TOPIC_ORDERS, EventTopic.EVENT_TOPIC_TRADES)) {
            long apple = client.contracts()
                    .resolveContract(ResolveContractRequest.newBuilder().setSymbol("AAPL").build())
                    .getContract()
                    .getConid();
            BigDecimal ask = ask(client, apple);
            System.out.println("AAPL is offered at " + ask);
            String parent = place(client, bracket(client, apple, ask));
            followToTheEnd(events, parent);
        } catch (StatusRuntimeException failed) {
            throw BezantException.from(failed);
        }
    }

    private static BigDecimal ask(BezantClient client, long conid) {
        Quote quote = client.marketData()
                .getQuotes(GetQuotesRequest.newBuilder().addConids(conid).build())
                .getQuotes(0);
        return Decimals.get(quote, Quote::hasAskPrice, Quote::getAskPrice)
                .orElseThrow(() -> new IllegalStateException("nobody offers the contract at present"));
    }

    private static PlaceOrdersRequest bracket(BezantClient client, long conid, BigDecimal price) {
        String account = client.portfolio()
                .listBrokerageAccounts(ListBrokerageAccountsRequest.getDefaultInstance())
                .getSelectedAccountId();
        OrderTicket.Builder common = OrderTicket.newBuilder()
                .setConid(conid)
                .setQuantity("1")
                .setTimeInForce(TimeInForce.TIME_IN_FORCE_DAY);
        OrderTicket parent = common.clone()
                .setClientOrderId("bracket-" + UUID.randomUUID())
                .setSide(OrderSide.ORDER_SIDE_BUY)
                .setOrderType(OrderType.ORDER_TYPE_LIMIT)
                .setLimitPrice(Decimals.format(price))
                .build();
        OrderTicket.Builder child = common.setParentClientOrderId(parent.getClientOrderId())
                .setSide(OrderSide.ORDER_SIDE_SELL);
        OrderTicket target = child.clone()
                .setOrderType(OrderType.ORDER_TYPE_LIMIT)
                .setLimitPrice(Decimals.format(price.add(DISTANCE)))
                .build();
        OrderTicket stop = child.setOrderType(OrderType.ORDER_TYPE_STOP)
                .setStopPrice(Decimals.format(price.subtract(DISTANCE)))
                .build();
        return PlaceOrdersRequest.newBuilder()
                .setAccountId(account)
                .addAllOrders(List.of(parent, target, stop))
                .build();
    }

    /** Places the orders, says yes to whatever IBKR asks, and gives the id of the first. */
    private static String place(BezantClient client, PlaceOrdersRequest request) {
        List<OrderOutcome> outcomes = client.orders().placeOrders(request).getOutcomesList();
        while (outcomes.get(0).hasNeedsConfirmation()) {
            var question = outcomes.get(0).getNeedsConfirmation();
            question.getWarningsList().forEach(warning -> System.out.println("IBKR warns: " + warning.getText()));
            outcomes = client.orders()
                    .confirmOrder(ConfirmOrderRequest.newBuilder()
                            .setReplyId(question.getReplyId())
                            .setConfirmed(true)
                            .build())
                    .getOutcomesList();
        }
        for (OrderOutcome outcome : outcomes) {
            if (!outcome.hasAccepted()) {
                throw new IllegalStateException("an order was not accepted: " + outcome);
            }
        }
        return outcomes.get(0).getAccepted().getOrderId();
    }

    private static void followToTheEnd(EventFollower events, String parent) {
        Set<String> ours = new HashSet<>(Set.of(parent));
        Set<String> fills = new HashSet<>();
        for (Event event : events) {
            for (Execution fill : event.getExecutionUpdate().getExecutionsList()) {
                if (ours.contains(fill.getOrderId()) && fills.add(fill.getExecutionId())) {
                    System.out.println("fill " + fill.getRawSide() + " " + fill.getQuantity() + " at " + fill.getPrice());
                }
            }
            for (OrderState state : event.getOrderUpdate().getOrdersList()) {
                Order order = state.getOrder();
                if (order.getParentOrderId().equals(parent)) {
                    ours.add(order.getOrderId());
                }
                if (ours.contains(order.getOrderId())) {
                    System.out.println(order.getOrderType() + " " + order.getStatus());
                }
                boolean closes = !order.getOrderId().equals(parent) && ours.contains(order.getOrderId());
                if (closes && order.getStatus() == OrderStatus.ORDER_STATUS_FILLED) {
                    System.out.println("closed at " + order.getAveragePrice());
                    return;
                }
            }
        }
    }
}
