package loop

import (
	"net"
	"testing"
)

// A tub is a connection that says itself how many bytes may wait for it.
type tub struct {
	net.Conn
	bytes int
}

func (t tub) WriteBufferBytes() int { return t.bytes }

func TestConnectionMayHaveABoundOfItsOwn(t *testing.T) {
	const text = "as much as there is room for, and no more"
	for name, test := range map[string]struct {
		dress func(net.Conn) net.Conn
		most  int
	}{
		"none":      {func(nc net.Conn) net.Conn { return nc }, 10},
		"a smaller": {func(nc net.Conn) net.Conn { return tub{nc, 4} }, 4},
		"a larger":  {func(nc net.Conn) net.Conn { return tub{nc, 40} }, 40},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, driver{with: Config{WriteBufferBytes: 10}, pair: func(t *testing.T) (server, client net.Conn) {
				server, client = pipePair(t)
				return test.dress(server), client
			}})
			o, taken := &owner{}, 0
			fill := func() {
				var err error
				if taken, err = o.Write([]byte(text)); taken != test.most || err != nil {
					t.Errorf("Write took %d, %v; want %d", taken, err, test.most)
				}
				if n, err := o.Write([]byte(text)); n != 0 || err != nil {
					t.Errorf("Write to a full connection took %d, %v", n, err)
				}
			}
			emptied := make(chan struct{}, 2) // the second time at the end
			o.flush = func() { emptied <- struct{}{} }
			client := b.attach(t, o)
			b.do(fill)
			wantRead(t, client, text[:taken])
			<-emptied
			b.do(fill)
		})
	}
}
