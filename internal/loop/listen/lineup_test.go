package listen

import (
	"net/netip"
	"reflect"
	"testing"
)

var (
	crowd, guest, third = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
	proxy               = netip.MustParseAddr("192.0.2.9")
)

// newLineup has 4 places, 2 for one address, and lets 6 wait, 3 of one address.
func newLineup() *lineup {
	return &lineup{
		places: 4, placesOfOne: 2, waiters: 6, waitersOfOne: 3, callers: make(map[netip.Addr]*caller),
		exempt: func(a netip.Addr) bool { return a == proxy },
	}
}

// descriptors are those of connections.
func descriptors(all []handoff) (fds []int) {
	for _, o := range all {
		fds = append(fds, o.fd)
	}
	return fds
}

// wait has a connection arrive that gets no place.
func (l *lineup) wait(t *testing.T, fd int, from netip.Addr, closed ...int) {
	t.Helper()
	c, excess := l.arrive(handoff{fd: fd}, from)
	if c != nil || !reflect.DeepEqual(descriptors(excess), closed) {
		t.Fatalf("%d of %v has a place: %v; closed: %v, want %v", fd, from, c != nil, descriptors(excess), closed)
	}
}

// take has a connection arrive that gets one.
func (l *lineup) take(t *testing.T, fd int, from netip.Addr) *caller {
	t.Helper()
	c, excess := l.arrive(handoff{fd: fd}, from)
	if c == nil || excess != nil {
		t.Fatalf("%d of %v has a place: %v; closed: %v", fd, from, c != nil, descriptors(excess))
	}
	return c
}

// pass gives up a place, which another descriptor gets; 0 where none does.
func (l *lineup) pass(t *testing.T, c *caller, fd int) *caller {
	t.Helper()
	o, of := l.leave(c)
	if o.fd != fd || (of != nil) != (fd != 0) {
		t.Fatalf("the place is given to %d, want %d", o.fd, fd)
	}
	return of
}

// An address that has its share waits, and what it gives up it gets again; others have what is left.
func TestAnAddressHasItsShareOfHandshakes(t *testing.T) {
	l := newLineup()
	first := l.take(t, 1, crowd)
	l.take(t, 2, crowd)
	l.wait(t, 3, crowd)
	other := l.take(t, 4, guest)
	l.pass(t, other, 0)
	l.pass(t, first, 3)
	l.pass(t, first, 0)
	l.pass(t, first, 0)
	if l.taken != 0 || len(l.callers) != 0 {
		t.Errorf("%d places are taken, %d addresses remembered", l.taken, len(l.callers))
	}
}

// Where no place is left, addresses have one after the other their turn, however much each of them waits for.
func TestAddressesTakeTurnsInHandshakes(t *testing.T) {
	l := newLineup()
	p := l.take(t, 1, proxy)
	for fd := 2; fd <= 4; fd++ {
		l.take(t, fd, proxy)
	}
	l.wait(t, 11, crowd)
	l.wait(t, 12, crowd)
	l.wait(t, 13, crowd)
	l.wait(t, 21, guest)
	l.wait(t, 31, third)
	c := l.pass(t, p, 11)
	l.pass(t, p, 21)
	l.pass(t, p, 31)
	l.pass(t, p, 12)
	l.pass(t, c, 13)
}

// At the bounds of what waits the oldest of the address is closed, or of all.
func TestWhatWaitsForAHandshakeIsBounded(t *testing.T) {
	l := newLineup()
	p := l.take(t, 1, proxy)
	for fd := 2; fd <= 4; fd++ {
		l.take(t, fd, proxy)
	}
	for fd := 11; fd <= 13; fd++ {
		l.wait(t, fd, crowd)
	}
	l.wait(t, 14, crowd, 11)
	for fd := 21; fd <= 23; fd++ {
		l.wait(t, fd, proxy)
	}
	l.wait(t, 24, proxy, 12) // it has no share, so the oldest of all is closed
	l.pass(t, p, 13)
	if all := descriptors(l.clear()); !reflect.DeepEqual(all, []int{14, 21, 22, 23, 24}) {
		t.Errorf("%v waited", all)
	}
	if l.turns.Len() != 0 || l.waiting.Len() != 0 || len(l.callers) != 2 {
		t.Errorf("%d turns, %d waiters, %d addresses are left", l.turns.Len(), l.waiting.Len(), len(l.callers))
	}
}

// A network of 64 bits is one address.
func TestANetworkHasOneShareOfHandshakes(t *testing.T) {
	l := newLineup()
	l.take(t, 1, netip.MustParseAddr("2001:db8::1"))
	l.take(t, 2, netip.MustParseAddr("2001:db8::2"))
	l.wait(t, 3, netip.MustParseAddr("2001:db8::3"))
	l.take(t, 4, netip.MustParseAddr("2001:db8:0:1::1"))
}

// Clients of an address are given less time where most of its places are taken.
func TestAnAddressIsCrowded(t *testing.T) {
	l := newLineup()
	c := l.take(t, 1, crowd)
	if l.crowded(c) {
		t.Error("crowded with half of the share")
	}
	l.take(t, 2, crowd)
	g := l.take(t, 3, guest)
	if !l.crowded(c) || !l.crowded(g) {
		t.Error("three places of four are taken")
	}
	l.pass(t, c, 0)
	l.pass(t, g, 0)
	l.take(t, 2, crowd)
	if !l.crowded(c) {
		t.Error("the whole share is taken")
	}
}
