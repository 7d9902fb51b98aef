package websocket

import (
	"fmt"
	"strings"
	"testing"

	"hocket.dev/wire"
)

const kib, mib = 1 << 10, 1 << 20

// fragmented is a message in fragments of n bytes, 0 for one frame.
func fragmented(op byte, payload string, n int) []rawFrame {
	if n == 0 {
		n = max(len(payload), 1)
	}
	var all []rawFrame
	for first := true; first || payload != ""; first = false {
		piece := payload[:min(n, len(payload))]
		payload = payload[len(piece):]
		f := rawFrame{op: op, payload: piece, more: payload != ""}
		if !first {
			f.op = 0
		}
		all = append(all, f)
	}
	return all
}

// loadText is n bytes of UTF-8.
func loadText(n int) string {
	return strings.ToValidUTF8(strings.Repeat("BAsd7&jh23€", n/13+1)[:n], "")
}

// load is a case in which one large message is sent and comes back. One that is for some subjects only is not for the race
// detector, which meets the same code in smaller messages and takes a second for each of these.
func load(name string, op byte, size, fragment, chop int, only ...subject) exchange {
	payload := loadText(size)
	return exchange{
		name: fmt.Sprintf("%s %v of %d KiB in fragments of %d and chops of %d", name, wire.Opcode(op), size/kib, fragment, chop),
		send: fragmented(op, payload, fragment), chop: chop,
		want: []string{wire.Opcode(op).String() + " " + brief(payload)},
		skip: func(s subject) bool {
			if raceEnabled && len(only) > 0 {
				return true
			}
			for _, o := range only {
				if o.role == s.role && o.how == s.how {
					return false
				}
			}
			return len(only) > 0
		},
	}
}

// The largest are for some subjects each, without the race detector; `make soak` runs all of them, as large as the suite does.
func TestConformance9Limits(t *testing.T) {
	conn, loop, client := subject{how: whole}, subject{how: onLoop}, subject{role: wire.Client, how: whole}
	all(t, []exchange{
		load("9.1.1", 1, 64*kib, 0, 0),
		load("9.2.2", 2, 256*kib, 0, 0),
		load("9.1.3", 1, mib, 0, 0),
		load("9.1.6", 1, 16*mib, 0, 0, conn),
		load("9.2.6", 2, 16*mib, 0, 0, loop),
		load("9.3.1", 1, 4*mib, 64, 0, loop),
		load("9.4.1", 2, 4*mib, 64, 0, client),
		load("9.3", 1, 128*kib, 64, 0),
		load("9.4", 2, mib, 4*kib, 0),
		load("9.3", 1, mib, 256*kib, 0),
		load("9.5", 1, 64*kib, 0, 64),
		load("9.6", 2, 256*kib, 0, 2*kib),
	})
}

// roundTrips are 9.7 and 9.8: messages of each size, the next when the last has come back.
func roundTrips(t *testing.T, s subject, messages int) {
	s = s.begin(t)
	for _, n := range []int{0, 16, 64, 256, kib, 4 * kib} {
		for _, f := range []rawFrame{textFrame(strings.Repeat("*", n)), binaryFrame(strings.Repeat("\xfe", n))} {
			t.Run(fmt.Sprintf("%v of %d", wire.Opcode(f.op), n), func(t *testing.T) {
				p, _ := start(t, s, "")
				for i := range messages {
					p.send(0, f)
					if got := p.message(); got != f {
						t.Fatalf("message %d came back as %v %s", i, wire.Opcode(got.op), brief(got.payload))
					}
				}
				p.wantGoodbye()
			})
		}
	}
}

func TestConformance9RoundTrips(t *testing.T) {
	for _, s := range subjects {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			roundTrips(t, s, 20)
		})
	}
}

// Messages that come without waiting for answers are answered all the same, in order. §6.2.
func TestConformance9Pipelined(t *testing.T) {
	var cases []exchange
	for _, n := range []int{0, 16, 256, 4 * kib} {
		e := exchange{name: fmt.Sprintf("9 two hundred of %d", n)}
		for i := range 200 {
			f := textFrame(strings.Repeat(string(rune('a'+i%26)), n))
			if i%2 == 1 {
				f.op = 2
			}
			e.send = append(e.send, f)
			e.want = append(e.want, wire.Opcode(f.op).String()+" "+brief(f.payload))
		}
		cases = append(cases, e)
	}
	all(t, cases)
}

func TestConformance10AutoFragment(t *testing.T) {
	p := strings.Repeat("*", 65536)
	all(t, []exchange{{name: "10.1.1 64 KiB in fragments of 1300", send: fragmented(1, p, 1300), want: []string{"text " + brief(p)}}})
}
