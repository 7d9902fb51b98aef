package wire

import (
	"net/http"
	"strings"
	"testing"
)

// parseOffers parses a header that is well-formed.
func parseOffers(t *testing.T, header string) []Extension {
	t.Helper()
	all, err := ParseExtensions([]string{header})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// RFC 7692 §5 and §7: what a server answers to which offers; "" is no compression.
func TestAcceptDeflate(t *testing.T) {
	both := Deflate{ServerNoContextTakeover: true, ClientNoContextTakeover: true}
	small := Deflate{ServerMaxWindowBits: 10, ClientMaxWindowBits: 11}
	const pmd = "permessage-deflate"
	tests := []struct {
		section, name string
		want          Deflate
		offers        string
		answer        string
	}{
		{"5", "no offer", both, "", ""},
		{"5", "another extension", both, "x-webkit-deflate-frame", ""},
		{"5", "one among others", Deflate{}, "foo; bar=1, permessage-deflate", pmd},
		{"7", "a bare offer, no wish", Deflate{}, pmd, pmd},
		{"7", "a bare offer, the server's wish", both, pmd, pmd + "; server_no_context_takeover; client_no_context_takeover"},
		{"7", "an unknown parameter is declined", both, pmd + "; level=9", ""},
		{"7", "a repeated parameter is declined", both, pmd + "; server_no_context_takeover; server_no_context_takeover", ""},
		{"7", "the first offer that can be met, in order", Deflate{}, pmd + "; server_max_window_bits=7, " + pmd + "; server_max_window_bits=10, " + pmd, pmd + "; server_max_window_bits=10"},
		{"7", "the plain fallback", Deflate{}, pmd + "; x, " + pmd, pmd},
		{"7", "names are compared by case", Deflate{}, "Permessage-Deflate", ""},
		{"7.1.1.1", "server_no_context_takeover is answered", Deflate{}, pmd + "; server_no_context_takeover", pmd + "; server_no_context_takeover"},
		{"7.1.1.1", "with a value it is declined", Deflate{}, pmd + "; server_no_context_takeover=1", ""},
		{"7.1.1.2", "client_no_context_takeover is answered", Deflate{}, pmd + "; client_no_context_takeover", pmd + "; client_no_context_takeover"},
		{"7.1.1.2", "with a value it is declined", Deflate{}, pmd + "; client_no_context_takeover=x", ""},
		{"7.1.2.1", "a window of the server is kept", Deflate{}, pmd + "; server_max_window_bits=9", pmd + "; server_max_window_bits=9"},
		{"7.1.2.1", "8 is a window, too", Deflate{}, pmd + "; server_max_window_bits=8", pmd + "; server_max_window_bits=8"},
		{"7.1.2.1", "in quotes", Deflate{}, pmd + `; server_max_window_bits="12"`, pmd + "; server_max_window_bits=12"},
		{"7.1.2.1", "the smaller of wish and offer", small, pmd + "; server_max_window_bits=12", pmd + "; server_max_window_bits=10"},
		{"7.1.2.1", "the smaller of offer and wish", small, pmd + "; server_max_window_bits=9", pmd + "; server_max_window_bits=9"},
		{"7.1.2.1", "a wish nobody asked for", small, pmd, pmd + "; server_max_window_bits=10"},
		{"7.1.2.1", "without a value", Deflate{}, pmd + "; server_max_window_bits", ""},
		{"7.1.2.1", "7", Deflate{}, pmd + "; server_max_window_bits=7", ""},
		{"7.1.2.1", "16", Deflate{}, pmd + "; server_max_window_bits=16", ""},
		{"7.1.2.1", "a leading zero", Deflate{}, pmd + "; server_max_window_bits=09", ""},
		{"7.1.2.2", "the client's window, no wish", Deflate{}, pmd + "; client_max_window_bits", pmd},
		{"7.1.2.2", "the client's window, a wish", small, pmd + "; client_max_window_bits", pmd + "; server_max_window_bits=10; client_max_window_bits=11"},
		{"7.1.2.2", "the client's window with a value", Deflate{}, pmd + "; client_max_window_bits=10", pmd + "; client_max_window_bits=10"},
		{"7.1.2.2", "the smaller one", small, pmd + "; client_max_window_bits=12", pmd + "; server_max_window_bits=10; client_max_window_bits=11"},
		{"7.1.2.2", "without it a wish is not answered", Deflate{ClientMaxWindowBits: 9}, pmd, pmd},
		{"7.1.2.2", "7", Deflate{}, pmd + "; client_max_window_bits=7", ""},
		{"7.1.2.2", "16", Deflate{}, pmd + "; client_max_window_bits=16", ""},
	}
	for _, tt := range tests {
		t.Run("§"+tt.section+" "+tt.name, func(t *testing.T) {
			agreed, ok := AcceptDeflate(parseOffers(t, tt.offers), tt.want)
			if got := agreed.String(); ok != (tt.answer != "") || ok && got != tt.answer {
				t.Errorf("%v %q, want %q", ok, got, tt.answer)
			}
		})
	}
}

// RFC 7692 §5.1 and §7: what a client must not accept; "" is what it does.
func TestCheckDeflate(t *testing.T) {
	const pmd = "permessage-deflate"
	plain := []Deflate{{}}
	tests := []struct {
		section, name string
		offers        []Deflate
		answer        string
		says          string
	}{
		{"5.1", "no compression", plain, "", ""},
		{"5.1", "nothing was offered", nil, pmd, "none was offered"},
		{"5.1", "another extension", plain, "foo", "permessage-deflate"},
		{"5.1", "two extensions", plain, pmd + ", " + pmd, "cannot stand together"},
		{"9.1 of RFC 6455", "no grammar", plain, pmd + "; ;", "§9.1"},
		{"7", "an unknown parameter", plain, pmd + "; foo", "no parameter"},
		{"7", "a repeated parameter", plain, pmd + "; client_no_context_takeover; client_no_context_takeover", "twice"},
		{"7", "the bare answer", plain, pmd, ""},
		{"7.1.1.1", "unasked", plain, pmd + "; server_no_context_takeover", ""},
		{"7.1.1.1", "asked for and missing", []Deflate{{ServerNoContextTakeover: true}}, pmd, "§7.1.1.1"},
		{"7.1.1.2", "unasked", plain, pmd + "; client_no_context_takeover", ""},
		{"7.1.2.1", "unasked", plain, pmd + "; server_max_window_bits=9", ""},
		{"7.1.2.1", "smaller than asked", []Deflate{{ServerMaxWindowBits: 10}}, pmd + "; server_max_window_bits=9", ""},
		{"7.1.2.1", "larger than asked", []Deflate{{ServerMaxWindowBits: 10}}, pmd + "; server_max_window_bits=11", "§7.1.2.1"},
		{"7.1.2.1", "asked for and missing", []Deflate{{ServerMaxWindowBits: 10}}, pmd, "§7.1.2.1"},
		{"7.1.2.1", "missing, but there is a fallback", []Deflate{{ServerMaxWindowBits: 10}, {}}, pmd, ""},
		{"7.1.2.1", "no value", plain, pmd + "; server_max_window_bits", "§7.1.2"},
		{"7.1.2.2", "unasked", plain, pmd + "; client_max_window_bits=10", "§7.1.2.2"},
		{"7.1.2.2", "any window", []Deflate{{ClientMaxWindowBits: AnyWindow}}, pmd + "; client_max_window_bits=8", ""},
		{"7.1.2.2", "no value in an answer", []Deflate{{ClientMaxWindowBits: AnyWindow}}, pmd + "; client_max_window_bits", "§7.1.2"},
		{"7.1.2.2", "larger than offered", []Deflate{{ClientMaxWindowBits: 10}}, pmd + "; client_max_window_bits=11", "§7.1.2.2"},
		{"7.1.2.2", "offered and not taken up", []Deflate{{ClientMaxWindowBits: 10}}, pmd, ""},
	}
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	for _, tt := range tests {
		t.Run("§"+tt.section+" "+tt.name, func(t *testing.T) {
			h := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {AcceptKey(key)}}
			if tt.answer != "" {
				h["Sec-Websocket-Extensions"] = []string{tt.answer}
			}
			got, err := Request{Key: key, Deflate: tt.offers}.Check(101, h)
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
			if err == nil && (got.Deflate != nil) != (tt.answer != "") {
				t.Errorf("compression %v for the answer %q", got.Deflate, tt.answer)
			}
		})
	}
}

// Both sides of a handshake understand each other, and agree on what each may do.
func TestDeflateHandshake(t *testing.T) {
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	request := Request{Host: "h", Key: key, Deflate: []Deflate{
		{ClientNoContextTakeover: true, ServerMaxWindowBits: 11, ClientMaxWindowBits: 12},
		{ClientMaxWindowBits: AnyWindow},
	}}
	const offered = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_max_window_bits=11; client_max_window_bits=12, permessage-deflate; client_max_window_bits\r\n"
	if got := string(AppendRequest(nil, request)); !strings.Contains(got, offered) {
		t.Errorf("request:\n%s", got)
	}
	_, value, _ := strings.Cut(strings.TrimSpace(offered), ": ")
	server, ok := AcceptDeflate(parseOffers(t, value), Deflate{ServerNoContextTakeover: true})
	if !ok {
		t.Fatal("declined")
	}
	answer := Response{Key: key, Deflate: &server}.AppendTo(nil)
	const line = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11; client_max_window_bits=12"
	if !strings.Contains(string(answer), "\r\nSec-WebSocket-Extensions: "+line+"\r\n") {
		t.Errorf("response:\n%s", answer)
	}
	got, err := request.Check(101, http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {AcceptKey(key)}, "Sec-Websocket-Extensions": {line},
	})
	if err != nil || *got.Deflate != server {
		t.Fatalf("the client agreed on %v, %v; the server on %v", got.Deflate, err, server)
	}
	if server.SendBits(Server) != 11 || server.ReceiveBits(Server) != 12 || server.SendBits(Client) != 12 || server.ReceiveBits(Client) != 11 {
		t.Errorf("windows of %v", server)
	}
	if server.SendsTakeover(Server) || server.ReceivesTakeover(Client) || server.SendsTakeover(Client) || server.ReceivesTakeover(Server) {
		t.Errorf("takeover in %v", server)
	}
	bare := Deflate{}
	if bare.SendBits(Server) != 15 || !bare.SendsTakeover(Server) || !bare.ReceivesTakeover(Server) || !bare.SendsTakeover(Client) {
		t.Error("the bare extension has windows of 15 bits and takes contexts over (§7.1)")
	}
}

// What a client announces about itself holds, whether or not the server repeats it
// (RFC 7692 §7.1.1.2, §7.1.2.2).
func TestClientKeepsWhatItAnnounced(t *testing.T) {
	got, err := agree(Deflate{}, []Deflate{{ClientNoContextTakeover: true, ClientMaxWindowBits: 10}})
	if err != nil || got.SendsTakeover(Client) || got.SendBits(Client) != 10 {
		t.Errorf("%+v, %v", got, err)
	}
}

// RFC 7692 §6: where RSV1 may stand. Each is decoded at once and byte by byte.
// §5.8: RSV1 means compression where that was negotiated, and fails elsewhere.
func TestCompressedBit(t *testing.T) {
	const rsv1 = 0x40
	first := func(op Opcode, isLast bool, p string) []byte {
		return frame(Server, Header{Fin: isLast, Rsv: rsv1, Op: op}, p)
	}
	tests := []struct {
		section, rule string
		in            [][]byte
		want          string
		code          CloseCode
	}{
		{"6.2", "a compressed message, its text unchecked", [][]byte{first(Text, true, "\xff")}, `compressed text "\xff"`, 0},
		{"6.2", "binary", [][]byte{first(Binary, true, "x")}, `compressed binary "x"`, 0},
		{"6", "a message that is not compressed", [][]byte{fin(Text, "a"), first(Text, true, "b"), fin(Text, "c")}, `text "a"; compressed text "b"; text "c"`, 0},
		{"6", "whose text is checked again", [][]byte{first(Text, true, "\xff"), fin(Text, "\xff")}, `compressed text "\xff"`, CloseInvalidPayload},
		{"6.1", "fragments carry it once, pings between", [][]byte{first(Text, false, "\xff"), fin(Ping, "p"), part(Continuation, ""), fin(Continuation, "\xfe")}, `ping "p"; compressed text "\xff\xfe"`, 0},
		{"6.1", "not on a continuation", [][]byte{first(Text, false, "a"), first(Continuation, true, "b")}, "", CloseProtocolError},
		{"6.1", "nor on that of a message that is not compressed", [][]byte{part(Text, "a"), first(Continuation, true, "b")}, "", CloseProtocolError},
		{"6.1", "not on a ping", [][]byte{first(Ping, true, "")}, "", CloseProtocolError},
		{"6.1", "not on a pong", [][]byte{first(Pong, true, "")}, "", CloseProtocolError},
		{"6.1", "not on a close frame", [][]byte{first(Close, true, "\x03\xe8")}, "", CloseProtocolError},
		{"5.2 of RFC 6455", "RSV2 has no meaning", [][]byte{frame(Server, Header{Fin: true, Rsv: 0x60, Op: Text}, "")}, "", CloseProtocolError},
		{"5.2 of RFC 6455", "nor has RSV3", [][]byte{frame(Server, Header{Fin: true, Rsv: 0x10, Op: Text}, "")}, "", CloseProtocolError},
	}
	for _, tt := range tests {
		t.Run("§"+tt.section+" "+tt.rule, func(t *testing.T) {
			whole, cut := newRecorder(Server, nil), newRecorder(Server, nil)
			whole.d.AllowDeflate()
			cut.d.AllowDeflate()
			for _, f := range tt.in {
				whole.feed(f)
				for i := range f {
					cut.feed(f[i : i+1])
				}
			}
			wantOutcome(t, whole, tt.want, tt.code)
			wantOutcome(t, cut, tt.want, tt.code)
		})
	}
}

// Compressing can make a message larger, so what comes may be a little over the limit.
func TestCompressedSizeLimit(t *testing.T) {
	for length, ok := range map[int64]bool{1000: true, 1000 + 125 + 128: true, 1000 + 125 + 129: false} {
		d := NewDecoder(Client, &Limits{MessageBytes: 1000})
		d.AllowDeflate()
		_, _, err := d.Next(AppendHeader(nil, Header{Fin: true, Rsv: 0x40, Op: Text, Length: length}))
		if (err == nil) != ok {
			t.Errorf("a compressed message of %d bytes: %v", length, err)
		}
		d = NewDecoder(Client, &Limits{MessageBytes: 1000})
		d.AllowDeflate()
		_, _, err = d.Next(AppendHeader(nil, Header{Fin: true, Op: Text, Length: length}))
		if (err == nil) != (length == 1000) {
			t.Errorf("a message of %d bytes that is not compressed: %v", length, err)
		}
	}
}
