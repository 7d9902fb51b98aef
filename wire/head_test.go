package wire

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const browserRequest = "GET /chat?a=b HTTP/1.1\r\nHost: example.org:8000\r\nConnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n" +
	"SEC-WEBSOCKET-VERSION:13\r\nSec-WebSocket-Key: \t dGhlIHNhbXBsZSBub25jZQ== \r\nX-Long: a\r\nx-long: b\r\nEmpty:\r\n\r\n"

func TestParseRequest(t *testing.T) {
	in := []byte(browserRequest + "\x81\x80")
	h, n, err := ParseRequest(in)
	if err != nil || n != len(browserRequest) {
		t.Fatalf("took %d of %d bytes, %v", n, len(browserRequest), err)
	}
	if string(h.Method) != "GET" || string(h.Target) != "/chat?a=b" || string(h.Host) != "example.org:8000" || h.Minor != 1 {
		t.Errorf("%q %q %q 1.%d", h.Method, h.Target, h.Host, h.Minor)
	}
	header := h.Header()
	clear(in) // the header stands by itself
	want := map[string][]string{
		"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "X-Long": {"a", "b"}, "Empty": {""},
	}
	if diff := cmp.Diff(want, header); diff != "" {
		t.Error(diff)
	}
	if up, refusal := ParseUpgrade("GET", 1, h.Minor, "example.org", header); refusal != nil {
		t.Errorf("%+v, %v", up, refusal)
	}
}

func TestParseRequestWaitsForTheEnd(t *testing.T) {
	for i := range browserRequest {
		if _, n, err := ParseRequest([]byte(browserRequest[:i])); n != 0 || err != nil {
			t.Fatalf("after %d bytes: took %d, %v", i, n, err)
		}
	}
}

func TestRequestHeadGet(t *testing.T) {
	h, _, _ := ParseRequest([]byte(browserRequest))
	for name, want := range map[string]string{"upgrade": "websocket", "x-long": "a", "empty": ""} {
		if got, ok := h.Get(name); !ok || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
	if _, ok := h.Get("missing"); ok {
		t.Error("a field that is not there was found")
	}
}

// What could be read in two ways is refused (RFC 9112 §2.2, §3, §5).
func TestParseRequestRefuses(t *testing.T) {
	const host = "Host: a\r\n"
	for _, in := range []string{
		"GET / HTTP/1.1\r\n\r\n",                    // no Host
		"GET / HTTP/1.1\r\nHost:\r\n\r\n",           // an empty one
		"GET / HTTP/1.1\r\n" + host + host + "\r\n", // two
		"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",      // space before the colon
		"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",    // folding
		"GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n", // a bare line feed
		"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
		"GET  / HTTP/1.1\r\n" + host + "\r\n",
		"GET / HTTP/1.1 \r\n" + host + "\r\n",
		"GET / HTTP/2.0\r\n" + host + "\r\n",
		"GET /\r\n" + host + "\r\n",
		"GET http://a/ HTTP/1.1\r\n" + host + "\r\n",
		"GET * HTTP/1.1\r\n" + host + "\r\n",
		"GET /\x80 HTTP/1.1\r\n" + host + "\r\n",
		"GET /#x HTTP/1.1\r\n" + host + "\r\n",
		"G(T / HTTP/1.1\r\n" + host + "\r\n",
		"\r\nGET / HTTP/1.1\r\n" + host + "\r\n",
		" / HTTP/1.1\r\n" + host + "\r\n",
		"\r\n\r\n",
	} {
		if h, n, err := ParseRequest([]byte(in)); err == nil || n != 0 || h.Method != nil {
			t.Errorf("%q: took %d, %v", in, n, err)
		}
	}
}

func TestParseRequestAllocatesNothing(t *testing.T) {
	in := []byte(browserRequest)
	if n := testing.AllocsPerRun(100, func() { _, _, _ = ParseRequest(in) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParseRequest holds that a head is taken only in the sense in which net/http takes
// it, and that it begins and ends where the bytes are cut.
func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(browserRequest))
	f.Add([]byte("POST /a%20b HTTP/1.0\r\nhost: [::1]:80\r\nX-\xc3\xa4: 1\r\n\r\nbody"))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: %zz\r\nx_y: \x80\r\nPragma: no-cache\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, n, err := ParseRequest(in)
		if err != nil || n == 0 {
			return
		}
		if _, cut, err := ParseRequest(in[:n-1]); cut != 0 || err != nil {
			t.Fatalf("without its last byte: took %d, %v", cut, err)
		}
		for _, name := range []string{"content-length", "transfer-encoding", "trailer", "pragma"} {
			if _, ok := h.Get(name); ok {
				return // net/http judges these, and removes or adds
			}
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(in)))
		if err != nil {
			if strings.Contains(err.Error(), "invalid URL escape") {
				return // the target's path is the caller's to parse
			}
			t.Fatalf("net/http refuses what was taken: %v", err)
		}
		if r.Method != string(h.Method) || r.RequestURI != string(h.Target) || r.Host != string(h.Host) || r.ProtoMinor != h.Minor || r.ProtoMajor != 1 {
			t.Fatalf("%q %q %q, net/http has %q %q %q", h.Method, h.Target, h.Host, r.Method, r.RequestURI, r.Host)
		}
		if diff := cmp.Diff(map[string][]string(r.Header), h.Header()); diff != "" {
			t.Fatal(diff)
		}
	})
}
