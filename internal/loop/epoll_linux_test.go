package loop

import (
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// wantCalm fails if the loop would always find something to do although nothing happens: it would spin. An event that
// comes late, because the system delivers what was sent when it gets to it, is served and does not come again.
func (b *bench) wantCalm(t *testing.T) {
	t.Helper()
	var last unix.EpollEvent
	for range 1000 {
		b.do(func() {}) // the events of before are served
		calm := true
		b.do(func() {
			if e, ok := b.poll.(*epoll); ok {
				var events [8]unix.EpollEvent
				n, err := unix.EpollWait(e.fd, events[:], 0)
				if err != nil && err != unix.EINTR {
					t.Error(err)
				}
				for _, ev := range events[:max(0, n)] {
					if ev.Fd != wakeSlot {
						calm, last = false, ev
					}
				}
			}
		})
		if calm {
			return
		}
	}
	t.Errorf("slot %d is reported for ever, events %#x", last.Fd, last.Events)
}

func TestIdleConnectionsHaveNoGoroutine(t *testing.T) {
	b := newBench(t, drivers[0])
	owners := make([]owner, 500)
	b.attach(t, &owners[0])
	before := runtime.NumGoroutine()
	for i := range owners[1:] {
		b.attach(t, &owners[1+i])
	}
	if after := runtime.NumGoroutine(); after > before { // one of an earlier test may just be ending
		t.Errorf("%d goroutines with 1 connection, %d with %d", before, after, len(owners))
	}
	if n := b.Stats().Conns; n != len(owners) {
		t.Errorf("Stats count %d connections, want %d", n, len(owners))
	}
}

func TestEventOfAnEarlierGenerationIsIgnored(t *testing.T) {
	b := newBench(t, drivers[0])
	first, second := &owner{}, &owner{}
	b.attach(t, first)
	var stale unix.EpollEvent
	b.do(func() {
		e := b.poll.(*epoll)
		stale = e.interest(&first.Conn)
		first.Close(nil)
	})
	<-first.closed
	client := b.attach(t, second)
	b.do(func() {
		e := b.poll.(*epoll)
		if int32(second.slot) != stale.Fd {
			t.Fatalf("slot %d was not used again, but %d", stale.Fd, second.slot)
		}
		stale.Events = unix.EPOLLHUP // would close whom it hits
		e.events[0] = stale
		e.at, e.n = 0, 1
	})
	select {
	case err := <-second.closed:
		t.Fatalf("the next connection in the slot was closed: %v", err)
	default:
	}
	b.do(func() { second.Close(nil) })
	wantEOF(t, client)
}

// TestClosedConnectionIsForgotten has a copy of the descriptor open elsewhere, as a child process may have.
func TestClosedConnectionIsForgotten(t *testing.T) {
	b := newBench(t, drivers[0])
	o := &owner{}
	client := b.attach(t, o)
	other := b.attachEcho(t)
	b.do(func() {
		dup, err := unix.Dup(int(o.fd))
		if err != nil {
			t.Error(err)
		}
		t.Cleanup(func() { unix.Close(dup) })
		o.Close(nil)
	})
	mustWrite(t, client, "nobody listens")
	ping(t, other)
	b.wantCalm(t)
}

func TestWritabilityIsAskedForOnlyWhileFull(t *testing.T) {
	b := newBench(t, drivers[0])
	o := &owner{}
	drained := make(chan struct{})
	o.flush = func() { close(drained) }
	client := b.attach(t, o)
	b.wantCalm(t)
	total := 0
	b.do(func() {
		for !o.state.has(full) {
			n, _ := o.Write(b.Scratch())
			total += n
		}
	})
	b.wantCalm(t)
	if _, err := io.CopyN(io.Discard, client, int64(total)); err != nil {
		t.Fatal(err)
	}
	<-drained
	b.wantCalm(t)
}

func TestStalledReaderHoldsLittleInTheKernel(t *testing.T) {
	b := newBench(t, drivers[0])
	o := &owner{}
	b.attach(t, o)
	b.do(func() {
		for name, opt := range map[string]int{"TCP_NOTSENT_LOWAT": unix.TCP_NOTSENT_LOWAT, "TCP_NODELAY": unix.TCP_NODELAY} {
			want := map[string]int{"TCP_NOTSENT_LOWAT": 16 << 10, "TCP_NODELAY": 1}[name]
			got, err := unix.GetsockoptInt(int(o.fd), unix.IPPROTO_TCP, opt)
			if err != nil || got != want {
				t.Errorf("%s is %d, %v; want %d", name, got, err, want)
			}
		}
	})
}

func TestUnixSocketIsTakenOver(t *testing.T) {
	b := newBench(t, drivers[0])
	b.pair = func(t *testing.T) (server, client net.Conn) {
		t.Helper()
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		ends := [2]net.Conn{}
		for i, fd := range fds {
			f := os.NewFile(uintptr(fd), "socketpair")
			ends[i], err = net.FileConn(f)
			f.Close()
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() { ends[1].Close() })
		return ends[0], ends[1]
	}
	e := newEcho()
	client := b.attach(t, &e.owner)
	b.do(func() {
		if _, ok := (*e.link).(*epoll); !ok {
			t.Errorf("served by a %T", *e.link)
		}
	})
	ping(t, client)
}

// TestEveryReadySocketHasItsTurn has room for one Read in each step: the sockets that are always ready must
// still take turns.
func TestEveryReadySocketHasItsTurn(t *testing.T) {
	d := drivers[0]
	d.with.BufferBytes = 1
	b := newBench(t, d)
	const conns, bytes = 8, 10
	owners := make([]owner, conns)
	clients := make([]net.Conn, conns)
	left := conns * bytes
	var order []int
	perTurn := map[uint64]int{}
	all := make(chan struct{})
	for i := range owners {
		owners[i].read = func([]byte) {
			b.advance(b.cfg.TurnBudget)
			order = append(order, i)
			if turn := b.Stats().Turns; perTurn[turn] > 0 {
				t.Errorf("turn %d goes on reading after its budget", turn)
			} else {
				perTurn[turn]++
			}
			if left--; left == 0 {
				close(all)
			}
		}
		clients[i] = b.attach(t, &owners[i])
	}
	b.do(func() {
		for _, c := range clients {
			mustWrite(t, c, "0123456789")
		}
	})
	<-all
	reads := [conns]int{}
	for _, i := range order {
		reads[i]++
		for j := range reads {
			if reads[i]-reads[j] > 2 {
				t.Fatalf("connection %d was read %d times and %d %d times: %v", i, reads[i], j, reads[j], order)
			}
		}
	}
}

func TestGroupCloseLeavesNoDescriptor(t *testing.T) {
	first, peer := tcpPair(t) // the first socket of a process brings descriptors of the runtime
	first.Close()
	peer.Close()
	before := descriptors(t)
	g, err := New(Config{Loops: 3})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{driver: drivers[0], group: g, Loop: g.Loop(1)}
	owners := make([]owner, 20)
	clients := make([]net.Conn, len(owners))
	for i := range owners {
		clients[i] = b.attach(t, &owners[i])
	}
	g.Close()
	for i := range owners {
		if err := <-owners[i].closed; err != ErrGroupClosed {
			t.Errorf("closed with %v", err)
		}
		clients[i].Close()
	}
	server, _ := b.pair(t)
	late := &owner{}
	if err := b.Attach(&late.Conn, server, late); err != ErrGroupClosed {
		t.Errorf("Attach after Close: %v", err)
	}
	if after := descriptors(t); after != before+1 { // the client of the last pair
		t.Errorf("%d descriptors, want %d", after, before+1)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// What answers a read goes out before the functions run that were posted meanwhile.
func TestAnswersDoNotWaitForWhatIsPosted(t *testing.T) {
	b := newBench(t, drivers[0])
	var order []string
	var o owner
	o.read = func([]byte) { o.Wake() }
	o.flush = func() { order = append(order, "answer") }
	client := b.attach(t, &o)
	b.do(func() { // both are there when the next turn begins
		mustWrite(t, client, "x")
		b.Post(func() { order = append(order, "posted") })
	})
	b.do(func() {
		if want := []string{"answer", "posted"}; !slices.Equal(order, want) {
			t.Errorf("%v, want %v", order, want)
		}
	})
}
