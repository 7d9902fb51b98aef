package client

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"hocket.dev"
)

func TestPublishAndSubscribe(t *testing.T) {
	_, url := serve(t, nil)
	c := dial(t, url, &Options{User: "ada", Info: map[string]string{"name": "Ada"}})
	live := subscribe(t, c, "chat:lobby", nil)
	at := publish(t, c, "chat:lobby", map[string]int{"n": 1})
	m := wantPayload(t, live, `{"n":1}`)
	if m.Position != at || m.Channel != "chat:lobby" || m.From == nil || m.From.User != "ada" || m.Op != "set" || m.Time.IsZero() {
		t.Errorf("message %+v, published at %v", m, at)
	}
}

func TestEveryStart(t *testing.T) {
	for _, test := range []struct {
		name string
		from func(middle Position) Start
		want []string
	}{
		{"zero", func(Position) Start { return Start{} }, nil},
		{"live", func(Position) Start { return Live() }, nil},
		{"last", func(Position) Start { return Last(2) }, []string{"1", "2"}},
		{"since", func(Position) Start { return Since(time.Minute) }, []string{"0", "1", "2"}},
		{"after", After, []string{"2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, url := serve(t, nil)
			c := dial(t, url, nil)
			var at [3]Position
			for i := range at {
				at[i] = publish(t, c, "log", i)
			}
			s := subscribe(t, c, "log", &SubscribeOptions{From: test.from(at[1])})
			publish(t, c, "log", "live")
			for _, want := range append(test.want, `"live"`) {
				wantPayload(t, s, want)
			}
		})
	}
}

func TestKeysAndState(t *testing.T) {
	_, url := serve(t, nil)
	c := dial(t, url, nil)
	for _, p := range []struct {
		key, op string
		payload any
	}{{"a", "", "1"}, {"b", "set", "2"}, {"a", "append", "3"}, {"b", "delete", nil}} {
		if _, err := c.Publish(t.Context(), "board", p.payload, &PublishOptions{Key: p.key, Op: p.op, Tags: map[string]string{"x": "y"}}); err != nil {
			t.Fatal(err)
		}
	}
	s := subscribe(t, c, "board", &SubscribeOptions{From: State()})
	m := wantPayload(t, s, `"13"`)
	if m.Key != "a" || m.Op != "set" {
		t.Errorf("%+v", m)
	}
	if m := next(t, s); m.Kind != Sync || m.Position.Epoch == "" { // the last entry was a delete: after a while of silence
		t.Errorf("%+v", m)
	}
	if _, err := c.Publish(t.Context(), "board", nil, &PublishOptions{Key: "a", Op: "delete", Tags: map[string]string{"x": "y"}}); err != nil {
		t.Fatal(err)
	}
	if m := next(t, s); m.Op != "delete" || m.Payload != nil || m.Tags["x"] != "y" {
		t.Errorf("%+v", m)
	}
}

func TestBytesThatAreNoJSON(t *testing.T) {
	_, url := serve(t, nil)
	c := dial(t, url, nil)
	s := subscribe(t, c, "files", nil)
	publish(t, c, "files", []byte{0, 255})
	if m := next(t, s); !m.Binary || string(m.Payload) != "\x00\xff" {
		t.Errorf("%+v", m)
	}
}

func TestNoEcho(t *testing.T) {
	_, url := serve(t, nil)
	c := dial(t, url, nil)
	s := subscribe(t, c, "a", nil)
	if _, err := c.Publish(t.Context(), "a", "not for me", &PublishOptions{NoEcho: true}); err != nil {
		t.Fatal(err)
	}
	publish(t, c, "a", "for me")
	wantPayload(t, s, `"for me"`)
}

func TestIdempotencyKeyOfAnotherProcess(t *testing.T) {
	_, url := serve(t, nil)
	key := &PublishOptions{IdempotencyKey: "order-1"}
	first, err := dial(t, url, &Options{User: "shop"}).Publish(t.Context(), "orders", 1, key)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := dial(t, url, &Options{User: "shop"}).Publish(t.Context(), "orders", 1, key); err != nil || again != first {
		t.Errorf("first %v, again %v, %v", first, again, err)
	}
}

func TestCall(t *testing.T) {
	srv, url := serve(t, nil)
	srv.Handle("double", func(_ context.Context, c hocket.Call) (any, error) {
		n, err := strconv.Atoi(string(c.Payload))
		if err != nil {
			return nil, &hocket.Error{Code: 10001, Name: "no_number", Message: "give me a number", RetryAfter: time.Second}
		}
		return 2 * n, nil
	})
	srv.Handle("nothing", func(context.Context, hocket.Call) (any, error) { return nil, nil })
	c := dial(t, url, nil)
	var n int
	if err := c.Call(t.Context(), "double", 21, &n); err != nil || n != 42 {
		t.Errorf("%d, %v", n, err)
	}
	if err := c.Call(t.Context(), "nothing", nil, nil); err != nil {
		t.Error(err)
	}
	wantError(t, c.Call(t.Context(), "double", "x", &n), &Error{10001, "no_number", "give me a number", time.Second})
	wantError(t, c.Call(t.Context(), "none", nil, nil), &Error{Code: 1404, Name: "not_found"})
}

// wantError compares code and name, and the rest where want has it.
func wantError(t *testing.T, err error, want *Error) {
	t.Helper()
	var have *Error
	if !errors.As(err, &have) || !errors.Is(err, want) {
		t.Fatalf("error %v, want %v (%d)", err, want.Name, want.Code)
	}
	if want.Message != "" && have.Message != want.Message || want.RetryAfter != 0 && have.RetryAfter != want.RetryAfter {
		t.Errorf("error %+v, want %+v", have, want)
	}
}

func TestWhatTheServerRefuses(t *testing.T) {
	_, url := serve(t, func(cfg *hocket.Config) {
		cfg.Channels = []hocket.Rule{{Pattern: "news", Publish: hocket.PublishServer}}
		cfg.Limits.MessageBytes = 1000
	})
	c := dial(t, url, nil)
	_, err := c.Publish(t.Context(), "news", 1, nil)
	wantError(t, err, &Error{Code: 1403, Name: "permission_denied"})
	_, err = c.Publish(t.Context(), "a", string(make([]byte, 1000)), nil)
	wantError(t, err, &Error{Code: 1109, Name: "too_large"})
	_, err = c.Publish(t.Context(), "a", func() {}, nil)
	wantError(t, err, &Error{Code: 1106, Name: "invalid_payload"})
	_, err = c.Subscribe(t.Context(), "a b", nil)
	wantError(t, err, &Error{Code: 1103, Name: "invalid_channel"})
	subscribe(t, c, "a", nil)
	_, err = c.Subscribe(t.Context(), "a", nil)
	wantError(t, err, &Error{Code: 1406, Name: "already_subscribed"})
	publish(t, c, "a", 1) // the session lives on
}

// What JSON would make something else of does not leave the program.
func TestWhatCannotBeSaidIsRefused(t *testing.T) {
	_, url := serve(t, nil)
	c := dial(t, url, nil)
	for _, test := range []struct {
		opts PublishOptions
		want Error
	}{
		{PublishOptions{Key: "k", Score: math.NaN()}, Error{Code: 1112, Name: "invalid_range", Message: "Score must be a finite number, not NaN"}},
		{PublishOptions{Key: "k", Score: math.Inf(-1)}, Error{Code: 1112, Name: "invalid_range", Message: "Score must be a finite number, not -Inf"}},
		{PublishOptions{TTL: -1}, Error{Code: 1112, Name: "invalid_range", Message: "TTL must not be negative, as -1ns is"}},
		{PublishOptions{TTL: math.MaxInt64}, Error{Code: 1112, Name: "invalid_range", Message: "ttl_ms must be a whole number from 1 to 31622400000, not 9223372036855"}},
		{PublishOptions{Key: "a\xff"}, Error{Code: 1108, Name: "invalid_key", Message: "Key must be valid UTF-8"}},
	} {
		_, err := c.Publish(t.Context(), "a", 1, &test.opts)
		wantError(t, err, &test.want)
	}
	publish(t, c, "a", 1)
}

func TestDialRefused(t *testing.T) {
	_, url := serve(t, func(cfg *hocket.Config) { cfg.Anonymous = false })
	_, err := Dial(t.Context(), url, nil)
	wantError(t, err, &Error{Code: 1401, Name: "unauthenticated"})
	_, url = serve(t, nil)
	_, err = Dial(t.Context(), url, &Options{Header: map[string][]string{"Origin": {"https://evil.example"}}})
	wantError(t, err, &Error{Code: 1111, Name: "origin_not_allowed"})
	for info, want := range map[string]*Error{
		strings.Repeat("i", 5_000): {Code: 1113, Name: "info_too_large"}, strings.Repeat("i", 200_000): {Code: 1109, Name: "too_large"},
	} {
		_, err = Dial(t.Context(), url, &Options{Info: info})
		wantError(t, err, want)
	}
	if _, err = Dial(t.Context(), "ws://127.0.0.1:1/v1/ws", nil); err == nil {
		t.Error("there is a server on port 1")
	}
}

func TestContextsEndWaiting(t *testing.T) {
	srv, url := serve(t, nil)
	srv.Handle("wait", func(ctx context.Context, _ hocket.Call) (any, error) { <-ctx.Done(); return nil, nil })
	c := dial(t, url, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := subscribe(t, c, "a", nil)
	if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := c.Call(ctx, "wait", nil, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := c.Subscribe(ctx, "b", nil); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestClose(t *testing.T) {
	_, url := serve(t, nil)
	c := dial(t, url, nil)
	a, b := subscribe(t, c, "a", nil), subscribe(t, c, "b", nil)
	publish(t, c, "a", 1)
	wantPayload(t, a, "1")
	a.Close()
	a.Close()
	_, err := a.Next(t.Context())
	wantError(t, err, ErrClosed)
	wantPayload(t, subscribe(t, c, "a", &SubscribeOptions{From: Last(1)}), "1")
	c.Close()
	c.Close()
	_, err = b.Next(t.Context())
	wantError(t, err, ErrClosed)
	_, err = c.Publish(t.Context(), "a", 1, nil)
	wantError(t, err, ErrClosed)
	_, err = c.Subscribe(t.Context(), "c", nil)
	wantError(t, err, ErrClosed)
}

func TestRequestsWithoutAConnectionAreBounded(t *testing.T) {
	_, url := serve(t, nil)
	c, line, lose := dialCuttable(t, url, Options{MaxWaiting: 2})
	lose()
	results := make(chan error, 3)
	for range 3 {
		go func() {
			_, err := c.Publish(t.Context(), "a", 1, nil)
			results <- err
		}()
	}
	wantError(t, <-results, &Error{Name: "queue_full"}) // as it is called in TypeScript
	line.aim(url)
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}
