// Bracket quotes AAPL, buys it with a bracket (a target above and a stop below) and follows the fills to the end.
//
//	go run ./examples/bracket -target 127.0.0.1:50051 -quantity 2 -distance 0.50
//
// The key, if the server wants one, is in BEZANT_API_KEY. Ctrl-C leaves the orders as they are.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"

	"github.com/shopspring/decimal"

	bezant "github.com/bezant/bezant-grpc/clients/go"
	v1 "github.com/bezant/bezant-grpc/clients/go/bezantv1"
)

// What IBKR warns of with every bracket: that it has a stop order, and that an order may fill at once.
var agreed = []string{"o10331", "o403"}

func main() {
	log.SetFlags(0)
	target := flag.String("target", "127.0.0.1:50051", "the server, host:port")
	quantity := flag.String("quantity", "1", "how many shares")
	distance := flag.String("distance", "0.50", "from the price to the target and to the stop")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	client, err := bezant.Connect(ctx, *target, bezant.WithAPIKey(os.Getenv("BEZANT_API_KEY")))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if err := run(ctx, client, *quantity, *distance, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, client *bezant.Client, quantity, distance string, out io.Writer) error {
	away, err := bezant.ParseDecimal(distance)
	if err != nil {
		return fmt.Errorf("distance: %w", err)
	}
	resolved, err := client.Contracts.ResolveContract(ctx, &v1.ResolveContractRequest{Symbol: "AAPL"})
	if err != nil {
		return err
	}
	conid := resolved.GetContract().GetConid()
	quotes, err := client.MarketData.GetQuotes(ctx, &v1.GetQuotesRequest{Conids: []int64{conid}})
	if err != nil {
		return err
	}
	quote := quotes.GetQuotes()[0]
	if quote.BidPrice == nil || quote.AskPrice == nil {
		return errors.New("there is no market now")
	}
	fmt.Fprintf(out, "AAPL %s / %s\n", quote.GetBidPrice(), quote.GetAskPrice())
	ask, err := bezant.ParseDecimal(quote.GetAskPrice())
	if err != nil {
		return err
	}
	tickets, err := bracketTickets(conid, quantity, ask, away)
	if err != nil {
		return err
	}
	session, err := client.Session.GetSession(ctx, &v1.GetSessionRequest{})
	if err != nil {
		return err
	}
	// Following begins before the orders are sent: whatever becomes of them is among its events.
	follower, err := client.Follow(ctx, bezant.Topics(v1.EventTopic_EVENT_TOPIC_ORDERS, v1.EventTopic_EVENT_TOPIC_TRADES))
	if err != nil {
		return err
	}
	defer follower.Close()
	placed, err := place(ctx, client, session.GetSession().GetSelectedAccount(), tickets)
	if err != nil {
		return err
	}
	return placed.follow(ctx, client, follower, out)
}

// bracketTickets are a parent that buys at the ask, and its children, of which one fill cancels the other.
func bracketTickets(conid int64, quantity string, ask, away decimal.Decimal) ([]*v1.OrderTicket, error) {
	limit, err := price(ask)
	if err != nil {
		return nil, err
	}
	target, err := price(ask.Add(away))
	if err != nil {
		return nil, err
	}
	stop, err := price(ask.Sub(away))
	if err != nil {
		return nil, err
	}
	parent := "bracket-" + rand.Text()
	return []*v1.OrderTicket{
		{
			Conid: conid, Quantity: &quantity, ClientOrderId: parent, LimitPrice: limit,
			Side: v1.OrderSide_ORDER_SIDE_BUY, OrderType: v1.OrderType_ORDER_TYPE_LIMIT,
			TimeInForce: v1.TimeInForce_TIME_IN_FORCE_DAY,
		},
		{
			Conid: conid, Quantity: &quantity, ParentClientOrderId: parent, LimitPrice: target,
			Side: v1.OrderSide_ORDER_SIDE_SELL, OrderType: v1.OrderType_ORDER_TYPE_LIMIT,
			TimeInForce: v1.TimeInForce_TIME_IN_FORCE_GTC,
		},
		{
			Conid: conid, Quantity: &quantity, ParentClientOrderId: parent, StopPrice: stop,
			Side: v1.OrderSide_ORDER_SIDE_SELL, OrderType: v1.OrderType_ORDER_TYPE_STOP,
			TimeInForce: v1.TimeInForce_TIME_IN_FORCE_GTC,
		},
	}, nil
}

func price(value decimal.Decimal) (*string, error) {
	return bezant.FormatOptional(decimal.NewNullDecimal(value))
}
