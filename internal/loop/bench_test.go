package loop

import (
	"io"
	"net"
	"sync"
	"testing"
)

func BenchmarkEcho(b *testing.B) {
	for _, d := range drivers[:2] {
		b.Run(d.name, func(b *testing.B) {
			g, err := New(Config{Loops: 1, Portable: d.with.Portable})
			if err != nil {
				b.Fatal(err)
			}
			defer g.Close()
			e := newEcho()
			e.closed = make(chan error, 1)
			server, client := listenAndDial(b)
			if err := g.Loop(0).Attach(&e.Conn, server, e); err != nil {
				b.Fatal(err)
			}
			pingPong(b, client)
		})
	}
	b.Run("goroutine", func(b *testing.B) { // what the loops are compared with
		server, client := listenAndDial(b)
		var wg sync.WaitGroup
		wg.Go(func() { io.CopyBuffer(struct{ io.Writer }{server}, struct{ io.Reader }{server}, make([]byte, 4096)) })
		pingPong(b, client)
		client.Close()
		wg.Wait()
		server.Close()
	})
}

func listenAndDial(b *testing.B) (server, client net.Conn) {
	b.Helper()
	server, client, err := dialSelf()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { client.Close() })
	return server, client
}

func pingPong(b *testing.B, client net.Conn) {
	msg := make([]byte, 128)
	for b.Loop() {
		if _, err := client.Write(msg); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, msg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPost(b *testing.B) {
	for _, d := range drivers[:2] {
		b.Run(d.name, func(b *testing.B) {
			g, err := New(Config{Loops: 1, Portable: d.with.Portable})
			if err != nil {
				b.Fatal(err)
			}
			defer g.Close()
			l, done := g.Loop(0), make(chan struct{}, 1)
			fn, last := func() {}, func() { done <- struct{}{} }
			b.Run("busy", func(b *testing.B) { // batches as a busy loop sees them
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					l.Post(fn)
					if n%1024 == 0 {
						l.Post(last)
						<-done
					}
				}
			})
			b.Run("asleep", func(b *testing.B) { // there and back
				for b.Loop() {
					l.Post(last)
					<-done
				}
			})
			b.Run("own", func(b *testing.B) { // each from the last, on the loop: a turn apiece
				b.ReportAllocs()
				var next func()
				n := 0
				next = func() {
					if n++; n < 1024 {
						l.Post(next)
					} else {
						n = 0
						last()
					}
				}
				for i := 0; b.Loop(); i++ {
					if i%1024 == 0 {
						l.Post(next)
						<-done
					}
				}
			})
		})
	}
}
