// Package loop runs connections on event loops.
//
// A [Group] is a handful of loops, about one per core. A [Loop] is one goroutine; a [Conn] belongs to one loop for its
// whole life, and everything that concerns it (reading, writing, timers, its owner's state) happens on that goroutine.
// So the owner of a connection needs no locks, and an idle connection needs neither a goroutine nor a buffer.
//
//	group, err := loop.New(loop.Config{})
//	...
//	l := group.Next()
//	s := &session{}                      // embeds a loop.Conn, implements loop.Handler
//	l.Post(func() {                      // from any goroutine; from here on s is touched on l alone
//		if err := l.Attach(&s.Conn, netConn, s); err == nil {
//			s.greet()            // before the first Read
//		}
//	})
//	...
//	group.Close()
//
// # One turn
//
// A loop turns as long as there is something to do, and sleeps otherwise. One turn
//
//  1. reads each ready connection once and gives the bytes to [Handler].Read, of those found together the ones that their peers
//     have ended last,
//  2. calls Handler.Flush of each connection that asked for it with [Conn.Wake],
//  3. runs the functions given to [Loop.Post] before this step began,
//  4. fires timers ([Loop.After]) and alarms ([Conn.SetAlarm]) that are due,
//  5. calls Handler.Flush of each connection that asked for it since,
//  6. calls Handler.Closed of each connection that ended.
//
// Each step has a budget of time ([Config].TurnBudget); the last, and the ends among what is read, have a share of it, that of the last
// is larger when very many wait. What is left over waits for the next turn, in its order. A connection is closed at once, whenever its handler is
// told. So no step starves another, whatever arrives. A handler or function that runs longer than the budget delays its loop by
// as much: what may block has to leave the loop and come back through Post.
//
// # Two drivers
//
// On Linux a loop sleeps in epoll_wait as an ordinary system call on a thread of its own. While connections are attached in
// numbers that were Go's until then, as in a wave of handshakes through net/http, it sleeps in Go's own poller. A connection is
// a descriptor there, and under TLS, where its *tls.Conn stands on a [Carrier], a few kilobytes that crypto/tls keeps beside it.
// Elsewhere, with [Config].Portable, and for connections without a descriptor of their own (net.Pipe, any other *tls.Conn), a connection
// is served by a goroutine that reads and, while there is something to send, one that writes; the loop itself stays one
// goroutine with the same order of events. Both kinds live side by side on one loop. Everything the portable driver waits for is
// visible to testing/synctest.
//
// # Goroutines
//
// Group's methods, [Loop.Post], [Loop.Attach], [Loop.Index] and [Loop.Stats] may be called from any goroutine. Everything else is
// for the loop's own goroutine: from a Handler's methods, from posted functions, and from timers.
//
// # Panics
//
// A panic in a Handler closes that connection with a [*PanicError]; one in a posted function, in a timer or in Handler.Closed
// goes to [Config].OnPanic. The loop and its other connections go on.
//
// The package knows nothing of what the bytes mean. TLS is crypto/tls's; here it is only kept from blocking.
package loop
