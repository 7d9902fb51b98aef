package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// short is a run of 20 publishes over 200 ms to three subscribers.
func short() Options {
	return Options{
		URL: "ws://fake/v1/ws", Connections: 3, Rate: 100, Messages: 20, Warmup: -1, Duration: time.Minute,
	}
}

// runFake makes a run against f in virtual time.
func runFake(t *testing.T, f *fake, o Options) (result Result, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f.t = t
		o.dial = f.dial
		result, err = Run(t.Context(), o)
		f.wg.Wait()
	})
	return result, err
}

// on returns a misbehaviour at publish 5 towards one subscriber.
func on(sub int, change func(msg string) []string) func(int, int, string) []string {
	return func(s, n int, msg string) []string {
		if s == sub && n == 5 {
			return change(msg)
		}
		return []string{msg}
	}
}

// swap returns a change of one piece of a message.
func swap(old, new string) func(string) []string {
	return func(msg string) []string { return []string{strings.Replace(msg, old, new, 1)} }
}

func TestFaultsAreReported(t *testing.T) {
	lost := func(string) []string { return nil }
	twice := func(msg string) []string { return []string{msg, msg} }
	var held string
	reorder := func(s, n int, msg string) []string {
		switch {
		case s == 1 && n == 5:
			held = msg
			return nil
		case s == 1 && n == 6:
			return []string{msg, held}
		}
		return []string{msg}
	}
	lostAtEnd := func(s, n int, msg string) []string {
		if s == 2 && n >= 18 {
			return nil
		}
		return []string{msg}
	}
	again := func(s, n int, msg string) []string { // an old message long after it was finished
		if s == 0 && n == 0 {
			held = msg
		}
		if s == 1 && n == 15 {
			return []string{msg, held}
		}
		return []string{msg}
	}
	tests := []struct {
		name string
		fake *fake
		want Faults
	}{
		{"nothing", &fake{}, Faults{}},
		{"lost", &fake{deliver: on(1, lost)}, Faults{Missing: 1}},
		{"lost for the first", &fake{deliver: on(0, lost)}, Faults{Missing: 1}},
		{"lost at the end", &fake{deliver: lostAtEnd}, Faults{Missing: 2}},
		{"doubled", &fake{deliver: on(1, twice)}, Faults{Duplicate: 1}},
		{"doubled late", &fake{deliver: again}, Faults{Duplicate: 1}},
		{"reordered", &fake{deliver: reorder}, Faults{Reordered: 1}},
		{"filler changed", &fake{deliver: on(1, swap("stuv", "stxv"))}, Faults{Corrupt: 1}},
		{"filler changed for the first", &fake{deliver: on(0, swap("stuv", "stxv"))}, Faults{Corrupt: 1}},
		{"payload cut", &fake{deliver: on(1, swap("stuv", ""))}, Faults{Corrupt: 1}},
		{"another time", &fake{deliver: on(1, swap(".000000000", ".000000001"))}, Faults{Corrupt: 1}},
		{"a message of the future", &fake{deliver: on(1, swap(".00000000", ".00000001"))}, Faults{Corrupt: 1}},
		{"another channel", &fake{deliver: on(1, swap("bench:0", "bench:1"))}, Faults{Corrupt: 1}},
		{"not JSON", &fake{deliver: on(1, swap(`"type"`, `"type`))}, Faults{Errors: 1, Missing: 1}},
		{"offset falls", &fake{deliver: on(1, swap(`"offset":25`, `"offset":7`))}, Faults{Errors: 1}},
		{"gap notice", &fake{deliver: on(1, func(string) []string {
			return []string{`{"type":"gap","channel":"bench:0","payload":{"from":1,"to":2,"reason":"slow_consumer"}}`}
		})}, Faults{GapNotices: 1, Missing: 1}},
		{"error", &fake{deliver: on(1, func(msg string) []string {
			return []string{`{"type":"error","error":{"code":1500,"name":"internal","message":"sorry"}}`, msg}
		})}, Faults{Errors: 1}},
		{"hung up", &fake{hangup: 5}, Faults{Closed: 1, Missing: 15}},
		{"unanswered", &fake{silent: true}, Faults{Unanswered: 20}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			result, err := runFake(t, tt.fake, short())
			if err != nil {
				t.Fatal(err)
			}
			got := result.Faults
			got.First = nil
			if got.String() != tt.want.String() {
				t.Errorf("faults: %v, want %v; %q", &got, &tt.want, result.Faults.First)
			}
			if (result.Err() == nil) != tt.want.None() {
				t.Errorf("Err() = %v", result.Err())
			}
			if !tt.want.None() && tt.want.Unanswered == 0 && len(result.Faults.First) == 0 {
				t.Error("no sentence says what happened")
			}
		})
	}
}

func TestOffsetsAreTheSameForAll(t *testing.T) {
	o := short()
	o.Connections = 2 // of three, one or two would differ from the first
	result, err := runFake(t, &fake{deliver: on(1, swap(`"offset":25`, `"offset":26`))}, o)
	if err != nil {
		t.Fatal(err)
	}
	if result.Faults.Errors != 1 || result.Delivered != 40 {
		t.Errorf("faults: %v, delivered %d; want 1 error and 40", &result.Faults, result.Delivered)
	}
}

func TestFieldsInAnyOrder(t *testing.T) {
	f := &fake{deliver: func(_, _ int, msg string) []string {
		return []string{strings.Replace(strings.Replace(msg, `{"type":"message",`, "{", 1), `"from"`, `"type":"message","from"`, 1)}
	}}
	result, err := runFake(t, f, short())
	if err := errors.Join(err, result.Err()); err != nil {
		t.Fatal(err)
	}
	if result.Delivered != 60 {
		t.Errorf("delivered %d, want 60", result.Delivered)
	}
}

func TestRateAndLatency(t *testing.T) {
	f := &fake{}
	o := short()
	o.Warmup, o.Messages, o.Duration, o.Channels, o.Connections = time.Second, 0, 2*time.Second, 2, 5
	result, err := runFake(t, f, o)
	if err := errors.Join(err, result.Err()); err != nil {
		t.Fatal(err)
	}
	if rate := result.PublishRate(); rate < 99 || rate > 101 {
		t.Errorf("%.1f publishes per second, want 100", rate)
	}
	// Half of the publishes go to three subscribers, half to two.
	if got := result.Delivered; got < 495 || got > 505 || result.Latency.Count != got {
		t.Errorf("delivered %d, latencies %d, want 500", got, result.Latency.Count)
	}
	if result.Latency.Max != 0 {
		t.Errorf("latency %v in a world where nothing takes time", result.Latency.Max)
	}
	if f.n < 299 || f.n > 302 {
		t.Errorf("%d publishes with the warm-up, want 300", f.n)
	}
}

func TestClosedLoop(t *testing.T) {
	var most int
	f := &fake{}
	o := short()
	o.Closed, o.Open, o.Messages = true, 8, 1000
	f.deliver = func(s, n int, msg string) []string {
		most = max(most, n)
		return []string{msg}
	}
	result, err := runFake(t, f, o)
	if err := errors.Join(err, result.Err()); err != nil {
		t.Fatal(err)
	}
	if result.Published != 1000 || result.Delivered != 3000 || most != 999 {
		t.Errorf("published %d, delivered %d", result.Published, result.Delivered)
	}
}

// A closed loop waits for every subscriber: when one of them gets nothing, no more
// than the open publishes are sent.
func TestClosedLoopWaitsForTheSlowest(t *testing.T) {
	f := &fake{deliver: func(s, _ int, msg string) []string {
		if s == 2 {
			return nil
		}
		return []string{msg}
	}}
	o := short()
	o.Closed, o.Open, o.Messages = true, 8, 0
	result, err := runFake(t, f, o)
	if err != nil {
		t.Fatal(err)
	}
	if f.n != 8 || result.Faults.Missing != 8 {
		t.Errorf("%d publishes, %d missing; want 8 and 8", f.n, result.Faults.Missing)
	}
}

func TestRefusedSubscription(t *testing.T) {
	_, err := runFake(t, &fake{refuse: true}, short())
	if err == nil || !strings.Contains(err.Error(), "permission_denied") {
		t.Errorf("error %v, want permission_denied", err)
	}
}

func TestCancel(t *testing.T) {
	f := &fake{t: t}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		o := short()
		o.dial, o.Messages = f.dial, 0
		begin := time.Now()
		if _, err := Run(ctx, o); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the context's", err)
		}
		if d := time.Since(begin); d != 3*time.Second {
			t.Errorf("took %v", d)
		}
		f.wg.Wait()
	})
}

func TestServersThatRefuse(t *testing.T) {
	answer := func(response string) func(int) (net.Conn, error) {
		return func(i int) (net.Conn, error) {
			if response == "" {
				return nil, errors.New("nobody there")
			}
			client, server := net.Pipe()
			go func() {
				defer server.Close()
				if _, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
					io.WriteString(server, response)
				}
			}()
			return client, nil
		}
	}
	tests := []struct{ response, want string }{
		{"", "open connection 1 of 3: nobody there"},
		{"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "status 403"},
		{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n", "Accept"},
		{"220 smtp ready\r\n", "handshake"},
		{"HTTP/1.1 101", "handshake"},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			o := short()
			o.dial = answer(tt.response)
			if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%q: error %v, want one about %q", tt.response, err, tt.want)
			}
		})
	}
}

// A server that accepts and then says nothing costs ten seconds, not the evening.
func TestSilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := short()
		var server net.Conn
		o.dial = func(int) (client net.Conn, err error) {
			client, server = net.Pipe()
			go io.Copy(io.Discard, server)
			return client, nil
		}
		begin := time.Now()
		if _, err := Run(t.Context(), o); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("error %v, want a timeout", err)
		}
		if d := time.Since(begin); d != handshakeTimeout {
			t.Errorf("took %v", d)
		}
		server.Close()
	})
}

func TestIdle(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory is read from /proc")
	}
	o := short()
	o.Connections, o.Idle, o.PID = idleBase+50, true, os.Getpid()
	var took time.Duration
	f := &fake{}
	synctest.Test(t, func(t *testing.T) {
		f.t, o.dial = t, f.dial
		begin := time.Now()
		result, err := Run(t.Context(), o)
		if err := errors.Join(err, result.Err()); err != nil {
			t.Fatal(err)
		}
		took = time.Since(begin)
		s := result.Server
		if s.RSSBefore < 1<<20 || s.PerConnection != (s.RSSOpen-s.RSSBefore)/50 {
			t.Errorf("memory: %+v", s)
		}
		if result.Opening != 0 {
			t.Errorf("opening took %v, want nothing: settling does not count", result.Opening)
		}
		f.wg.Wait()
	})
	if took != 16*time.Second {
		t.Errorf("took %v, want 8s with %d connections and 8s with all", took, idleBase)
	}
	if f.n != 0 {
		t.Errorf("%d publishes", f.n)
	}
}

// The real thing once: sockets, the epoll driver, source addresses.
func TestOverTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t}
	f.wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			f.wg.Go(func() { f.serve(nc) })
		}
	})
	o := short()
	o.URL, o.Rate, o.Channels = "ws://"+l.Addr().String()+"/v1/ws", 1000, 2
	result, err := Run(t.Context(), o)
	if err := errors.Join(err, result.Err()); err != nil {
		t.Error(err)
	}
	if result.Delivered != 30 || result.Latency.Max <= 0 {
		t.Errorf("delivered %d, want 30; latency %v", result.Delivered, result.Latency)
	}
	l.Close()
	f.wg.Wait()
}

func TestSources(t *testing.T) {
	tests := []struct {
		url         string
		connections int
		from        []string
		want        string
	}{
		{"ws://127.0.0.1:8000/", 100, nil, "[127.0.0.2:0 127.0.0.3:0]"},
		{"ws://127.0.0.1:8000/", 25_000, nil, "[127.0.0.2:0 127.0.0.3:0 127.0.0.4:0 127.0.0.5:0]"},
		{"ws://127.0.0.1:8000/", 100, []string{"127.0.0.9"}, "[127.0.0.9:0]"},
		{"ws://192.0.2.1:8000/", 100, nil, "[]"},
		{"ws://example.com/", 100, nil, "[]"},
		{"ws://[::1]:8000/", 100, nil, "[]"},
	}
	for _, tt := range tests {
		to, err := parseAddress(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Options{Connections: tt.connections, From: tt.from}.sources(to)
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "linux" && tt.from == nil {
			tt.want = "[]"
		}
		if fmt.Sprint(got) != tt.want {
			t.Errorf("%s from %v with %d connections: %v, want %s", tt.url, tt.from, tt.connections, got, tt.want)
		}
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	tests := []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.URL = "http://x/" }, "ws://"},
		{func(o *Options) { o.URL = "wss:///v1/ws" }, "wss://"},
		{func(o *Options) { o.Connections = -1 }, "connections"},
		{func(o *Options) { o.Connections = 1 << 40 }, "open files"},
		{func(o *Options) { o.Channels = 1 << 17 }, "channels"},
		{func(o *Options) { o.PayloadBytes = MinPayloadBytes - 1 }, "payload"},
		{func(o *Options) { o.Rate = -1 }, "rate"},
		{func(o *Options) { o.Duration = -1 }, "duration"},
		{func(o *Options) { o.From = []string{"home"} }, "from"},
		{func(o *Options) { o.Idle = true }, "process id"},
	}
	for _, tt := range tests {
		o := Options{URL: "ws://fake/"}
		tt.change(&o)
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want one about %q", err, tt.want)
		}
	}
}
