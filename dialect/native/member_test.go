package native

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/hub"
)

// presenceLog makes entries of a presence log out of words: "+a" joins, "-a" leaves, "*a" updates, "=a" says nothing of it. With
// "(3" they belong to a crowd of 3.
func presenceLog(words string) (entries []*broker.Entry) {
	for i, word := range strings.Fields(words) {
		word, members, _ := strings.Cut(word, "(")
		e := &broker.Entry{Offset: uint64(i + 1), Key: word[1:], From: &broker.Member{Session: word[1:]}, Headers: map[string]string{}}
		switch word[0] {
		case '-':
			e.Op = broker.Delete
		case '*':
			e.Headers[dialect.UpdateHeader] = "1"
		case '=':
			e.Headers[dialect.SilentHeader] = "1"
		}
		if members != "" {
			e.Headers[dialect.CrowdHeader] = members
		}
		entries = append(entries, e)
	}
	return entries
}

// gather tells entries as a hub does, and answers in the same words, with the offset of each message.
func gather(t *testing.T, enc hub.Gatherer, entries []*broker.Entry) (told []string) {
	t.Helper()
	for len(entries) > 0 {
		b, n := enc.AppendEntries(nil, "$presence:c", "k", entries)
		if n < 1 || n > len(entries) {
			t.Fatalf("%d of %d entries are told", n, len(entries))
		}
		entries = entries[n:]
		if len(b) == 0 {
			continue
		}
		var msg struct {
			Type    string
			Channel string
			Offset  uint64
			Members []struct{ Session string }
			Payload struct{ Count int }
		}
		if err := json.Unmarshal(b, &msg); err != nil || msg.Channel != "c" {
			t.Fatalf("%s: %v", b, err)
		}
		text := msg.Type
		for _, m := range msg.Members {
			text += " " + m.Session
		}
		if msg.Type == "presence" {
			text += " " + strconv.Itoa(msg.Payload.Count)
		}
		told = append(told, fmt.Sprintf("%s @%d", text, msg.Offset))
	}
	return told
}

func TestPresenceIsGatheredByKind(t *testing.T) {
	enc := open(t).Encoding().(hub.Gatherer)
	for _, test := range []struct{ log, want string }{
		{"+a", "join a @1"},
		{"+a +b +c", "join a b c @3"},
		{"+a +b -a -b +c", "join a b @2, leave a b @4, join c @5"},
		{"+a *a *b -c", "join a @1, update a b @3, leave c @4"},
		{"=a", ""},
		{"=a =b +c =d +e =f -g", "join c e @6, leave g @7"},
		{"+a(1001 +b(1002 -c(1001", "presence 1001 @3"},
		{"+a(1001 *b(1001 =c(1001", "presence 1001 @3"},
		{"*b(1001 =c(1001", ""},
		{"+a +b(1001 -c(1000 -d", "join a @1, presence 1000 @3, leave d @4"},
		{"+a(nonsense", "presence 0 @1"},
	} {
		if got := strings.Join(gather(t, enc, presenceLog(test.log)), ", "); got != test.want {
			t.Errorf("%s is told as %q, want %q", test.log, got, test.want)
		}
	}
}

// TestPresenceMessagesAreBounded gathers very many: no message names more than 100, and a crowd is one number.
func TestPresenceMessagesAreBounded(t *testing.T) {
	enc := open(t).Encoding().(hub.Gatherer)
	var named, crowd strings.Builder
	for i := range 1050 {
		fmt.Fprintf(&named, "+m%d ", i)
		fmt.Fprintf(&crowd, "+m%d(%d ", i, 2000+i)
	}
	told := gather(t, enc, presenceLog(named.String()))
	if len(told) != 11 || strings.Count(told[0], " m") != 100 || strings.Count(told[10], " m") != 50 {
		t.Errorf("1050 joins are told in %d messages: %.80q, …", len(told), told)
	}
	if told := gather(t, enc, presenceLog(crowd.String())); len(told) != 1 || told[0] != "presence 3049 @1050" {
		t.Errorf("a crowd is told as %.200q", told)
	}
}

func TestOtherChannelsAreNotGathered(t *testing.T) {
	entries := []*broker.Entry{{Offset: 1, Payload: []byte("1")}, {Offset: 2, Payload: []byte("2")}}
	b, n := open(t).Encoding().(hub.Gatherer).AppendEntries(nil, "c", "k", entries)
	if n != 1 || string(b) != push(t, "c", *entries[0]) {
		t.Errorf("%d entries are told as %s", n, b)
	}
}
