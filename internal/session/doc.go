// Package session is the life of one client, without I/O: connect, subscribe, publish, call, leave.
//
// A [Session] takes whole messages (Receive) and gives bytes to send (Pull, Sent); what carries them is a transport,
// which the session knows as a [Line]. A session and everything it holds belong to one loop, so it has no lock. What may
// block (a read of the broker, a method of the program) leaves the loop as a task and comes back as a posted function.
//
// What the sessions of a node share is a [Node]; what those of one loop share is a [Shard].
//
// The package starts no goroutine and reads no clock of its own: tasks, timers and the time come from [Config].
package session
