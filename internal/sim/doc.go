// Package sim runs a whole node and its clients in virtual time, over links and a broker that fail, and checks what every
// client has seen against what the broker has done.
//
// What runs is what ships: [hocket.dev] with its hub, sessions, dialect and transport on the portable driver, and the Go SDK;
// beside the SDK there are clients that speak the protocol by hand, because an SDK hides what is to be checked. Replaced are
// the sockets (links in memory that delay, cut into pieces, stall, half-close, break and fall silent), the clock
// (testing/synctest), and what a broker over a network does to a node: answers that are lost, deliveries that come late or not at
// all, reads that fail, outages, and logs that begin anew with acknowledged entries gone.
//
// All of that is drawn from one number, the seed. [Run] plays one seed; the checker knows nothing of the code it checks: it
// has the broker's record of all appends, and naive models of what follows from it.
//
//	make sim SEEDS=10000 FIRST=1
//
// plays many, a process per core, and ends with one line of counts. docs/reliability.md says what is promised and how
// long this has run.
package sim
