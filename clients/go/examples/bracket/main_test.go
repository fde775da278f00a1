package main

import (
	"bufio"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bezant/bezant-grpc/clients/go/internal/stacktest"
)

func TestTheBracketIsFollowedToItsEnd(t *testing.T) {
	stack := stacktest.Running(t)
	t.Cleanup(func() { stack.Pin(t, 230.00, 230.02) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := stack.Connect(ctx, t)
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, client, "2", "0.75", writer)
		ended <- err
		_ = writer.CloseWithError(err)
	}()
	var lines []string
	for scanner := bufio.NewScanner(reader); scanner.Scan(); {
		lines = append(lines, scanner.Text())
		if scanner.Text() == "entry: Filled" {
			// The market rises to the target.
			stack.Pin(t, 230.80, 230.82)
		}
	}
	if err := <-ended; err != nil {
		t.Fatalf("%v after %q", err, lines)
	}
	if lines[0] != "AAPL 230.00 / 230.02" {
		t.Errorf("the quote is %q", lines[0])
	}
	for _, line := range []string{"entry: Filled", "target: Filled", "stop: Cancelled"} {
		if !slices.Contains(lines, line) {
			t.Errorf("no %q in %q", line, lines)
		}
	}
	for leg, price := range map[string]string{"entry": "230.02", "target": "230.8"} {
		found := slices.ContainsFunc(lines, func(line string) bool {
			return strings.HasPrefix(line, leg+": ") && strings.Contains(line, " filled at "+price)
		})
		if !found {
			t.Errorf("no fill of the %s at %s in %q", leg, price, lines)
		}
	}
}
