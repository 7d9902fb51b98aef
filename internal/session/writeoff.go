package session

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

// writeOffStep is how many leaves are under way at once.
const writeOffStep = 256

// cleanup is how far this node has come with a life that is over.
type cleanup struct {
	after string // the presence log up to which all leaves are written, "" for none
	left  int    // how many leaves that were
	asked int    // how many estates were asked for, or may be
	ended bool   // those are all, and their end has been seen to
}

// cleanUp writes off the members of a life that is over, unless somebody else does.
func (l *lease) cleanUp(life string) {
	c := l.cleanups[life]
	if c == nil {
		c = &cleanup{}
		l.cleanups[life] = c
	}
	l.cleaning = true
	l.claim(cleanupKey+life, func(ours bool) {
		if l.cleaning = ours; ours {
			l.carryOn(life, c)
		}
	})
}

// claim writes a key that says who does what one alone is to do, for some time. ours says that it is this node.
func (l *lease) claim(key string, then func(ours bool)) {
	l.write(key, broker.Set, 0, cleanupTTL, func(_, there uint64, err error) {
		if there == 0 {
			then(err == nil)
			return
		}
		l.shard().look(nodesLog, key, there, func(e *broker.Entry, _ error) { then(e != nil && l.wrote(e)) })
	})
}

// wrote says that an entry of the log of nodes is this node's: it has tried before what failed, or has not heard that it was taken.
func (l *lease) wrote(e *broker.Entry) bool {
	by := e.Headers[dialect.NodeHeader]
	return by == l.node.life() || slices.Contains(l.past, by)
}

// carryOn does what is left to do of a cleanup.
func (l *lease) carryOn(life string, c *cleanup) {
	l.cleaning = l.node.cfg.Task(func(ctx context.Context) {
		now := *c
		err := l.node.writeOff(ctx, life, &now)
		if !now.ended {
			asked, failed := l.node.askFor(ctx, life)
			now.asked += asked
			now.ended = failed == nil
			err = errors.Join(err, failed)
		}
		l.shard().loop.Post(func() { l.cleaned(life, c, now, err) })
	})
}

// cleaned takes a life off the list. What the broker did not take is tried again at the next tick.
func (l *lease) cleaned(life string, c *cleanup, now cleanup, err error) {
	l.cleaning = false
	if now.ended && !c.ended && now.asked > 0 {
		l.shard().loop.After(askWait, func() { l.endAsked(life, 0) })
	}
	if *c = now; l.cleanups[life] != c {
		return // the log of nodes has begun anew
	}
	log := l.node.cfg.Log.With(slog.String("life", life), slog.Int("left", c.left))
	if err != nil {
		log.Error("the members of a node that has ended could not all be written off", slog.Any("error", err))
		return
	}
	log.Info("the members of a node that has ended are written off")
	e := broker.Entry{Key: nodeKey + life, Op: broker.Delete}
	l.shard().append(nodesLog, e, nodesKeep, func(broker.Receipt, error) {}) // else it is done again, to no effect
}

// writeOff writes the leaves of all members that a life of a node has left behind, going on from where c has come to. A
// member that has come back elsewhere has an entry of another life. It blocks.
func (n *Node) writeOff(ctx context.Context, life string, c *cleanup) error {
	state, keeps := n.cfg.Broker.(broker.State)
	lister, lists := n.cfg.Broker.(broker.Lister)
	if !keeps || !lists {
		return errors.ErrUnsupported
	}
	for {
		names, err := lister.Channels(ctx, cmp.Or(c.after, dialect.PresencePrefix), listStep)
		if err != nil {
			return err
		}
		for _, name := range names {
			channel, ok := strings.CutPrefix(name, dialect.PresencePrefix)
			if !ok {
				return nil
			}
			left, err := n.writeOffIn(ctx, state, channel, life)
			if c.left += left; err != nil {
				return err
			}
			c.after = name
		}
		if len(names) < listStep {
			return nil
		}
	}
}

// writeOffIn is writeOff for one channel.
func (n *Node) writeOffIn(ctx context.Context, state broker.State, channel, life string) (left int, err error) {
	log := dialect.PresencePrefix + channel
	members, err := state.Keys(ctx, log)
	if err != nil {
		return 0, err
	}
	n.roster.noticed(channel, members)
	for after := uint64(0); ; {
		page, err := state.State(ctx, log, broker.StateQuery{After: after, Limit: writeOffStep})
		if err != nil {
			return left, err
		}
		some, err := n.writeOffPage(ctx, channel, life, page.Entries)
		if left += some; err != nil || !page.More {
			return left, err
		}
		after = page.Entries[len(page.Entries)-1].Offset
	}
}

// writeOffPage writes the leaves of those of the entries that are of a life, and waits for all of them.
func (n *Node) writeOffPage(ctx context.Context, channel, life string, entries []*broker.Entry) (left int, err error) {
	answers, asked := make(chan error, len(entries)), 0
	for _, there := range entries {
		if !strings.HasPrefix(there.Headers[dialect.NodeHeader], life+"/") {
			continue
		}
		e := broker.Entry{
			Key: there.Key, Op: broker.Delete, From: there.From, NoEcho: true, Expect: there.Offset, HasExpect: true,
		}
		n.roster.label(channel, &e)
		asked++
		n.cfg.Broker.Publish(dialect.PresencePrefix+channel, e, retention(presenceKeep), func(_ broker.Receipt, err error) {
			if err == nil {
				n.roster.counted(channel, &e)
			}
			answers <- err
		})
	}
	for range asked {
		select {
		case answer := <-answers:
			switch {
			case answer == nil:
				left++
			case !errors.Is(answer, broker.ErrConflict): // of one who has come back, or left by himself
				err = answer
			}
		case <-ctx.Done():
			return left, ctx.Err()
		}
	}
	return left, err
}
