package sim

import (
	"cmp"
	"context"
	"slices"

	"hocket.dev/client"
)

// hasSince checks that a map has what was changed in it as soon as the SDK says that this is done.
func (k *kit) hasSince(m *client.Map, p *publication) {
	at := k.w.truth.place(p.channel, p.text)
	if v, has := m.Get(p.key); has && k.w.profile.steady() && v.Position.Epoch == at.Epoch && v.Position.Offset < at.Offset {
		k.w.fault(p.channel, k.name, k.w.now(), "%s was changed by %s at %d, and the SDK's map has it as of %d", p.key, p.text, at.Offset, v.Position.Offset)
	}
}

// listenByUser follows the changes of a list of members by user.
func listenByUser(people *client.Presence, told map[string][]string) {
	for {
		change, err := people.NextUser(context.Background())
		if err != nil {
			return
		}
		u := change.User
		key := cmp.Or(u.User, u.Sessions[0].Session)
		if told[key] = sessionsOf(u); change.Kind == "leave" {
			delete(told, key)
		}
	}
}

func sessionsOf(u client.User) (names []string) {
	for _, m := range u.Sessions {
		names = append(names, m.Session)
	}
	slices.Sort(names)
	return names
}

// checkToldUsers checks that the changes by user add up to the users there are.
func (w *world) checkToldUsers(v view) {
	users := v.people.Users()
	for _, u := range users {
		if key := cmp.Or(u.User, u.Sessions[0].Session); !slices.Equal(v.users[key], sessionsOf(u)) {
			w.fault(v.channel, v.who, w.now(), "the SDK told of the user %q with %v at last, who has %v", key, v.users[key], sessionsOf(u))
		}
	}
	if len(users) != len(v.users) {
		w.fault(v.channel, v.who, w.now(), "the SDK has %d users, and told of %v", len(users), sorted(v.users))
	}
}

// outranks says that a value stands before another one where the best are asked for: of equal scores the one written first.
func outranks(a, b client.Message) bool {
	return a.Score > b.Score || a.Score == b.Score && a.Position.Offset < b.Position.Offset
}
