package bezant_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	bezant "github.com/bezant/bezant-grpc/clients/go"
	"github.com/bezant/bezant-grpc/clients/go/bezantv1"
)

const (
	orders = bezantv1.EventTopic_EVENT_TOPIC_ORDERS
	trades = bezantv1.EventTopic_EVENT_TOPIC_TRADES
	quotes = bezantv1.EventTopic_EVENT_TOPIC_MARKETDATA
)

type (
	response = bezantv1.StreamEventsResponse
	sender   = grpc.ServerStreamingServer[response]
)

// script answers each stream with its next part, and keeps what was asked for.
type script struct {
	bezantv1.UnimplementedEventsServiceServer
	parts []func(sender) error
	asked chan string
	next  atomic.Int32
}

func (s *script) StreamEvents(request *bezantv1.StreamEventsRequest, stream sender) error {
	s.asked <- asked(request)
	return s.parts[int(s.next.Add(1))-1](stream)
}

// asked writes a request as `ORDERS>7 MARKETDATA/265598`.
func asked(request *bezantv1.StreamEventsRequest) string {
	var topics []string
	for _, topic := range request.GetTopics() {
		text := strings.TrimPrefix(topic.GetTopic().String(), "EVENT_TOPIC_")
		if topic.GetConid() != 0 {
			text += fmt.Sprintf("/%d", topic.GetConid())
		}
		if topic.AfterCursor != nil {
			text += fmt.Sprintf(">%d", topic.GetAfterCursor())
		}
		topics = append(topics, text)
	}
	return strings.Join(topics, " ")
}

// newScript runs the parts, one for each stream that is to come.
func newScript(parts ...func(sender) error) *script {
	return &script{parts: parts, asked: make(chan string, len(parts))}
}

func (s *script) register(server *grpc.Server) { bezantv1.RegisterEventsServiceServer(server, s) }

func serveScript(t *testing.T, parts ...func(sender) error) (*script, *bezant.Client) {
	t.Helper()
	service := newScript(parts...)
	return service, connect(t, serve(t, service.register))
}

func (s *script) check(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for range len(s.asked) {
		got = append(got, <-s.asked)
	}
	if !slices.Equal(got, want) {
		t.Errorf("asked for %q, not %q", got, want)
	}
}

func position(topic bezantv1.EventTopic, conid, cursor int64) *bezantv1.TopicPosition {
	return &bezantv1.TopicPosition{Topic: topic, Conid: conid, Cursor: cursor}
}

func started(positions ...*bezantv1.TopicPosition) *response {
	return &response{Message: &bezantv1.StreamEventsResponse_Started{Started: &bezantv1.StreamStarted{Positions: positions}}}
}

func heartbeat(positions ...*bezantv1.TopicPosition) *response {
	return &response{Message: &bezantv1.StreamEventsResponse_Heartbeat{Heartbeat: &bezantv1.StreamHeartbeat{Positions: positions}}}
}

func end(positions ...*bezantv1.TopicPosition) *response {
	return &response{Message: &bezantv1.StreamEventsResponse_End{End: &bezantv1.StreamEnd{Reason: "shutdown", Positions: positions}}}
}

func event(topic bezantv1.EventTopic, conid, cursor int64) *response {
	return &response{Message: &bezantv1.StreamEventsResponse_Event{
		Event: &bezantv1.Event{Topic: topic, Conid: conid, Cursor: cursor},
	}}
}

// send is a part that sends these and ends with err, or when the follower leaves.
func send(err error, messages ...*response) func(sender) error {
	return func(stream sender) error {
		for _, message := range messages {
			if err := stream.Send(message); err != nil {
				return err
			}
		}
		if errors.Is(err, errStay) {
			<-stream.Context().Done()
			return stream.Context().Err()
		}
		return err
	}
}

var errStay = errors.New("stay")

func follow(t *testing.T, client *bezant.Client, request *bezantv1.StreamEventsRequest) *bezant.Follower {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	follower, err := client.Follow(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(follower.Close)
	return follower
}

// take takes so many events, as `ORDERS 7`, and leaves the loop. What was missed counts, as `missed ORDERS 7`.
func take(t *testing.T, follower *bezant.Follower, count int) []string {
	t.Helper()
	var taken []string
	for event, err := range follower.Events() {
		var missed *bezant.CursorExpiredError
		switch {
		case errors.As(err, &missed):
			taken = append(taken, fmt.Sprintf("missed %s %d..%d", missed.Topic, missed.Cursor, missed.HeadCursor))
		case err != nil:
			t.Fatal(err)
		default:
			taken = append(taken, fmt.Sprintf("%s %d", event.GetTopic(), event.GetCursor()))
		}
		if len(taken) == count {
			break
		}
	}
	for i := range taken {
		taken[i] = strings.Replace(taken[i], "EVENT_TOPIC_", "", 1)
	}
	return taken
}

func checkTaken(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %q, not %q", got, want)
	}
}

func expired(topic bezantv1.EventTopic, conid, head int64) error {
	return expiredWith(map[string]string{
		"topic": topic.String(), "conid": fmt.Sprint(conid), "head_cursor": fmt.Sprint(head), "reset_epoch": "90",
	})
}

func expiredWith(metadata map[string]string) error {
	return failure(codes.OutOfRange, "older than what is held", reason("CURSOR_EXPIRED", metadata))
}

func TestFollowGoesOnWhereItWas(t *testing.T) {
	slow := failure(codes.ResourceExhausted, "too slow", reason("SLOW_READER", map[string]string{"cursors": "orders=7,trades=3"}))
	for name, ending := range map[string]struct {
		err  error
		last []*response
	}{
		"when the stream ends":              {err: nil},
		"when the server says that it ends": {last: []*response{end(position(orders, 0, 7), position(trades, 0, 3))}},
		"when it is unavailable":            {err: status.Error(codes.Unavailable, "gone")},
		"when it has read too slowly":       {err: slow},
		"when a proxy resets the stream":    {err: status.Error(codes.Internal, "RST_STREAM")},
	} {
		t.Run(name, func(t *testing.T) {
			service, client := serveScript(t,
				send(ending.err, append([]*response{
					started(position(orders, 0, 5), position(trades, 0, 2)),
					event(orders, 0, 6), event(trades, 0, 3), event(orders, 0, 7),
				}, ending.last...)...),
				send(errStay, started(position(orders, 0, 7), position(trades, 0, 3)), event(orders, 0, 8)),
			)
			follower := follow(t, client, bezant.Topics(orders, trades))
			checkTaken(t, take(t, follower, 4), "ORDERS 6", "TRADES 3", "ORDERS 7", "ORDERS 8")
			service.check(t, "ORDERS TRADES", "ORDERS>7 TRADES>3")
		})
	}
}

func TestFollowKeepsEachContractsCursor(t *testing.T) {
	service, client := serveScript(t,
		send(status.Error(codes.Unavailable, "gone"), started(position(quotes, 1, 10), position(quotes, 2, 20)), event(quotes, 1, 11), event(quotes, 2, 21)),
		send(errStay, started(), event(quotes, 1, 12)),
	)
	follower := follow(t, client, &bezantv1.StreamEventsRequest{
		Topics: []*bezantv1.TopicSubscription{
			{Topic: quotes, Conid: 1, AfterCursor: proto.Int64(9)}, {Topic: quotes, Conid: 2},
		},
	})
	checkTaken(t, take(t, follower, 3), "MARKETDATA 11", "MARKETDATA 21", "MARKETDATA 12")
	service.check(t, "MARKETDATA/1>9 MARKETDATA/2", "MARKETDATA/1>11 MARKETDATA/2>21")
}

func TestHeartbeatsMoveTheCursorsAndAreNotYielded(t *testing.T) {
	service, client := serveScript(t,
		send(status.Error(codes.Unavailable, "gone"), started(position(orders, 0, 5)), heartbeat(position(orders, 0, 9))),
		send(errStay, started(position(orders, 0, 9)), event(orders, 0, 10)),
	)
	checkTaken(t, take(t, follow(t, client, bezant.Topics(orders)), 1), "ORDERS 10")
	service.check(t, "ORDERS", "ORDERS>9")
}

func TestNothingIsRepeated(t *testing.T) {
	_, client := serveScript(t,
		send(nil, started(position(orders, 0, 5)), event(orders, 0, 6)),
		send(errStay, started(), event(orders, 0, 5), event(orders, 0, 6), event(orders, 0, 7), event(trades, 0, 8), event(orders, 0, 8)),
	)
	checkTaken(t, take(t, follow(t, client, bezant.Topics(orders)), 3), "ORDERS 6", "ORDERS 7", "ORDERS 8")
}

func TestALoopMayBeLeftAndBegunAnew(t *testing.T) {
	service, client := serveScript(t, send(errStay, started(position(orders, 0, 5)), event(orders, 0, 6), event(orders, 0, 7)))
	request := bezant.Topics(orders)
	follower := follow(t, client, request)
	checkTaken(t, take(t, follower, 1), "ORDERS 6")
	positions := &bezantv1.StreamEventsRequest{Topics: follower.Positions()}
	if got := asked(positions); got != "ORDERS>6" {
		t.Errorf("stands at %s", got)
	}
	checkTaken(t, take(t, follower, 1), "ORDERS 7")
	if got := asked(positions); got != "ORDERS>6" {
		t.Errorf("positions that were given have moved to %s", got)
	}
	if got := asked(request); got != "ORDERS" {
		t.Errorf("the caller's request has become %s", got)
	}
	service.check(t, "ORDERS")
}

func TestWhatWasMissedIsTold(t *testing.T) {
	service, client := serveScript(t,
		send(status.Error(codes.Unavailable, "gone"), started(position(orders, 0, 5)), event(orders, 0, 6)),
		send(expired(orders, 0, 100)),
		send(errStay, started(position(orders, 0, 99)), event(orders, 0, 100)),
	)
	follower := follow(t, client, bezant.Topics(orders))
	checkTaken(t, take(t, follower, 3), "ORDERS 6", "missed ORDERS 6..100", "ORDERS 100")
	service.check(t, "ORDERS", "ORDERS>6", "ORDERS>99")
}

func TestWhatWasMissedBeforeItBeganIsTold(t *testing.T) {
	_, client := serveScript(t, send(expired(quotes, 1, 100)), send(errStay, started(position(quotes, 1, 99)), event(quotes, 1, 100)))
	follower := follow(t, client, &bezantv1.StreamEventsRequest{
		Topics: []*bezantv1.TopicSubscription{{Topic: quotes, Conid: 1, AfterCursor: proto.Int64(7)}},
	})
	for _, err := range follower.Events() {
		var missed *bezant.CursorExpiredError
		if !errors.As(err, &missed) {
			t.Fatal(err)
		}
		if missed.Topic != quotes || missed.Conid != 1 || missed.Cursor != 7 || missed.HeadCursor != 100 || missed.ResetEpoch != 90 {
			t.Errorf("%+v", missed)
		}
		var failure *bezant.Error
		if !errors.As(err, &failure) || failure.Code != codes.OutOfRange {
			t.Error(err)
		}
		if !strings.Contains(err.Error(), "EVENT_TOPIC_MARKETDATA of conid 1 were missed behind cursor 7") {
			t.Error(err)
		}
		break
	}
	checkTaken(t, take(t, follower, 1), "MARKETDATA 100")
}

func TestOfSeveralTopicsThoseAreToldThatWereMissed(t *testing.T) {
	service, client := serveScript(t,
		send(expired(trades, 0, 100)),
		send(expired(quotes, 1, 200)),
		// Events of quotes have come in between, and others have gone.
		send(expired(quotes, 1, 205)),
		send(errStay, started(position(orders, 0, 7), position(trades, 0, 99), position(quotes, 1, 204), position(quotes, 2, 55)),
			event(orders, 0, 8), event(trades, 0, 100), event(quotes, 1, 205), event(quotes, 2, 56)),
	)
	follower := follow(t, client, &bezantv1.StreamEventsRequest{Topics: []*bezantv1.TopicSubscription{
		{Topic: orders, AfterCursor: proto.Int64(7)}, {Topic: trades, AfterCursor: proto.Int64(3)},
		{Topic: quotes, Conid: 1, AfterCursor: proto.Int64(4)}, {Topic: quotes, Conid: 2},
	}})
	// What was to begin now has begun, so that nothing is lost while you look at what you missed.
	service.check(t, "ORDERS>7 TRADES>3 MARKETDATA/1>4 MARKETDATA/2", "ORDERS>7 TRADES>99 MARKETDATA/1>4 MARKETDATA/2",
		"ORDERS>7 TRADES>99 MARKETDATA/1>199 MARKETDATA/2", "ORDERS>7 TRADES>99 MARKETDATA/1>204 MARKETDATA/2")
	for _, step := range []struct{ stands, comes string }{
		{"ORDERS>7 TRADES>3 MARKETDATA/1>4 MARKETDATA/2>55", "missed TRADES 3..100"},
		{"ORDERS>7 TRADES>99 MARKETDATA/1>4 MARKETDATA/2>55", "missed MARKETDATA 4..200"},
		{"ORDERS>7 TRADES>99 MARKETDATA/1>199 MARKETDATA/2>55", "missed MARKETDATA 199..205"},
		{"ORDERS>7 TRADES>99 MARKETDATA/1>204 MARKETDATA/2>55", "ORDERS 8"},
		{"ORDERS>8 TRADES>99 MARKETDATA/1>204 MARKETDATA/2>55", "TRADES 100"},
	} {
		if got := asked(&bezantv1.StreamEventsRequest{Topics: follower.Positions()}); got != step.stands {
			t.Errorf("stands at %s, not at %s", got, step.stands)
		}
		checkTaken(t, take(t, follower, 1), step.comes)
	}
	checkTaken(t, take(t, follower, 2), "MARKETDATA 205", "MARKETDATA 56")
}

func TestOtherErrorsEndIt(t *testing.T) {
	for name, err := range map[string]error{
		"capture was switched off": failure(codes.FailedPrecondition, "off", reason("EVENTS_DISABLED", nil)),
		"a defect of the server":   failure(codes.Internal, "oh", reason("INTERNAL", nil)),
		"an expiry of nothing":     expiredWith(nil),
		"an expiry of no topic":    expiredWith(map[string]string{"head_cursor": "100", "reset_epoch": "90"}),
		"one of another topic":     expired(trades, 0, 100),
		"one of another contract":  expired(orders, 1, 100),
		"one of a topic to come":   expiredWith(map[string]string{"topic": "EVENT_TOPIC_WEATHER", "conid": "0", "head_cursor": "100"}),
		"an expiry without a head": expiredWith(map[string]string{"topic": orders.String(), "conid": "0"}),
		"another rate limit":       failure(codes.ResourceExhausted, "slow down", reason("RATE_LIMITED", nil)),
		"no such service":          status.Error(codes.Unimplemented, "unknown"),
	} {
		t.Run(name, func(t *testing.T) {
			_, client := serveScript(t, send(err), send(nil, started(position(orders, 0, 5))), send(err))
			if _, began := client.Follow(t.Context(), bezant.Topics(orders)); status.Code(began) != status.Code(err) {
				t.Errorf("it began: %v", began)
			}
			items := 0
			for event, ended := range follow(t, client, bezant.Topics(orders)).Events() {
				items++
				if event != nil || status.Code(ended) != status.Code(err) {
					t.Errorf("%v, %v", event, ended)
				}
			}
			if items != 1 {
				t.Errorf("%d items", items)
			}
		})
	}
}

func TestAServerThatRefusesItsOwnAdviceIsNotAskedForEver(t *testing.T) {
	service, client := serveScript(t, send(expired(orders, 0, 100)), send(expired(orders, 0, 100)))
	request := &bezantv1.StreamEventsRequest{Topics: []*bezantv1.TopicSubscription{{Topic: orders, AfterCursor: proto.Int64(7)}}}
	if _, err := client.Follow(t.Context(), request); status.Code(err) != codes.OutOfRange {
		t.Error(err)
	}
	service.check(t, "ORDERS>7", "ORDERS>99")
}

func TestItStopsPromptly(t *testing.T) {
	gone := send(nil, started(position(orders, 0, 5)))
	for name, parts := range map[string][]func(sender) error{
		"while it waits for events":  {send(errStay, started(position(orders, 0, 5)))},
		"while it waits to go on":    slices.Repeat([]func(sender) error{gone}, 1000),
		"while there is much to say": {flood},
	} {
		t.Run(name, func(t *testing.T) {
			_, client := serveScript(t, parts...)
			ctx, cancel := context.WithCancel(t.Context())
			follower, err := client.Follow(ctx, bezant.Topics(orders))
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error)
			go func() {
				var last error
				for _, last = range follower.Events() {
				}
				ended <- last
			}()
			cancel()
			select {
			case err := <-ended:
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("it goes on")
			}
		})
	}
}

func flood(stream sender) error {
	if err := stream.Send(started(position(orders, 0, 5))); err != nil {
		return err
	}
	for cursor := int64(6); ; cursor++ {
		if err := stream.Send(event(orders, 0, cursor)); err != nil {
			return err
		}
	}
}

func TestAClosedFollowerEnds(t *testing.T) {
	_, client := serveScript(t, send(errStay, started(position(orders, 0, 5)), event(orders, 0, 6)))
	follower := follow(t, client, bezant.Topics(orders))
	follower.Close()
	follower.Close()
	for event, err := range follower.Events() {
		if event != nil || !errors.Is(err, context.Canceled) || errors.Is(err, io.EOF) {
			t.Error(event, err)
		}
	}
}
