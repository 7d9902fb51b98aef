package wire

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// handshake is the request of §1.2, with the given headers replaced; a header with no
// lines is removed.
func handshake(change http.Header) http.Header {
	h := http.Header{
		"Upgrade":                {"websocket"},
		"Connection":             {"Upgrade"},
		"Sec-Websocket-Key":      {"dGhlIHNhbXBsZSBub25jZQ=="},
		"Origin":                 {"http://example.com"},
		"Sec-Websocket-Protocol": {"chat, superchat"},
		"Sec-Websocket-Version":  {"13"},
	}
	for k, v := range change {
		if h[k] = v; v == nil {
			delete(h, k)
		}
	}
	return h
}

func TestParseUpgrade(t *testing.T) {
	got, refusal := ParseUpgrade("GET", 1, 1, "server.example.com", handshake(http.Header{
		"Upgrade":                  {"h2c", "WebSocket"},
		"Connection":               {"keep-alive", "foo, uPgRaDe"},
		"Sec-Websocket-Key":        {" dGhlIHNhbXBsZSBub25jZQ== "},
		"Sec-Websocket-Protocol":   {"chat,,  superchat", "third"},
		"Sec-Websocket-Extensions": {`permessage-deflate; client_max_window_bits, x; a="b\-c"`, "y"},
	}))
	if refusal != nil {
		t.Fatal(refusal)
	}
	want := Upgrade{
		Key:       "dGhlIHNhbXBsZSBub25jZQ==",
		Protocols: []string{"chat", "superchat", "third"},
		Extensions: []Extension{
			{Name: "permessage-deflate", Params: []Param{{Name: "client_max_window_bits"}}},
			{Name: "x", Params: []Param{{Name: "a", Value: "b-c", HasValue: true}}},
			{Name: "y"},
		},
		Origin: "http://example.com",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// §4.2.1 and §4.4: what is refused, with which status and which headers.
func TestRefusals(t *testing.T) {
	type request struct {
		method       string
		major, minor int
		host         string
		change       http.Header
	}
	get := func(change http.Header) request { return request{"GET", 1, 1, "h", change} }
	version13 := "Sec-Websocket-Version"
	tests := []struct {
		name   string
		in     request
		status int
		reason string
		says   string // in the message
		header string // in the refusal, "name: value"
	}{
		{"§4.2.1.1 POST", request{"POST", 1, 1, "h", nil}, 405, "not_get", "GET", "Allow: GET"},
		{"§4.2.1.1 HTTP/1.0", request{"GET", 1, 0, "h", nil}, 400, "http_version", "proxy", ""},
		{"§4.2.1.1 HTTP/2", request{"GET", 2, 0, "h", nil}, 505, "http_version", "HTTP/2", ""},
		{"§4.2.1.2 no Host", request{"GET", 1, 1, "", nil}, 400, "no_host", "Host", ""},
		{"§4.2.1.3 no Upgrade", get(http.Header{"Upgrade": nil}), 426, "no_upgrade", "proxy", "Upgrade: websocket"},
		{"§4.2.1.3 another Upgrade", get(http.Header{"Upgrade": {"websockets, h2c"}}), 426, "no_upgrade", "Upgrade: websocket", "Upgrade: websocket"},
		{"§4.2.1.4 no Connection", get(http.Header{"Connection": nil}), 400, "no_connection", "proxy", ""},
		{"§4.2.1.4 another Connection", get(http.Header{"Connection": {"close"}}), 400, "no_connection", "Connection: Upgrade", ""},
		{"§4.2.1.5 no key", get(http.Header{"Sec-Websocket-Key": nil}), 400, "no_key", "Sec-WebSocket-Key", ""},
		{"§4.2.1.5 empty key", get(http.Header{"Sec-Websocket-Key": {""}}), 400, "bad_key", "16 bytes", ""},
		{"§4.2.1.5 short key", get(http.Header{"Sec-Websocket-Key": {"Zm9v"}}), 400, "bad_key", "16 bytes", ""},
		{"§4.2.1.5 17 bytes", get(http.Header{"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAAA="}}), 400, "bad_key", "16 bytes", ""},
		{"§4.2.1.5 18 bytes", get(http.Header{"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAAAA"}}), 400, "bad_key", "16 bytes", ""},
		{"§4.2.1.5 no base64", get(http.Header{"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZ*=="}}), 400, "bad_key", "16 bytes", ""},
		{"§11.3.1 two keys", get(http.Header{"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="}}), 400, "bad_key", "once", ""},
		{"§4.4 no version", get(http.Header{version13: nil}), 426, "bad_version", "13", "Sec-Websocket-Version: 13"},
		{"§4.4 version 8", get(http.Header{version13: {"8"}}), 426, "bad_version", "13", "Sec-Websocket-Version: 13"},
		{"§11.3.5 two versions", get(http.Header{version13: {"13", "8"}}), 426, "bad_version", "13", "Sec-Websocket-Version: 13"},
		{"§9.1 a quoted value that is no token", get(http.Header{"Sec-Websocket-Extensions": {`x; a="b\",c"`}}), 400, "bad_extension", "§9.1", ""},
		{"§4.1.10 a subprotocol that is no token", get(http.Header{"Sec-Websocket-Protocol": {"a, b c"}}), 400, "bad_protocol", `"b c"`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, refusal := ParseUpgrade(tt.in.method, tt.in.major, tt.in.minor, tt.in.host, handshake(tt.in.change))
			if refusal == nil {
				t.Fatal("accepted")
			}
			if refusal.Status != tt.status || refusal.Reason != tt.reason {
				t.Errorf("%d %s, want %d %s", refusal.Status, refusal.Reason, tt.status, tt.reason)
			}
			if !strings.Contains(refusal.Error(), tt.says) {
				t.Errorf("%q does not say %q", refusal.Error(), tt.says)
			}
			if name, value, ok := strings.Cut(tt.header, ": "); ok && http.Header(refusal.Header).Get(name) != value {
				t.Errorf("headers %v, want %s", refusal.Header, tt.header)
			}
		})
	}
}

// §1.3 works this example through.
func TestAcceptKey(t *testing.T) {
	if got := AcceptKey("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Error(got)
	}
}

// §4.2.2: the answer, its order, and what a program may add.
func TestAppendResponse(t *testing.T) {
	got := AppendResponse(nil, "dGhlIHNhbXBsZSBub25jZQ==", "chat", map[string][]string{
		"X-Two":                  {"2"},
		"Set-Cookie":             {"a=1", "b=2\r\nEvil: yes"},
		"Bad Name":               {"x"},
		"Sec-Websocket-Protocol": {"other"},
		"Connection":             {"close"},
	})
	want := "HTTP/1.1 101 Switching Protocols\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
		"Sec-WebSocket-Protocol: chat\r\n" +
		"Set-Cookie: a=1\r\n" +
		"Set-Cookie: b=2  Evil: yes\r\n" +
		"X-Two: 2\r\n\r\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

// A client's request, read by net/http, is accepted; the answer, read by net/http, too.
// §4.1: the request has what the server wants of it, and the answer satisfies the client.
func TestHandshakeBothSides(t *testing.T) {
	key := EncodeKey([16]byte{1, 2, 3})
	offered := []string{"a", "b"}
	request := AppendRequest(nil, Request{
		Host: "example.org:8000", Target: "/v1/ws?x=1", Key: key, Protocols: offered,
		Header: http.Header{"Origin": {"https://example.org"}, "Host": {"evil"}},
	})
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
	if err != nil {
		t.Fatal(err)
	}
	if r.Host != "example.org:8000" || r.URL.RequestURI() != "/v1/ws?x=1" {
		t.Errorf("host %q, target %q", r.Host, r.URL.RequestURI())
	}
	u, refusal := ParseUpgrade(r.Method, r.ProtoMajor, r.ProtoMinor, r.Host, r.Header)
	if refusal != nil {
		t.Fatal(refusal)
	}
	if diff := cmp.Diff(Upgrade{Key: key, Protocols: offered, Origin: "https://example.org"}, u); diff != "" {
		t.Error(diff)
	}
	answer, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(AppendResponse(nil, u.Key, "b", nil))), r)
	if err != nil {
		t.Fatal(err)
	}
	protocol, err := CheckResponse(answer.StatusCode, answer.Header, key, offered)
	if protocol != "b" || err != nil {
		t.Errorf("%q, %v", protocol, err)
	}
}

// §4.1: what a client must not accept.
func TestCheckResponse(t *testing.T) {
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	answer := func(name, value string) http.Header {
		h := http.Header{"Upgrade": {"WebSocket"}, "Connection": {"upgrade"}, "Sec-Websocket-Accept": {AcceptKey(key)}}
		if name != "" {
			h.Set(name, value)
		}
		return h
	}
	tests := []struct {
		name   string
		status int
		header http.Header
		says   string
	}{
		{"as it should be", 101, answer("", ""), ""},
		{"an offered subprotocol", 101, answer("Sec-WebSocket-Protocol", "chat"), ""},
		{"another status", 403, answer("", ""), "403"},
		{"no Upgrade", 101, answer("Upgrade", "h2c"), "Upgrade"},
		{"no Connection", 101, answer("Connection", "close"), "Connection"},
		{"another key", 101, answer("Sec-WebSocket-Accept", AcceptKey("x")), "Accept"},
		{"an extension nobody offered", 101, answer("Sec-WebSocket-Extensions", "permessage-deflate"), "permessage-deflate"},
		{"a subprotocol nobody offered", 101, answer("Sec-WebSocket-Protocol", "other"), `"other"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := CheckResponse(tt.status, tt.header, key, []string{"chat"})
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
		})
	}
}
