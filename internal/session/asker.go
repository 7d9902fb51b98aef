package session

import (
	"context"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

// An Asker puts questions to the back end, or to the program that the node is a part of: about what clients want to do that
// is permitted, in channels whose rules say so. Its methods run as tasks and may block until ctx ends, which is when the
// session does or the time is up. An error is told to the client; a panic closes the session.
type Asker interface {
	// Subscribe decides about a subscription.
	Subscribe(ctx context.Context, q SubscribeQuestion) (SubscribeAnswer, *dialect.Error)
	// Publish decides about an entry.
	Publish(ctx context.Context, q PublishQuestion) (PublishAnswer, *dialect.Error)
}

// Asking is who asks for something, and in which channel.
type Asking struct {
	Session string // the public name
	User    string
	Address string // of the client, with its port
	Channel string
}

// A SubscribeQuestion is whether a session may follow a channel.
type SubscribeQuestion struct {
	Asking
	Presence dialect.PresenceMode
	Filter   dialect.Filter
}

// A SubscribeAnswer lets it.
type SubscribeAnswer struct {
	// Capabilities are given to the session as long as it lives, beside those it has; nil for none. The patterns of all
	// answers together are at most rule.MaxCapabilities. A limit takes the place of one given before for the same pattern.
	Capabilities map[string][]string
	// Info is what the session tells about itself as a member of this channel, one JSON value; nil leaves what it tells
	// elsewhere.
	Info []byte
}

// A PublishQuestion is whether a session may append an entry.
type PublishQuestion struct {
	Asking
	Key     string // "" for none
	Op      broker.Op
	Payload []byte // nil for none; not to be changed
	Format  broker.Format
	Tags    map[string]string // not to be changed
}

// A PublishAnswer lets it, and may say what is appended instead.
type PublishAnswer struct {
	Payload []byte // in Format; nil leaves it as it is
	Format  broker.Format
	Tags    map[string]string // nil leaves them as they are
}

// nobodyToAsk is the Asker of a node that has none.
type nobodyToAsk struct{}

var errNobodyToAsk = dialect.Errorf(dialect.NotSupported, "this server has nobody to ask about that, though the channel's rule says so")

// Subscribe implements Asker.
func (nobodyToAsk) Subscribe(context.Context, SubscribeQuestion) (SubscribeAnswer, *dialect.Error) {
	return SubscribeAnswer{}, errNobodyToAsk
}

// Publish implements Asker.
func (nobodyToAsk) Publish(context.Context, PublishQuestion) (PublishAnswer, *dialect.Error) {
	return PublishAnswer{}, errNobodyToAsk
}
