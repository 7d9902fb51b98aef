package wire

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// FuzzDecoder holds that where the bytes are cut makes no difference: not to the
// messages, not to the control frames, not to the error. Nor is there ever more of a
// message than its limits allow, or memory for more than has come: see bounds. cuts gives
// the sizes of the reads; flags choose the role, small limits and compression.
func FuzzDecoder(f *testing.F) {
	add := func(flags byte, cuts string, frames ...[]byte) {
		f.Add(slices.Concat(frames...), []byte(cuts), flags)
	}
	add(0, "\x01\x02\x03", fin(Text, "hello"), fin(Ping, "beat"), fin(Binary, "\xff"))
	add(0, "\x07", part(Text, "a€"), fin(Ping, "p"), part(Continuation, ""), fin(Continuation, "ü"), fin(Close, "\x03\xe8bye"), []byte("more"))
	add(1, "\x03\x05", frame(Client, Header{Op: Text}, "a\xe2\x82"), frame(Client, Header{Op: Pong, Fin: true}, "p"), frame(Client, Header{Fin: true}, "\xac"))
	add(2, "\x04", fin(Binary, strings.Repeat("x", 200)))
	add(4, "\x02", part(Text, ""), part(Continuation, ""), part(Continuation, ""), part(Continuation, ""))
	add(0, "\x09", fin(Text, "0123456789\xff0123456789"))
	add(0, "\x01", []byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4})
	add(1, "\x01", []byte{0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0, 2, 'a', 'b'})
	add(0, "\x03", fin(Text, "a"), []byte{0x82, 0xfe, 0, 125, 1, 2, 3, 4})

	add(8, "\x03", frame(Server, Header{Op: Text, Rsv: RSV1}, "\xf2\x48"), fin(Ping, "p"), fin(Continuation, "\xcd\xc9\xc9\x07\x00"), fin(Text, "\xff"))
	add(8, "\x01", frame(Server, Header{Op: Ping, Fin: true, Rsv: RSV1}, ""))

	// At the limits and just over them.
	over := strings.Repeat("x", 41)
	add(2, "\x05", part(Binary, over), fin(Ping, over), part(Continuation, over), fin(Continuation, over))
	add(2, "\x02", []byte{0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4})
	add(4, "\x02", part(Text, "a"), part(Continuation, "b"), fin(Continuation, "c"), part(Binary, ""), fin(Continuation, "d"))
	add(0, "\x50", fin(Ping, strings.Repeat("p", 126)))
	add(10, "\x10", frame(Server, Header{Op: Binary, Fin: true, Rsv: RSV1}, strings.Repeat("x", 240)), fin(Binary, strings.Repeat("x", 101)))
	add(10, "\x10", frame(Server, Header{Op: Binary, Rsv: RSV1}, strings.Repeat("x", 200)), fin(Continuation, over))

	f.Fuzz(func(t *testing.T, in, cuts []byte, flags byte) {
		role, limits := Role(flags&1), &Limits{}
		if flags&2 != 0 {
			limits.MessageBytes = 100
		}
		if flags&4 != 0 {
			limits.Fragments = 3
		}
		whole, cut, bytewise := newRecorder(role, limits), newRecorder(role, limits), newRecorder(role, limits)
		if flags&8 != 0 {
			whole.d.AllowDeflate()
			cut.d.AllowDeflate()
			bytewise.d.AllowDeflate()
		}
		whole.feed(in)
		for rest, i := in, 0; len(rest) > 0; i++ {
			n := len(rest)
			if len(cuts) > 0 {
				n = min(n, 1+int(cuts[i%len(cuts)]))
			}
			cut.feed(rest[:n])
			rest = rest[n:]
		}
		wantSame(t, whole, cut)
		for i := range in {
			bytewise.feed(in[i : i+1])
		}
		wantSame(t, whole, bytewise)
	})
}

// wantSame compares two decodings of the same bytes. Only a message that broke in its
// middle may differ: the smaller the reads, the more of it was handed out before.
func wantSame(t *testing.T, whole, cut *recorder) {
	t.Helper()
	if whole.String() != cut.String() || whole.err != cut.err {
		t.Fatalf("cutting makes a difference:\nwhole %s (%v)\ncut   %s (%v)", whole, whole.err, cut, cut.err)
	}
	if !bytes.HasPrefix(cut.partial, whole.partial) || whole.err == nil && len(cut.partial) != len(whole.partial) {
		t.Fatalf("cutting makes a difference to the open message:\nwhole %q\ncut   %q", whole.partial, cut.partial)
	}
}

// FuzzUpgrade holds that no request makes the decision panic, that an accepted one has
// what §4.2.1 asks for, and that nothing a client sends can add a line to the response.
func FuzzUpgrade(f *testing.F) {
	f.Add("GET", 1, 1, "example.org", "websocket", "keep-alive, Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ==", "chat, superchat", `x; a="b,c"`)
	f.Add("GET", 1, 0, "", "", "", "8", "", "a b", "\"")
	f.Add("POST", 2, 0, "h", "h2c,websocket", "upgrade", " 13 ", "AAAAAAAAAAAAAAAAAAAAAA==", ",,", "a;b=\"\\")
	f.Fuzz(func(t *testing.T, method string, major, minor int, host, upgrade, connection, version, key, protocols, extensions string) {
		h := http.Header{}
		h.Set("Upgrade", upgrade)
		h.Set("Connection", connection)
		h.Set("Sec-WebSocket-Version", version)
		h.Set("Sec-WebSocket-Key", key)
		h.Set("Sec-WebSocket-Protocol", protocols)
		h.Set("Sec-WebSocket-Extensions", extensions)
		u, refusal := ParseUpgrade(method, major, minor, host, h)
		if refusal != nil {
			if refusal.Status < 400 || refusal.Reason == "" || refusal.Message == "" {
				t.Fatalf("a refusal that says nothing: %+v", refusal)
			}
			return
		}
		if method != "GET" || major != 1 || minor < 1 || host == "" || len(u.Key) != 24 {
			t.Fatalf("accepted: %q %d.%d host %q key %q", method, major, minor, host, u.Key)
		}
		for _, p := range append(u.Protocols, "") {
			out := AppendResponse(nil, u.Key, p, nil)
			lines := 5
			if p != "" {
				lines = 6
			}
			if got := bytes.Count(out, []byte("\n")); got != lines {
				t.Fatalf("%d lines, want %d:\n%s", got, lines, out)
			}
		}
	})
}
