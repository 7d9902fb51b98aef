// Package generator loads a WebSocket server and checks every byte that comes back. One
// thread reads all connections from one epoll, with a system call for each batch of
// bytes and none for timers, so that the generator costs less than any server.
//
// [Run] makes one round of one kind of work: [Handshakes], [Echo], [Fanout] or [Idle]. It
// returns what was done, what the server used meanwhile, as /proc says, and an error when
// a single message was lost, doubled, exchanged or damaged.
//
// What a server must offer depends on its [Dialect]. [Bare] is that of the libraries'
// servers: /echo, /sub?room=R and /pub?room=R, as package main of bench/srv describes
// them. [Hocket] and [Centrifuge] are those of whole servers with protocols of their own.
//
// [Storm] has its publishes made by [Publish] in another process.
//
// Compression is offered without context takeover in either direction, which is when
// servers need the least memory for it. It runs on Linux alone. One run at a time is
// what a process should do, since runs share its open files and processors.
package generator
