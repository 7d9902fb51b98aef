package loop

import (
	"errors"
	"fmt"
	"net"
	"runtime/debug"
)

// A Handler is the owner of a connection. All its methods are called on the connection's loop, never one inside another or
// inside a method of [Conn].
type Handler interface {
	// Read takes bytes that have arrived. b is the loop's own buffer: it may be modified, and is valid only until Read returns.
	Read(b []byte)
	// Flush follows [Conn.Wake], in one of the two steps of the turn for that, and a [Conn.Write] that took less than it was given, when the
	// connection takes bytes again. A connection that is full is not flushed before it has room, woken or not.
	Flush()
	// Alarm says that the seconds given to [Conn.SetAlarm] have passed.
	Alarm()
	// Closed is the last call, made exactly once. err is io.EOF when the peer has ended its side, the error of the
	// socket, what was given to [Conn.Close], a [*PanicError], or [ErrGroupClosed].
	Closed(err error)
}

// A PanicError closes a connection whose handler has panicked.
type PanicError struct {
	Value any    // what was given to panic
	Stack []byte // the stack at the panic, as runtime/debug.Stack writes it
}

// Error names the value, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("loop: handler panicked: %v", e.Value) }

// Unwrap returns the value when it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// A Conn is one connection on a loop. Its zero value, usually embedded in the owner's struct, waits for [Loop.Attach]; it is
// not to be copied afterwards, nor attached again. Its methods are for the loop only. After Close they do nothing.
type Conn struct {
	loop    *Loop
	handler Handler
	link    *link // a pointer, as most connections share epoll's: that is 8 bytes less for each
	fd      int32 // epoll's
	slot    uint32
	state   state
	ticks   uint8 // the alarm asked for before there was a slot
}

// A state is what is true of a connection now.
type state uint16

const (
	registered state = 1 << iota // it has a slot and can be read
	closed                       // Close was called; Closed may still be due
	woken                        // it stands in the loop's list for Flush
	full                         // Write took less than it was given, and there is no room yet
	paused                       // Pause was called
	hungup                       // the peer has ended while paused, and bytes before that are unread
	peeking                      // bytes are shown to the handler and stay where they are
	seen                         // epoll knows the connection that is peeked at: it reports what is new
	own                          // nobody else can have a copy of the descriptor
	unlisted                     // epoll will be told of it, as it is then: when AttachPeeking has read, or its end has been looked at
)

func (s state) has(flag state) bool { return s&flag != 0 }

// A link moves the bytes of a connection: epoll for descriptors, a stream for the rest.
type link interface {
	// open begins reading. The connection has its slot.
	open(c *Conn) error
	// write takes what it can without blocking.
	write(c *Conn, b []byte) (int, error)
	// update follows a change of the paused or full state.
	update(c *Conn)
	// closeWrite ends the sending side once what was accepted is sent.
	closeWrite(c *Conn)
	// close ends the connection; what was accepted is still sent.
	close(c *Conn)
	// abandon frees a connection that was adopted but has no loop any more. From any goroutine.
	abandon(c *Conn)
}

// Attach puts the connection nc under the care of the loop, with h as its handler. c must be zero.
//
// Attach owns nc from the call on, also when it fails. On Linux the descriptor of a *net.TCPConn or *net.UnixConn is taken
// over: duplicated, and nc closed; TCP_NOTSENT_LOWAT (16 KiB: what a slow reader has not fetched stays with the
// owner, not in the kernel) is set, all else left as nc had it. So is that of a *tls.Conn which stands on a [Carrier] of one and
// has its handshake behind it; reads then bring what was decrypted. Any other connection, also one that merely embeds such a type,
// is served by goroutines through its own methods. Bytes that someone has already read from nc are the caller's to deal with.
//
// Attach may be called on the loop, or on any goroutine that has not yet shared c. The handler's methods, save Flush
// upon a Wake, are called from the next step for posted functions on: who attaches on the loop finishes its own preparations before that,
// who attaches elsewhere and posts them may find that Read came first. The error
// is the system's, when there are no descriptors left, or [ErrGroupClosed]; then Closed is not called.
func (l *Loop) Attach(c *Conn, nc net.Conn, h Handler) error {
	if c.loop != nil {
		nc.Close()
		return errors.New("loop: attach: the Conn is in use")
	}
	k, err := l.poll.adopt(c, nc)
	if err != nil {
		return fmt.Errorf("loop: attach: %w", err)
	}
	if k == nil {
		var s link = newStream(l, c, nc)
		k = &s
	}
	c.loop, c.handler, c.link = l, h, k
	l.conns.Add(1)
	if !l.Post(c.register) {
		l.conns.Add(-1)
		(*k).abandon(c)
		return ErrGroupClosed
	}
	return nil
}

// register is the part of Attach that belongs to the loop.
func (c *Conn) register() {
	if c.state.has(closed) {
		return
	}
	c.slot = c.loop.table.add(c)
	c.state |= registered
	if c.ticks != 0 {
		c.loop.setAlarm(c.slot, c.ticks)
	}
	if err := (*c.link).open(c); err != nil {
		c.Close(err)
	} else if c.loop.stopping {
		c.Close(ErrGroupClosed)
	}
}

// Loop returns the loop the connection was attached to. It may be called from any goroutine.
func (c *Conn) Loop() *Loop { return c.loop }

// Write sends b, or as much of it as the connection takes now, with one system call at most, and never blocks. When n < len(b)
// and err is nil the connection is full: Flush will be called when it has room, and until then Write takes nothing. It does not
// keep b. Under TLS the connection takes up to 16 KiB beyond what the socket does, encrypted, and is full until that is sent. An error closes the connection: Closed follows, not from inside Write. After Close the error is net.ErrClosed.
func (c *Conn) Write(b []byte) (n int, err error) {
	if c.state.has(closed) {
		return 0, net.ErrClosed
	}
	if c.state.has(full) || len(b) == 0 {
		return 0, nil
	}
	n, err = (*c.link).write(c, b)
	if err != nil {
		c.Close(err)
		return n, err
	}
	if n < len(b) {
		c.state |= full
		(*c.link).update(c)
	}
	return n, nil
}

// Wake has Flush called in this turn, when all that is ready has been read or at its end, once however often Wake is called before. From
// inside Flush it means the next of these steps.
func (c *Conn) Wake() {
	if c.state.has(woken | closed) {
		return
	}
	c.state |= woken
	c.loop.woken = append(c.loop.woken, c)
}

// SetAlarm has Alarm called once when that many seconds have passed, up to one second late. It replaces the alarm set
// before; 0 clears it. 255 may come up to one second early.
func (c *Conn) SetAlarm(ticks uint8) {
	switch {
	case c.state.has(closed):
	case c.state.has(registered):
		c.loop.setAlarm(c.slot, ticks)
	default:
		c.ticks = ticks
	}
}

// Pause stops reading. The connection still notices when it breaks, and when the peer ends it with nothing left to read; if
// bytes are left, they and the end wait for Resume.
func (c *Conn) Pause() {
	if !c.state.has(paused | closed) {
		c.state |= paused
		(*c.link).update(c)
	}
}

// Resume continues reading after Pause.
func (c *Conn) Resume() {
	if c.state.has(paused) && !c.state.has(closed) {
		c.state &^= paused | hungup
		(*c.link).update(c)
	}
}

// CloseWrite ends the sending side: the peer reads an end after the bytes Write has accepted, and Write must not be called any
// more. Reading goes on. A protocol with a closing handshake calls it and reads until the peer has ended too (or an
// alarm), because Close with unread bytes makes TCP reset the connection, which may cost the peer the last bytes sent.
// It does nothing where the connection has no such notion.
func (c *Conn) CloseWrite() {
	if !c.state.has(closed) {
		(*c.link).closeWrite(c)
	}
}

// Close closes the connection. Handler.Closed(err) follows at the end of this turn or, when many end at once, of a later one; no
// other method of the handler is called any more. Bytes that Write has accepted are still sent, without the loop waiting for it,
// for 5 seconds at most where they are not the kernel's. Only the first call counts.
func (c *Conn) Close(err error) {
	if c.state.has(closed) {
		return
	}
	c.state |= closed
	(*c.link).close(c)
	if c.state.has(registered) {
		c.loop.table.remove(c.slot)
	}
	c.loop.ended = append(c.loop.ended, ending{c, err})
}

// hasRoom says that a full connection takes bytes again. A stream may say so while it lingers after Close.
func (c *Conn) hasRoom() {
	if c.state.has(full) && !c.state.has(closed) {
		c.state &^= full
		(*c.link).update(c)
		c.Wake()
	}
}

// The calls of the handler, each of which costs the connection when it panics.

func (c *Conn) read(b []byte) {
	defer c.rescue()
	c.handler.Read(b)
}

func (c *Conn) flush() {
	c.state &^= woken
	if !c.state.has(closed | full) {
		defer c.rescue()
		c.handler.Flush()
	}
}

func (c *Conn) alarm() {
	defer c.rescue()
	c.handler.Alarm()
}

func (c *Conn) tellClosed(err error) {
	h := c.handler
	c.handler, c.link = nil, nil // the owner may keep the Conn; it need not keep these
	defer c.loop.rescue()
	h.Closed(err)
}

func (c *Conn) rescue() {
	if v := recover(); v != nil {
		c.Close(&PanicError{Value: v, Stack: debug.Stack()})
	}
}
