package loop

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What is accepted keeps little in the kernel for who does not read, whatever kind of listener it comes from.
func TestAcceptedConnectionsHoldLittleInTheKernel(t *testing.T) {
	for name, multipath := range map[string]bool{"TCP": false, "Multipath TCP, where there is that": true} {
		t.Run(name, func(t *testing.T) {
			g, err := New(Config{Loops: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			var config net.ListenConfig
			config.SetMultipathTCP(multipath)
			nl, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			held := make(chan int, 1)
			li, err := g.Listen(nl.(*net.TCPListener), ListenConfig{Accept: func(_ *Loop, fd int, _ netip.AddrPort) {
				n, _ := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT)
				unix.Close(fd)
				held <- n
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer li.Close()
			client, err := net.Dial("tcp", nl.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			mustWrite(t, client, "the kernel waits for this")
			if n := <-held; n != notSentLowat {
				t.Errorf("it takes %d bytes beyond what it has sent, not %d", n, notSentLowat)
			}
		})
	}
}

// While other work waits, handshakes have no more than their share of the time.
func TestAcceptingLeavesTimeToOthers(t *testing.T) {
	b := newBench(t, drivers[0])
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const conns = 4
	took := b.cfg.TurnBudget / 2
	begun := make(chan time.Duration, conns)
	li, err := b.group.Listen(nl.(*net.TCPListener), ListenConfig{Accept: func(_ *Loop, fd int, _ netip.AddrPort) {
		begun <- b.cfg.now()
		b.advance(took)
		unix.Close(fd)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer li.Close()
	var others func()
	others = func() {
		b.advance(took / 4)
		if len(begun) < conns {
			b.Post(others)
		}
	}
	b.do(func() {
		for range conns {
			client, err := net.Dial("tcp", nl.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { client.Close() })
			mustWrite(t, client, "the kernel waits for this")
		}
		b.Post(others)
	})
	before := <-begun
	for range conns - 1 {
		at := <-begun
		if at < before+acceptShare*took {
			t.Errorf("a handshake of %v began %v after the one before, and others waited", took, at-before)
		}
		before = at
	}
}

// Accepting ends with the turn's budget, so that others are served between handshakes that come all at once.
func TestAcceptingKeepsToTheBudget(t *testing.T) {
	b := newBench(t, drivers[0])
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const conns = 5
	addr := nl.Addr().String()
	turns := make(chan uint64, conns)
	li, err := b.group.Listen(nl.(*net.TCPListener), ListenConfig{Accept: func(_ *Loop, fd int, _ netip.AddrPort) {
		b.advance(b.cfg.TurnBudget)
		unix.Close(fd)
		turns <- b.Stats().Turns
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer li.Close()
	b.do(func() { // so that all of them wait when this turn ends
		for range conns {
			client, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { client.Close() })
			mustWrite(t, client, "the kernel waits for this")
		}
	})
	before := <-turns
	for range conns - 1 {
		turn := <-turns
		if turn == before {
			t.Errorf("turn %d goes on accepting after its budget", turn)
		}
		before = turn
	}
}

// Of two listeners, the one that has a flood leaves the other its share.
func TestAcceptingFromOneListenerLeavesTimeToAnother(t *testing.T) {
	b := newBench(t, drivers[0])
	took := b.cfg.TurnBudget / 2
	listen := func(accepted func()) net.Addr {
		nl, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		li, err := b.group.Listen(nl.(*net.TCPListener), ListenConfig{Accept: func(_ *Loop, fd int, _ netip.AddrPort) {
			b.advance(took)
			unix.Close(fd)
			accepted()
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(li.Close)
		return nl.Addr()
	}
	const flood = 60
	var order []string
	all := make(chan struct{})
	tell := func(who string) func() {
		return func() {
			if order = append(order, who); len(order) == flood+1 {
				close(all)
			}
		}
	}
	first, second := listen(tell("flood")), listen(tell("other"))
	var others func()
	others = func() {
		b.advance(took / 4)
		if len(order) < flood+1 {
			b.Post(others)
		}
	}
	dial := func(a net.Addr) {
		client, err := net.Dial("tcp", a.String())
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { client.Close() })
		mustWrite(t, client, "the kernel waits for this")
	}
	b.do(func() {
		for range flood {
			dial(first)
		}
		dial(second)
		b.Post(others)
	})
	<-all
	if at := slices.Index(order, "other"); at > 2 {
		t.Errorf("the other one had its turn after %d connections of the flood", at)
	}
}
