package sim

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"hocket.dev/client"
)

// A view is what a client's SDK makes of a channel: who is there, or a state as a map.
type view struct {
	who, channel string
	people       *client.Presence
	keys         *client.Map
	users        map[string][]string // sessions by user, or session of nobody in particular, likewise
	told         map[string]string   // what its changes add up to: texts by key, or what members tell by session
}

// see notes what is to be right in the end.
func (k *kit) see(v view) {
	k.mu.Lock()
	lasts := k.lasts
	k.mu.Unlock()
	if v.who = k.name; lasts {
		k.w.set(func() { k.w.views = append(k.w.views, v) })
	}
}

// hold follows the state of a channel as a map.
func (k *kit) hold(c *client.Client, channel string) {
	askedAt := k.w.now()
	m, err := c.Map(context.Background(), channel, nil)
	if err != nil {
		if !errors.Is(err, client.ErrClosed) {
			k.w.fault(channel, k.name, k.w.now(), "the SDK could not have a map: %v", err)
		}
		return
	}
	k.mu.Lock()
	k.held[channel] = m
	k.mu.Unlock()
	k.gather(channel, askedAt, m)
	told := make(map[string]string)
	k.see(view{channel: channel, keys: m, told: told})
	for {
		change, err := m.Next(context.Background())
		if err != nil {
			return
		}
		k.w.note(k.name, channel+" has another "+change.Key)
		if told[change.Key] = string(change.Value.Payload); change.Deleted {
			delete(told, change.Key)
		}
		k.w.count(func(c *Counts) { c.Messages++ })
	}
}

// listen follows the changes of a list of members.
func (k *kit) listen(people *client.Presence, told map[string]string) {
	for {
		change, err := people.Next(context.Background())
		if err != nil {
			return
		}
		if told[change.Member.Session] = tells(string(change.Member.Info)); change.Kind == "leave" {
			delete(told, change.Member.Session)
		}
	}
}

// checkViews checks that what the SDKs show is what there is.
func (w *world) checkViews() {
	for _, v := range w.views {
		if v.keys != nil {
			w.checkMap(v)
			continue
		}
		e := w.truth.current(presence + v.channel)
		if e == nil {
			continue
		}
		state, have := e.fold(len(e.entries)), []string{}
		for _, m := range v.people.Members() {
			have = append(have, m.Session)
			there, ok := state[m.Session]
			if user := ""; ok {
				if user = e.latest[m.Session].From.User; there.text != tells(string(m.Info)) || m.User != user || v.told[m.Session] != there.text {
					w.fault(m.Session, v.who, w.now(), "it is %q and tells %s of itself, and the SDK says %q and %s, and at last %q", user, there.text, m.User, m.Info, v.told[m.Session])
				}
			}
		}
		w.agree(v.who, sorted(v.told), have)
		slices.Sort(have)
		w.agree(v.who, have, sorted(state))
		w.checkUsers(v, e, state)
		w.checkToldUsers(v)
		if n := v.people.Count(); n != len(state) || !v.people.Complete() {
			w.fault(v.channel, v.who, w.now(), "the SDK counts %d members, complete: %v, where there are %d", n, v.people.Complete(), len(state))
		}
	}
}

// checkUsers checks that the SDK takes the sessions of one user together, and those of nobody in particular for themselves.
func (w *world) checkUsers(v view, e *epoch, state map[string]value) {
	sessions := make(map[string]int) // by user, of those without one by session
	for session := range state {
		sessions[cmp.Or(e.latest[session].From.User, session)]++
	}
	users := v.people.Users()
	for _, u := range users {
		if n := sessions[cmp.Or(u.User, u.Sessions[0].Session)]; n != len(u.Sessions) {
			w.fault(v.channel, v.who, w.now(), "the SDK says that the user %q has the sessions %v, where there are %d", u.User, u.Sessions, n)
		}
	}
	if len(users) != len(sessions) {
		w.fault(v.channel, v.who, w.now(), "the SDK has %d users, where there are %d", len(users), len(sessions))
	}
}

func (w *world) checkMap(v view) {
	e := w.truth.current(v.channel)
	if e == nil {
		return
	}
	have, place := make(map[string]value), v.keys.Top(-1)
	for i, m := range place {
		if v.told[m.Key] != string(m.Payload) {
			w.fault(v.channel, v.who, w.now(), "the SDK's map has %.60q for %s, and told of %.60q at last", m.Payload, m.Key, v.told[m.Key])
		}
		have[m.Key] = value{unquote(m.Payload), m.Position.Offset}
		f := e.latest[m.Key] // nil is told below
		if i > 0 && outranks(m, place[i-1]) || f != nil && m.Score != f.Score {
			w.fault(v.channel, v.who, w.now(), "the SDK's map has %s with the score %v at %d", m.Key, m.Score, i)
		}
	}
	if len(v.told) > len(place) {
		w.fault(v.channel, v.who, w.now(), "the SDK's map has %d keys, and those it told of are %v", len(place), sorted(v.told))
	}
	if diff := different(have, e.fold(len(e.entries))); diff != "" {
		w.fault(v.channel, v.who, w.now(), "the SDK's map: %s", diff)
	}
}
