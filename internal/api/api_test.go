package api_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"hocket.dev"
	"hocket.dev/broker"
)

func TestPublishReachesTheLogAndClients(t *testing.T) {
	s := start(t, nil)
	c, _ := s.connect(t, "")
	c.send(t, `{"type":"subscribe","id":1,"channel":"ticker:BTC"}`)
	c.next(t, "reply", nil)

	var first, again receipt
	s.want(t, "publish", `{"channel":"ticker:BTC","payload":{"price" : 1.50},"key":"p","tags":{"a":"b"},"idempotency_key":"o-1"}`, &first)
	msg := string(c.next(t, "message", nil))
	if !strings.HasSuffix(msg, `,"payload":{"price" : 1.50},"key":"p","tags":{"a":"b"}}`) {
		t.Errorf("the client got %s", msg)
	}
	s.want(t, "publish", `{"channel":"ticker:BTC","payload":2,"idempotency_key":"o-1"}`, &again)
	if first.Epoch == "" || first.Offset == 0 || first.Duplicate || !again.Duplicate || again.Offset != first.Offset {
		t.Errorf("got %+v, then %+v", first, again)
	}
	s.want(t, "publish", `{"channel":"ticker:BTC","payload":"AP8=","encoding":"base64"}`, &first)
	if msg := string(c.next(t, "message", nil)); !strings.HasSuffix(msg, `"payload":"AP8=","encoding":"base64"}`) {
		t.Errorf("the client got %s", msg)
	}
}

func TestBackEndsAndUsersDoNotShareIdempotencyKeys(t *testing.T) {
	s := start(t, nil)
	c, _ := s.connect(t, "?user=ada")
	c.send(t, `{"type":"publish","id":1,"channel":"c","payload":2,"idempotency_key":"x"}`)
	c.next(t, "reply", nil)
	for _, key := range []string{`x`, `u:ada\u0000x`} { // the second one guesses how users are told apart
		var r receipt
		if s.want(t, "publish", `{"channel":"c","payload":1,"idempotency_key":"`+key+`"}`, &r); r.Duplicate {
			t.Errorf("%s: the back end's publish is taken for the user's", key)
		}
	}
}

func TestBroadcastTellsEachOutcome(t *testing.T) {
	s := start(t, nil)
	var got struct {
		Results []struct {
			Channel string
			receipt
			Error *struct{ Name string }
		}
	}
	s.want(t, "broadcast", `{"channels":["a","b c","$x","b"],"payload":[1]}`, &got)
	if len(got.Results) != 4 {
		t.Fatalf("got %+v", got)
	}
	for i, want := range []struct{ channel, err string }{{"a", ""}, {"b c", "invalid_channel"}, {"$x", "permission_denied"}, {"b", ""}} {
		r := got.Results[i]
		name := ""
		if r.Error != nil {
			name = r.Error.Name
		}
		if r.Channel != want.channel || name != want.err || (name == "") != (r.Offset > 0) {
			t.Errorf("result %d is %+v, want %+v", i, r, want)
		}
	}
	for _, channel := range []string{"a", "b"} {
		var p page
		s.want(t, "history", `{"channel":"`+channel+`"}`, &p)
		if p.payloads() != "[1]" {
			t.Errorf("%s holds %s", channel, p.payloads())
		}
	}
}

func TestBatchKeepsOrderAndGoesOnAfterFailures(t *testing.T) {
	s := start(t, nil)
	var commands []string
	for i := range 50 {
		commands = append(commands, fmt.Sprintf(`{"method":"publish","channel":"c","payload":%d}`, i))
	}
	commands[7] = `{"method":"publish","channel":"c","payload":7,"expect":9}`
	commands[8] = `{"method":"history","channel":"c"}`
	commands[9] = `{"channel":"c","payload":9}`
	commands[10] = `["publish"]`
	var got struct {
		Results []struct {
			Result *receipt
			Error  *struct{ Name string }
		}
	}
	s.want(t, "batch", `{"commands":[`+strings.Join(commands, ",")+`]}`, &got)
	failed := map[int]string{7: "conflict", 8: "not_supported", 9: "invalid_message", 10: "invalid_json"}
	var last uint64
	for i, r := range got.Results {
		if want := failed[i]; want != "" {
			if r.Error == nil || r.Error.Name != want || r.Result != nil {
				t.Errorf("result %d is %+v, want %s", i, r, want)
			}
			continue
		}
		if r.Result == nil || r.Result.Offset <= last {
			t.Fatalf("result %d is %+v after offset %d", i, r, last)
		}
		last = r.Result.Offset
	}
	var p page
	s.want(t, "history", `{"channel":"c","limit":3}`, &p)
	if p.payloads() != "47 48 49" || p.Offset != last || len(got.Results) != 50 {
		t.Errorf("the log ends with %s at %d, %d results", p.payloads(), p.Offset, len(got.Results))
	}
}

func TestHistoryGoesBothWays(t *testing.T) {
	s := start(t, nil)
	var offsets []uint64
	for i := range 5 {
		var r receipt
		s.want(t, "publish", fmt.Sprintf(`{"channel":"c","payload":%d}`, i), &r)
		offsets = append(offsets, r.Offset)
	}
	for _, test := range []struct {
		args, want string
		more       bool
	}{
		{`"limit":2`, "3 4", true},
		{fmt.Sprintf(`"after":%d,"limit":2`, offsets[1]), "2 3", true},
		{fmt.Sprintf(`"after":%d`, offsets[2]), "3 4", false},
		{fmt.Sprintf(`"before":%d,"limit":2`, offsets[3]), "1 2", true},
		{`"before":0`, "", false},
		{`"after":0,"before":null,"unknown":{}`, "0 1 2 3 4", false},
	} {
		var p page
		s.want(t, "history", `{"channel":"c",`+test.args+`}`, &p)
		if p.payloads() != test.want || p.More != test.more || p.Offset != offsets[4] || p.Epoch == "" {
			t.Errorf("%s: got %q of %+v, want %q, more %v", test.args, p.payloads(), p, test.want, test.more)
		}
	}
}

func TestAPageHasABoundInBytes(t *testing.T) {
	s := start(t, func(c *hocket.Config) { c.Limits.HistoryBytes = 2500 })
	for i := range 5 {
		s.want(t, "publish", fmt.Sprintf(`{"channel":"c","payload":"%d%s","key":"%d"}`, i, strings.Repeat("x", 1000), i), new(receipt))
	}
	for method, args := range map[string]string{"history": `{"channel":"c","after":0}`, "state": `{"channel":"c"}`} {
		var p page
		s.want(t, method, args, &p)
		if len(p.Messages) != 2 || !p.More && p.Next == "" {
			t.Errorf("%s gave %d messages, more %v, next %q", method, len(p.Messages), p.More, p.Next)
		}
	}
}

func TestStateHasTheLatestOfEachKey(t *testing.T) {
	s := start(t, nil)
	for _, e := range []string{`"key":"a","payload":1`, `"key":"b","payload":2`, `"key":"c","payload":3`, `"key":"a","payload":4`, `"key":"b","op":"delete"`} {
		s.want(t, "publish", `{"channel":"m",`+e+`}`, new(receipt))
	}
	var all, first, rest page
	s.want(t, "state", `{"channel":"m"}`, &all)
	s.want(t, "state", `{"channel":"m","limit":1}`, &first)
	s.want(t, "state", fmt.Sprintf(`{"channel":"m","next":%q}`, first.Next), &rest)
	if all.payloads() != "3 4" || all.Count != 2 || first.payloads() != "3" || rest.payloads() != "4" || all.Next+rest.Next != "" {
		t.Errorf("got %+v, %+v, %+v", all, first, rest)
	}
}

func TestStateByScore(t *testing.T) {
	s := start(t, nil)
	for i, score := range []string{"1", "3", "2", "3"} {
		s.want(t, "publish", fmt.Sprintf(`{"channel":"m","key":"%d","payload":%d,"score":%s}`, i, i, score), new(receipt))
	}
	var first, rest page
	s.want(t, "state", `{"channel":"m","order":"score","limit":3}`, &first)
	s.want(t, "state", fmt.Sprintf(`{"channel":"m","order":"score","next":%q}`, first.Next), &rest)
	if first.payloads() != "1 3 2" || first.Count != 4 || rest.payloads() != "0" || rest.Next != "" {
		t.Errorf("got %+v, %+v", first, rest)
	}
}

func TestConflictsTellWhatIsThere(t *testing.T) {
	s := start(t, nil)
	var r receipt
	s.want(t, "publish", `{"channel":"m","key":"a","payload":1,"expect":0}`, &r)
	a := s.call(t, "publish", `{"channel":"m","key":"a","payload":2,"expect":0}`)
	want := fmt.Sprintf(`"code":1409,"name":"conflict","message":"the newest entry is at %d, not where expect says","epoch":%q,"offset":%d}}`, r.Offset, r.Epoch, r.Offset)
	if a.status != 409 || !strings.Contains(a.body, want) {
		t.Errorf("answered %d %s, want %s", a.status, a.body, want)
	}
}

func TestRemoveTakesOutEntriesKeysAndAll(t *testing.T) {
	s := start(t, nil)
	var offsets []uint64
	for _, e := range []string{`"payload":1`, `"payload":2`, `"payload":3`, `"key":"a","payload":4`, `"key":"a","payload":5`, `"key":"b","payload":6`} {
		var r receipt
		s.want(t, "publish", `{"channel":"c",`+e+`}`, &r)
		offsets = append(offsets, r.Offset)
	}
	for _, test := range []struct {
		args           string
		removed        int
		history, state string
	}{
		{fmt.Sprintf(`"offset":%d`, offsets[1]), 1, "1 3 4 5 6", "5 6"},
		{fmt.Sprintf(`"offset":%d`, offsets[1]), 0, "1 3 4 5 6", "5 6"},
		{`"key":"a"`, 2, "1 3 6 ", "6"}, // the delete has no payload
		{`"history":true,"offset":null,"key":null`, 4, "", "6"},
		{`"history":true`, 0, "", "6"},
	} {
		var removed struct{ Removed int }
		s.want(t, "remove", `{"channel":"c",`+test.args+`}`, &removed)
		var history, state page
		s.want(t, "history", `{"channel":"c"}`, &history)
		s.want(t, "state", `{"channel":"c"}`, &state)
		if removed.Removed != test.removed || history.payloads() != test.history || state.payloads() != test.state {
			t.Errorf("%s removed %d, left %q and %q; want %+v", test.args, removed.Removed, history.payloads(), state.payloads(), test)
		}
	}
	if a := s.call(t, "remove", `{"channel":"none","history":true}`); a.body != `{"result":{"removed":0}}` {
		t.Errorf("of a channel that is not there: %s", a.body)
	}
	// What is part of the value of a key goes with the key.
	s.want(t, "publish", `{"channel":"c","key":"b","payload":7}`, new(receipt))
	var last page
	s.want(t, "state", `{"channel":"c"}`, &last)
	if a := s.call(t, "remove", fmt.Sprintf(`{"channel":"c","offset":%d}`, last.Messages[0].Offset)); a.status != 409 {
		t.Errorf("the value of a key was removed alone: %d %s", a.status, a.body)
	}
	// A key that no entry can have is told to nobody.
	if a := s.call(t, "remove", `{"channel":"c","key":"__proto__"}`); a.Error == nil || a.Error.Name != "invalid_key" {
		t.Errorf("a key that is none was removed: %d %s", a.status, a.body)
	}
	var after page
	if s.want(t, "history", `{"channel":"c"}`, &after); after.Offset != last.Offset {
		t.Errorf("the log has come to %d, and was at %d", after.Offset, last.Offset)
	}
}

func TestPresenceTellsWhoIsThere(t *testing.T) {
	s := start(t, nil)
	ada, name := s.connect(t, "?user=ada")
	ada.send(t, `{"type":"subscribe","id":1,"channel":"room","payload":{"presence":true}}`)
	ada.next(t, "reply", nil)
	bob, _ := s.connect(t, "?user=bob")
	bob.send(t, `{"type":"subscribe","id":1,"channel":"room","payload":{"presence":true}}`)
	bob.next(t, "reply", nil)
	type members struct {
		Count   int
		Members []struct{ Session, User string }
		Next    string
		Epoch   string
	}
	var first, rest members
	s.want(t, "presence", `{"channel":"room","limit":1}`, &first)
	if first.Count != 2 || len(first.Members) != 1 || first.Members[0].Session != name || first.Members[0].User != "ada" || first.Next == "" {
		t.Fatalf("got %+v", first)
	}
	s.want(t, "presence", `{"channel":"room","next":"`+first.Next+`"}`, &rest)
	if len(rest.Members) != 1 || rest.Members[0].User != "bob" || rest.Next != "" || rest.Epoch != first.Epoch {
		t.Errorf("got %+v", rest)
	}
	if a := s.call(t, "presence", `{"channel":"room","next":"old.1"}`); a.Error == nil || a.Error.Name != "epoch_changed" {
		t.Errorf("the next of another epoch: %s", a.body)
	}
	if a := s.call(t, "presence", `{"channel":"bare:room"}`); a.status != http.StatusForbidden {
		t.Errorf("presence of a channel that keeps none: %s", a.body)
	}
}

func TestChannelsMatchAPattern(t *testing.T) {
	s := start(t, nil)
	c, _ := s.connect(t, "")
	c.send(t, `{"type":"subscribe","id":1,"channel":"chat:1","payload":{"presence":true}}`) // makes $presence:chat:1
	c.next(t, "reply", nil)
	for _, name := range []string{"!", "chat:2", "chat", "chat9", "chat:2:a", "chat:3", "chatty", "zoo"} {
		s.want(t, "publish", `{"channel":"`+name+`","payload":1}`, new(receipt))
	}
	for _, test := range []struct{ args, want, next string }{
		{``, "! chat chat9 chat:1 chat:2 chat:2:a chat:3 chatty zoo", ""},
		{`"pattern":"chat:*"`, "chat:1 chat:2 chat:3", ""},
		{`"pattern":"chat:>"`, "chat:1 chat:2 chat:2:a chat:3", ""},
		{`"pattern":"chat:>","limit":2`, "chat:1 chat:2", "chat:2"},
		{`"pattern":"chat:>","after":"chat:2","limit":2`, "chat:2:a chat:3", ""},
		{`"pattern":"chat:*:a"`, "chat:2:a", ""},
		{`"pattern":"chat:3"`, "chat:3", ""},
		{`"pattern":"nothing:*"`, "", ""},
		{`"pattern":">","after":"chat:3"`, "chatty zoo", ""},
	} {
		var got struct {
			Channels []string
			Next     string
		}
		s.want(t, "channels", "{"+test.args+"}", &got)
		if strings.Join(got.Channels, " ") != test.want || got.Next != test.next || got.Channels == nil {
			t.Errorf("%s: got %+v, want %s", test.args, got, test.want)
		}
	}
}

// lister is a broker that has channels by name alone.
type lister struct {
	broker.Broker
	names []string // sorted
	asked int
}

func (l *lister) Channels(_ context.Context, after string, limit int) ([]string, error) {
	l.asked++
	i, found := slices.BinarySearch(l.names, after)
	if found {
		i++
	}
	return l.names[i:min(i+limit, len(l.names))], nil
}

func TestLookingForChannelsIsBounded(t *testing.T) {
	l := &lister{Broker: broker.NewMemory(broker.MemoryConfig{})}
	for _, prefix := range []string{"$presence:", "a:", "b:"} {
		for i := range 20000 {
			l.names = append(l.names, fmt.Sprintf("%s%05d", prefix, i))
		}
	}
	s := start(t, func(c *hocket.Config) { c.Broker = l })
	var got struct {
		Channels []string
		Next     string
	}
	for _, test := range []struct {
		args, first, next string
		asked             int
	}{
		{`"limit":1`, "a:00000", "a:00000", 2}, // past all that begin with $
		{`"pattern":"b:*","limit":1`, "b:00000", "b:00000", 1},
		{`"pattern":"*:19999","after":"a","limit":1`, "", "a:09999", 10},
		{`"pattern":"*:19999","after":"a:09999","limit":1`, "a:19999", "a:19999", 10},
	} {
		l.asked, got.Channels, got.Next = 0, nil, ""
		s.want(t, "channels", "{"+test.args+"}", &got)
		if strings.Join(got.Channels, " ") != test.first || got.Next != test.next || l.asked != test.asked {
			t.Errorf("%s: got %+v, asked %d times", test.args, got, l.asked)
		}
	}
}

func TestSendReachesASessionOrAllOfAUser(t *testing.T) {
	s := start(t, nil)
	one, name := s.connect(t, "?user=ada")
	two, _ := s.connect(t, "?user=ada")
	s.connect(t, "?user=bob")
	var got struct{ Sessions int }
	s.want(t, "send", `{"user":"ada","payload":{"n" : 1}}`, &got)
	if got.Sessions != 2 {
		t.Errorf("%d sessions got it, want 2", got.Sessions)
	}
	for _, c := range []client{one, two} {
		if msg := string(c.next(t, "event", nil)); msg != `{"type":"event","payload":{"n" : 1}}` {
			t.Errorf("got %s", msg)
		}
	}
	s.want(t, "send", `{"session":"`+name+`","payload":"AQ==","encoding":"base64"}`, &got)
	if msg := string(one.next(t, "event", nil)); got.Sessions != 1 || msg != `{"type":"event","payload":"AQ==","encoding":"base64"}` {
		t.Errorf("got %s, %d sessions", msg, got.Sessions)
	}
	s.want(t, "send", `{"session":"nobody","payload":1}`, &got)
	if got.Sessions != 0 {
		t.Errorf("%d sessions called nobody", got.Sessions)
	}
}

func TestInfo(t *testing.T) {
	s := start(t, nil)
	c, _ := s.connect(t, "")
	c.send(t, `{"type":"subscribe","id":1,"channel":"c"}`)
	c.next(t, "reply", nil)
	for _, body := range []string{"", "{}"} {
		var got struct {
			Node, Version      string
			UptimeMS           *int64 `json:"uptime_ms"`
			Sessions, Channels int
			Features           []string
		}
		s.want(t, "info", body, &got)
		if got.Node != "n1" || got.Version != hocket.Version || got.UptimeMS == nil || got.Sessions != 1 || got.Channels != 1 || len(got.Features) == 0 {
			t.Errorf("%q: got %+v", body, got)
		}
	}
}

// TestBareBroker shows what a broker that only keeps logs can do.
func TestBareBroker(t *testing.T) {
	s := start(t, func(c *hocket.Config) {
		c.Broker = struct{ broker.Broker }{broker.NewMemory(broker.MemoryConfig{})}
	})
	for method, status := range map[string]int{"state": 501, "channels": 501, "history": 200} {
		if a := s.call(t, method, `{"channel":"c"}`); a.status != status {
			t.Errorf("%s answered %d %s", method, a.status, a.body)
		}
	}
}
