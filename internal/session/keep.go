package session

import (
	"slices"

	"hocket.dev/dialect"
)

// Commands that wait for an answer that others have to give first may hold this much: commandBytes each for what they consist
// of, beside their payloads and tags, and in all as much as heldMessages messages.
const (
	commandBytes = 512
	heldMessages = 4
)

// keep copies a command that has to wait, and counts its request as open. It answers nil, and the client, when too much waits.
func (s *Session) keep(c *dialect.Command) *dialect.Command {
	n := weight(c)
	if s.open != nil && s.waiting().held+n > heldMessages*max(s.shard.node.cfg.Limits.MessageBytes, 64<<10) {
		s.busy(c.ID, named(c))
		return nil
	}
	s.begin(c.ID)
	s.waiting().held += n
	kept := *c
	kept.Payload = slices.Clone(c.Payload)
	return &kept
}

// letGo gives back the room of a command that was kept. Its request is still open.
func (s *Session) letGo(c *dialect.Command) { s.waiting().held -= weight(c) }

func weight(c *dialect.Command) int64 {
	n := commandBytes + len(c.Payload)
	for name, value := range c.Publish.Tags {
		n += len(name) + len(value)
	}
	return int64(n)
}
