package websocket

import (
	"context"
	"net"
	"runtime"
	"testing"

	"hocket.dev/wire"
)

// BenchmarkIdleTakeover measures what context takeover costs while a connection is idle:
// the heap that a Conn holds once 64 messages of 1 KiB went in each direction, which fills
// every window, in both roles and for several windows. The difference to "alone", where each
// message is compressed by itself, is the windows. One round says it, with that of
// BenchmarkIdleTakeoverOnLoops:
//
//	go test -run '^$' -bench IdleTakeover -benchtime 1x ./websocket
func BenchmarkIdleTakeover(b *testing.B) {
	for _, tt := range idleTakeovers {
		b.Run(tt.name, func(b *testing.B) {
			for range b.N {
				server, client := heapOfPairs(b, tt.o)
				b.ReportMetric(server, "B/server")
				b.ReportMetric(client, "B/client")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// BenchmarkIdleTakeoverOnLoops measures what an idle Socket holds beside what every Socket has.
func BenchmarkIdleTakeoverOnLoops(b *testing.B) {
	for _, tt := range idleTakeovers {
		b.Run(tt.name, func(b *testing.B) {
			for range b.N {
				b.ReportMetric(heapOfSockets(b, tt.o), "B/socket")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

var idleTakeovers = []struct {
	name string
	o    Compression
}{
	{"alone", Compression{Mode: CompressionOn}},
	{"takeover", Compression{Mode: CompressionTakeover}},
	{"takeover, 15 bits", Compression{Mode: CompressionTakeover, WindowBits: 15}},
	{"takeover, 12 bits", Compression{Mode: CompressionTakeover, WindowBits: 12}},
	{"takeover, 9 bits", Compression{Mode: CompressionTakeover, WindowBits: 9}},
}

// heapOfPairs returns how many bytes of the heap one Conn of each role holds that has
// spoken with one of the other.
func heapOfPairs(b *testing.B, o Compression) (server, client float64) {
	const conns, messages = 500, 64
	servers, clients := make([]*Conn, conns), make([]*Conn, conns)
	before := settledHeap()
	for i := range conns {
		near, far := net.Pipe()
		servers[i], clients[i] = newConn(near, wire.Server, "", nil), newConn(far, wire.Client, "", nil)
		agreed := agreement(b, o)
		servers[i].compress(agreed, o)
		clients[i].compress(agreed, o)
		for k := range messages {
			msg := corpora[3].message(i+k, kib)
			deliver(b, clients[i], servers[i], msg.payload)
			deliver(b, servers[i], clients[i], msg.payload)
		}
	}
	both := settledHeap()
	clear(clients) // the servers hold no more of them than the pipe
	alone := settledHeap()
	runtime.KeepAlive(servers)
	return float64(alone-before) / conns, float64(both-alone) / conns
}

// heapOfSockets returns how many bytes of the heap the transit of one Socket holds that has
// spoken as those of heapOfPairs.
func heapOfSockets(b *testing.B, o Compression) float64 {
	const sockets, messages = 500, 64
	s := newServer(b, &program{message: echoing().message}, ServerOptions{Portable: true, AcceptOptions: AcceptOptions{Compression: o}})
	for range sockets {
		agreed := agreement(b, o)
		c := newConn(s.attachAgreed(b, wire.Response{Deflate: agreed}), wire.Client, "", nil)
		c.compress(agreed, o)
		for i := range messages {
			msg := corpora[3].message(i, kib).payload
			wrote := run(func() error { return c.Write(context.Background(), Text, []byte(msg)) })
			if _, got, err := c.Read(context.Background()); err != nil || string(got) != msg {
				b.Fatalf("received %d bytes, %v", len(got), err)
			}
			if err := wrote(); err != nil {
				b.Fatal(err)
			}
		}
	}
	settledHeap()
	with := settledHeap()
	s.do(b, func() {
		for _, so := range s.all() {
			so.transit = nil
		}
	})
	return float64(with-settledHeap()) / sockets
}

// deliver sends a message from one Conn to another.
func deliver(b *testing.B, from, to *Conn, msg string) {
	wrote := run(func() error { return from.Write(context.Background(), Text, []byte(msg)) })
	if _, got, err := to.Read(context.Background()); err != nil || string(got) != msg {
		b.Fatalf("received %d bytes, %v", len(got), err)
	}
	if err := wrote(); err != nil {
		b.Fatal(err)
	}
}

// settledHeap is heap without what the pools hold, which outlives one collection.
func settledHeap() int64 {
	runtime.GC()
	runtime.GC()
	return heap()
}
