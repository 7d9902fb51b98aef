package session

import (
	"context"
	"strings"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/rule"
)

// A pattern may match none of very many channels, so a page looks at listStep names listSteps times at most.
const (
	listStep  = 1000
	listSteps = 10
)

// behind, put after any text of a name, makes a string that lies behind every name that begins with the text: a name has
// at most 255 bytes, and no character comes after this one.
var behind = strings.Repeat("\U0010FFFF", 64)

// Channels names channels that match p, in byte order, at most limit, beginning after the name after. A limit of 0 means
// 100, the zero Pattern matches all. Those that begin with "$" are left out. next is where a further page goes on after,
// "" when there is none; a page with a next may have fewer names than limit, or none. It blocks until the broker answers or
// ctx ends.
func (n *Node) Channels(ctx context.Context, p rule.Pattern, after string, limit int) (names []string, next string, failed *dialect.Error) {
	lister, ok := n.cfg.Broker.(broker.Lister)
	if !ok {
		return nil, "", dialect.Errorf(dialect.NotSupported, "the broker of this server does not list channels")
	}
	limit = n.pageLimit(limit)
	prefix := literalPrefix(p)
	if prefix != "" {
		after = max(after, strings.TrimSuffix(prefix, ":")+"9"+behind) // "9" is the character before ":"
	}
	for range listSteps {
		some, err := lister.Channels(ctx, after, listStep)
		if err != nil {
			return nil, "", readError(ctx, err, "the channels")
		}
		skipped := false
		for _, name := range some {
			after = name
			if skipped = rule.IsReserved(name); skipped {
				after = "$" + behind
				break
			}
			if !strings.HasPrefix(name, prefix) {
				return names, "", nil
			}
			if p != (rule.Pattern{}) && !p.Match(name) {
				continue
			}
			if len(names) == limit {
				return names, names[limit-1], nil
			}
			names = append(names, name)
		}
		if len(some) < listStep && !skipped {
			return names, "", nil
		}
	}
	return names, after, nil
}

// literalPrefix is what every name that p matches begins with: "", or whole segments with the ":" after them.
func literalPrefix(p rule.Pattern) string {
	text := p.String()
	if i := strings.IndexAny(text, "*>"); i >= 0 {
		text = text[:i]
	}
	return text[:strings.LastIndexByte(text, ':')+1]
}
