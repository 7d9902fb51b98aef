package sim

import (
	"context"
	"errors"
	"fmt"

	"hocket.dev/client"
)

// An attendant is a client with the SDK that is a member in the end.
type attendant struct {
	*kit
	c *client.Client
}

// presence says what a subscription has to do with presence.
func (k *kit) presence() client.PresenceMode {
	if k.joins {
		return client.Join
	}
	return client.Watch
}

// attends notes that the client is a member, where it stays.
func (k *kit) attends(c *client.Client, r *run) {
	k.mu.Lock()
	stays := k.joins && k.lasts && r.client == k.id
	k.mu.Unlock()
	if stays {
		k.w.set(func() { k.w.attendants = append(k.w.attendants, attendant{k, c}) })
	}
}

// introduce has the client tell something else of itself.
func (k *kit) introduce(c *client.Client) {
	info := k.dice.n(1000)
	k.mu.Lock()
	k.info = fmt.Sprint(info)
	k.mu.Unlock()
	k.w.note(k.name, fmt.Sprint("tells ", info))
	k.w.acting.Go(func() {
		if err := c.SetInfo(context.Background(), info); err != nil && !errors.Is(err, client.ErrClosed) {
			k.w.fault(crowd, k.name, k.w.now(), "the SDK could not tell %d: %v", info, err)
		}
	})
}

// checkAttendants checks that the log has what they tell of themselves, and answers who they are.
func (w *world) checkAttendants(e *epoch) (names []string) {
	state := e.fold(len(e.entries))
	for _, a := range w.attendants {
		name := a.c.Session()
		names = append(names, name)
		if there, is := state[name]; is && there.text != a.info {
			w.fault(name, a.name, w.now(), "the SDK tells %s of it, and the log says %s", a.info, there.text)
		}
	}
	return names
}
