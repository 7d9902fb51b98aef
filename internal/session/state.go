package session

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/hub"
)

// State reads a page of the latest entry of each key. Otherwise it is like History.
func (n *Node) State(ctx context.Context, channel string, a *dialect.StateArgs) (*dialect.StatePage, *dialect.Error) {
	if err := checkChannel(channel); err != nil {
		return nil, err
	}
	state, ok := n.cfg.Broker.(broker.State)
	if !ok {
		return nil, asError(hub.ErrNoState, channel)
	}
	q := broker.StateQuery{Order: a.Order, Limit: n.pageLimit(a.Limit)}
	epoch, ok := goOnState(&q, a.Next)
	if !ok {
		return nil, dialect.Errorf(dialect.InvalidMessage, "next is not the one of a page before, in the same order")
	}
	page, err := state.State(ctx, channel, q)
	if err != nil {
		return nil, readError(ctx, err, channel)
	}
	if epoch != "" && epoch != page.Epoch {
		return nil, dialect.Errorf(dialect.EpochChanged, "the log of %s began anew: ask for the first page", channel)
	}
	cutPage(&page, n.cfg.Limits.HistoryBytes, true)
	r := &dialect.StatePage{Channel: channel, Page: page}
	if r.Count, err = state.Keys(ctx, channel); err != nil {
		return nil, readError(ctx, err, channel)
	}
	if page.More && len(page.Entries) > 0 {
		r.Next = nextState(a.Order, page.Epoch, page.Entries[len(page.Entries)-1])
	}
	return r, nil
}

// The orders as they stand in the place a page ends at: "offset.41.k3" or, with the bits of the score,
// "score.41.4029000000000000.k3". The epoch stands last because it may hold any character.
var orders = [...]string{broker.ByOffset: "offset", broker.ByScore: "score"}

// nextState names the place behind e.
func nextState(o broker.Order, epoch string, e *broker.Entry) string {
	if o == broker.ByScore {
		return fmt.Sprintf("%s.%d.%x.%s", orders[o], e.Offset, math.Float64bits(e.Score), epoch)
	}
	return fmt.Sprintf("%s.%d.%s", orders[o], e.Offset, epoch)
}

// goOnState has q go on from the place that next names, "" for the beginning, and answers with the epoch it lies in.
func goOnState(q *broker.StateQuery, next string) (epoch string, ok bool) {
	if next == "" {
		return "", true
	}
	order, rest, _ := strings.Cut(next, ".")
	offset, rest, _ := strings.Cut(rest, ".")
	var err error
	if q.After, err = strconv.ParseUint(offset, 10, 53); err != nil || order != orders[q.Order] {
		return "", false
	}
	if q.Order == broker.ByScore {
		var bits string
		bits, rest, _ = strings.Cut(rest, ".")
		n, err := strconv.ParseUint(bits, 16, 64)
		q.AfterScore, q.HasAfterScore = math.Float64frombits(n), true
		if err != nil || math.IsNaN(q.AfterScore) || math.IsInf(q.AfterScore, 0) {
			return "", false
		}
	}
	return rest, rest != ""
}
