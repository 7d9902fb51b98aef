package websocket

import (
	"fmt"
	"strings"
	"testing"
)

// Short forms of frames.
func textFrame(s string) rawFrame   { return rawFrame{op: 1, payload: s} }
func binaryFrame(s string) rawFrame { return rawFrame{op: 2, payload: s} }
func pingFrame(s string) rawFrame   { return rawFrame{op: 9, payload: s} }
func pongFrame(s string) rawFrame   { return rawFrame{op: 10, payload: s} }
func closeFrame(s string) rawFrame  { return rawFrame{op: 8, payload: s} }
func begin(s string) rawFrame       { return rawFrame{op: 1, more: true, payload: s} }
func goOn(s string) rawFrame        { return rawFrame{op: 0, more: true, payload: s} }
func finish(s string) rawFrame      { return rawFrame{op: 0, payload: s} }
func these(f ...rawFrame) []rawFrame {
	return f
}

// code is a close frame's payload.
func code(c int, reason string) string { return string([]byte{byte(c >> 8), byte(c)}) + reason }

// §5.2: the three forms of a length.
func TestConformance1Framing(t *testing.T) {
	var cases []exchange
	for _, n := range []int{0, 125, 126, 127, 128, 65535, 65536} {
		p := strings.Repeat("*", n)
		b := p[:n/2] + "\xfe" + p[n/2:]
		cases = append(cases,
			exchange{name: fmt.Sprintf("1.1 text of %d", n), send: these(textFrame(p)), want: []string{"text " + brief(p)}},
			exchange{name: fmt.Sprintf("1.2 binary of %d", n+1), send: these(binaryFrame(b)), want: []string{"binary " + brief(b)}},
		)
	}
	p := strings.Repeat("*", 65536)
	cases = append(cases,
		exchange{name: "1.1.8 text of 65536 in chops of 997", send: these(textFrame(p)), chop: 997, want: []string{"text " + brief(p)}},
		exchange{name: "1.2.8 binary of 65536 in chops of 997", send: these(binaryFrame(p)), chop: 997, want: []string{"binary " + brief(p)}},
	)
	all(t, cases)
}

// 2.6 and 2.11 are 2.4 and 2.10 byte by byte. §5.5.2: each ping has its answer.
func TestConformance2PingPong(t *testing.T) {
	odd := "\x00\xff\xfe\xfd\xfc\xfb\x00\xff"
	var ten []rawFrame
	var tenPongs []string
	for i := range 10 {
		payload := fmt.Sprintf("payload-%d", i)
		ten, tenPongs = append(ten, pingFrame(payload)), append(tenPongs, "pong "+brief(payload))
	}
	p125 := strings.Repeat("\xfe", 125)
	all(t, []exchange{
		{name: "2.1 without payload", send: these(pingFrame("")), want: []string{`pong ""`}},
		{name: "2.2 text", send: these(pingFrame("Hello, world!")), want: []string{`pong "Hello, world!"`}},
		{name: "2.3 not UTF-8", send: these(pingFrame(odd)), want: []string{"pong " + brief(odd)}},
		{name: "2.4 125 bytes", send: these(pingFrame(p125)), want: []string{"pong " + brief(p125)}},
		{name: "2.5 126 bytes", send: these(pingFrame(p125 + "\xfe")), code: 1002},
		{name: "2.7 unasked pong", send: these(pongFrame(""))},
		{name: "2.8 unasked pong with payload", send: these(pongFrame("unsolicited"))},
		{name: "2.9 unasked pong, then ping", send: these(pongFrame("unsolicited"), pingFrame("ping")), want: []string{`pong "ping"`}},
		{name: "2.10 ten pings", send: ten, want: tenPongs},
		{name: "2 pings between messages", send: these(textFrame("a"), pingFrame("1"), textFrame("b"), pingFrame("2")),
			want: []string{`text "a"`, `pong "1"`, `text "b"`, `pong "2"`}},
	})
}

// What stands before a broken frame is answered, also when both come at once. §5.2.
func TestConformance3ReservedBits(t *testing.T) {
	const hello = "Hello, world!"
	reserved := func(op, rsv byte) rawFrame { return rawFrame{op: op, rsv: rsv, payload: hello} }
	echoed := []string{`text "Hello, world!"`}
	all(t, []exchange{
		{name: "3.1 RSV3", send: these(reserved(1, 1)), code: 1002},
		{name: "3.2 RSV2 behind a message", send: these(textFrame(hello), reserved(1, 2), pingFrame("")), want: echoed, code: 1002},
		{name: "3.3 RSV2 and RSV3, in chops of frames", send: these(textFrame(hello), reserved(1, 3), pingFrame("")), chop: 19, want: echoed, code: 1002},
		{name: "3.4 RSV1", send: these(textFrame(hello), reserved(1, 4), pingFrame("")), want: echoed, code: 1002},
		{name: "3.5 RSV1 and RSV3 on binary", send: these(reserved(2, 5)), code: 1002},
		{name: "3.6 RSV1 and RSV2 on ping", send: these(reserved(9, 6)), code: 1002},
		{name: "3.7 all on close", send: these(reserved(8, 7)), code: 1002},
		{name: "3 RSV2 behind many messages", send: these(textFrame("1"), pingFrame("2"), binaryFrame("3"), textFrame("4"), reserved(1, 2)),
			want: []string{`text "1"`, `pong "2"`, `binary "3"`, `text "4"`}, code: 1002},
	})
}

// §5.2: ten opcodes are reserved.
func TestConformance4Opcodes(t *testing.T) {
	var cases []exchange
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		cases = append(cases,
			exchange{name: fmt.Sprintf("4 opcode %d", op), send: these(rawFrame{op: op}), code: 1002},
			exchange{name: fmt.Sprintf("4 opcode %d with payload", op), send: these(rawFrame{op: op, payload: "reserved"}), code: 1002},
			exchange{name: fmt.Sprintf("4 opcode %d behind a message", op), send: these(textFrame("a"), rawFrame{op: op}, pingFrame("")), want: []string{`text "a"`}, code: 1002},
			exchange{name: fmt.Sprintf("4 opcode %d with payload behind a message", op), send: these(textFrame("a"), rawFrame{op: op, payload: "reserved"}, pingFrame("")), want: []string{`text "a"`}, code: 1002},
		)
	}
	all(t, cases)
}

// 5.5, 5.8, 5.11, 5.14 and 5.20 are others byte by byte. §5.4, §5.5.
func TestConformance5Fragmentation(t *testing.T) {
	many := []rawFrame{begin("fragment1"), goOn("fragment2"), pingFrame("ping1"), goOn("fragment3"), goOn("fragment4"), pingFrame("ping2"), finish("fragment5")}
	manyAnswers := []string{`pong "ping1"`, `pong "ping2"`, "text " + brief("fragment1fragment2fragment3fragment4fragment5")}
	two, both := these(begin("fragment1"), finish("fragment2")), []string{`text "fragment1fragment2"`}
	withPing := these(begin("fragment1"), pingFrame("ping"), finish("fragment2"))
	pinged := []string{`pong "ping"`, both[0]}
	nothing := these(finish("non-continuation payload"), textFrame("Hello, world!"))
	unfinished := these(goOn("non-continuation payload"), textFrame("Hello, world!"))
	all(t, []exchange{
		{name: "5.1 ping in two fragments", send: these(rawFrame{op: 9, more: true, payload: "a"}, finish("b")), code: 1002},
		{name: "5.2 pong in two fragments", send: these(rawFrame{op: 10, more: true, payload: "a"}, finish("b")), code: 1002},
		{name: "5.3 two fragments", send: two, want: both},
		{name: "5.4 in chops of frames", send: two, chop: 15, want: both},
		{name: "5.6 a ping between", send: withPing, want: pinged},
		{name: "5.7 in chops of frames", send: withPing, chop: 15, want: pinged},
		{name: "5.9 a continuation with nothing to continue", send: nothing, code: 1002},
		{name: "5.10 in chops of frames", send: nothing, chop: 30, code: 1002},
		{name: "5.12 an unfinished one", send: unfinished, code: 1002},
		{name: "5.13 in chops of frames", send: unfinished, chop: 30, code: 1002},
		{name: "5.15 a continuation behind the end", send: these(begin("fragment1"), finish("fragment2"), goOn("fragment3"), textFrame("fragment4")), want: both, code: 1002},
		{name: "5.16 a continuation first, unfinished, twice", send: these(goOn("f1"), begin("f2"), finish("f3"), goOn("f1"), begin("f2"), finish("f3")), code: 1002},
		{name: "5.17 a continuation first, finished, twice", send: these(finish("f1"), begin("f2"), finish("f3"), finish("f1"), begin("f2"), finish("f3")), code: 1002},
		{name: "5.18 a text inside a message", send: these(begin("fragment1"), textFrame("fragment2")), code: 1002},
		{name: "5.19 five fragments and two pings", send: many, want: manyAnswers},
		{name: "5 empty fragments", send: these(begin(""), goOn(""), goOn("x"), goOn(""), finish("")), want: []string{`text "x"`}},
	})
}

// 5.19, 5.20: a ping inside a message is answered before the message goes on. §5.4.
func TestConformance5AnswersPingsAtOnce(t *testing.T) {
	for _, s := range subjects {
		t.Run(s.String(), func(t *testing.T) {
			p, _ := start(t, s, "")
			p.send(0, begin("fragment1"), goOn("fragment2"), pingFrame("pongme 1!"))
			for {
				f, err := p.receive()
				if err != nil {
					t.Fatal(err)
				}
				if f.op == 10 && f.payload == "pongme 1!" {
					break
				}
				if s.how != stream || f.op > 2 { // a stream may send what it has
					t.Fatalf("received %+v, want the pong", f)
				}
			}
		})
	}
}
