// Package hub holds this node's windows and cursors: who follows which channel here, and what each follower is due.
//
// A channel that somebody on this node follows has a log: a window of its newest entries, fed by the broker. A
// follower is a [Cursor]: a place in that window and nothing else. There is no queue per follower; one that reads
// slowly costs the size of a Cursor, and when the window's tail passes it, it is told which offsets it missed.
//
// The bytes of an entry are made once per [Encoding] by the goroutine that delivers it, and kept for a short while in
// chunks that all cursors of that encoding read. What is older is made again from the window when a cursor asks.
//
// A Hub starts no goroutine and reads no clock: what blocks is handed to Config.Task, time comes in through Tick.
// Subscribe and all methods of a Cursor belong to the loop its owner lives on; Deliver, Gap and Tick may be called from
// any goroutine. The lock of a log is never held while the broker, an owner or a loop is called.
package hub
