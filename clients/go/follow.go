package bezant

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/bezant/bezant-grpc/clients/go/bezantv1"
)

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
	// How long a stream may say nothing: the server sends heartbeats, but may have to subscribe a topic before the first.
	longestSilence = 45 * time.Second
	silentBeats    = 3
)

// CursorExpiredError says that events of a topic were missed for good: the server does not hold them any more. Look at
// the state of things through the other services. Following goes on with the oldest event that is held.
type CursorExpiredError struct {
	// Topic is what was missed.
	Topic bezantv1.EventTopic
	// Conid is the contract of the topic MARKETDATA; 0 otherwise.
	Conid int64
	// Cursor is where following was to go on; 0 for the oldest event there was.
	Cursor int64
	// HeadCursor is that of the oldest event that is held.
	HeadCursor int64
	// ResetEpoch is the epoch now; 0 when the server does not say.
	ResetEpoch int64

	err error
}

// Error says which topic it is.
func (e *CursorExpiredError) Error() string {
	return fmt.Sprintf("events of %s were missed behind cursor %d: %v", topicName(e.Topic, e.Conid), e.Cursor, e.err)
}

// Unwrap is the server's own error, an [*Error].
func (e *CursorExpiredError) Unwrap() error { return e.err }

// Topics asks for these topics from now on. For cursors to start from, or the topic MARKETDATA with its contract, fill a
// bezantv1.StreamEventsRequest yourself.
func Topics(topics ...bezantv1.EventTopic) *bezantv1.StreamEventsRequest {
	request := &bezantv1.StreamEventsRequest{}
	for _, topic := range topics {
		request.Topics = append(request.Topics, &bezantv1.TopicSubscription{Topic: topic})
	}
	return request
}

// Follow begins to follow events and returns when the server follows every topic: of those that are followed from now on,
// whatever happens after Follow has returned is among the events. When the server cannot be reached or refuses, that is
// an error, but for a cursor that it cannot serve: that is told by [Follower.Events]. Once begun, following goes on until
// ctx ends or the follower is closed.
func (c *Client) Follow(ctx context.Context, request *bezantv1.StreamEventsRequest) (*Follower, error) {
	ctx, cancel := context.WithCancel(ctx)
	f := &Follower{events: c.Events, ctx: ctx, cancel: cancel, request: proto.CloneOf(request)}
	if err := f.begin(); err != nil {
		cancel()
		return nil, err
	}
	return f, nil
}

// Follower follows events. It remembers the cursor of each topic and, whenever the stream ends or falls silent or the
// connection is lost, goes on behind it, after a pause that grows from a tenth of a second to ten.
//
// It is for one goroutine at a time; Close alone may be called by any.
type Follower struct {
	events bezantv1.EventsServiceClient
	ctx    context.Context
	cancel context.CancelFunc
	// Its cursors are moved on, so that it is always what to ask for next.
	request *bezantv1.StreamEventsRequest
	stream  grpc.ServerStreamingClient[bezantv1.StreamEventsResponse]
	leave   context.CancelFunc
	// What is yet to be told; its cursors have been moved on already.
	missed []*CursorExpiredError
	// How often in a row a stream has ended before anything came.
	failures int
}

// Events yields each event once, in the order of its topic. You may leave the loop and begin another one: it goes on
// behind the last event.
//
// An error is the last thing that is yielded, with one exception: after a [*CursorExpiredError] the loop may go on, and
// does so behind what was missed.
//
//	for event, err := range follower.Events() {
//		var missed *bezant.CursorExpiredError
//		if errors.As(err, &missed) {
//			// Look at orders and positions anew, then go on.
//			continue
//		}
//		if err != nil {
//			return err
//		}
//
// When ctx ends or the follower is closed, the error is that of the context.
func (f *Follower) Events() iter.Seq2[*bezantv1.Event, error] {
	return func(yield func(*bezantv1.Event, error) bool) {
		for {
			event, err := f.next()
			if !yield(event, err) {
				return
			}
			if _, goesOn := err.(*CursorExpiredError); err != nil && !goesOn {
				return
			}
		}
	}
}

// Positions says where to go on, in another process or on another day: put them into the topics of a
// bezantv1.StreamEventsRequest. What was yielded last counts as worked off.
func (f *Follower) Positions() []*bezantv1.TopicSubscription {
	topics := proto.CloneOf(f.request).GetTopics()
	for _, missed := range slices.Backward(f.missed) {
		find(topics, missed.Topic, missed.Conid).AfterCursor = proto.Int64(missed.Cursor)
	}
	return topics
}

// Close ends the following. A loop that is under way ends promptly.
func (f *Follower) Close() { f.cancel() }

// begin waits until the server follows every topic.
func (f *Follower) begin() error {
	for {
		message, err := f.receive()
		if err == nil {
			f.take(message)
			return nil
		}
		if err := f.miss(err); err != nil {
			return err
		}
	}
}

func (f *Follower) next() (*bezantv1.Event, error) {
	for {
		if err := f.ctx.Err(); err != nil {
			return nil, err
		}
		if len(f.missed) > 0 {
			missed := f.missed[0]
			f.missed = f.missed[1:]
			return nil, missed
		}
		message, err := f.receive()
		if err != nil {
			if err := f.recoverFrom(err); err != nil {
				return nil, err
			}
			continue
		}
		if event := f.take(message); event != nil {
			return event, nil
		}
	}
}

// receive gives the next message, of a new stream if there is none.
func (f *Follower) receive() (*bezantv1.StreamEventsResponse, error) {
	if f.stream == nil {
		ctx, leave := context.WithCancel(f.ctx)
		stream, err := f.events.StreamEvents(ctx, f.request)
		if err != nil {
			leave()
			return nil, err
		}
		f.stream, f.leave = stream, leave
	}
	patience := max(longestSilence, silentBeats*time.Duration(f.request.GetHeartbeatSecs())*time.Second)
	silence := time.AfterFunc(patience, f.leave)
	message, err := f.stream.Recv()
	inTime := silence.Stop()
	if err != nil {
		f.leave()
		f.stream = nil
		if !inTime {
			err = typed(status.Errorf(codes.Unavailable, "the server has said nothing for %s", patience))
		}
	}
	return message, err
}

// take moves the cursors on and gives the event, if the message is one that has not been given yet.
func (f *Follower) take(message *bezantv1.StreamEventsResponse) *bezantv1.Event {
	switch {
	case message.GetStarted() != nil:
		f.moveTo(message.GetStarted().GetPositions())
	case message.GetHeartbeat() != nil:
		f.failures = 0
		f.moveTo(message.GetHeartbeat().GetPositions())
	case message.GetEnd() != nil:
		f.moveTo(message.GetEnd().GetPositions())
	case message.GetEvent() != nil:
		f.failures = 0
		event := message.GetEvent()
		topic := find(f.request.GetTopics(), event.GetTopic(), event.GetConid())
		if topic == nil || topic.AfterCursor != nil && event.GetCursor() <= topic.GetAfterCursor() {
			return nil
		}
		topic.AfterCursor = proto.Int64(event.GetCursor())
		return event
	}
	return nil
}

func (f *Follower) moveTo(positions []*bezantv1.TopicPosition) {
	for _, position := range positions {
		if topic := find(f.request.GetTopics(), position.GetTopic(), position.GetConid()); topic != nil {
			topic.AfterCursor = proto.Int64(position.GetCursor())
		}
	}
}

// recoverFrom prepares for another stream; an error when there is to be none.
func (f *Follower) recoverFrom(err error) error {
	if done := f.ctx.Err(); done != nil {
		return done
	}
	if err = f.miss(err); err == nil {
		return nil
	}
	if !isPassing(err) {
		return err
	}
	return f.pause(err)
}

// miss moves a cursor that cannot be served to the oldest event that is held, and has that told. It gives back any other
// error, and one that moves nothing.
func (f *Follower) miss(err error) error {
	var failure *Error
	if !errors.As(err, &failure) || failure.Reason != "CURSOR_EXPIRED" {
		return err
	}
	number := func(name string) int64 {
		value, _ := strconv.ParseInt(failure.Metadata[name], 10, 64)
		return value
	}
	name, head := bezantv1.EventTopic_value[failure.Metadata["topic"]], number("head_cursor")
	topic := find(f.request.GetTopics(), bezantv1.EventTopic(name), number("conid"))
	if topic == nil || head < 1 || topic.AfterCursor != nil && topic.GetAfterCursor() == head-1 {
		return err
	}
	f.missed = append(f.missed, &CursorExpiredError{
		Topic:      topic.GetTopic(),
		Conid:      topic.GetConid(),
		Cursor:     topic.GetAfterCursor(),
		HeadCursor: head,
		ResetEpoch: number("reset_epoch"),
		err:        failure,
	})
	topic.AfterCursor = proto.Int64(head - 1)
	return nil
}

// pause waits for a random part of a time that doubles, so that many followers do not come back all at once, and for as
// long as the server asks for.
func (f *Follower) pause(err error) error {
	pause := min(firstPause<<min(f.failures, 10), longestPause)
	pause = pause/2 + rand.N(pause/2)
	f.failures++
	var failure *Error
	if errors.As(err, &failure) {
		pause = max(pause, failure.RetryDelay)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-f.ctx.Done():
		return f.ctx.Err()
	case <-timer.C:
		return nil
	}
}

func find(topics []*bezantv1.TopicSubscription, topic bezantv1.EventTopic, conid int64) *bezantv1.TopicSubscription {
	for _, each := range topics {
		if each.GetTopic() == topic && each.GetConid() == conid {
			return each
		}
	}
	return nil
}

// isPassing tells whether another stream may do better. A reader that was too slow goes on behind the last event that it
// was given, which is where the server would have it go on.
func isPassing(err error) bool {
	var failure *Error
	if !errors.As(err, &failure) {
		return errors.Is(err, io.EOF)
	}
	switch failure.Code {
	case codes.Unavailable:
		return true
	case codes.Internal, codes.Canceled:
		// What a proxy makes of a connection that was lost behind it.
		return failure.Reason == ""
	}
	return failure.Reason == "SLOW_READER"
}

func topicName(topic bezantv1.EventTopic, conid int64) string {
	if conid == 0 {
		return topic.String()
	}
	return fmt.Sprintf("%s of conid %d", topic, conid)
}
