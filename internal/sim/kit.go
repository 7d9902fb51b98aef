package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"hocket.dev/client"
)

// A kit is a client that uses the Go SDK.
type kit struct {
	w     *world
	name  string
	dice  dice
	stays bool   // it has one life, which lasts
	lasts bool   // so does this one
	maps  bool   // it follows states as maps
	joins bool   // it is a member where it follows who is there
	id    string // client id of this life
	count int
	runs  map[string]*run // of this life, by channel; the goroutine that reads a subscription writes them
	held  map[string]*client.Map
	info  string     // what it tells of itself, in JSON
	mu    sync.Mutex // guards id, runs, held and info of this life, and lasts
}

func newKit(w *world, n int) *kit {
	k := &kit{w: w, name: fmt.Sprintf("b%d", n), dice: throw(w.seed, "kit", uint64(n))}
	k.stays, k.maps, k.joins = k.dice.chance(40), k.dice.chance(50), k.dice.chance(50)
	return k
}

// live lives through all lives, and stays in the last one until the world ends.
func (k *kit) live() {
	d := &k.dice
	time.Sleep(d.time(0, k.w.profile.lasts/4))
	for life := range k.w.profile.lives {
		if k.stays || k.w.isCalm() {
			break
		}
		if c := k.dial(life); c != nil {
			k.act(c)
			_ = c.Close()
		}
		time.Sleep(d.time(time.Millisecond, time.Second))
	}
	if !k.stays {
		k.w.awaitCalm()
		time.Sleep(d.time(time.Millisecond, time.Second))
	}
	var c *client.Client
	for life := k.w.profile.lives; c == nil; life++ {
		k.mu.Lock()
		k.lasts = true
		k.mu.Unlock()
		c = k.dial(life)
	}
	for k.stays && !k.w.isCalm() {
		k.act(c)
	}
	for _, channel := range k.w.profile.channels {
		k.follow(c, channel)
	}
	if k.joins && d.chance(60) {
		time.Sleep(d.time(time.Millisecond, 3*time.Second))
		k.introduce(c)
	}
	k.w.awaitEnd()
	_ = c.Close()
}

func (k *kit) dial(life int) *client.Client {
	k.mu.Lock()
	k.id, k.runs = fmt.Sprintf("%s-%d", k.name, life), make(map[string]*run)
	k.held = make(map[string]*client.Map)
	info := k.dice.n(1000)
	k.info = fmt.Sprint(info)
	k.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, "ws://localhost/v1/ws", &client.Options{
		ClientID: k.id, Info: info, MinDelay: 50 * time.Millisecond, MaxDelay: 2 * time.Second, NoCompression: k.dice.chance(50),
		NetDial: func(context.Context, string, string) (net.Conn, error) {
			nc, _, err := k.w.dial(k.w.profile.quality)
			if err != nil {
				return nil, err
			}
			return nc, nil
		},
		OnConnection: func(lost error) {
			k.w.note(k.name, fmt.Sprintf("connection: %v", lost))
			if lost == nil {
				k.w.count(func(c *Counts) { c.Sessions++ })
			}
		},
	})
	if err != nil {
		k.w.note(k.name, "could not connect: "+err.Error())
		time.Sleep(k.dice.time(time.Millisecond, time.Second))
		return nil
	}
	return c
}

// act does things for a life.
func (k *kit) act(c *client.Client) {
	d := &k.dice
	for range d.between(1, k.w.profile.busy) {
		if k.w.isCalm() {
			return
		}
		switch kind := d.n(100); {
		case kind < 38:
			k.follow(c, pick(d, k.w.profile.channels))
		case kind < 42 && k.joins:
			k.introduce(c)
		case kind < 50:
			k.browse(c, pick(d, k.w.profile.channels))
		default:
			k.publish(c, pick(d, k.w.profile.channels))
		}
		time.Sleep(d.time(time.Microsecond, time.Second))
	}
}

// follow subscribes, unless that has been done.
func (k *kit) follow(c *client.Client, channel string) {
	d := &k.dice
	r := &run{who: k.name, channel: channel, client: k.id, kit: true, askedAt: k.w.now()}
	k.mu.Lock()
	if k.runs[channel] != nil {
		k.mu.Unlock()
		return
	}
	k.runs[channel] = r
	k.mu.Unlock()
	from := client.Live()
	ways := []int{fromLive, fromLast, fromSince}
	if kinds[channel].state {
		ways = []int{fromLive, fromState, fromState}
	}
	switch r.kind = pick(d, ways); r.kind {
	case fromLast:
		r.last = d.between(1, 60)
		from = client.Last(r.last)
	case fromSince:
		r.since = d.time(time.Millisecond, 10*time.Second).Truncate(time.Millisecond)
		from = client.Since(r.since)
	case fromState:
		from = client.State()
	}
	opts := &client.SubscribeOptions{From: from, Buffer: pick(d, []int{0, 4})}
	if !kinds[channel].state && d.chance(30) {
		r.filter = someFilter(d)
		opts.Filter = r.filter
	}
	comesBack := 0 // behind so many messages
	if !kinds[channel].state && channel != crowd && d.chance(30) {
		comesBack = d.between(1, 8)
	}
	switch {
	case channel == crowd && d.chance(70):
		opts.Presence = k.presence()
	case kinds[channel].state && k.maps:
		k.w.acting.Go(func() { k.hold(c, channel) })
		return
	}
	k.w.acting.Go(func() { k.read(c, r, opts, comesBack) })
}

// read takes all that a subscription brings.
func (k *kit) read(c *client.Client, r *run, opts *client.SubscribeOptions, comesBack int) {
	s, err := c.Subscribe(context.Background(), r.channel, opts)
	if err != nil {
		k.w.note(k.name, fmt.Sprintf("subscribe to %s: %v", r.channel, err))
		if !errors.Is(err, client.ErrClosed) {
			k.w.fault(r.channel, k.name, k.w.now(), "the SDK could not subscribe: %v", err)
		}
		return
	}
	r.repliedAt = k.w.now()
	if s.Presence() != nil {
		k.attends(c, r)
		told, users := make(map[string]string), make(map[string][]string)
		k.w.acting.Go(func() { k.listen(s.Presence(), told) })
		k.w.acting.Go(func() { listenByUser(s.Presence(), users) })
		k.see(view{channel: r.channel, people: s.Presence(), told: told, users: users})
	}
	k.w.mu.Lock()
	k.w.runs = append(k.w.runs, r)
	k.w.mu.Unlock()
	for n := 0; ; n++ {
		if n > 0 && n == comesBack { // it leaves, and goes on where the program has come to
			at := s.Position()
			_ = s.Close()
			k.w.note(k.name, fmt.Sprintf("%s is left at %v", r.channel, at))
			again := *opts
			again.From = client.After(at)
			s, err = c.Subscribe(context.Background(), r.channel, &again)
		}
		m := client.Message{}
		if err == nil {
			m, err = s.Next(context.Background())
		}
		if err != nil {
			r.ended, r.endedAt = err.Error(), k.w.now()
			if !errors.Is(err, client.ErrClosed) {
				k.w.fault(r.channel, k.name, k.w.now(), "the SDK's subscription ended: %v", err)
			}
			return
		}
		it := fromKit(m, k.w.now())
		k.w.note(k.name, r.channel+" brings "+it.String())
		k.w.count(func(c *Counts) { c.Messages++ })
		r.items = append(r.items, it)
	}
}

func fromKit(m client.Message, at time.Duration) item {
	it := item{at: at, epoch: m.Position.Epoch, offset: m.Position.Offset}
	switch m.Kind {
	case client.Gap:
		it.kind, it.from, it.reason = gotGap, m.GapFrom, m.Reason
	case client.Reset:
		it.kind = gotRestart
	case client.Sync:
		it.kind = gotWhole
	default:
		it.time, it.key, it.op, it.payload, it.score = m.Time.UnixMilli(), m.Key, m.Op, string(m.Payload), m.Score
		it.tags, it.binary = m.Tags, m.Binary
		if m.From != nil {
			it.author, it.user = m.From.Session, m.From.User
		}
	}
	return it
}
