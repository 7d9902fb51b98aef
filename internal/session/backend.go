package session

import (
	"context"
	"strconv"
	"strings"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

// What back ends ask of a node. Sessions read through the same methods, so that a page is the same for both.

// defaultPage is how many entries or members a page has when the request does not say.
const defaultPage = 100

// Publish appends an entry in the name of the server: to any channel but those that begin with "$". The channel's rule
// says what is kept and what fits. Publishes to one channel are queued in the order of the calls. done is called once, on any
// goroutine, maybe before Publish returns, and must not block.
func (n *Node) Publish(channel string, e broker.Entry, done func(broker.Receipt, *dialect.Error)) {
	if err := checkChannel(channel); err != nil {
		done(broker.Receipt{}, err)
		return
	}
	if err := n.CheckPayload(channel, &e); err != nil {
		done(broker.Receipt{}, err)
		return
	}
	n.cfg.Broker.Publish(channel, e, retention(n.cfg.Rules.For(channel).History), func(r broker.Receipt, err error) {
		if err == nil {
			n.Publishes.Add(1)
			if r.Duplicate {
				n.Duplicates.Add(1)
			}
		}
		done(r, asError(err, channel))
	})
}

// History reads a page of a channel's log, within the node's limits. It blocks until the broker answers or ctx ends.
func (n *Node) History(ctx context.Context, channel string, a *dialect.HistoryArgs) (broker.Page, *dialect.Error) {
	if err := checkChannel(channel); err != nil {
		return broker.Page{}, err
	}
	q := broker.Query{After: a.After, HasAfter: a.HasAfter, Limit: n.pageLimit(a.Limit)}
	if a.HasBefore {
		q.Before = max(a.Before, 1) // nothing lies before the beginning; 0 in a Query means no bound
	}
	page, err := n.cfg.Broker.Read(ctx, channel, q)
	if err != nil {
		return broker.Page{}, readError(ctx, err, channel)
	}
	if a.HasAfter && a.After > page.Head { // a broker answers with what is kept
		page.Entries, page.More = nil, false
	}
	cutPage(&page, n.cfg.Limits.HistoryBytes, a.HasAfter)
	return page, nil
}

// Members reads a page of a channel's members, by their place in the presence log. Otherwise it is like History.
func (n *Node) Members(ctx context.Context, channel string, a *dialect.PresenceArgs) (*dialect.PresencePage, *dialect.Error) {
	if err := checkChannel(channel); err != nil {
		return nil, err
	}
	state, ok := n.cfg.Broker.(broker.State)
	if r := n.cfg.Rules.For(channel); !r.Presence || !ok {
		return nil, dialect.Errorf(dialect.PermissionDenied, "presence of %s is not to be had: its rule keeps none", channel)
	}
	epoch, after, valid := parseNext(a.Next)
	if !valid {
		return nil, dialect.Errorf(dialect.InvalidMessage, "next is not the one of a page before")
	}
	log := dialect.PresencePrefix + channel
	page, err := state.State(ctx, log, broker.StateQuery{After: after, Limit: n.pageLimit(a.Limit)})
	if err != nil {
		return nil, readError(ctx, err, channel)
	}
	if epoch != "" && epoch != page.Epoch {
		return nil, dialect.Errorf(dialect.EpochChanged, "the presence of %s began anew: ask for the first page", channel)
	}
	cutPage(&page, n.cfg.Limits.HistoryBytes, true)
	r := &dialect.PresencePage{Channel: channel, Epoch: page.Epoch, Offset: page.Head, Members: page.Entries}
	if r.Count, err = state.Keys(ctx, log); err != nil {
		return nil, readError(ctx, err, channel)
	}
	if page.More && len(page.Entries) > 0 {
		r.Next = page.Epoch + "." + strconv.FormatUint(page.Entries[len(page.Entries)-1].Offset, 10)
	}
	return r, nil
}

func parseNext(next string) (epoch string, after uint64, ok bool) {
	if next == "" {
		return "", 0, true
	}
	epoch, offset, found := strings.Cut(next, ".")
	after, err := strconv.ParseUint(offset, 10, 53)
	return epoch, after, found && err == nil
}

// pageLimit is how many entries a page has when limit are asked for, 0 for no wish.
func (n *Node) pageLimit(limit int) int {
	if limit <= 0 {
		limit = defaultPage
	}
	return min(limit, n.cfg.Limits.HistoryEntries)
}

// cutPage keeps a page within bytes, and at least one entry: the oldest ones when it goes forward, else the newest.
func cutPage(p *broker.Page, bytes int64, forward bool) {
	var size int64
	for i := range p.Entries {
		e := p.Entries[i]
		if !forward {
			e = p.Entries[len(p.Entries)-1-i]
		}
		if size += e.Size(); size > bytes && i > 0 {
			p.More = true
			if forward {
				p.Entries = p.Entries[:i]
			} else {
				p.Entries = p.Entries[len(p.Entries)-i:]
			}
			return
		}
	}
}

// readError is asError for a read, which changes nothing and may simply be asked again.
func readError(ctx context.Context, err error, channel string) *dialect.Error {
	if ctx.Err() != nil {
		return dialect.Errorf(dialect.Timeout, "the log of %s did not answer in time", channel)
	}
	return asError(err, channel)
}
