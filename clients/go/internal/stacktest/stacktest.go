// Package stacktest tells tests where the running server is.
package stacktest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"

	bezant "github.com/bezant/bezant-grpc/clients/go"
)

// AAPL is Apple's contract, and Account the paper gateway's.
const (
	AAPL    = 265598
	Account = "DU8730189"
)

// Stack is a server in front of a paper gateway, where AAPL stands still at 230.00 / 230.02.
type Stack struct {
	// Target is its host:port, through a proxy.
	Target string
	// REST is the URL of Envoy.
	REST    string
	cutURL  string
	control string
	key     string
}

// Running is the stack that tests/clients has started. Without one the test is skipped, and fails under CI=true.
func Running(t *testing.T) *Stack {
	t.Helper()
	stack := &Stack{
		Target:  os.Getenv("BEZANT_TEST_GRPC"),
		REST:    os.Getenv("BEZANT_TEST_REST"),
		cutURL:  os.Getenv("BEZANT_TEST_CUT_URL"),
		control: os.Getenv("BEZANT_TEST_CONTROL"),
		key:     os.Getenv("BEZANT_TEST_API_KEY"),
	}
	if stack.Target == "" {
		const message = "BEZANT_TEST_GRPC is not set, no server runs: THIS PART IS NOT TESTED HERE"
		if os.Getenv("CI") == "true" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	return stack
}

// Connect connects to it until the test ends.
func (s *Stack) Connect(ctx context.Context, t *testing.T) *bezant.Client {
	t.Helper()
	return Connect(ctx, t, s.Target, bezant.WithAPIKey(s.key))
}

// Connect connects to a server until the test ends.
func Connect(ctx context.Context, t *testing.T, target string, opts ...bezant.Option) *bezant.Client {
	t.Helper()
	client, err := bezant.Connect(ctx, target, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// Cut cuts every connection to Target.
func (s *Stack) Cut(t *testing.T) {
	t.Helper()
	post(t, s.cutURL, nil)
}

// Pin has AAPL stand still at these prices.
func (s *Stack) Pin(t *testing.T, bid, ask float64) {
	t.Helper()
	post(t, s.control+"/quotes", map[string]any{"conid": AAPL, "bid": bid, "ask": ask})
}

func post(t *testing.T, url string, body any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: 30 * time.Second}
	answer, err := client.Post(url, "application/json", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, answer.Status)
	}
}
