package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hocket.dev/websocket"
)

// TestTranscripts plays the conversations of spec/transcripts with a Client in the client's place: what a line says that a
// client sends, the Client is asked for by its API and has to send; what a line says that a client receives, it gets and has
// to tell. The README there says which lines it cannot take.
func TestTranscripts(t *testing.T) {
	paths, _ := filepath.Glob("../spec/transcripts/*.txt")
	readme, err := os.ReadFile("../spec/transcripts/README.md")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no transcripts: %v", err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(name, func(t *testing.T) {
			script, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				p := &stage{t: t, sleep: time.Sleep, known: make(map[string]string), last: 1000, actors: make(map[int]*actor), lines: make(map[int]bool)}
				for i, line := range strings.Split(string(script), "\n") {
					p.at = fmt.Sprintf("%s:%d", name, i+1)
					p.act(strings.TrimSpace(line))
				}
				for n := range p.actors {
					p.leave(n)
				}
				if outside := strings.Contains(string(readme), "\n- `"+name+"`: "); outside != (p.driven == 0) {
					t.Errorf("%d lines are taken; the README lists it as one without any: %v", p.driven, outside)
				}
			})
		})
	}
}

// stage is a transcript on stage.
type stage struct {
	t      *testing.T
	at     string
	sleep  func(time.Duration)
	known  map[string]string // values of placeholders
	last   int               // offset
	actors map[int]*actor
	lines  map[int]bool // connections that are open, and on which nothing has been said
	driven int
}

// actor is a Client in the place of a transcript's client, and the server's side of its connection.
type actor struct {
	c     *Client
	conn  *websocket.Conn
	heard chan map[string]any
	asked map[string]*asked // by the id in the transcript
	subs  map[string]*Subscription
	proof *proof // nil where none is shown
}

// asked is what the API was asked for.
type asked struct {
	id   any // under which the Client sent it
	done chan struct{}
	got  any
	err  error
}

var (
	stepForm    = regexp.MustCompile(`^([0-9]*)(>|<\*|<|@|!|=) (.+)$`)
	placeholder = regexp.MustCompile(`<([a-z]+)(?::([a-z0-9]+)(?: (?:after|not) [a-z0-9]+)?)?>`)
	endings     = regexp.MustCompile("^(cut|close)")
	greeting    = regexp.MustCompile(`<rest>$|"session":"[^"]*",<rest>`)
	userForm    = regexp.MustCompile("user=([^& ]*)")
)

// fill makes up values where the server would. Names of offsets are letters in the order of the log.
func (p *stage) fill(text string) string {
	return placeholder.ReplaceAllStringFunc(strings.NewReplacer("[<rest>]", "[]", ",<rest>}", "}").Replace(text), func(s string) string {
		parts := placeholder.FindStringSubmatch(s)
		kind, name := parts[1], parts[2]
		if v, ok := p.known[kind+":"+name]; ok && name != "" {
			return v
		}
		v := kind + "-" + name
		switch kind {
		case "offset":
			if p.last++; name != "" {
				p.last = 1000 + 50*int(name[0]-'a'+1)
			}
			v = strconv.Itoa(p.last)
		case "time", "ms":
			v = "1795000000000"
		}
		p.known[kind+":"+name] = v
		return v
	})
}

func (p *stage) failf(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("%s: %s", p.at, fmt.Sprintf(format, args...))
}

func (p *stage) act(line string) {
	parts := stepForm.FindStringSubmatch(line)
	if parts == nil {
		return
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		n = 1
	}
	sign, text, a := parts[2], parts[3], p.actors[n]
	switch {
	case sign == "=" && strings.HasPrefix(text, "dial"):
		p.dial(n, text)
	case sign == "!" && a != nil && a.proof != nil:
		p.closed(n, text)
	case sign == "=" && strings.HasPrefix(text, "connect"):
		p.leave(n)
		if !strings.Contains(text, "channel=") { // a Client subscribes by request
			p.enter(n, text)
		}
	case sign == "!", sign == "=" && endings.MatchString(text):
		p.leave(n)
	case sign == ">":
		var m map[string]any
		if json.Unmarshal([]byte(p.fill(text)), &m) == nil && (p.prove(n, m) || p.send(a, m)) {
			p.driven++
		}
	case sign[0] == '<':
		if filled := p.fill(text); a != nil && !greeting.MatchString(text) { // which ends a greeting
			p.hear(a, filled)
		}
	}
}

// enter connects a Client.
func (p *stage) enter(n int, text string) {
	user := ""
	if parts := userForm.FindStringSubmatch(text); parts != nil {
		user = parts[1]
	}
	a := &actor{heard: make(chan map[string]any, 100), asked: make(map[string]*asked), subs: make(map[string]*Subscription)}
	p.fill(fmt.Sprintf("<session:%d>", n))
	net := inMemory(p.t, actingWith(64<<10, func(s *script) {
		a.conn = s.conn
		for {
			var m map[string]any
			_, b, err := s.conn.Read(context.Background())
			if err != nil || json.Unmarshal(b, &m) != nil {
				return
			}
			a.heard <- m
		}
	}))
	var err error
	if a.c, err = Dial(p.t.Context(), "ws://server/v1/ws", &Options{User: user, NetDial: net, NoCompression: true}); err != nil {
		p.failf("%v", err)
	}
	synctest.Wait()
	p.actors[n] = a
}

func (p *stage) leave(n int) {
	if a := p.actors[n]; a != nil {
		a.proof.leave()
		if a.c != nil {
			a.c.Close()
		}
		delete(p.actors, n)
	}
}

// send asks the Client for what the transcript's client sends, and compares what it sends. It answers false where the API
// cannot.
func (p *stage) send(a *actor, m map[string]any) bool {
	if a == nil || a.c == nil {
		return false
	}
	if p.again(a, m) {
		return true
	}
	call := p.call(a, m)
	if call == nil {
		return false
	}
	r := &asked{done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.got, r.err = call()
	}()
	synctest.Wait()
	sent := map[string]any{}
	for sent["type"] != m["type"] {
		select {
		case sent = <-a.heard:
		default:
			p.failf("the Client sends no %s", m["type"])
		}
	}
	if id, ok := m["id"]; ok {
		r.id = sent["id"]
		a.asked[fmt.Sprint(id)] = r
	} else if m["type"] == "connect" { // a Client wants an answer
		p.write(a, map[string]any{"type": "reply", "id": sent["id"], "payload": map[string]any{}})
		<-r.done
	}
	if (sent["seq"] != nil) != (m["type"] == "publish" && m["idempotency_key"] == nil) {
		p.failf("seq is %v", sent["seq"])
	}
	if have, want := plain(sent), plain(m); !reflect.DeepEqual(have, want) {
		p.failf("the Client sends %v, want %v", have, want)
	}
	return true
}

// plain is a request without what a Client chooses, and without what says the same as nothing.
func plain(m map[string]any) map[string]any {
	out := make(map[string]any)
	for k, v := range m {
		of, _ := v.(map[string]any)
		reads := k == "payload" && m["type"] != "publish" && m["type"] != "call"
		switch {
		case k == "id" || k == "seq", k == "op" && v == "set", k == "echo" && v == true, reads && len(of) == 0:
		case reads && of["from"] == "live":
			delete(of, "from")
			if len(of) > 0 {
				out[k] = of
			}
		default:
			out[k] = v
		}
	}
	return out
}

// as stores what m says in what v points to; false where the types do not fit or v has no such field.
func as(m any, v any) bool {
	b, _ := json.Marshal(m)
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	return d.Decode(v) == nil
}

// call is the use of the API that makes a request like m; nil where there is none.
func (p *stage) call(a *actor, m map[string]any) func() (any, error) {
	ctx := p.t.Context()
	if m["type"] == "connect" {
		args, _ := m["payload"].(map[string]any)
		if args["info"] == nil || len(args) > 1 {
			return nil // what a Client says when it introduces itself
		}
		return func() (any, error) { return nil, a.c.SetInfo(ctx, args["info"]) }
	}
	if m["type"] == "call" {
		method, ok := m["method"].(string)
		if _, has := m["payload"]; !ok || !has || m["encoding"] != nil {
			return nil
		}
		return func() (any, error) { return nil, a.c.Call(ctx, method, m["payload"], nil) }
	}
	channel, ok := m["channel"].(string)
	if !ok {
		return nil
	}
	args, _ := m["payload"].(map[string]any)
	if args == nil {
		args = make(map[string]any)
	}
	switch m["type"] {
	case "subscribe":
		if m["id"] == nil {
			return nil // a Client waits for the answer
		}
		return subscribing(ctx, a, channel, args)
	case "unsubscribe":
		s := a.subs[channel]
		if s == nil {
			return nil
		}
		delete(a.subs, channel)
		return func() (any, error) { return nil, s.Close() }
	case "publish":
		return publishing(ctx, a, channel, m)
	case "history":
		var o struct {
			After, Before *uint64
			Limit         int
		}
		if !as(args, &o) || o.Limit == 0 && args["limit"] != nil {
			return nil
		}
		return func() (any, error) {
			h, err := a.c.History(ctx, channel, &HistoryOptions{After: o.After, Before: o.Before, Limit: o.Limit})
			return h.Messages, err
		}
	case "state":
		var o struct {
			Order, Next string
			Limit       int
		}
		if !as(args, &o) || o.Limit == 0 && args["limit"] != nil || o.Order != "" && o.Order != "offset" && o.Order != "score" {
			return nil
		}
		if o.Order == "offset" {
			delete(args, "order") // it says the same as nothing
		}
		return func() (any, error) {
			s, err := a.c.ReadState(ctx, channel, &ReadStateOptions{ByScore: o.Order == "score", Next: o.Next, Limit: o.Limit})
			return s.Messages, err
		}
	}
	return nil
}

func publishing(ctx context.Context, a *actor, channel string, m map[string]any) func() (any, error) {
	var o struct {
		Type, ID, Channel, Payload, Seq, Echo any
		Key, Op                               string
		Tags                                  map[string]string
		IdempotencyKey                        string `json:"idempotency_key"`
		Expect                                *uint64
		TTL                                   int64 `json:"ttl_ms"`
		Score                                 float64
		Ephemeral                             bool
	}
	payload, has := m["payload"]
	if !as(m, &o) || !has && o.Op != "delete" || has && payload == nil || o.TTL == 0 && m["ttl_ms"] != nil || o.Score == 0 && m["score"] != nil {
		return nil
	}
	return func() (any, error) {
		return a.c.Publish(ctx, channel, payload, &PublishOptions{
			Key: o.Key, Op: o.Op, Tags: o.Tags, IdempotencyKey: o.IdempotencyKey, Expect: o.Expect, NoEcho: o.Echo == false,
			TTL: time.Duration(o.TTL) * time.Millisecond, Score: o.Score, Ephemeral: o.Ephemeral,
		})
	}
}

func subscribing(ctx context.Context, a *actor, channel string, args map[string]any) func() (any, error) {
	var o struct{ From, Presence, Filter any }
	opts := &SubscribeOptions{}
	if a.subs[channel] != nil || !as(args, &o) || !start(o.From, opts) {
		return nil
	}
	modes := map[any]PresenceMode{nil: NoPresence, true: Join, "watch": Watch}
	if _, resumes := o.Presence.(map[string]any); resumes {
		return nil
	}
	opts.Presence = modes[o.Presence]
	if filter, ok := o.Filter.(map[string]any); ok {
		opts.Filter = make(map[string][]string)
		for tag, v := range filter {
			if one, ok := v.(string); ok {
				v = []any{one} // it says the same
			}
			filter[tag] = v
			for _, value := range v.([]any) {
				opts.Filter[tag] = append(opts.Filter[tag], fmt.Sprint(value))
			}
		}
		args["filter"] = filter
	}
	s := newSubscription(a.c, channel, opts)
	a.subs[channel] = s
	return func() (any, error) { return nil, s.start(ctx) }
}

// start makes the beginning of a subscription from what a transcript says.
func start(from any, opts *SubscribeOptions) bool {
	var o struct {
		Last    *int
		SinceMS *int64 `json:"since_ms"`
		Epoch   *string
		Offset  *uint64
	}
	switch {
	case from == nil || from == "live":
	case from == "state":
		opts.From = State()
	case !as(from, &o):
		return false
	case o.Last != nil:
		opts.From = Last(*o.Last)
	case o.SinceMS != nil:
		opts.From = Since(time.Duration(*o.SinceMS) * time.Millisecond)
	case o.Epoch != nil && o.Offset != nil:
		opts.From = After(Position{*o.Epoch, *o.Offset})
	default:
		return false
	}
	return true
}

// hear gives the Client what the transcript's client receives, and makes sure that it tells.
func (p *stage) hear(a *actor, text string) {
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		p.failf("%v", err)
	}
	if p.decided(a, m) {
		p.driven++
		return
	}
	id, has := m["id"]
	r := a.asked[fmt.Sprint(id)]
	if has && r == nil || !has && m["type"] == "error" {
		return // it answers what no Client sends
	}
	p.driven++
	if r != nil {
		m["id"] = r.id
	}
	p.write(a, m)
	channel, _ := m["channel"].(string)
	if r != nil {
		<-r.done
		p.answered(r, m)
		if s := a.subs[channel]; s != nil && r.err != nil && s.err != nil {
			delete(a.subs, channel)
		}
	} else if m["type"] == "event" {
		p.event(a, m["payload"])
	} else if s := a.subs[channel]; s != nil {
		p.told(s, m)
		if s.err != nil {
			delete(a.subs, channel)
		}
	}
}

// write says something in the server's place.
func (p *stage) write(a *actor, m map[string]any) {
	b, _ := json.Marshal(m)
	if err := a.conn.Write(context.Background(), websocket.Text, b); err != nil {
		p.failf("%v", err)
	}
	synctest.Wait()
}

func (p *stage) event(a *actor, want any) {
	var have any
	if e, err := a.c.NextEvent(p.t.Context()); err != nil || e.Decode(&have) != nil || !reflect.DeepEqual(have, want) {
		p.failf("the Client tells the event %s, %v, want %v", e.Payload, err, want)
	}
}

func (p *stage) answered(r *asked, m map[string]any) {
	if m["type"] == "error" {
		of := m["error"].(map[string]any)
		var failed *Error
		if !errors.As(r.err, &failed) || float64(failed.Code) != of["code"] || failed.Name != of["name"] ||
			failed.Message != of["message"] || float64(failed.RetryAfter.Milliseconds()) != of["retry_after_ms"] {
			p.failf("the request ends with %v, want %v", r.err, of)
		}
		var conflict *ConflictError
		if at, ok := of["offset"].(float64); ok && (!errors.As(r.err, &conflict) || float64(conflict.Offset) != at) {
			p.failf("the conflict is %v, want %v", conflict, of)
		}
		return
	}
	of, _ := m["payload"].(map[string]any)
	switch got := r.got.(type) {
	case Position:
		if float64(got.Offset) != of["offset"] || got.Epoch != of["epoch"] {
			p.failf("published at %v, want %v", got, of)
		}
	case []Message:
		for i, in := range of["messages"].([]any) {
			if i >= len(got) || float64(got[i].Position.Offset) != in.(map[string]any)["offset"] {
				p.failf("read %v, want %v", got, of)
			}
		}
	}
	if r.err != nil {
		p.failf("the request fails: %v", r.err)
	}
}

func (p *stage) told(s *Subscription, m map[string]any) {
	switch m["type"] {
	case "message":
		got := p.next(s, Entry)
		key, _ := m["key"].(string)
		score, _ := m["score"].(float64)
		if float64(got.Position.Offset) != m["offset"] || got.Key != key || got.Score != score || m["op"] != nil && got.Op != m["op"] {
			p.failf("the Client tells %+v, want %v", got, m)
		}
	case "gap":
		of := m["payload"].(map[string]any)
		if got := p.next(s, Gap); float64(got.GapFrom) != of["from"] || float64(got.GapTo) != of["to"] || got.Reason != of["reason"] {
			p.failf("the Client tells %+v, want %v", got, m)
		}
	case "position":
		if float64(s.Position().Offset) != m["offset"] {
			p.failf("the position is %v, want %v", s.Position(), m)
		}
	case "unsubscribed":
		var ended *Error
		if of := m["payload"].(map[string]any); !errors.As(s.err, &ended) || float64(ended.Code) != of["code"] {
			p.failf("the subscription ends with %v, want %v", s.err, of)
		}
	case "presence":
		if of := m["payload"].(map[string]any); float64(s.Presence().Count()) != of["count"] {
			p.failf("%d are counted, want %v", s.Presence().Count(), m)
		}
	case "join", "update", "leave":
		for _, in := range m["members"].([]any) {
			session := in.(map[string]any)["session"].(string)
			if _, here := s.Presence().Get(session); here != (m["type"] != "leave") {
				p.failf("%s is here: %v, want %v", session, here, m)
			}
		}
	}
}

// next takes the next message of a kind.
func (p *stage) next(s *Subscription, kind Kind) Message {
	for {
		m, ok, err := s.take()
		if !ok || err != nil {
			p.failf("the Client tells nothing: %v", err)
		}
		if m.Kind == kind {
			return m
		}
	}
}
