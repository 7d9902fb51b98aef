package session

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

// Where the log of nodes has begun anew, members may be there, and estates, of lives that it does not know: of a node that died
// before it could name itself again. Somebody searches for them, once for each epoch of that log, and makes known whose they
// are, without a lease: so they are written off as any dead node's. Two more keys of that log say how that stands:
//
//	search    ends by itself: somebody searches
//	searched  for the epoch in its header: the search is done, or has come to the log in the other one
//
// A node that lives and is made known so, because it could not reach the broker, hears of the new epoch with its next word, and
// writes its members again.
const (
	searchKey   = "search"
	searchedKey = "searched"
	epochHeader = "epoch"
	afterHeader = "after"
	// searchStep is how many channels are searched at a tick: 60 in a second.
	searchStep = 300
)

// search is what this node does of it.
type search struct {
	looks int  // in a row that have found that it is due
	busy  bool // a step is under way
}

// search goes on with a search that is due. The first looks let those who live name themselves.
func (l *lease) search(seen nodesSeen) {
	s := &l.searching
	if _, lists := l.node.cfg.Broker.(broker.Lister); seen.searched || !lists {
		s.looks = 0
		return
	}
	if s.looks++; s.looks <= deadLooks || s.busy {
		return
	}
	s.busy = true
	known := seen.named
	l.claim(searchKey, func(ours bool) {
		s.busy = ours && l.node.cfg.Task(func(ctx context.Context) {
			step := strays{node: l.node, known: known, found: make(map[string]bool)}
			next, err := step.search(ctx, seen.upTo)
			l.shard().loop.Post(func() { l.found(seen.epoch, step.found, next, err) })
		})
	})
}

// found makes known whose lives were found, and up to where that is, "" at the end. What fails is done again at the next tick.
func (l *lease) found(epoch string, lives map[string]bool, next string, err error) {
	left := 1
	done := func(failed error) {
		err = errors.Join(err, failed)
		if left--; left > 0 {
			return
		}
		if l.searching.busy = false; err != nil {
			return
		}
		e := broker.Entry{
			Key: searchedKey, Op: broker.Set, Payload: []byte("null"),
			Headers: map[string]string{epochHeader: epoch, afterHeader: next},
		}
		l.shard().append(nodesLog, e, nodesKeep, func(broker.Receipt, error) {})
	}
	for life := range lives {
		left++
		l.node.cfg.Log.Warn("members were found of a node that nobody knows", slog.String("life", life))
		l.write(nodeKey+life, broker.Set, 0, 0, func(_, there uint64, err error) {
			if there != 0 {
				err = nil
			}
			done(err)
		})
	}
	done(nil)
}

// strays are lives that are not known, and have members or estates.
type strays struct {
	node  *Node
	known map[string]bool
	found map[string]bool
}

// search looks at some presence logs after one, and answers up to where; at the end at the estates, and answers "". It blocks.
func (s *strays) search(ctx context.Context, after string) (next string, err error) {
	lister := s.node.cfg.Broker.(broker.Lister)
	names, err := lister.Channels(ctx, max(after, dialect.PresencePrefix), searchStep)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, dialect.PresencePrefix) {
			return "", s.read(ctx, estatesLog)
		}
		if err := s.read(ctx, name); err != nil {
			return "", err
		}
		next = name
	}
	if len(names) < searchStep {
		return "", s.read(ctx, estatesLog)
	}
	return next, nil
}

// read reads whose entries are in a log.
func (s *strays) read(ctx context.Context, log string) error {
	state := s.node.cfg.Broker.(broker.State)
	for after := uint64(0); ; {
		page, err := state.State(ctx, log, broker.StateQuery{After: after, Limit: writeOffStep})
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			life := lifeOf(e.Headers[dialect.NodeHeader])
			if _, known := s.known[life]; life != "" && !known {
				s.found[life] = true
			}
			after = e.Offset
		}
		if !page.More {
			return nil
		}
	}
}
