package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"
)

// An office is the part of the back end that publishes, over HTTP.
type office struct {
	w     *world
	dice  dice
	count int
}

// live publishes now and then, until the world grows calm.
func (o *office) live() {
	for !o.w.isCalm() {
		time.Sleep(o.dice.time(100*time.Millisecond, 3*time.Second))
		var all []*publication
		many := o.dice.chance(30)
		for range o.dice.between(1, 4) {
			all = append(all, o.write(pick(&o.dice, o.w.profile.channels), !many))
		}
		for range o.dice.between(1, 2) { // once more, perhaps: nothing of it is to be applied twice
			if many {
				o.broadcast(all[0])
			} else {
				o.batch(all)
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
		who: "office", text: fmt.Sprintf("office.%d;", o.count), channel: channel, op: "set", echo: true, sentAt: o.w.now(),
	}
	p.name, p.payload, p.tags = p.text, `"`+p.text+`"`, map[string]string{"lang": pick(&o.dice, languages)}
	what := map[string]any{
		"method": "publish", "channel": channel, "payload": p.text, "idempotency_key": p.name,
		"tags": p.tags,
	}
	if k := kinds[channel]; o.dice.chance(k.keys) {
		p.key = fmt.Sprintf("k%d", o.dice.n(k.names))
		what["key"] = p.key
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
	o.post("batch", map[string]any{"commands": commands}, all)
}

// broadcast publishes what is to go to one channel to another one as well.
func (o *office) broadcast(p *publication) {
	var body map[string]any
	_ = json.Unmarshal(p.body, &body)
	body["channels"] = []string{p.channel}
	delete(body, "channel")
	delete(body, "method")
	all := []*publication{p}
	if p.twin == nil {
		twin := *p
		twin.channel, twin.sessions, twin.acks, twin.denials = pick(&o.dice, o.w.profile.channels), nil, nil, nil
		p.twin = &twin
		if twin.channel == p.channel || kinds[twin.channel].age > 0 && p.key != "" || kinds[twin.channel].state && p.key == "" {
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

// post asks the node, and takes the results, each in its place.
func (o *office) post(method string, body map[string]any, all []*publication) {
	o.w.mu.Lock()
	h := o.w.house
	o.w.mu.Unlock()
	if h == nil {
		return
	}
	askedAt := o.w.now()
	b, _ := json.Marshal(body)
	o.w.note("office", "> "+method+" "+string(b))
	for _, p := range all {
		p.sessions = append(p.sessions, "")
	}
	recorder := httptest.NewRecorder()
	h.srv.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/api/v1/"+method, bytes.NewReader(b)))
	o.w.note("office", "< "+recorder.Body.String())
	var answers struct {
		Result struct{ Results []result }
		Error  *failure
	}
	_ = json.Unmarshal(recorder.Body.Bytes(), &answers)
	results := answers.Result.Results
	if len(results) != len(all) {
		o.w.fault(all[0].channel, "office", o.w.now(), "%s of %d has %d results: %s", method, len(all), len(results), recorder.Body)
		return
	}
	last := make(map[string]position)
	for i, p := range all {
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
