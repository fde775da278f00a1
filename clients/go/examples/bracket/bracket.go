package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/shopspring/decimal"

	bezant "github.com/bezant/bezant-grpc/clients/go"
	v1 "github.com/bezant/bezant-grpc/clients/go/bezantv1"
)

// bracket is what is known of orders that were placed.
type bracket struct {
	account string
	// By IBKR's id.
	legs map[string]*leg
	seen map[string]bool
}

type leg struct {
	name   string
	order  *v1.Order
	filled decimal.Decimal
}

var legNames = []string{"entry", "target", "stop"}

// place sends the tickets. An error says that nothing was placed, or what is not known.
func place(ctx context.Context, client *bezant.Client, account string, tickets []*v1.OrderTicket) (*bracket, error) {
	answer, err := client.Orders.PlaceOrders(ctx, &v1.PlaceOrdersRequest{
		AccountId: account, Orders: tickets, AgreedMessageIds: agreed,
	})
	if err != nil {
		return nil, err
	}
	placed := &bracket{account: account, legs: map[string]*leg{}, seen: map[string]bool{}}
	for i, outcome := range answer.GetOutcomes() {
		switch outcome := outcome.GetOutcome().(type) {
		case *v1.OrderOutcome_Accepted:
			placed.legs[outcome.Accepted.GetOrderId()] = &leg{name: legNames[i]}
		case *v1.OrderOutcome_NeedsConfirmation:
			return nil, fmt.Errorf("IBKR warns: %v", outcome.NeedsConfirmation.GetWarnings())
		case *v1.OrderOutcome_Rejected:
			return nil, fmt.Errorf("the %s was rejected: %s", legNames[i], outcome.Rejected.GetReason())
		case *v1.OrderOutcome_Unknown:
			return nil, fmt.Errorf("nobody knows what became of %s, look for it: %s", tickets[0].GetClientOrderId(), outcome.Unknown.GetCause())
		}
	}
	return placed, nil
}

// follow tells of changes and fills until no more can come.
func (b *bracket) follow(ctx context.Context, client *bezant.Client, follower *bezant.Follower, out io.Writer) error {
	for event, err := range follower.Events() {
		var missed *bezant.CursorExpiredError
		switch {
		case errors.As(err, &missed):
			err = b.lookUp(ctx, client, out)
		case err == nil:
			for _, state := range event.GetOrderUpdate().GetOrders() {
				b.changed(state.GetOrder(), out)
			}
			err = b.executed(event.GetExecutionUpdate().GetExecutions(), out)
		}
		if err != nil {
			return err
		}
		if done, err := b.isDone(); done || err != nil {
			return err
		}
	}
	return nil
}

// lookUp reads what the events that were missed would have told.
func (b *bracket) lookUp(ctx context.Context, client *bezant.Client, out io.Writer) error {
	for id := range b.legs {
		found, err := client.Orders.GetOrder(ctx, &v1.GetOrderRequest{
			AccountId: b.account, Id: &v1.GetOrderRequest_OrderId{OrderId: id},
		})
		if err != nil {
			return err
		}
		b.changed(found.GetOrder(), out)
	}
	listed, err := client.Orders.ListExecutions(ctx, &v1.ListExecutionsRequest{AccountId: b.account, PageSize: 1000})
	if err != nil {
		return err
	}
	return b.executed(listed.GetExecutions(), out)
}

func (b *bracket) changed(order *v1.Order, out io.Writer) {
	leg := b.legs[order.GetOrderId()]
	if leg == nil {
		return
	}
	if leg.order.GetRawStatus() != order.GetRawStatus() {
		fmt.Fprintf(out, "%s: %s\n", leg.name, order.GetRawStatus())
	}
	leg.order = order
}

// executed counts each execution once: it comes again when its commission is known.
func (b *bracket) executed(executions []*v1.Execution, out io.Writer) error {
	for _, execution := range executions {
		leg := b.legs[execution.GetOrderId()]
		if leg == nil || b.seen[execution.GetExecutionId()] {
			continue
		}
		quantity, err := bezant.ParseDecimal(execution.GetQuantity())
		if err != nil {
			return err
		}
		b.seen[execution.GetExecutionId()] = true
		leg.filled = leg.filled.Add(quantity)
		fmt.Fprintf(out, "%s: %s filled at %s\n", leg.name, execution.GetQuantity(), execution.GetPrice())
	}
	return nil
}

// isDone tells whether every order has ended and every fill of it was seen.
func (b *bracket) isDone() (bool, error) {
	for _, leg := range b.legs {
		if !leg.order.GetIsTerminal() {
			return false, nil
		}
		filled, err := bezant.ParseOptional(leg.order.FilledQuantity)
		if err != nil || !leg.filled.Equal(filled.Decimal) {
			return false, err
		}
	}
	return true, nil
}
