package loop

import "net/netip"

// ListenConfig says what becomes of the connections of [Group.Listen].
type ListenConfig struct {
	// Accept is called on a loop with the descriptor of each connection, which is its own from there on, to be given to
	// [Loop.AttachPeeking] of that loop, or closed.
	Accept func(l *Loop, fd int, from netip.AddrPort)
	// Refused is called, on any loop, for each connection that was closed because no descriptor was left.
	Refused func()
}
