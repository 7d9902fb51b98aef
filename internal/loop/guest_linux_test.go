package loop

import (
	"net"
	"testing"
	"time"

	"hocket.dev/internal/testproc"
)

// wave attaches as many connections as make a wave and returns the last one's client.
func (b *bench) wave(t *testing.T) (client net.Conn) {
	t.Helper()
	b.advance(waveEvery)
	b.do(func() {}) // the count begins
	for range waveSize {
		client = b.attachEcho(t)
	}
	b.advance(waveEvery)
	b.wantGuest(t, true)
	return client
}

func (b *bench) wantGuest(t *testing.T, want bool) {
	t.Helper()
	e := b.poll.(*epoll)
	testproc.Until(t, "the loop has waited where it should", func() (there bool) {
		b.do(func() { there = (e.guest.file != nil) == want && e.locked != want })
		return there
	})
}

func TestWaveIsServedInGosPoller(t *testing.T) {
	b := newBench(t, drivers[0])
	early := b.attachEcho(t)
	b.wantGuest(t, false)
	late := b.wave(t)
	ping(t, early)
	ping(t, late)
	b.wantGuest(t, true)

	b.advance(2 * waveEvery) // none came meanwhile
	b.wantGuest(t, false)
	ping(t, early)
	ping(t, late)
	b.wantCalm(t)
}

func TestTimersFireInGosPoller(t *testing.T) {
	b := newBench(t, drivers[0])
	client := b.wave(t)
	for range 3 {
		fired := make(chan struct{})
		b.do(func() { b.After(time.Millisecond, func() { close(fired) }) })
		b.advance(2 * time.Millisecond)
		<-fired // nothing but the time has ended the wait
	}
	ping(t, client) // what had no limit has none again
}

func TestGroupClosesInGosPoller(t *testing.T) {
	before := descriptors(t)
	b := newBench(t, drivers[0])
	client := b.wave(t)
	b.group.Close()
	wantEOF(t, client)
	if after := descriptors(t); after != before+waveSize { // the clients
		t.Errorf("%d descriptors, want %d", after, before+waveSize)
	}
}
