package session

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/hub"
)

// belongings are what a node holds.
type belongings struct {
	channels        []string
	heads           []broker.Position // of the channels
	stats           hub.Stats
	sessions        int
	owing, timers   int
	subs, owns      int
	open, out, lost bool
}

func (c *client) belongings() belongings {
	c.w.t.Helper()
	names, err := c.w.broker.Channels(context.Background(), "", 1000)
	if err != nil {
		c.w.t.Fatal(err)
	}
	heads, err := c.w.broker.Heads(context.Background(), names)
	if err != nil {
		c.w.t.Fatal(err)
	}
	sh := c.w.node.Shard(0)
	return belongings{
		channels: names, heads: heads, stats: c.w.hub.Stats(),
		sessions: len(sh.sessions), owing: len(sh.owing), timers: len(c.w.loop.timers),
		subs: len(c.subs), owns: c.owning(), open: c.open != nil, out: c.out != nil, lost: c.closed,
	}
}

// raw makes a message of fields as they stand; what stands in "payload." goes into an object of that name.
func raw(fields map[string]string) string {
	var top, inner []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if in, ok := strings.CutPrefix(name, "payload."); ok {
			inner = append(inner, fmt.Sprintf("%q:%s", in, fields[name]))
		} else {
			top = append(top, fmt.Sprintf("%q:%s", name, fields[name]))
		}
	}
	if inner != nil {
		top = append(top, `"payload":{`+strings.Join(inner, ",")+`}`)
	}
	return "{" + strings.Join(top, ",") + "}"
}

// wrong are requests that would be carried out, and values for a field of theirs that make them wrong.
var wrong = []struct {
	request map[string]string
	fields  map[string][]string
}{
	{map[string]string{"type": `"publish"`, "channel": `"fresh"`, "payload": `1`, "key": `"k"`}, map[string][]string{
		"channel":         {`"a b"`, `""`, `7`, `"$presence:a"`, `"a:*"`, `"` + strings.Repeat("c", 256) + `"`},
		"key":             {`""`, `7`, `"` + strings.Repeat("k", 10<<10) + `"`, `[]`},
		"expect":          {`-1`, `1.5`, `"0"`, `9007199254740992`, `{}`},
		"ttl_ms":          {`0`, `-1`, `1e3`, `"1"`, `31622400001`, `99999999999999999999`},
		"score":           {`1e999`, `-1e999`, `"1"`, `[]`},
		"ephemeral":       {`1`, `"true"`},
		"op":              {`"merge"`, `1`},
		"tags":            {`[]`, `{"a":1}`, `{"":""}`, `{"a":"` + strings.Repeat("v", 257) + `"}`},
		"idempotency_key": {`""`, `7`, `"` + strings.Repeat("i", 65) + `"`},
		"seq":             {`0`, `1`, `-1`, `"1"`},
		"encoding":        {`"gzip"`, `"base64"`},
		"echo":            {`0`},
	}},
	{map[string]string{"type": `"publish"`, "channel": `"fresh"`, "payload": `1`}, map[string][]string{
		"score": {`1`}, "ephemeral": {`true`}, "op": {`"append"`, `"delete"`},
	}},
	{map[string]string{"type": `"publish"`, "channel": `"fresh"`, "key": `"k"`, "op": `"delete"`}, map[string][]string{
		"score": {`1`}, "ephemeral": {`true`}, "op": {`"set"`},
	}},
	{map[string]string{"type": `"publish"`, "channel": `"chat:lobby"`, "payload": `1`, "key": `"k"`}, map[string][]string{
		"op": {`"append"`}, "expect": {`77`},
	}},
	{map[string]string{"type": `"subscribe"`, "channel": `"fresh"`}, map[string][]string{
		"channel":          {`"a b"`, `"a:>"`, `"$x"`, `null`},
		"payload":          {`[]`, `"x"`, `1`},
		"payload.from":     {`1`, `"now"`, `{}`, `{"last":-1}`, `{"last":1.5}`, `{"since_ms":31556952000000}`, `{"since_ms":"x"}`, `{"epoch":"k"}`, `{"epoch":1,"offset":1}`, `{"epoch":"k","offset":"x"}`, `{"epoch":"k","offset":1,"state":"yes"}`, `{"positions":{}}`},
		"payload.presence": {`1`, `"yes"`, `{"epoch":"p"}`, `{"epoch":"p","offset":-1}`},
		"payload.filter":   {`1`, `"lang"`, `[]`, `{"":""}`, `{"a":[]}`, `{"a":{}}`, `{"a":[1]}`},
	}},
	{map[string]string{"type": `"history"`, "channel": `"fresh"`}, map[string][]string{
		"payload.after": {`-1`, `"x"`, `1e3`}, "payload.before": {`9007199254740992`, `{}`}, "payload.limit": {`0`, `1001`, `"1"`},
	}},
	{map[string]string{"type": `"state"`, "channel": `"fresh"`}, map[string][]string{
		"payload.order": {`"name"`, `1`}, "payload.limit": {`0`, `-5`, `1.5`}, "payload.next": {`1`, `"x"`, `"score.1.2.k"`, `"` + strings.Repeat("n", 513) + `"`},
	}},
	{map[string]string{"type": `"presence"`, "channel": `"fresh"`}, map[string][]string{
		"payload.limit": {`0`, `1001`}, "payload.next": {`1`, `"x"`},
	}},
	{map[string]string{"type": `"connect"`}, map[string][]string{
		"payload.info": {`"` + strings.Repeat("i", 4096) + `"`}, "payload.client": {`""`, `1`, `"` + strings.Repeat("c", 65) + `"`},
		"payload.user": {`"a:b"`, `1`}, "payload.binary": {`true`}, "payload.heartbeat": {`1`},
	}},
	{map[string]string{"type": `"call"`, "method": `"none"`}, map[string][]string{"method": {`"none"`, `""`, `7`}}},
}

// TestBadInputLeavesNothingBehind storms a node with requests of which each is wrong in one field.
func TestBadInputLeavesNothingBehind(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	c := w.connect()
	c.subscribe("chat:lobby", `{"presence":true}`)
	w.publish("chat:lobby", `"before"`)
	c.take()
	w.pass(time.Second)
	before := c.belongings()
	sent := 0
	for range 20 {
		for _, group := range wrong {
			for _, field := range slices.Sorted(maps.Keys(group.fields)) {
				for _, value := range group.fields[field] {
					msg := maps.Clone(group.request)
					msg[field] = value
					msg["id"] = fmt.Sprint(sent)
					c.send(raw(msg))
					c.wantRefused(raw(msg), sent)
					sent++
				}
			}
		}
	}
	w.pass(time.Second)
	if after := c.belongings(); fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("before %d wrong requests the node held\n%+v, afterwards\n%+v", sent, before, after)
	}
	w.publish("chat:lobby", `"after"`)
	c.want(`"payload":"after"`)
	if page, err := w.broker.Read(context.Background(), "fresh", broker.Query{}); err != nil || page.Head != 0 {
		t.Errorf("something was published: %+v, %v", page, err)
	}
}

// wantRefused takes the one answer to a request, which is an error of the client's making.
func (c *client) wantRefused(msg string, id int) {
	c.w.t.Helper()
	got := c.take()
	var answer struct {
		Type  string
		ID    int
		Error struct {
			Code    int
			Message string
		}
	}
	if len(got) != 1 || json.Unmarshal([]byte(got[0]), &answer) != nil ||
		answer.Type != "error" || answer.ID != id || answer.Error.Code < 1100 || answer.Error.Code >= 1500 && answer.Error.Code != 1501 || answer.Error.Message == "" {
		c.w.t.Fatalf("%.300s\nwas answered %.300s", msg, got)
	}
}
