//go:build !linux

package loop

import (
	"errors"
	"net"
)

func newPoller(l *Loop) (poller, error) { return newParker(l), nil }

// A Listening is a listening socket whose connections the loops of a group accept. There is none on this system.
type Listening struct{}

// Listen returns errors.ErrUnsupported: this system has no epoll.
func (g *Group) Listen(*net.TCPListener, ListenConfig) (*Listening, error) {
	return nil, errors.ErrUnsupported
}

// Close does nothing.
func (*Listening) Close() {}

// AttachPeeking does nothing: there are no descriptors on these loops.
func (*Loop) AttachPeeking(*Conn, int, Handler) {}

// Take returns false: there are no descriptors on these loops.
func (*Conn) Take(int) bool { return false }

// Move does nothing: there are no descriptors on these loops.
func (*Conn) Move(*Conn, Handler) {}

// Detach returns -1: there are no descriptors on these loops.
func (*Conn) Detach() int { return -1 }
