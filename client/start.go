package client

import "time"

// Start is where a subscription begins. Its zero value is Live.
type Start struct{ from any }

// Live starts with the next entry.
func Live() Start { return Start{} }

// Last starts with the newest n entries.
func Last(n int) Start { return Start{map[string]int{"last": n}} }

// Since starts with the entries of the time d until now, in whole milliseconds, 366 days at most.
func Since(d time.Duration) Start { return Start{map[string]int64{"since_ms": d.Milliseconds()}} }

// After starts after a position: the way to go on where another Client stood.
func After(p Position) Start { return Start{p} }

// State starts with the latest entry of every key, by offset; live entries follow. A Message of the kind Sync says that
// all of them have come. Over a new connection the subscription goes on by position, even where the log does not reach
// back that far: then what has changed in the state comes, with Deletes for what is gone.
func State() Start { return Start{"state"} }

// SubscribeOptions change what Subscribe does. nil and the zero value are the same.
type SubscribeOptions struct {
	From Start
	// Filter leaves out entries that do not have, for each of these tags, one of the values: at most 16 tags with 16
	// values each. Nothing counts as missing.
	Filter map[string][]string
	// Presence makes this client a member (Join), or only tells it of members (Watch); see Subscription.Presence.
	Presence PresenceMode
	// MaxMembers is how many members Presence lists; it counts all of them. 0 means 1,000.
	MaxMembers int
	// Buffer is how many messages wait for Next; 0 means 1,000. When it is full the client leaves the channel, so that a
	// slow reader holds up nothing else, and comes back to the same position once half of it has been read. So nothing is
	// missing as long as the channel's history reaches back that far, and what is missing is told. A state is taken whole before.
	Buffer int
}
