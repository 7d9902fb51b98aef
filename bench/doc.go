// Command bench measures Hocket against other servers on one machine: a
// broadcaster on gorilla/websocket written as its examples show, and the floor, a
// Go loop that does nothing but write to sockets.
//
//	go run .                        # every scenario, a few minutes
//	go run . -rounds 9 fanout20     # one of them
//	go run . -help
//
// Servers run one at a time, each as a fresh process on a core of its own, the
// generator (internal/load) on another; rounds are interleaved, so that whatever the
// machine does meanwhile hits all of them. A round in which a message was lost,
// doubled, reordered or corrupted does not count: the program then fails. The
// output is Markdown, as it stands in docs/performance.md.
//
// It runs on Linux alone: CPU time and memory come from /proc.
package main
