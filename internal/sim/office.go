package sim

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

// An office is the part of the back end that publishes and reads, over HTTP and by the program that the node is part of.
type office struct {
	w      *world
	name   string // what its texts begin with
	dice   dice
	key    string // to which it writes, "" for any
	pads   int    // by how many bytes its payloads are longer, at most
	count  int
	spoilt int // place of the command in the batch that makes no sense, from 1; 0 for none
}

// live publishes now and then, until the world grows calm.
func (o *office) live() {
	for !o.w.isCalm() {
		time.Sleep(o.dice.time(100*time.Millisecond, 3*time.Second))
		if o.dice.chance(60) {
			o.look()
		}
		var all []*publication
		way := o.dice.n(10)
		for range o.dice.between(1, 4) {
			all = append(all, o.write(pick(&o.dice, o.w.profile.channels), true))
		}
		for range o.dice.between(1, 2) { // once more, perhaps: nothing of it is to be applied twice
			switch {
			case way < 4:
				o.batch(all)
			case way < 6:
				o.post("publish", all[0].fields(), all[:1])
			case way < 7:
				o.within(all[0])
			default:
				o.broadcast(all[0])
			}
			time.Sleep(o.dice.time(time.Microsecond, time.Second))
		}
	}
}

// probe publishes to every channel when all is quiet: everybody is to have it soon.
func (o *office) probe() {
	var all []*publication
	for _, channel := range o.w.profile.channels {
		if channel != strict || !o.w.profile.tight() { // else many may be disconnected, and be away in the end
			all = append(all, o.write(channel, false))
		}
		if kinds[channel].sample > 0 { // one more, which has to wait
			all = append(all, o.write(channel, false))
		}
	}
	o.w.set(func() { o.w.probedAt = o.w.now() })
	o.batch(all)
	time.Sleep(prompt)
}

// prompt is how long an entry may take to everybody when nothing is in its way: positions are told once a second.
const prompt = 3 * time.Second

// write makes something new to publish.
func (o *office) write(channel string, conditional bool) *publication {
	o.count++
	p := &publication{
		who: "office", text: fmt.Sprintf("%s.%d;", o.name, o.count), channel: channel, op: "set", echo: true, sentAt: o.w.now(),
	}
	text := p.text
	if o.pads > 0 {
		text += strings.Repeat("x", o.dice.n(o.pads))
	}
	p.name, p.payload, p.tags = p.text, `"`+text+`"`, tags(&o.dice)
	what := map[string]any{
		"method": "publish", "channel": channel, "payload": text, "idempotency_key": p.name,
		"tags": p.tags,
	}
	k := kinds[channel]
	if o.dice.chance(k.keys) {
		p.key, p.op = cmp.Or(o.key, fmt.Sprintf("k%d", o.dice.n(k.names))), pick(&o.dice, []string{"set", "set", "append", "delete"})
		what["key"], what["op"] = p.key, p.op
	}
	if p.op != "delete" && k.scored {
		p.score = float64(o.dice.n(9)-3) / 2
		what["score"] = p.score
	}
	if p.op != "delete" && o.dice.chance(k.fleeting) {
		ms := pick(&o.dice, lifetimes) + o.dice.n(50)
		p.ttl, what["ttl_ms"] = time.Duration(ms)*time.Millisecond, ms
	}
	if conditional && o.dice.chance(30) {
		p.conditional, p.expect = true, o.w.truth.guess(channel, p.key, &o.dice)
		what["expect"] = p.expect
	}
	p.body, _ = json.Marshal(what)
	o.w.set(func() {
		o.w.sent = append(o.w.sent, p)
		o.w.counts.Publishes++
	})
	return p
}

// guess is what the newest entry is, or was lately.
func (t *truth) guess(channel, key string, d *dice) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.current(channel)
	if e == nil {
		return 0
	}
	return e.newest(key, max(0, len(e.entries)-d.n(2)))
}

// fields are those of the request.
func (p *publication) fields() (fields map[string]any) {
	_ = json.Unmarshal(p.body, &fields)
	return fields
}

// A result is what came of one of several publishes.
type result struct {
	Channel string
	Result  *struct {
		position
		Duplicate bool
	}
	position
	Duplicate bool
	Error     *failure
}

func (o *office) batch(all []*publication) {
	commands := make([]json.RawMessage, len(all))
	for i, p := range all {
		commands[i] = p.body
	}
	o.post("batch", map[string]any{"commands": o.spoil(commands)}, all)
}

// broadcast publishes what is to go to one channel to another one as well.
func (o *office) broadcast(p *publication) {
	body := p.fields()
	body["channels"] = []string{p.channel}
	delete(body, "channel")
	delete(body, "method")
	all := []*publication{p}
	if p.twin == nil {
		twin := *p
		twin.channel, twin.sessions, twin.acks, twin.denials = pick(&o.dice, o.w.profile.channels), nil, nil, nil
		p.twin = &twin
		k := kinds[twin.channel]
		if twin.channel == p.channel || k.state && p.key == "" || k.fleeting == 0 && p.ttl > 0 {
			p.twin = p
		} else {
			o.w.set(func() { o.w.sent = append(o.w.sent, &twin) })
		}
	}
	if p.twin != p {
		body["channels"] = []string{p.channel, p.twin.channel}
		all = append(all, p.twin)
	}
	o.post("broadcast", body, all)
}

// ask has the node answer a request of the API; ok is false where there is no node.
func (o *office) ask(method string, body map[string]any) (answer []byte, status int, ok bool) {
	o.w.mu.Lock()
	h := o.w.house
	o.w.mu.Unlock()
	if h == nil {
		return nil, 0, false
	}
	b, _ := json.Marshal(body)
	o.w.note("office", "> "+method+" "+string(b))
	recorder := httptest.NewRecorder()
	h.srv.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/api/v1/"+method, bytes.NewReader(b)))
	o.w.note("office", "< "+recorder.Body.String())
	return recorder.Body.Bytes(), recorder.Code, true
}

// post publishes, and takes the results, each in its place.
func (o *office) post(method string, body map[string]any, all []*publication) {
	askedAt := o.w.now()
	said, status, ok := o.ask(method, body)
	if !ok {
		return
	}
	for _, p := range all {
		p.sessions = append(p.sessions, "")
	}
	var answers struct {
		Result struct {
			Results []result
			position
			Duplicate bool
		}
		Error *failure
	}
	_ = json.Unmarshal(said, &answers)
	results := o.sound(method, answers.Result.Results)
	if method == "publish" {
		results = []result{{position: answers.Result.position, Duplicate: answers.Result.Duplicate, Error: answers.Error}}
		if (status == http.StatusOK) != (answers.Error == nil) {
			o.w.fault(all[0].channel, "office", o.w.now(), "publish was answered with the status %d: %s", status, said)
		}
	}
	if len(results) != len(all) {
		o.w.fault(all[0].channel, "office", o.w.now(), "%s of %d has %d results: %s", method, len(all), len(results), said)
		return
	}
	last := make(map[string]position)
	for i, p := range all {
		if method == "broadcast" && results[i].Channel != p.channel {
			o.w.fault(p.channel, "office", o.w.now(), "the result of %s is that of %q", p.text, results[i].Channel)
		}
		to := answer{askedAt: askedAt, answeredAt: o.w.now()}
		if o.took(p, to, &results[i]); len(p.acks) == len(p.sessions) && !p.acks[len(p.acks)-1].duplicate {
			at := p.acks[len(p.acks)-1].position
			if before := last[p.channel]; before.Epoch == at.Epoch && before.Offset >= at.Offset {
				o.w.fault(p.channel, "office", o.w.now(), "%s stands at %d, and what comes before it in the same batch at %d", p.text, at.Offset, before.Offset)
			}
			last[p.channel] = at
		}
	}
}

// within publishes by the program that the node is part of.
func (o *office) within(p *publication) {
	o.w.mu.Lock()
	h := o.w.house
	o.w.mu.Unlock()
	if h == nil {
		return
	}
	p.sessions = append(p.sessions, "")
	e := broker.Entry{
		Key: p.key, Op: ops[p.op], Payload: []byte(p.payload), IdempotencyKey: p.name, TTL: p.ttl, Score: p.score,
		Expect: p.expect, HasExpect: p.conditional, Headers: make(map[string]string),
	}
	for name, value := range p.tags {
		e.Headers[dialect.TagHeader+name] = value
	}
	to := answer{askedAt: o.w.now()}
	receipt, err := h.srv.PublishEntry(context.Background(), p.channel, e)
	to.answeredAt = o.w.now()
	o.w.note("office", fmt.Sprintf("published %s within: %v %v", p.text, receipt, err))
	var why *dialect.Error
	switch {
	case errors.As(err, &why):
		f := &failure{Code: int(why.Code), Name: why.Name, After: why.RetryAfter.Milliseconds()}
		if why.Position != nil {
			f.position = position(*why.Position)
		}
		o.w.refused(p, to, f)
	case err != nil:
		o.w.fault(p.channel, "office", to.answeredAt, "%s was answered with %v", p.text, err)
	default:
		p.applied(to, position(receipt.Position), receipt.Duplicate)
	}
}

var ops = map[string]broker.Op{"set": broker.Set, "append": broker.Append, "delete": broker.Delete}

// took takes the answer to one publish.
func (o *office) took(p *publication, to answer, r *result) {
	switch {
	case r.Error != nil:
		o.w.refused(p, to, r.Error)
	case r.Result != nil:
		p.applied(to, r.Result.position, r.Result.Duplicate)
	default:
		p.applied(to, r.position, r.Duplicate)
	}
}
