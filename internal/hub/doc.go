// Package hub holds this node's windows and cursors: who follows which channel here, and what each follower is due.
//
// A channel that somebody on this node follows has a log: a window of its newest entries, fed by the broker. A
// follower is a [Cursor]: a place in that window and nothing else. There is no queue per follower; one that reads
// slowly costs the size of a Cursor, and when the window's tail passes it, it is told which offsets it missed.
//
// The bytes of an entry are made once per [Encoding] by the goroutine that delivers it, and kept for a short while in
// chunks that all cursors of that encoding read. What is older is made again from the window when a cursor asks, and
// what is older than the window is read from the broker in pages.
//
//	h := hub.New(hub.Config{Broker: b, Loops: loops, Task: task})
//	go b.Run(ctx, h)            // and h.Tick(now) about once a second
//
//	h.Subscribe(req, &cursor, done) // on the owner's loop; then, whenever Due was called and the socket has room:
//	slice := cursor.Take(&scratch, 64<<10)
//	n := write(slice.Bytes)
//	entries, rest := cursor.Sent(slice, n)
//
// An entry that did not come live is noticed when a later one names another before it, when the broker says so (Gap), and
// by comparing heads. The hub then reads on from its own head; live entries that come meanwhile wait for it. What cannot
// be read any more becomes a mark in the window, which every cursor tells as a gap in its place.
//
// A follower that falls too far behind, because the window has passed it or because of the bounds in its Request, is
// treated as its overflow rule says: told a gap, disconnected, refilled with pages of the broker, or taken to the latest of
// each key. Pages are read one at a time for a cursor, when its socket has room, and given up when nobody takes them.
//
// A log that is sampled or gathered (see Request) is paced: what comes too soon waits for the end of an interval, for which
// the hub asks a loop. Offsets are told in order all the same. Catching up from the window brings what the interval left,
// catching up from the broker everything.
//
// What was removed from a log, and what is past its time to live, is forgotten or passed. Frames that have been made live on
// for the few seconds that frames do, where only time has passed; a removal drops them.
//
// What the hub does not know: sessions, permissions, dialects, sockets.
//
// A Hub starts no goroutine and reads no clock: what blocks is handed to Config.Task, time comes in through Tick and
// Loop.After.
// Subscribe and all methods of a Cursor belong to the loop its owner lives on; Deliver, Gap, Tick, Close and Stats may
// be called from any goroutine. The lock of a log is never held while the broker, an owner or a loop is called.
package hub
