package bezant_test

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	bezant "github.com/bezant/bezant-grpc/clients/go"
	"github.com/bezant/bezant-grpc/clients/go/bezantv1"
	"github.com/bezant/bezant-grpc/clients/go/internal/stacktest"
)

const (
	storyTime = 2 * time.Minute
	patience  = 30 * time.Second
)

// TestStory trades on the paper gateway, step by step, through a connection that is cut.
func TestStory(t *testing.T) {
	stack := stacktest.Running(t)
	ctx, cancel := context.WithTimeout(t.Context(), storyTime)
	defer cancel()
	s := &story{T: t, ctx: ctx, client: stack.Connect(ctx, t)}

	session := must(s.client.Session.GetSession(ctx, &bezantv1.GetSessionRequest{}))(t).GetSession()
	if session.GetState() != bezantv1.SessionState_SESSION_STATE_READY || !session.GetCanTrade() {
		t.Fatal(session)
	}

	accounts := must(s.client.Portfolio.ListBrokerageAccounts(ctx, &bezantv1.ListBrokerageAccountsRequest{}))(t).GetAccounts()
	if !slices.ContainsFunc(accounts, func(a *bezantv1.BrokerageAccount) bool { return a.GetAccountId() == stacktest.Account }) {
		t.Fatal(accounts)
	}

	resolved := must(s.client.Contracts.ResolveContract(ctx, &bezantv1.ResolveContractRequest{Symbol: "AAPL"}))(t)
	if resolved.GetContract().GetConid() != stacktest.AAPL {
		t.Fatal(resolved)
	}

	s.checkQuote("230.00", "230.02")

	preview := must(s.client.Orders.PreviewOrders(ctx, &bezantv1.PreviewOrdersRequest{
		AccountId: stacktest.Account, Orders: []*bezantv1.OrderTicket{ticket("3", "240.00", "")},
	}))(t)
	for name, money := range map[string]*bezantv1.Money{"amount": preview.GetAmount(), "commission": preview.GetCommission()} {
		if value := number(t, money.GetAmount()); !value.IsPositive() {
			t.Errorf("the %s is %s", name, value)
		}
	}

	positionBefore := s.position()
	follower := must(s.client.Follow(ctx, bezant.Topics(orders, trades)))(t)
	defer follower.Close()
	next, leave := iter.Pull2(follower.Events())
	defer leave()
	s.next = next

	mine := "go-" + rand.Text()
	outcome := s.place(ticket("3", "240.00", mine))
	question := outcome.GetNeedsConfirmation()
	if question == nil || len(question.GetWarnings()) != 1 || question.GetWarnings()[0].GetMessageId() != "o163" {
		t.Fatal(outcome)
	}
	confirmed := must(s.client.Orders.ConfirmOrder(ctx, &bezantv1.ConfirmOrderRequest{ReplyId: question.GetReplyId(), Confirmed: true}))(t)
	bought := confirmed.GetOutcomes()[0].GetAccepted().GetOrderId()
	if bought == "" || confirmed.GetOutcomes()[0].GetClientOrderId() != mine {
		t.Fatal(confirmed)
	}

	filled := s.until(bought, bezantv1.OrderStatus_ORDER_STATUS_FILLED)
	if quantity := number(t, filled.GetFilledQuantity()); !quantity.Equal(decimal.NewFromInt(3)) || filled.GetClientOrderId() != mine {
		t.Error(filled)
	}

	s.checkExecutions(mine, "3", "230.02")
	if now := s.position(); !now.Equal(positionBefore.Add(decimal.NewFromInt(3))) {
		t.Errorf("the position was %s and is %s", positionBefore, now)
	}

	s.placeAndCancel("228.00")

	_, err := s.client.Contracts.GetContract(ctx, &bezantv1.GetContractRequest{Conid: 1})
	var failure *bezant.Error
	if !errors.As(err, &failure) || failure.Code != codes.NotFound || failure.Reason != "CONTRACT_NOT_FOUND" {
		t.Error(err)
	}

	stack.Cut(t)
	// An order that meets the cut fails, as it should; a read is retried, and has the connection back when it is answered.
	must(s.client.Orders.ListOrders(ctx, &bezantv1.ListOrdersRequest{AccountId: stacktest.Account}))(t)
	s.placeAndCancel("227.90")
}

// TestThroughEnvoy calls and follows on the port that serves REST.
func TestThroughEnvoy(t *testing.T) {
	stack := stacktest.Running(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client := connect(t, strings.TrimPrefix(stack.REST, "http://"))
	if session := must(client.Session.GetSession(ctx, &bezantv1.GetSessionRequest{}))(t); !session.GetSession().GetCanTrade() {
		t.Error(session)
	}
	must(client.Follow(ctx, bezant.Topics(orders)))(t).Close()
	_, err := client.Contracts.GetContract(ctx, &bezantv1.GetContractRequest{Conid: 1})
	var failure *bezant.Error
	if !errors.As(err, &failure) || failure.Code != codes.NotFound || failure.Reason != "CONTRACT_NOT_FOUND" {
		t.Error(err)
	}
}

// TestCursorsOfYesterdayAreMissed asks the server for what it never had.
func TestCursorsOfYesterdayAreMissed(t *testing.T) {
	stack := stacktest.Running(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request := &bezantv1.StreamEventsRequest{Topics: []*bezantv1.TopicSubscription{
		{Topic: orders}, {Topic: trades, AfterCursor: proto.Int64(7)},
		{Topic: quotes, Conid: stacktest.AAPL, AfterCursor: proto.Int64(8)},
	}}
	follower := must(stack.Connect(ctx, t).Follow(ctx, request))(t)
	defer follower.Close()
	next, leave := iter.Pull2(follower.Events())
	defer leave()
	for _, topic := range request.GetTopics()[1:] {
		_, err, _ := next()
		var missed *bezant.CursorExpiredError
		var failure *bezant.Error
		if !errors.As(err, &missed) || !errors.As(err, &failure) {
			t.Fatal(err)
		}
		if missed.Topic != topic.GetTopic() || missed.Conid != topic.GetConid() || missed.Cursor != topic.GetAfterCursor() {
			t.Errorf("missed %v, not %v", missed, topic)
		}
		if missed.HeadCursor <= topic.GetAfterCursor() || missed.ResetEpoch == 0 {
			t.Errorf("goes on from %d, epoch %d", missed.HeadCursor, missed.ResetEpoch)
		}
		if name, conid := failure.Metadata["topic"], failure.Metadata["conid"]; name != topic.GetTopic().String() ||
			conid != strconv.FormatInt(topic.GetConid(), 10) {
			t.Errorf("the server names %q of %q, not %v", name, conid, topic)
		}
	}
	for _, position := range follower.Positions() {
		if position.GetAfterCursor() <= 8 {
			t.Errorf("goes on from %v", position)
		}
	}
}

type story struct {
	*testing.T
	ctx    context.Context
	client *bezant.Client
	next   func() (*bezantv1.Event, error, bool)
	// The cursor of the last event about orders.
	cursor int64
}

func must[V any](value V, err error) func(*testing.T) V {
	return func(t *testing.T) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func number(t *testing.T, text string) decimal.Decimal {
	t.Helper()
	return must(bezant.ParseDecimal(text))(t)
}

func ticket(quantity, limit, clientOrderID string) *bezantv1.OrderTicket {
	return &bezantv1.OrderTicket{
		Conid:         stacktest.AAPL,
		Side:          bezantv1.OrderSide_ORDER_SIDE_BUY,
		OrderType:     bezantv1.OrderType_ORDER_TYPE_LIMIT,
		TimeInForce:   bezantv1.TimeInForce_TIME_IN_FORCE_DAY,
		Quantity:      &quantity,
		LimitPrice:    &limit,
		ClientOrderId: clientOrderID,
	}
}

// eventually tries until it holds.
func (s *story) eventually(what string, holds func() bool) {
	s.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			s.Fatal(what)
		}
	}
}

func (s *story) checkQuote(bid, ask string) {
	s.Helper()
	request := &bezantv1.GetQuotesRequest{Conids: []int64{stacktest.AAPL}}
	s.eventually("the quote is not "+bid+" / "+ask, func() bool {
		quote := must(s.client.MarketData.GetQuotes(s.ctx, request))(s.T).GetQuotes()[0]
		has, wants := must(bezant.ParseOptional(quote.BidPrice))(s.T), must(bezant.ParseOptional(quote.AskPrice))(s.T)
		return has.Valid && wants.Valid && must(bezant.FormatDecimal(has.Decimal))(s.T) == bid &&
			must(bezant.FormatDecimal(wants.Decimal))(s.T) == ask
	})
}

func (s *story) position() decimal.Decimal {
	s.Helper()
	listed := must(s.client.Portfolio.ListPositions(s.ctx, &bezantv1.ListPositionsRequest{AccountId: stacktest.Account, Uncached: true}))(s.T)
	for _, position := range listed.GetPositions() {
		if position.GetConid() == stacktest.AAPL {
			return number(s.T, position.GetQuantity())
		}
	}
	return decimal.Zero
}

func (s *story) place(ticket *bezantv1.OrderTicket) *bezantv1.OrderOutcome {
	s.Helper()
	answer := must(s.client.Orders.PlaceOrders(s.ctx, &bezantv1.PlaceOrdersRequest{
		AccountId: stacktest.Account, Orders: []*bezantv1.OrderTicket{ticket},
	}))(s.T)
	return answer.GetOutcomes()[0]
}

func (s *story) placeAndCancel(limit string) {
	s.Helper()
	outcome := s.place(ticket("1", limit, "go-"+rand.Text()))
	id := outcome.GetAccepted().GetOrderId()
	if id == "" {
		s.Fatal(outcome)
	}
	s.until(id, bezantv1.OrderStatus_ORDER_STATUS_SUBMITTED)
	must(s.client.Orders.CancelOrder(s.ctx, &bezantv1.CancelOrderRequest{AccountId: stacktest.Account, OrderId: id}))(s.T)
	s.until(id, bezantv1.OrderStatus_ORDER_STATUS_CANCELLED)
}

// until follows an order to a status. No event about orders is lost on the way, and none comes twice.
func (s *story) until(orderID string, status bezantv1.OrderStatus) *bezantv1.Order {
	s.Helper()
	for {
		event, err, more := s.next()
		if err != nil || !more {
			s.Fatal(err)
		}
		if event.GetTopic() != orders {
			continue
		}
		if s.cursor != 0 && event.GetCursor() != s.cursor+1 {
			s.Errorf("cursor %d came after %d", event.GetCursor(), s.cursor)
		}
		s.cursor = event.GetCursor()
		for _, state := range event.GetOrderUpdate().GetOrders() {
			if order := state.GetOrder(); order.GetOrderId() == orderID && order.GetStatus() == status {
				return order
			}
		}
	}
}

func (s *story) checkExecutions(clientOrderID, quantity, price string) {
	s.Helper()
	want := number(s.T, quantity)
	s.eventually("no executions of "+quantity+" at "+price, func() bool {
		sum := decimal.Zero
		listed := must(s.client.Orders.ListExecutions(s.ctx, &bezantv1.ListExecutionsRequest{AccountId: stacktest.Account}))(s.T)
		for _, execution := range listed.GetExecutions() {
			if execution.GetClientOrderId() == clientOrderID {
				sum = sum.Add(number(s.T, execution.GetQuantity()))
				if at := number(s.T, execution.GetPrice()); !at.Equal(number(s.T, price)) {
					s.Fatalf("it was filled at %s", at)
				}
			}
		}
		return sum.Equal(want)
	})
}
