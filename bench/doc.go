// Command bench measures hocket.dev/websocket, and Hocket as a whole, against other
// servers on one machine, and says which of the project's promises about cost held.
//
//	go run .                                            # everything, about an hour
//	go run . -rounds 3 -peers srv,floor,gorilla echo    # some of it
//	go run . -quick                                     # does it work? a minute
//	go run . -help
//
// Every server is a program of its own that does the same two things, echo and rooms:
// bench/srv on Hocket's library, those in bench/peers on other libraries, and
// bench/peers/floor, which does nothing but the system calls. They run one at a time, each
// as a fresh process on a core of its own, the generator (bench/generator) on another;
// rounds are interleaved, so that whatever the machine does meanwhile hits all of them.
// A figure is the median over the rounds, a ratio the median of the ratios of each round.
// A round in which one byte was wrong does not count: the program then fails.
//
// The output is Markdown, as it stands in docs/performance.md, or JSON with -json. It
// runs on Linux alone: CPU time and memory come from /proc.
package main
