package session

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

// writeOffStep is how many leaves are under way at once.
const writeOffStep = 256

// cleanUp writes off the members of a life that is over, unless somebody else does.
func (l *lease) cleanUp(life string) {
	l.cleaning = true
	l.write(cleanupKey+life, broker.Set, 0, cleanupTTL, func(_, _ uint64, err error) {
		if err != nil {
			l.cleaning = false
			return
		}
		ok := l.node.cfg.Task(func(ctx context.Context) {
			left, err := l.node.writeOff(ctx, life)
			asked, failed := l.node.askFor(ctx, life)
			l.shard().loop.Post(func() {
				l.cleaned(life, left, errors.Join(err, failed))
				if asked > 0 {
					l.shard().loop.After(askWait, func() { l.endAsked(life, 0) })
				}
			})
		})
		l.cleaning = ok
	})
}

// cleaned takes a life off the list. Where its members could not all be written off, somebody goes on when the key of
// the one who tried has ended.
func (l *lease) cleaned(life string, left int, err error) {
	l.cleaning = false
	log := l.node.cfg.Log.With(slog.String("life", life), slog.Int("left", left))
	if err != nil {
		log.Error("the members of a node that has ended could not all be written off", slog.Any("error", err))
		return
	}
	log.Info("the members of a node that has ended are written off")
	e := broker.Entry{Key: nodeKey + life, Op: broker.Delete}
	l.shard().append(nodesLog, e, nodesKeep, func(broker.Receipt, error) {}) // else it is done again, to no effect
}

// writeOff writes the leaves of all members that a life of a node has left behind, and answers how many those were. A
// member that has come back elsewhere has an entry of another life. It blocks.
func (n *Node) writeOff(ctx context.Context, life string) (left int, err error) {
	state, keeps := n.cfg.Broker.(broker.State)
	lister, lists := n.cfg.Broker.(broker.Lister)
	if !keeps || !lists {
		return 0, errors.ErrUnsupported
	}
	for after := dialect.PresencePrefix; ; {
		names, err := lister.Channels(ctx, after, listStep)
		if err != nil {
			return left, err
		}
		for _, name := range names {
			channel, ok := strings.CutPrefix(name, dialect.PresencePrefix)
			if !ok {
				return left, nil
			}
			some, err := n.writeOffIn(ctx, state, channel, life)
			if left += some; err != nil {
				return left, err
			}
			after = name
		}
		if len(names) < listStep {
			return left, nil
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
