package wire

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// headerLines makes a header of pairs of a name and its lines, which stand one below the
// other; a header without text is absent.
func headerLines(pairs ...string) header {
	h := header{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			h[pairs[i]] = strings.Split(pairs[i+1], "\n")
		}
	}
	return h
}

// grammarToken is a token by RFC 9110 §5.6.2.
var grammarToken = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]+$")

// The key of §1.3, and what answers it.
const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// offerings are what the client of FuzzCheckResponse may have offered.
var offerings = [][]Deflate{
	nil,
	{{}},
	{{ClientMaxWindowBits: AnyWindow}},
	{{ServerNoContextTakeover: true, ClientNoContextTakeover: true}},
	{{ServerMaxWindowBits: 10, ClientMaxWindowBits: 12}},
	{{ServerNoContextTakeover: true, ServerMaxWindowBits: 9, ClientMaxWindowBits: AnyWindow}, {ServerMaxWindowBits: 12}},
}

// FuzzCheckResponse holds that no answer of a server makes a client panic, and that one
// which is accepted is an answer to the request (§4.1, RFC 7692 §7.1).
func FuzzCheckResponse(f *testing.F) {
	f.Add(101, "websocket", "Upgrade", sampleAccept, "", "", byte(0))
	f.Add(101, "WebSocket", "keep-alive, upgrade", " "+sampleAccept+"\t", "chat", "", byte(1))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "superchat", "permessage-deflate", byte(1))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "", "permessage-deflate; client_max_window_bits=8", byte(2))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "", "permessage-deflate; server_no_context_takeover", byte(3))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "", `permessage-deflate; server_max_window_bits="9"; client_max_window_bits=11`, byte(4))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "", "permessage-deflate; server_max_window_bits=12", byte(5))
	// One thing wrong each.
	f.Add(200, "websocket", "Upgrade", sampleAccept, "", "", byte(0))
	f.Add(101, "h2c", "Upgrade", sampleAccept, "", "", byte(0))
	f.Add(101, "websocket", "close", sampleAccept, "", "", byte(0))
	f.Add(101, "websocket", "Upgrade", sampleKey, "", "", byte(0))
	f.Add(101, "websocket", "Upgrade", sampleAccept+"\n"+sampleAccept, "", ", ,", byte(1))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "other", "", byte(0))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "chat\nsuperchat", "", byte(0))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "\n", "", byte(0))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "", "permessage-deflate", byte(0))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "", "x-other, ,", byte(1))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "", "permessage-deflate\npermessage-deflate", byte(1))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "", "permessage-deflate; client_max_window_bits=8", byte(1))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "", "permessage-deflate; server_max_window_bits=16", byte(1))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "", "permessage-deflate; server_max_window_bits=08", byte(1))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "", "permessage-deflate; unknown", byte(1))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "", "permessage-deflate; client_no_context_takeover", byte(3))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "", "permessage-deflate; server_max_window_bits=11", byte(4))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "", "permessage-deflate", byte(4))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "", "permessage-deflate; server_max_window_bits=10; client_max_window_bits=13", byte(4))
	f.Add(101, "websocket", "Upgrade", sampleAccept, "", "a;b=\"\\", byte(1))

	f.Fuzz(func(t *testing.T, status int, upgrade, connection, accept, protocol, extensions string, offer byte) {
		r := Request{Key: sampleKey, Protocols: []string{"chat", "superchat"}, Deflate: offerings[int(offer)%len(offerings)]}
		h := headerLines("Upgrade", upgrade, "Connection", connection, keyAccept, accept, keyProtocol, protocol, keyExtensions, extensions)
		got, err := r.Check(status, h)
		if err != nil {
			if got != (Answer{}) || err.Error() == "" {
				t.Fatalf("refused with %q, but %+v", err, got)
			}
			return
		}
		if status != 101 || strings.Trim(accept, " \t") != sampleAccept ||
			!strings.Contains(strings.ToLower(upgrade), "websocket") || !strings.Contains(strings.ToLower(connection), "upgrade") {
			t.Fatalf("accepted: status %d, %q", status, h)
		}
		if got.Protocol != strings.Trim(protocol, " \t") || protocol != "" && !slices.Contains(r.Protocols, got.Protocol) {
			t.Fatalf("of %q the server chose %q, taken for %q", r.Protocols, protocol, got.Protocol)
		}
		wantWithin(t, got.Deflate, r.Deflate, extensions)
	})
}

// statedWindow finds the windows a server states; an answer that is larger than what was
// offered must not pass as what was offered.
var statedWindow = regexp.MustCompile(`\b((?:server|client)_max_window_bits)[ \t]*=[ \t]*"?([0-9]+)"?[ \t]*(?:$|[;,\n])`)

// wantWithin asserts that agreed is what the header's text says and what one of the offers
// allows.
func wantWithin(t *testing.T, agreed *Deflate, offers []Deflate, text string) {
	t.Helper()
	if agreed == nil {
		if strings.Trim(text, ", \t\n") != "" {
			t.Fatalf("the server's extensions %q are passed over", text)
		}
		return
	}
	if strings.Count(text, deflateName) != 1 {
		t.Fatalf("%q is taken for %v", text, agreed)
	}
	for name, there := range map[string]bool{
		"server_no_context_takeover": agreed.ServerNoContextTakeover,
		"client_no_context_takeover": agreed.ClientNoContextTakeover,
		"server_max_window_bits":     agreed.ServerMaxWindowBits != 0,
		"client_max_window_bits":     agreed.ClientMaxWindowBits != 0,
	} {
		if strings.Contains(text, name) && !there {
			t.Fatalf("%q is taken for %v", text, agreed)
		}
	}
	for _, stated := range statedWindow.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(agreed.String(), stated[1]+"="+stated[2]) {
			t.Fatalf("%q is taken for %v", text, agreed)
		}
	}
	window := func(bits, offered int) bool {
		return bits == 0 && offered <= 0 || bits >= 8 && bits <= 15 && (offered <= 0 || bits <= offered)
	}
	if !slices.ContainsFunc(offers, func(o Deflate) bool {
		return (agreed.ServerNoContextTakeover || !o.ServerNoContextTakeover) &&
			(agreed.ClientNoContextTakeover || !o.ClientNoContextTakeover) &&
			window(agreed.ServerMaxWindowBits, o.ServerMaxWindowBits) &&
			window(agreed.ClientMaxWindowBits, o.ClientMaxWindowBits) &&
			(agreed.ClientMaxWindowBits == 0 || o.ClientMaxWindowBits != 0)
	}) {
		t.Fatalf("%q is taken for %v, offered was %v", text, agreed, offers)
	}
}

// FuzzParseConnect holds that no request over HTTP/2 makes the decision panic, that an
// accepted one keeps the rules of RFC 8441 §4 and §5 and can be answered, and that a
// refusal says something that HTTP/2 knows.
func FuzzParseConnect(f *testing.F) {
	f.Add("CONNECT", "server.example.com", "websocket", "13", "chat, superchat", "permessage-deflate", "", "", "")
	f.Add("CONNECT", "h", "WebSocket", " 13\t", "a\nb,,c", "permessage-deflate; client_max_window_bits, x; a=\"b\"", "", "", "nonsense")
	// One thing wrong each.
	f.Add("GET", "h", "websocket", "13", "", "", "", "", sampleKey)
	f.Add("CONNECT", "", "websocket", "13", "", "", "", "", "")
	f.Add("CONNECT", "h", "", "13", "", "", "", "", "")
	f.Add("CONNECT", "h", "connect-udp", "13", "", "", "", "", "")
	f.Add("CONNECT", "h", "websocket\nwebsocket", "13", "", "", "", "", "")
	f.Add("CONNECT", "h", "websocket", "", "", "", "", "", "")
	f.Add("CONNECT", "h", "websocket", "8", "", "", "", "", "")
	f.Add("CONNECT", "h", "websocket", "13\n13", "", "", "", "", "")
	f.Add("CONNECT", "h", "websocket", "13", "a b", "", "", "", "")
	f.Add("CONNECT", "h", "websocket", "13", "", "a;b=\"\\", "", "", "")
	f.Add("CONNECT", "h", "websocket", "13", "", "", "websocket", "", "")
	f.Add("CONNECT", "h", "websocket", "13", "", "", "", "Upgrade", "")

	f.Fuzz(func(t *testing.T, method, host, protocol, version, protocols, extensions, upgrade, connection, key string) {
		h := headerLines(":protocol", protocol, keyVersion, version, keyProtocol, protocols, keyExtensions, extensions,
			"Upgrade", upgrade, "Connection", connection, keyKey, key)
		u, refusal := ParseConnect(method, host, h)
		if refusal != nil {
			if !slices.Contains([]int{400, 405, 501}, refusal.Status) || refusal.Reason == "" || refusal.Message == "" {
				t.Fatalf("a refusal that says nothing: %+v", refusal)
			}
			if refusal.Header["Upgrade"] != nil || refusal.Header["Connection"] != nil {
				t.Fatalf("a refusal that HTTP/2 does not know: %+v", refusal)
			}
			return
		}
		if method != "CONNECT" || host == "" || !strings.EqualFold(protocol, "websocket") ||
			strings.Trim(version, " \t") != "13" || upgrade != "" || connection != "" || u.Key != "" {
			t.Fatalf("accepted: %s %q with %q: %+v", method, host, h, u)
		}
		for _, name := range offeredNames(u) {
			if !grammarToken.MatchString(name) {
				t.Fatalf("%q is no token", name)
			}
		}
		r := Response{Deflate: acceptAny(u.Extensions), Protocol: append(u.Protocols, "")[0]}
		request := Request{Protocols: u.Protocols, Deflate: offeredDeflates(u.Extensions)}
		if _, err := request.CheckConnect(200, r.ConnectHeader()); err != nil {
			t.Fatalf("the answer to %+v: %v", u, err)
		}
	})
}

// offeredNames returns every name and value of a handshake.
func offeredNames(u Upgrade) []string {
	names := slices.Clone(u.Protocols)
	for _, e := range u.Extensions {
		names = append(names, e.Name)
		for _, p := range e.Params {
			if names = append(names, p.Name); p.HasValue {
				names = append(names, p.Value)
			}
		}
	}
	return names
}

// acceptAny is what a server without wishes answers to offers of compression.
func acceptAny(offers []Extension) *Deflate {
	if d, ok := AcceptDeflate(offers, Deflate{}); ok {
		return &d
	}
	return nil
}

// offeredDeflates are the offers of compression that are well formed.
func offeredDeflates(offers []Extension) (all []Deflate) {
	for _, e := range offers {
		if d, err := ParseDeflate(e, true); err == nil {
			all = append(all, d)
		}
	}
	return all
}
