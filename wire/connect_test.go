package wire

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// connecting is the request of RFC 8441 §5.1, with the given headers replaced; a header
// with no lines is removed.
func connecting(change http.Header) http.Header {
	h := http.Header{
		":protocol":                {"websocket"},
		"Sec-Websocket-Protocol":   {"chat, superchat"},
		"Sec-Websocket-Extensions": {"permessage-deflate"},
		"Sec-Websocket-Version":    {"13"},
		"Origin":                   {"http://www.example.com"},
	}
	for k, v := range change {
		if h[k] = v; v == nil {
			delete(h, k)
		}
	}
	return h
}

// RFC 8441 §5: Origin, version, subprotocols and extensions mean what RFC 6455 says, the
// key nothing.
func TestParseConnect(t *testing.T) {
	want := Upgrade{
		Protocols:  []string{"chat", "superchat"},
		Extensions: []Extension{{Name: "permessage-deflate"}},
		Origin:     "http://www.example.com",
	}
	for name, key := range map[string][]string{"§5.1": nil, "§5 a key is not processed": {"nonsense"}} {
		got, refusal := ParseConnect("CONNECT", "server.example.com", connecting(http.Header{"Sec-Websocket-Key": key}))
		if refusal != nil {
			t.Fatal(refusal)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(name, diff)
		}
	}
}

// RFC 8441 §4 and §5: what is refused, with which status.
func TestConnectRefusals(t *testing.T) {
	tests := []struct {
		name, method, host string
		change             http.Header
		status             int
		reason             string
	}{
		{"§4 another method", "GET", "h", nil, 405, "not_connect"},
		{"§4 no tunnel to the authority", "CONNECT", "h", http.Header{":protocol": nil}, 501, "not_websocket"},
		{"§4 another protocol", "CONNECT", "h", http.Header{":protocol": {"connect-udp"}}, 501, "not_websocket"},
		{"§5 no authority", "CONNECT", "", nil, 400, "no_host"},
		{"§5 Upgrade", "CONNECT", "h", http.Header{"Upgrade": {"websocket"}}, 400, "connection_header"},
		{"§5 Connection", "CONNECT", "h", http.Header{"Connection": {"Upgrade"}}, 400, "connection_header"},
		{"§5 no version", "CONNECT", "h", http.Header{"Sec-Websocket-Version": nil}, 400, "bad_version"},
		{"§5 version 8", "CONNECT", "h", http.Header{"Sec-Websocket-Version": {"8"}}, 400, "bad_version"},
		{"§5 a broken extension", "CONNECT", "h", http.Header{"Sec-Websocket-Extensions": {"x; ="}}, 400, "bad_extension"},
		{"§5 a broken subprotocol", "CONNECT", "h", http.Header{"Sec-Websocket-Protocol": {"b c"}}, 400, "bad_protocol"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, refusal := ParseConnect(tt.method, tt.host, connecting(tt.change))
			if refusal == nil {
				t.Fatal("accepted")
			}
			if refusal.Status != tt.status || refusal.Reason != tt.reason {
				t.Errorf("%d %s, want %d %s", refusal.Status, refusal.Reason, tt.status, tt.reason)
			}
			for _, name := range []string{"Upgrade", "Connection"} {
				if _, there := refusal.Header[name]; there {
					t.Errorf("the refusal has the header %s, which HTTP/2 does not know", name)
				}
			}
		})
	}
}

// RFC 8441 §5: what stands in the request and the response, and what must not.
func TestConnectHeaders(t *testing.T) {
	extra := http.Header{"X-Two": {"a\r\nb"}, "Bad Name": {"x"}, "Connection": {"close"}, "Upgrade": {"x"}, ":path": {"/"}, "Sec-Websocket-Accept": {"x"}}
	request := Request{Host: "h", Key: "k", Protocols: []string{"a", "b"}, Deflate: []Deflate{{}}, Header: extra}
	want := map[string][]string{
		"X-Two": {"a  b"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Protocol": {"a", "b"},
		"Sec-Websocket-Extensions": {"permessage-deflate"},
	}
	if diff := cmp.Diff(want, request.ConnectHeader()); diff != "" {
		t.Error("request", diff)
	}
	want["Upgrade"], want["Connection"], want["Sec-Websocket-Key"] = []string{"websocket"}, []string{"Upgrade"}, []string{"k"}
	if diff := cmp.Diff(want, request.UpgradeHeader()); diff != "" {
		t.Error("request over HTTP/1.1", diff)
	}
	response := Response{Key: "k", Protocol: "a", Deflate: &Deflate{}, Header: extra}
	want = map[string][]string{"X-Two": {"a  b"}, "Sec-Websocket-Protocol": {"a"}, "Sec-Websocket-Extensions": {"permessage-deflate"}}
	if diff := cmp.Diff(want, response.ConnectHeader()); diff != "" {
		t.Error("response", diff)
	}
}

// RFC 8441 §5: the client judges status, subprotocol and extensions, and no accept key.
func TestCheckConnect(t *testing.T) {
	request := Request{Protocols: []string{"a"}}
	tests := []struct {
		name   string
		status int
		header http.Header
		says   string
	}{
		{"as it should be", 200, nil, ""},
		{"§5 an accept key is not processed", 200, http.Header{"Sec-Websocket-Accept": {"x"}}, ""},
		{"an offered subprotocol", 200, http.Header{"Sec-Websocket-Protocol": {"a"}}, ""},
		{"§5 101 is for HTTP/1.1", 101, nil, "101"},
		{"refused", 403, nil, "403"},
		{"a subprotocol nobody offered", 200, http.Header{"Sec-Websocket-Protocol": {"other"}}, `"other"`},
		{"an extension nobody offered", 200, http.Header{"Sec-Websocket-Extensions": {"permessage-deflate"}}, "permessage-deflate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := request.CheckConnect(tt.status, tt.header)
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
		})
	}
}
