package wire

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

// book is an order book of about n bytes, as an exchange publishes it.
func book(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 2))
	var b strings.Builder
	b.WriteString(`{"type":"message","channel":"book:BTC-USD","offset":123456,"payload":{"bids":[`)
	for price := 64000.0; b.Len() < n-24; price -= r.Float64() {
		fmt.Fprintf(&b, `["%.2f","%.4f"],`, price, 10*r.Float64())
	}
	b.WriteString(`[]]}}`)
	return []byte(b.String())
}

// noise cannot be compressed.
func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 3))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// farRepeats is noise in which every piece comes again from exactly distance bytes back:
// what tempts a compressor to use all the window it believes to have.
func farRepeats(distance, n int) []byte {
	b := noise(uint64(distance), distance)
	for len(b) < n {
		b = append(b, b[len(b)-distance:]...)
	}
	return b[:n]
}

// samples are payloads of every kind, and of every size at which something changes.
func samples() map[string][]byte {
	all := map[string][]byte{
		"one byte": []byte("x"), "hello": []byte("Hello"), "zeros": make([]byte, 70_000),
		"text": []byte(strings.Repeat("Käse für 3 € und 実時間. ", 3000)), "noise": noise(1, 70_000),
	}
	for _, n := range []int{127, 128, 129, 255, 256, 257, 1024, 4096, 32767, 32769, 65535, 65536} {
		all[fmt.Sprintf("book of %d", n)] = book(uint64(n), n)
	}
	for bits := 8; bits <= 15; bits++ {
		for _, d := range []int{0, 1} {
			all[fmt.Sprintf("repeats at %d", 1<<bits+d)] = farRepeats(1<<bits+d, 3<<bits)
		}
	}
	return all
}

// RFC 7692 §7.1.2.1: a promised window is kept, within one message too. The strict inflater
// has exactly that window and no history: so a message refers to none before it, either.
func TestEveryWindowIsKept(t *testing.T) {
	for name, payload := range samples() {
		for bits := 8; bits <= 15; bits++ {
			got, _, err := strictInflate(append(AppendDeflated(nil, payload, bits, 0), syncMarker...), 1<<bits, nil)
			if err != nil || !bytes.Equal(got, payload) {
				t.Errorf("%s, window of %d bits: %v", name, bits, err)
			}
		}
	}
}

// The window is used, too: a check that never sees a reference would prove nothing.
func TestTheWindowIsUsed(t *testing.T) {
	for bits := 8; bits <= 15; bits++ {
		_, furthest, err := strictInflate(append(AppendDeflated(nil, book(1, 150_000), bits, 0), syncMarker...), 1<<bits, nil)
		if err != nil || furthest < 1<<bits/2 {
			t.Errorf("%d bits: no reference beyond %d bytes (%v)", bits, furthest, err)
		}
	}
	out := AppendDeflated(nil, farRepeats(20_000, 100_000), 15, 0)
	if _, _, err := strictInflate(append(out, syncMarker...), 1<<14, nil); err == nil {
		t.Error("the strict inflater lets a reference of 20,000 bytes pass in a window of 16 KiB")
	}
}

// Every level gives the message back, for every window; 9 is the smallest, 1 no larger
// than the payload.
func TestLevels(t *testing.T) {
	payload := book(1, 20_000)
	for level := -1; level <= 10; level++ {
		for _, bits := range []int{0, 8, 12, 15, 16} {
			out := AppendDeflated([]byte("before"), payload, bits, level)
			if !bytes.HasPrefix(out, []byte("before")) || len(out) > len(payload)/2 {
				t.Errorf("level %d, %d bits: %d bytes", level, bits, len(out))
			}
			got, _, err := strictInflate(append(out[6:], syncMarker...), 1<<15, nil)
			if err != nil || !bytes.Equal(got, payload) {
				t.Errorf("level %d, %d bits: %v", level, bits, err)
			}
		}
	}
}

// RFC 7692 §7.2.3.6: an empty message is one byte, whatever the parameters.
func TestEmptyMessageIsOneByte(t *testing.T) {
	for _, d := range []Deflation{{}, {WindowBits: 9}, {Window: NewWindow(15)}} {
		if got := d.Append(nil, nil); string(got) != "\x00" {
			t.Errorf("%+v: % x", d, got)
		}
		s := d.Begin()
		if got := s.End(s.Flush(s.Append(nil, nil))); string(got) != "\x00" {
			t.Errorf("%+v, as a stream: % x", d, got)
		}
	}
}

// RFC 7692 §7.2.1: a message with context takeover refers to those before it, within the
// window, also where it is small; and a window of the receiver follows it.
func TestContextTakeover(t *testing.T) {
	sizes := []int{100, 100, 1000, 1000, 1000, 5, 5000, 100_000, 90, 90, 300, 300, 1}
	for bits := 8; bits <= 15; bits++ {
		sender, receiver, inflater := Deflation{WindowBits: bits, Window: NewWindow(bits)}, NewWindow(bits), NewInflater()
		var history []byte
		for i, n := range sizes {
			payload := book(7, n+60)[60:] // always the same, cut to its size
			var out []byte
			if i%3 == 2 {
				s := sender.Begin()
				out = s.Append(nil, payload[:n/2])
				out = s.End(s.Append(s.Flush(out), payload[n/2:]))
			} else {
				out = sender.Append(nil, payload)
			}
			got, _, err := strictInflate(append(append([]byte(nil), out...), syncMarker...), 1<<bits, history)
			if err != nil || !bytes.Equal(got, payload) {
				t.Fatalf("%d bits, message %d of %d bytes: %v", bits, i, n, err)
			}
			if i > 0 && i%3 != 2 && n == sizes[i-1] && n < 1<<bits/2 && len(out) > n/4 {
				t.Errorf("%d bits, message %d of %d bytes: %d bytes, although it came just before", bits, i, n, len(out))
			}
			got, err = inflater.Append(nil, out, Inflation{Op: Binary, Window: receiver})
			if err != nil || !bytes.Equal(got, payload) {
				t.Fatalf("%d bits, message %d: the inflater says %v", bits, i, err)
			}
			history = append(history, payload...)
			if len(sender.Window.b) != min(len(history), 1<<bits) || cap(sender.Window.b) > 1<<bits {
				t.Errorf("%d bits: the window holds %d bytes in %d", bits, len(sender.Window.b), cap(sender.Window.b))
			}
			if !bytes.Equal(sender.Window.b, receiver.b) || !bytes.HasSuffix(history, receiver.b) {
				t.Fatalf("%d bits, message %d: the windows differ", bits, i)
			}
		}
	}
}

// A stream gives what Append gives, in pieces, however it is written and flushed.
func TestDeflateStream(t *testing.T) {
	payload := book(3, 200_000)
	for _, bits := range []int{8, 11, 15} {
		for _, piece := range []int{1000, 70_000, 200_000} {
			s := Deflation{WindowBits: bits}.Begin()
			var out, flushed []byte
			for rest := payload; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
				out = s.Append(out, rest[:min(piece, len(rest))])
				if piece == 1000 && len(rest) == len(payload) {
					out = s.Flush(out)
					flushed, _, _ = strictInflate(out, 1<<bits, nil)
				}
			}
			out = s.End(out)
			got, _, err := strictInflate(append(out, syncMarker...), 1<<bits, nil)
			if err != nil || !bytes.Equal(got, payload) {
				t.Errorf("%d bits in pieces of %d: %v", bits, piece, err)
			}
			if piece == 1000 && !bytes.Equal(flushed, payload[:1000]) {
				t.Errorf("%d bits: after Flush the receiver has %d bytes, want 1000", bits, len(flushed))
			}
		}
	}
	s := Deflation{}.Begin()
	s.Append(nil, payload)
	s.Abort()
	s.Abort() // as often as one likes
}

// Compressors are shared: many goroutines at once, and nothing of one message in another.
func TestAppendDeflatedFromManyGoroutines(t *testing.T) {
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			inflater := NewInflater()
			for i := range 20 {
				payload := book(uint64(g), 50+i*200)
				out := AppendDeflated(nil, payload, 8+(g+i)%8, 1+i%6)
				got, err := inflater.Append(nil, out, Inflation{Op: Text})
				if err != nil || !bytes.Equal(got, payload) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func TestAppendDeflatedDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 4096)
	window := NewWindow(15)
	window.add(noise(1, 1<<15))
	for name, d := range map[string]Deflation{"": {}, "small window": {WindowBits: 9}} {
		for _, n := range []int{0, 100, 1024} {
			payload := book(1, n)
			d.Append(buf, payload)
			// Under the race detector a pool drops things at random.
			if allocs := testing.AllocsPerRun(100, func() { d.Append(buf, payload) }); allocs > 0.5 && !raceEnabled {
				t.Errorf("%s, %d bytes: %v allocations", name, n, allocs)
			}
		}
	}
}

func BenchmarkAppendDeflated(b *testing.B) {
	for _, n := range []int{100, 1 << 10, 16 << 10} {
		for _, d := range []Deflation{{Level: 1}, {}, {Level: 6}, {Level: 9}, {WindowBits: 9}, {Window: NewWindow(15)}, {WindowBits: 12, Window: NewWindow(12)}} {
			name := fmt.Sprintf("%d/level=%d/window=%d/takeover=%v", n, d.level(), d.bits(), d.Window != nil)
			b.Run(name, func(b *testing.B) {
				payloads := make([][]byte, 64)
				for i := range payloads {
					payloads[i] = book(uint64(i), n)
				}
				var out []byte
				sum, i := 0, 0
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					out = d.Append(out[:0], payloads[i%64])
					sum += len(out)
					i++
				}
				b.ReportMetric(float64(sum)/float64(i)/float64(n)*100, "%")
			})
		}
	}
}
