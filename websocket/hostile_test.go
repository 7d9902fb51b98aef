package websocket

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"hocket.dev/wire"
)

// heap returns the bytes that are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Any number of pings, pongs, or empty fragments take their time to read and nothing else:
// no memory, and what comes behind them is served (§5.4, §5.5.2, §5.5.3, §10.4). With
// `make soak` it is a million, for every subject; with the race detector, which makes each ten times as long, a tenth.
func TestHostileFloods(t *testing.T) {
	frames := 20_000
	if raceEnabled {
		frames = 2_000
	}
	floods(t, frames, subject{how: whole}, subject{how: onLoop}, subject{role: wire.Client, how: whole})
}

func floods(t *testing.T, frames int, subjects ...subject) {
	for _, flood := range []struct {
		name          string
		before, frame rawFrame
		behind        rawFrame
	}{
		{"pings", textFrame("x"), pingFrame(""), textFrame("y")},
		{"pings with payload", textFrame("x"), pingFrame(strings.Repeat("p", 125)), textFrame("y")},
		{"pongs", textFrame("x"), pongFrame("x"), textFrame("y")},
		{"empty fragments", begin("x"), goOn(""), finish("y")},
		{"empty messages", textFrame("x"), textFrame(""), textFrame("y")},
	} {
		for _, s := range subjects {
			t.Run(fmt.Sprintf("%s, %v", flood.name, s), func(t *testing.T) {
				p, _ := start(t, s, "")
				one := p.encode(flood.frame)
				chunk := []byte(strings.Repeat(string(one), 1000))
				before := heap()
				go func() {
					_, _ = p.nc.Write(p.encode(flood.before))
					for range frames / 1000 {
						if _, err := p.nc.Write(chunk); err != nil {
							return // the test fails below
						}
					}
					_, _ = p.nc.Write(p.encode(flood.behind))
				}()
				for {
					f, err := p.receive()
					if err != nil || f.op == 8 {
						t.Fatalf("received %v, close %q", err, f.payload)
					}
					if f.op < 8 && strings.HasSuffix(f.payload, "y") {
						break
					}
				}
				if grown := heap() - before; grown > 2*mib {
					t.Errorf("%d KiB are held", grown/kib)
				}
				p.send(0, closeFrame(code(1000, "")))
				if got := p.listen(); got.code != 1000 || got.end != io.EOF {
					t.Errorf("closed with %d and %v", got.code, got.end)
				}
			})
		}
	}
}

// The length of a frame is what the peer says; nothing is taken for it before it comes. §10.4.
func TestHostileLengths(t *testing.T) {
	for _, s := range subjects {
		for _, length := range []uint64{DefaultReadLimit + 1, 1 << 30, 1<<63 - 1} {
			t.Run(fmt.Sprintf("%d, %v", length, s), func(t *testing.T) {
				s := s
				s.limit = DefaultReadLimit
				p, _ := start(t, s, "")
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				p.send(0, rawFrame{op: 2, length: length, payload: "mask and some more"})
				got := p.listen()
				runtime.ReadMemStats(&after)
				if got.code != 1009 || got.end != io.EOF {
					t.Errorf("closed with %d and %v, want 1009 and a FIN", got.code, got.end)
				}
				if took := after.TotalAlloc - before.TotalAlloc; took > mib/2 {
					t.Errorf("%d KiB were allocated", took/kib)
				}
			})
		}
	}
}
