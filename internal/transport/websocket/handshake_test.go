package websocket

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"

	"hocket.dev/dialect"
	"hocket.dev/dialect/native"
	"hocket.dev/internal/testproc"
	"hocket.dev/wire"
)

func TestRefusals(t *testing.T) {
	replaced := func(old, new string) string { return strings.Replace(request, old, new, 1) }
	for _, test := range []struct {
		name    string
		request string
		drain   bool
		status  int
		reason  string // counted
		code    string // of the error
		part    string // of the message
		header  [2]string
	}{
		{name: "post", request: replaced("GET", "POST"), status: 405, reason: "not_get", code: "bad_handshake", part: "GET request", header: [2]string{"Allow", "GET"}},
		{name: "http 1.0", request: replaced("HTTP/1.1", "HTTP/1.0"), status: 400, reason: "http_version", code: "bad_handshake", part: "HTTP/1.1"},
		{name: "no upgrade", request: replaced("Upgrade: websocket\r\n", ""), status: 426, reason: "no_upgrade", code: "bad_handshake",
			part: "a proxy in between may have removed Upgrade", header: [2]string{"Upgrade", "websocket"}},
		{name: "no connection", request: replaced("Connection: Upgrade\r\n", ""), status: 400, reason: "no_connection", code: "bad_handshake", part: `"Connection: Upgrade"`},
		{name: "no key", request: replaced("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), status: 400, reason: "no_key", code: "bad_handshake", part: "Sec-WebSocket-Key is missing"},
		{name: "bad key", request: replaced("dGhlIHNhbXBsZSBub25jZQ==", "short"), status: 400, reason: "bad_key", code: "bad_handshake", part: "16 bytes"},
		{name: "version", request: replaced("Version: 13", "Version: 8"), status: 426, reason: "bad_version", code: "bad_handshake", part: "13", header: [2]string{"Sec-Websocket-Version", "13"}},
		{name: "two origins", request: replaced("\r\n\r\n", "\r\nOrigin: https://evil.example\r\nOrigin: https://app.example\r\n\r\n"), status: 403, reason: "origin", code: "origin_not_allowed", part: `stands 2 times`},
		{name: "origin", request: replaced("\r\n\r\n", "\r\nOrigin: https://evil.example\r\n\r\n"), status: 403, reason: "origin", code: "origin_not_allowed", part: `"https://evil.example"`},
		{name: "token alone", request: replaced("\r\n\r\n", "\r\nSec-WebSocket-Protocol: hocket.token.abc\r\n\r\n"), status: 400, reason: "bad_token", code: "bad_handshake", part: "no hocket.v1 protocol"},
		{name: "bad token", request: replaced("\r\n\r\n", "\r\nSec-WebSocket-Protocol: hocket.v1.json, hocket.token.a+b\r\n\r\n"), status: 400, reason: "bad_token", code: "bad_handshake", part: "character"},
		{name: "draining", request: request, drain: true, status: 503, reason: "draining", code: "draining", part: "shuts down", header: [2]string{"Retry-After", "1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, true, func(*settings) {})
			address := s.listen(t)
			if test.drain {
				s.Drain()
			}
			answer := ask(t, address, test.request)
			defer answer.Body.Close()
			var body struct {
				Error struct {
					Code                  int
					Name, Reason, Message string
				}
			}
			if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
				t.Fatalf("the body is not JSON: %v", err)
			}
			e := body.Error
			if answer.StatusCode != test.status || e.Code == 0 || e.Name != test.code || e.Reason != test.reason || !strings.Contains(e.Message, test.part) {
				t.Errorf("answered %d %+v", answer.StatusCode, e)
			}
			if k := test.header[0]; k != "" && answer.Header.Get(k) != test.header[1] {
				t.Errorf("header %s is %q", k, answer.Header.Get(k))
			}
			if ct := answer.Header.Get("Content-Type"); ct != "application/json" {
				t.Errorf("the body is said to be %q", ct)
			}
			if got := s.Refusals(); len(got) != 1 || got[test.reason] != 1 || s.Handshakes.Load() != 0 {
				t.Errorf("counted %v", got)
			}
		})
	}
}

func ask(t *testing.T, address, request string) *http.Response {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if _, err := nc.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestASubprotocolIsAnsweredAndATokenNever(t *testing.T) {
	s := start(t, true, func(*settings) {})
	address := s.listen(t)
	for offered, want := range map[string]string{
		"hocket.token.abc, hocket.v1.json": "hocket.v1.json", "hocket.v1.msgpack, hocket.v1.json": "hocket.v1.json",
		"other": "", "hocket.v1.protobuf": "hocket.v1.protobuf",
	} {
		answer := ask(t, address, strings.Replace(request, "\r\n\r\n", "\r\nOrigin: https://app.example\r\nSec-WebSocket-Protocol: "+offered+"\r\n\r\n", 1))
		if got := answer.Header.Get("Sec-Websocket-Protocol"); answer.StatusCode != 101 || got != want {
			t.Errorf("%s is answered by %d with %q, want %q", offered, answer.StatusCode, got, want)
		}
		if accept := answer.Header.Get("Sec-Websocket-Accept"); accept != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" { // §1.3
			t.Errorf("accepted with %q", accept)
		}
	}
}

// hidden is a ResponseWriter of a middleware that hides what the server's own can do.
type hidden struct{ http.ResponseWriter }

func TestAHiddenHijackerIsAnErrorOfItsOwn(t *testing.T) {
	s := start(t, true, func(*settings) {})
	w := &answerOnly{header: make(http.Header)}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
	if err != nil {
		t.Fatal(err)
	}
	s.ServeHTTP(hidden{w}, r)
	if w.status != 500 || !strings.Contains(w.body, "http.Hijacker") || s.Refusals()["no_hijack"] != 1 {
		t.Errorf("answered %d %s", w.status, w.body)
	}
}

type answerOnly struct {
	header http.Header
	status int
	body   string
}

func (w *answerOnly) Header() http.Header         { return w.header }
func (w *answerOnly) WriteHeader(status int)      { w.status = status }
func (w *answerOnly) Write(b []byte) (int, error) { w.body += string(b); return len(b), nil }

func TestBytesBehindTheHandshakeAreNotLost(t *testing.T) {
	eachDriver(t, func(t *testing.T, portable bool) {
		s := start(t, portable, func(*settings) {})
		first, second := frame(0x81, `{"type":"ping","id":1}`), frame(0x81, `{"type":"ping","id":2}`)
		p := dial(t, s.listen(t), first+second[:9])
		p.want(wire.Text, `"type":"connected"`)
		p.want(wire.Text, `{"type":"pong","id":1}`)
		p.write([]byte(second[9:]))
		p.want(wire.Text, `{"type":"pong","id":2}`)
		if s.Handshakes.Load() != 1 || len(s.Refusals()) != 0 {
			t.Errorf("counted %d handshakes and %v", s.Handshakes.Load(), s.Refusals())
		}
	})
}

// overtaken is a dialect before whose sessions something happens.
type overtaken struct {
	dialect.Dialect
	before func()
}

func (o overtaken) Open(h dialect.Handshake) (dialect.Codec, []dialect.Command, *dialect.Error) {
	o.before()
	return o.Dialect.Open(h)
}

// TestAHandshakeOvertakenByDrainIsTold has the server begin to drain after the handshake has passed the door.
func TestAHandshakeOvertakenByDrainIsTold(t *testing.T) {
	var s *server
	s = start(t, true, func(set *settings) {
		set.transport.Dialects = []dialect.Dialect{overtaken{native.New(), func() {
			s.Drain()
			s.node.DrainSessions()
		}}}
	})
	nc, err := net.Dial("tcp", s.listen(t))
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, nc)
	p.write([]byte(strings.Replace(request, "\r\n\r\n", "\r\nOrigin: https://app.example\r\n\r\n", 1)))
	if answer, err := http.ReadResponse(p.in, nil); err != nil || answer.StatusCode != 101 {
		t.Fatalf("answered %v, %v", answer, err)
	}
	p.want(wire.Text, `"type":"connected"`)
	p.want(wire.Text, `"type":"reconnect"`)
	p.wantClose(4000, "draining")
	p.nc.Close()
	testproc.Until(t, "the session to be freed", func() bool { return s.sessions() == 0 })
}
