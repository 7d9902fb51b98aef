package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"hocket.dev/wire"
)

// The closing handshake begun by either side, as Close and Read see it. §7.1.2, §7.1.6, §5.5.1.
func TestCloseHandshake(t *testing.T) {
	for _, reading := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			server, client := pair(t)
			served := run(func() error { _, _, err := server.Read(t.Context()); return err })
			var read func() error
			if reading {
				read = run(func() error { _, _, err := client.Read(t.Context()); return err })
				synctest.Wait()
			}
			if err := client.Close(4001, "enough"); err != nil {
				t.Errorf("Close: %v", err)
			}
			wantClosed(t, served(), 4001, "enough")
			if reading {
				wantClosed(t, read(), 4001, "") // the echo
			}
			wantClosed(t, server.Write(t.Context(), Text, nil), 4001, "enough")
			if err := client.Close(CloseNormal, ""); err == nil {
				t.Error("a second Close says nothing")
			}
		})
	}
}

func TestBothCloseAtOnce(t *testing.T) {
	url := serve(t, nil, func(_ context.Context, c *Conn) {
		if err := c.Close(CloseGoingAway, ""); err != nil {
			t.Errorf("server: %v", err)
		}
	})
	c := dial(t, url, nil)
	if err := c.Close(CloseNormal, ""); err != nil {
		// The server may have answered before: then its close is the reason.
		wantClosed(t, err, CloseGoingAway, "")
	}
}

// §7.1.5: no code is 1005, which is only reported.
func TestCloseWithoutStatus(t *testing.T) {
	server, client := pair(t)
	served := run(func() error { _, _, err := server.Read(t.Context()); return err })
	if err := client.Close(CloseNoStatus, ""); err != nil {
		t.Error(err)
	}
	wantClosed(t, served(), CloseNoStatus, "")
}

// §7.4: some codes must not be sent.
func TestCloseRefusesBadCodes(t *testing.T) {
	c := dial(t, serve(t, nil, echo), nil)
	for _, code := range []CloseCode{0, 999, 1004, CloseAbnormal, 1015, 2999, 5000} {
		if err := c.Close(code, ""); err == nil {
			t.Errorf("code %d could be sent", code)
		}
	}
	c.say(t, Text, "still here")
	c.want(t, Text, "still here")
}

// Close drops what still comes, answers no ping any more, and sends nothing behind its
// close frame (§5.5.1).
func TestCloseDropsWhatStillComes(t *testing.T) {
	c, peer := raw(t)
	closed := run(func() error { return c.Close(CloseNormal, "bye") })
	wantBytes(t, peer, "\x88\x05\x03\xe8bye")
	if err := c.Write(t.Context(), Text, []byte("late")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write behind Close: %v, want net.ErrClosed", err)
	}
	sendBytes(t, peer, masked(wire.Text, "late")...)
	sendBytes(t, peer, masked(wire.Ping, "late")...)
	sendBytes(t, peer, masked(wire.Close, "\x03\xe8")...)
	if err := closed(); err != nil {
		t.Error(err)
	}
	if n, err := peer.Read(make([]byte, 10)); n != 0 || err == nil {
		t.Errorf("%d bytes behind the close frame, %v", n, err)
	}
}

func TestCloseGivesUpOnASilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := raw(t)
		start := time.Now()
		closed := run(func() error { return c.Close(CloseNormal, "") })
		wantBytes(t, peer, "\x88\x02\x03\xe8")
		if err := closed(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the deadline", err)
		}
		if took := time.Since(start); took != closeTimeout {
			t.Errorf("after %v, want %v", took, closeTimeout)
		}
		if _, _, err := c.Read(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read after Close: %v, want net.ErrClosed", err)
		}
		if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the connection was left open: %v", err)
		}
	})
}

func TestCloseReportsAPeerThatHangsUp(t *testing.T) {
	c, peer := raw(t)
	closed := run(func() error { return c.Close(CloseNormal, "") })
	wantBytes(t, peer, "\x88\x02\x03\xe8")
	_ = peer.Close()
	wantClosed(t, closed(), CloseAbnormal, "")
}

// A peer that reads nothing cannot hold Close, or the answer to its own close.
func TestCloseGivesUpOnAPeerThatReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := raw(t)
		if err := c.Close(CloseNormal, ""); err == nil {
			t.Error("Close into nowhere succeeded")
		}
		c, peer := raw(t)
		read := run(func() error { _, _, err := c.Read(t.Context()); return err })
		sendBytes(t, peer, masked(wire.Close, "\x03\xe8")...)
		wantClosed(t, read(), CloseNormal, "")
	})
}

// §6.1: nothing is sent on a connection that is not open.
func TestCloseNowEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := raw(t)
		calls := []func() error{
			run(func() error { _, _, err := c.Read(t.Context()); return err }),
			run(func() error { return c.Write(t.Context(), Text, []byte("a")) }),
			run(func() error { return c.Write(t.Context(), Text, []byte("b")) }),
			run(func() error { return c.Ping(t.Context()) }),
			run(func() error { return c.Close(CloseNormal, "") }),
		}
		synctest.Wait()
		for range 2 {
			if err := c.CloseNow(); err != nil {
				t.Error(err)
			}
		}
		for i, wait := range calls {
			if err := wait(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("call %d: %v, want net.ErrClosed", i, err)
			}
		}
	})
}

// halfCloser is a connection in memory that can close one direction, as TCP can.
type halfCloser struct {
	net.Conn
	half chan struct{}
}

func (h halfCloser) CloseWrite() error {
	close(h.half)
	return nil
}

// Behind a broken rule the connection is read on until the peer has seen why: closing
// with bytes unread resets it, and a reset overtakes the close frame. §7.1.7.
func TestBrokenRuleLingers(t *testing.T) {
	for _, silent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a, peer := net.Pipe()
			nc := halfCloser{a, make(chan struct{})}
			c := newConn(nc, wire.Server, "", nil)
			start := time.Now()
			read := run(func() error { _, _, err := c.Read(t.Context()); return err })
			sendBytes(t, peer, 0xff, 0xff)
			reason := "reserved bit set without an extension (§5.2)"
			wantBytes(t, peer, "\x88"+string([]byte{byte(2 + len(reason))})+"\x03\xea"+reason)
			<-nc.half
			sendBytes(t, peer, make([]byte, 100_000)...)
			if !silent {
				_ = peer.Close()
			}
			if err := read(); err == nil {
				t.Error("no error")
			}
			if took := time.Since(start); silent && took != lingerTimeout || !silent && took != 0 {
				t.Errorf("lingered for %v", took)
			}
			_, _ = peer.Close(), c.CloseNow()
		})
	}
}

// A client leaves it to the server to end the network connection (§7.1.1), for a while,
// whoever began to close. Close lets a Read that is running do so.
func TestClientLetsTheServerEndTheConnection(t *testing.T) {
	for _, tt := range []struct {
		name            string
		closes, reading bool // the client
		ends            bool // the server
	}{
		{"answering", false, true, true},
		{"answering, in vain", false, true, false},
		{"closing", true, false, true},
		{"closing, in vain", true, false, false},
		{"closing beside a Read", true, true, true},
		{"closing beside a Read, in vain", true, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, peer := net.Pipe()
				c := newConn(a, wire.Client, "", nil)
				start := time.Now()
				waits := []func() error{}
				if tt.reading {
					waits = append(waits, run(func() error { _, _, err := c.Read(t.Context()); return err }))
				}
				if tt.closes {
					waits = append(waits, run(func() error { return c.Close(CloseNormal, "") }))
				} else {
					sendBytes(t, peer, wire.AppendClose(nil, CloseNormal, "")...)
				}
				if _, err := io.ReadFull(peer, make([]byte, 8)); err != nil {
					t.Fatal(err)
				}
				if tt.closes {
					sendBytes(t, peer, wire.AppendClose(nil, CloseNormal, "")...)
				}
				if tt.ends {
					time.AfterFunc(lingerTimeout/2, func() { _ = peer.Close() })
				}
				if n, err := peer.Read(make([]byte, 1)); n != 0 || err == nil {
					t.Errorf("received %d bytes, %v", n, err)
				}
				for _, wait := range waits {
					_ = wait() // what it returns is tested elsewhere
				}
				want := lingerTimeout
				if tt.ends {
					want /= 2
				}
				if took := time.Since(start); took != want {
					t.Errorf("the connection ended after %v, want %v", took, want)
				}
				_ = peer.Close()
			})
		})
	}
}
