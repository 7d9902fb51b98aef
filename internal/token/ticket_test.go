package token

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

func TestTickets(t *testing.T) {
	ticket := NewTicket()
	text := ticket.Text()
	if again := must(ParseTicket(text))(t); again != ticket || again.Key() != ticket.Key() || again.Text() != text {
		t.Error("a ticket is read as another one")
	}
	if len(text) != 47 || !strings.HasPrefix(text, "hkt_") || NewTicket().Text() == text || NewTicket().Key() == ticket.Key() {
		t.Errorf("ticket %q", text)
	}
	secret := must(base64.RawURLEncoding.DecodeString(text[4:]))(t)
	sum := sha256.Sum256(secret)
	if want := "ticket:" + base64.RawURLEncoding.EncodeToString(sum[:]); ticket.Key() != want {
		t.Errorf("key %q, want %q", ticket.Key(), want)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{ticket, &ticket, []Ticket{ticket}, struct{ T Ticket }{ticket}} {
			if said := fmt.Sprintf(format, v); strings.Contains(said, text[4:]) || strings.Contains(said, fmt.Sprintf("%x", secret)) || strings.Contains(said, fmt.Sprint(secret[0], secret[1])) {
				t.Errorf("%s prints %s", format, said)
			}
		}
	}
}

func TestTicketsThatAreNone(t *testing.T) {
	good := NewTicket().Text()
	other := good[:46] + string("AEIMQUYcgkosw048"[strings.IndexByte("AEIMQUYcgkosw048", good[46])]+1) // the same bits, were spare ones ignored
	for _, text := range []string{
		"", "hkt_", good[4:], good[:46], good + "A", good + "=", " " + good, good + "\n", strings.ToUpper(good[:4]) + good[4:], "tk_1",
		good[:20] + "\n" + good[20:46], good[:20] + "+" + good[21:], good[:20] + "/" + good[21:], good[:20] + "." + good[21:], other,
	} {
		_, err := ParseTicket(text)
		wantReason(t, err, Malformed, "ticket is none")
		if err != nil && len(text) > 20 && strings.Contains(err.Error(), text[4:20]) {
			t.Errorf("%v tells of the ticket", err)
		}
	}
}

func TestGrants(t *testing.T) {
	grant := must(AppendGrant([]byte("before"), full))(t)
	grant, ok := bytes.CutPrefix(grant, []byte("before\x01"))
	if !ok || !bytes.HasPrefix(grant, []byte("{")) {
		t.Fatalf("grant %q", grant)
	}
	same(t, must(ParseGrant(append([]byte{1}, grant...)))(t), full)
	same(t, must(ParseGrant(must(AppendGrant(nil, Claims{}))(t)))(t), Claims{})
	for what, b := range map[string][]byte{
		"nothing": nil, "a later format": append([]byte{2}, grant...), "none": grant, "cut": append([]byte{1}, grant[:9]...),
		"long": append([]byte("\x01{}"), bytes.Repeat([]byte{' '}, MaxGrantBytes)...),
	} {
		if c, err := ParseGrant(b); err == nil {
			t.Errorf("%s is read as %+v", what, c)
		}
	}
	for what, c := range map[string]Claims{
		"user": {User: "a*"}, "info": {Info: []byte(`}`)}, "length": {Info: []byte(`"` + strings.Repeat("x", MaxGrantBytes) + `"`)},
	} {
		if _, err := AppendGrant(nil, c); err == nil {
			t.Errorf("%s is kept", what)
		}
	}
}
