package websocket

import (
	"context"
	"errors"
	"sync"
	"testing"

	"hocket.dev/wire"
)

// One prepared message goes to connections of every kind, and each form is made once. What
// follows may refer to it where the context is taken over (RFC 7692 §7.2.3.2).
func TestPreparedMessage(t *testing.T) {
	text := prose(1, 5000)
	m, err := NewPreparedMessage(Text, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	receive := func(c, peer *Conn) {
		t.Helper()
		wrote := run(func() error { return c.WritePrepared(t.Context(), m) })
		peer.want(t, Text, text)
		if err := wrote(); err != nil {
			t.Error(err)
		}
	}
	for range 2 {
		for _, agreed := range []*wire.Deflate{nil, {}, {ServerNoContextTakeover: true}, {ServerMaxWindowBits: 9}, {ServerMaxWindowBits: 9, ClientMaxWindowBits: 9}} {
			server, client := pair(t)
			o := Compression{Mode: CompressionTakeover}
			server.compress(agreed, o)
			client.compress(agreed, o)
			for range 2 {
				receive(server, client)
				receive(client, server)
			}
			// And what others write can refer to it.
			wrote := run(func() error { return server.Write(t.Context(), Text, []byte(text)) })
			client.want(t, Text, text)
			if err := wrote(); err != nil {
				t.Error(err)
			}
		}
	}
	if len(m.forms) != 3 {
		t.Errorf("%d forms, want one without compression and one for each window", len(m.forms))
	}
	form, ok := m.forms[preparedKey{15, wire.SharedLevel}] // what goes to many is worth the work
	if !ok || len(form.frame) > len(text)*3/4 {
		t.Errorf("%d bytes compressed to %v", len(text), form)
	}
}

func TestPreparedMessageThatIsNotCompressed(t *testing.T) {
	for _, text := range []string{"", "short", "\x00\x01\x02\x03\x04\x05\x06\x07\x08"} {
		m, err := NewPreparedMessage(Text, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		server, client := compressedPair(t, Compression{Mode: CompressionOn, Threshold: 5})
		wrote := run(func() error { return server.WritePrepared(t.Context(), m) })
		ev, err := client.next(t.Context())
		if err != nil || string(ev.Payload) != text || ev.Compressed {
			t.Errorf("%q: %q, compressed %v, %v", text, ev.Payload, ev.Compressed, err)
		}
		if err := wrote(); err != nil {
			t.Error(err)
		}
	}
	if _, err := NewPreparedMessage(Text, []byte("\xff")); !errors.Is(err, ErrNotUTF8) {
		t.Errorf("%v, want ErrNotUTF8", err)
	}
}

// Many connections at once share what the first of them makes.
func TestPreparedMessageFromManyGoroutines(t *testing.T) {
	url := serve(t, &AcceptOptions{Compression: Compression{Mode: CompressionOn}}, func(ctx context.Context, c *Conn) {
		_, _, _ = c.Read(ctx)
	})
	m, err := NewPreparedMessage(Binary, []byte(prose(1, 100_000)))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		c := dial(t, url, &DialOptions{Compression: Compression{Mode: CompressionOn}})
		all.Go(func() {
			if err := c.WritePrepared(t.Context(), m); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(m.forms) != 1 {
		t.Errorf("%d forms", len(m.forms))
	}
}

func BenchmarkWrite(b *testing.B) {
	text := []byte(prose(1, 1024))
	m, err := NewPreparedMessage(Text, text)
	if err != nil {
		b.Fatal(err)
	}
	for _, mode := range []CompressionMode{CompressionOff, CompressionOn, CompressionTakeover} {
		name := []string{"off", "on", "takeover"}[mode]
		writes := map[string]func(c *Conn) error{
			"Write":    func(c *Conn) error { return c.Write(context.Background(), Text, text) },
			"Prepared": func(c *Conn) error { return c.WritePrepared(context.Background(), m) },
		}
		for how, write := range writes {
			b.Run(name+"/"+how, func(b *testing.B) {
				c := newConn(nowhere{}, wire.Server, "", nil)
				c.compress(Compression{Mode: mode}.accept([]wire.Extension{{Name: "permessage-deflate"}}), Compression{Mode: mode})
				b.ReportAllocs()
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					if err := write(c); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// What goes to many allocates for none of them.
func TestWritePreparedDoesNotAllocate(t *testing.T) {
	m, err := NewPreparedMessage(Text, []byte(prose(1, 1024)))
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []CompressionMode{CompressionOff, CompressionOn, CompressionTakeover} {
		c := newConn(nowhere{}, wire.Server, "", nil)
		o := Compression{Mode: mode}
		c.compress(o.accept([]wire.Extension{{Name: "permessage-deflate"}}), o)
		write := func() {
			if err := c.WritePrepared(context.Background(), m); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 { // the window of context takeover fills
			write()
		}
		if allocs := allocations(100, write); allocs != 0 {
			t.Errorf("mode %d: %v allocations", mode, allocs)
		}
	}
}
