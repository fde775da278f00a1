package bezant_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/shopspring/decimal"
	"google.golang.org/protobuf/proto"

	bezant "github.com/bezant/bezant-grpc/clients/go"
	"github.com/bezant/bezant-grpc/clients/go/bezantv1"
)

// A server on this machine is spoken to in plain text; any other over TLS, with the system's roots or your own.
func ExampleConnect() {
	ctx := context.Background()
	client, err := bezant.Connect(ctx, "trading.example.com:50051",
		bezant.WithAPIKey("a key that `bezant keys add` has made"),
		bezant.WithCAFile("ca.pem"),
		bezant.WithClientCertificate("client.pem", "client.key"),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	answer, err := client.Session.GetSession(ctx, &bezantv1.GetSessionRequest{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.GetSession().GetState(), answer.GetSession().GetCause())
}

// Nobody listens on port 1.
func ExampleError() {
	_, err := bezant.Connect(context.Background(), "127.0.0.1:1")
	var failure *bezant.Error
	if errors.As(err, &failure) {
		fmt.Println(failure.Code)
		for _, violation := range failure.Violations {
			fmt.Println(violation.Field, violation.Description)
		}
	}
	// Output: Unavailable
}

// Remember where you were, and go on there after whatever happened to you.
func ExampleClient_Follow() {
	ctx := context.Background()
	client, err := bezant.Connect(ctx, "127.0.0.1:50051")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	lastCursor := int64(0) // Of the last event that you have worked off; 0 for the oldest that is held.
	follower, err := client.Follow(ctx, &bezantv1.StreamEventsRequest{Topics: []*bezantv1.TopicSubscription{
		{Topic: bezantv1.EventTopic_EVENT_TOPIC_ORDERS, AfterCursor: &lastCursor},
		{Topic: bezantv1.EventTopic_EVENT_TOPIC_TRADES}, // From now on.
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer follower.Close()
	for event, err := range follower.Events() {
		var missed *bezant.CursorExpiredError
		if errors.As(err, &missed) {
			fmt.Println("look at the orders anew:", missed)
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		for _, state := range event.GetOrderUpdate().GetOrders() {
			fmt.Println(state.GetOrder().GetDescription(), state.GetOrder().GetStatus())
		}
	}
}

func ExampleParseDecimal() {
	price, err := bezant.ParseDecimal("230.02")
	if err != nil {
		log.Fatal(err)
	}
	text, err := bezant.FormatDecimal(price.Mul(decimal.NewFromInt(3)))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(text)
	// Output: 690.06
}

func ExampleParseOptional() {
	for _, text := range []*string{proto.String("0.00"), nil} {
		price, err := bezant.ParseOptional(text)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(price.Valid)
	}
	// Output:
	// true
	// false
}
