package websocket

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// The frames of HTTP/2 that these tests look at (RFC 9113 §6), and what RFC 8441 §3 adds.
const (
	frameData, frameHeaders, frameReset, frameSettings = 0x0, 0x1, 0x3, 0x4

	flagEnd, flagEndHeaders = 0x1, 0x4
	enableConnect           = "\x00\x08\x00\x00\x00\x01"
	preface                 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// bare is one end of an HTTP/2 connection of which a test writes every byte.
type bare struct {
	t *testing.T
	net.Conn
}

func (b bare) send(typ, flags byte, stream uint32, payload string) {
	b.t.Helper()
	head := append(binary.BigEndian.AppendUint32(nil, uint32(len(payload)))[1:], typ, flags)
	if _, err := b.Write(append(binary.BigEndian.AppendUint32(head, stream), payload...)); err != nil {
		b.t.Error(err)
	}
}

// want reads up to the next frame of a type and returns it.
func (b bare) want(typ byte) (flags byte, payload string) {
	b.t.Helper()
	for {
		var head [9]byte
		if _, err := io.ReadFull(b, head[:]); err != nil {
			b.t.Errorf("%v, want a frame of type %d", err, typ)
			return 0, ""
		}
		p := make([]byte, binary.BigEndian.Uint32(append([]byte{0}, head[:3]...)))
		if _, err := io.ReadFull(b, p); err != nil {
			b.t.Error(err)
			return 0, ""
		}
		if head[3] == typ && !(typ == frameSettings && head[4]&flagEnd != 0) { // an acknowledgement is none
			return head[4], string(p)
		}
	}
}

// bareServer returns options that dial a server which serve plays.
func bareServer(t *testing.T, settings string, serve func(b bare)) (opts *DialOptions, played func()) {
	client, server := net.Pipe()
	t.Cleanup(func() { _ = client.Close() })
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = server.Close() }()
		b := bare{t, server}
		if _, err := io.ReadFull(b, make([]byte, len(preface))); err != nil {
			t.Error(err)
		}
		go b.send(frameSettings, 0, 0, settings) // the client writes, too, and a pipe holds nothing
		serve(b)
	}()
	return &DialOptions{HTTP2: true, NetDial: func(context.Context, string, string) (net.Conn, error) { return client, nil }},
		func() { <-done }
}

// RFC 8441 §3: without SETTINGS_ENABLE_CONNECT_PROTOCOL no handshake is sent.
func TestHTTP2NotEnabled(t *testing.T) {
	opts, _ := bareServer(t, "", func(b bare) {
		for { // until the client goes
			var head [9]byte
			if _, err := io.ReadFull(b, head[:]); err != nil {
				return
			}
			if head[3] == frameHeaders {
				t.Error("a handshake was sent")
			}
			_, _ = io.CopyN(io.Discard, b, int64(binary.BigEndian.Uint32(append([]byte{0}, head[:3]...))))
		}
	})
	if _, _, err := Dial(t.Context(), "ws://example.com", opts); !errors.Is(err, ErrNoHTTP2) {
		t.Errorf("%v, want %v", err, ErrNoHTTP2)
	}
}

// RFC 8441 §3: http.Server says that it takes extended CONNECT, because package http2 is
// imported.
func TestHTTP2Enabled(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	nc, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	b := bare{t, nc}
	sendBytes(t, b, []byte(preface)...)
	b.send(frameSettings, 0, 0, "")
	_, settings := b.want(frameSettings)
	for ; len(settings) >= 6; settings = settings[6:] {
		if settings[:6] == enableConnect {
			return
		}
	}
	t.Error("the server does not say so")
}

// A server that refuses and then takes nothing any more keeps nobody: Dial has its answer.
func TestHTTP2RefusalDoesNotBlock(t *testing.T) {
	const notFound = "\x8d" // :status 404 (RFC 7541, appendix A)
	dialed := make(chan struct{})
	opts, played := bareServer(t, enableConnect, func(b bare) {
		b.want(frameHeaders)
		b.send(frameHeaders, flagEndHeaders, 1, notFound)
		b.send(frameData, 0, 1, string(make([]byte, 2*maxRefusalBytes)))
		<-dialed // a pipe holds nothing, so that what the client writes now is not taken
	})
	begun := time.Now()
	_, response, err := Dial(t.Context(), "ws://example.com", opts)
	if response == nil || response.StatusCode != http.StatusNotFound || err == nil {
		t.Errorf("%v, %v; want 404", response, err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("Dial took %v", took)
	}
	close(dialed)
	played()
}

// RFC 8441 §5: an orderly end is END_STREAM, giving up is RST_STREAM with CANCEL.
func TestHTTP2Ends(t *testing.T) {
	const ok = "\x88" // :status 200 (RFC 7541, appendix A)
	t.Run("END_STREAM", func(t *testing.T) {
		opts, played := bareServer(t, enableConnect, func(b bare) {
			b.want(frameHeaders)
			b.send(frameHeaders, flagEndHeaders, 1, ok)
			if flags, _ := b.want(frameData); flags&flagEnd == 0 {
				t.Error("the first frame of data does not end the stream")
			}
		})
		c := dial(t, "ws://example.com", opts)
		_ = c.CloseNow()
		played()
	})
	t.Run("CANCEL", func(t *testing.T) {
		begun := make(chan struct{})
		opts, played := bareServer(t, enableConnect, func(b bare) {
			b.want(frameHeaders)
			b.send(frameHeaders, flagEndHeaders, 1, ok)
			b.want(frameData)
			close(begun)
			if _, code := b.want(frameReset); code != "\x00\x00\x00\x08" {
				t.Errorf("reset with % x, want CANCEL", code)
			}
		})
		c := dial(t, "ws://example.com", opts)
		ctx, cancel := context.WithCancel(t.Context())
		wrote := run(func() error { return c.Write(ctx, Binary, make([]byte, 1<<20)) }) // more than the window
		<-begun
		cancel()
		if err := wrote(); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want the context's end", err)
		}
		played()
	})
}
