package metrics

import (
	"hocket.dev/internal/limit"
	"hocket.dev/internal/session"
)

// limits tells what was refused to clients that do too much.
func (c *Collector) limits(e emitter) {
	n := c.s.Node
	for of, kinds := range limited {
		for _, kind := range kinds {
			e.counter("hocket_limited_total", limitedHelp, n.Refused(session.Scope(of), kind), "limit", kind.String(), "of", session.Scope(of).String())
		}
	}
	for _, of := range []session.Scope{session.OfUser, session.OfAddress} {
		e.counter("hocket_bans_total", "Users and addresses that were shut out for a while.", n.Bans(of), "of", of.String())
		e.gauge("hocket_accounts", "Users who have proved who they are, and addresses, that have sessions or have taken something lately.",
			float64(n.Accounts(of)), "of", of.String())
	}
	e.gauge("hocket_sessions_limit", "Sessions that this node takes; 0 is no bound.", float64(n.Limits().Sessions))
}

// limited are the kinds that there are limits for, by whose they are.
var limited = [session.Scopes][]limit.Kind{
	session.OfSession: {limit.Messages, limit.Bytes, limit.Subscribes, limit.Publishes, limit.Calls},
	session.OfUser:    {limit.Messages, limit.Bytes, limit.Subscribes, limit.Publishes, limit.Calls},
	session.OfAddress: {limit.Messages, limit.Bytes, limit.Subscribes, limit.Publishes, limit.Calls, limit.Handshakes},
	session.OfRule:    {limit.Subscribes, limit.Publishes, limit.Bytes},
	session.OfNode:    {limit.Handshakes},

	session.OfCapability: {limit.Subscribes, limit.Publishes, limit.Bytes, limit.Calls},
}

const limitedHelp = "Requests and handshakes that were refused for a rate, by what is limited and whose limit it is."
