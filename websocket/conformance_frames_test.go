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

func TestConformance1Framing(t *testing.T) {
	var cases []exchange
	for _, n := range []int{0, 125, 126, 127, 128, 65535, 65536} {
		p := strings.Repeat("*", n)
		cases = append(cases,
			exchange{name: fmt.Sprintf("1.1 text of %d", n), send: these(textFrame(p)), want: []string{"text " + brief(p)}},
			exchange{name: fmt.Sprintf("1.2 binary of %d", n), send: these(binaryFrame(p[:n/2] + "\xfe" + p[n/2:])), want: []string{"binary " + brief(p[:n/2]+"\xfe"+p[n/2:])}},
		)
	}
	p := strings.Repeat("*", 65536)
	cases = append(cases, exchange{name: "1.1.8 text of 65536 in chops of 997", send: these(textFrame(p)), chop: 997, want: []string{"text " + brief(p)}})
	all(t, cases)
}

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
		{name: "2.6 125 bytes byte by byte", send: these(pingFrame(p125)), chop: 1, want: []string{"pong " + brief(p125)}},
		{name: "2.7 unasked pong", send: these(pongFrame(""))},
		{name: "2.8 unasked pong with payload", send: these(pongFrame("unsolicited"))},
		{name: "2.9 unasked pong, then ping", send: these(pongFrame("unsolicited"), pingFrame("ping")), want: []string{`pong "ping"`}},
		{name: "2.10 ten pings", send: ten, want: tenPongs},
		{name: "2.11 ten pings byte by byte", send: ten, chop: 1, want: tenPongs},
	})
}

func TestConformance3ReservedBits(t *testing.T) {
	const hello = "Hello, world!"
	reserved := func(op, rsv byte) rawFrame { return rawFrame{op: op, rsv: rsv, payload: hello} }
	echoed := []string{`text "Hello, world!"`}
	all(t, []exchange{
		{name: "3.1 RSV3", send: these(reserved(1, 1)), code: 1002},
		{name: "3.2 RSV2 behind a message", send: these(textFrame(hello), reserved(1, 2), pingFrame("")), want: echoed, optional: true, code: 1002},
		{name: "3.3 RSV2 and RSV3", send: these(textFrame(hello), reserved(1, 3), pingFrame("")), want: echoed, optional: true, code: 1002},
		{name: "3.4 RSV1, byte by byte", send: these(textFrame(hello), reserved(1, 4), pingFrame("")), chop: 1, want: echoed, optional: true, code: 1002},
		{name: "3.5 RSV1 and RSV3 on binary", send: these(reserved(2, 5)), code: 1002},
		{name: "3.6 RSV1 and RSV2 on ping", send: these(reserved(9, 6)), code: 1002},
		{name: "3.7 all on close", send: these(reserved(8, 7)), code: 1002},
	})
}

func TestConformance4Opcodes(t *testing.T) {
	var cases []exchange
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		cases = append(cases,
			exchange{name: fmt.Sprintf("4 opcode %d", op), send: these(rawFrame{op: op}), code: 1002},
			exchange{name: fmt.Sprintf("4 opcode %d with payload", op), send: these(rawFrame{op: op, payload: "reserved"}), code: 1002},
			exchange{name: fmt.Sprintf("4 opcode %d behind a message", op), send: these(textFrame("a"), rawFrame{op: op, payload: "reserved"}, pingFrame("")), want: []string{`text "a"`}, optional: true, code: 1002},
			exchange{name: fmt.Sprintf("4 opcode %d byte by byte", op), send: these(textFrame("a"), rawFrame{op: op}, pingFrame("")), chop: 1, want: []string{`text "a"`}, optional: true, code: 1002},
		)
	}
	all(t, cases)
}

func TestConformance5Fragmentation(t *testing.T) {
	many := []rawFrame{begin("fragment1"), goOn("fragment2"), pingFrame("ping1"), goOn("fragment3"), goOn("fragment4"), pingFrame("ping2"), finish("fragment5")}
	manyAnswers := []string{`pong "ping1"`, `pong "ping2"`, `text "fragment1fragment2fragment3fragment4fr"… 45 bytes`}
	manyAnswers[2] = "text " + brief("fragment1fragment2fragment3fragment4fragment5")
	two, both := these(begin("fragment1"), finish("fragment2")), []string{`text "fragment1fragment2"`}
	withPing := these(begin("fragment1"), pingFrame("ping"), finish("fragment2"))
	pinged := []string{`pong "ping"`, both[0]}
	all(t, []exchange{
		{name: "5.1 ping in two fragments", send: these(rawFrame{op: 9, more: true, payload: "a"}, finish("b")), code: 1002},
		{name: "5.2 pong in two fragments", send: these(rawFrame{op: 10, more: true, payload: "a"}, finish("b")), code: 1002},
		{name: "5.3 two fragments", send: two, want: both},
		{name: "5.4 in frame-wise chops", send: two, chop: 15, want: both},
		{name: "5.5 byte by byte", send: two, chop: 1, want: both},
		{name: "5.6 a ping between", send: withPing, want: pinged},
		{name: "5.7 in chops", send: withPing, chop: 15, want: pinged},
		{name: "5.8 byte by byte", send: withPing, chop: 1, want: pinged},
		{name: "5.9 a continuation with nothing to continue", send: these(rawFrame{op: 0, payload: "x"}, textFrame("Hello")), code: 1002},
		{name: "5.10 in chops", send: these(rawFrame{op: 0, payload: "x"}, textFrame("Hello")), chop: 5, code: 1002},
		{name: "5.11 byte by byte", send: these(rawFrame{op: 0, payload: "x"}, textFrame("Hello")), chop: 1, code: 1002},
		{name: "5.12 an unfinished one", send: these(goOn("x"), textFrame("Hello")), code: 1002},
		{name: "5.15 a continuation behind the end", send: these(begin("fragment1"), finish("fragment2"), finish("fragment3"), textFrame("f4")), want: both, optional: true, code: 1002},
		{name: "5.16 a continuation first, twice", send: these(goOn("f1"), begin("f2"), finish("f3"), goOn("f1")), code: 1002},
		{name: "5.18 a text inside a message", send: these(begin("fragment1"), textFrame("fragment2")), code: 1002},
		{name: "5.19 five fragments and two pings", send: many, want: manyAnswers},
		{name: "5.20 byte by byte", send: many, chop: 1, want: manyAnswers},
		{name: "5 empty fragments", send: these(begin(""), goOn(""), goOn("x"), goOn(""), finish("")), want: []string{`text "x"`}},
	})
}

func TestConformance7Close(t *testing.T) {
	echoed := []string{`text "Hello World!"`}
	cases := []exchange{
		{name: "7.1.1 a message, then close", send: these(textFrame("Hello World!"), closeFrame(code(1000, ""))), want: echoed, code: 1000},
		{name: "7.1.2 two close frames", send: these(closeFrame(code(1000, "")), closeFrame(code(1000, ""))), code: 1000},
		{name: "7.1.3 a ping behind close", send: these(closeFrame(code(1000, "")), pingFrame("")), code: 1000},
		{name: "7.1.4 a text behind close", send: these(closeFrame(code(1000, "")), textFrame("x")), code: 1000},
		{name: "7.1.5 close inside a message", send: these(begin("fragment1"), closeFrame(code(1000, "")), finish("fragment2")), code: 1000},
		{name: "7.1.6 256 KiB, close, ping", send: these(textFrame(strings.Repeat("BAsd7&jh23", 26214)), closeFrame(code(1000, "")), pingFrame("")), want: []string{"text " + brief(strings.Repeat("BAsd7&jh23", 26214))}, code: 1000},
		{name: "7.3.1 no payload", send: these(closeFrame("")), code: noCode},
		{name: "7.3.2 one byte", send: these(closeFrame("a")), code: 1002},
		{name: "7.3.3 code", send: these(closeFrame(code(1000, ""))), code: 1000},
		{name: "7.3.4 code and reason", send: these(closeFrame(code(1000, "Hello World!"))), code: 1000},
		{name: "7.3.5 the longest reason", send: these(closeFrame(code(1000, strings.Repeat("*", 123)))), code: 1000},
		{name: "7.3.6 one byte more", send: these(closeFrame(code(1000, strings.Repeat("*", 124)))), code: 1002},
		{name: "7.5.1 a reason that is not UTF-8", send: these(closeFrame(code(1000, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64"))), code: 1007},
	}
	for _, c := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		cases = append(cases, exchange{name: fmt.Sprintf("7.7 code %d", c), send: these(closeFrame(code(c, ""))), code: c})
	}
	for _, c := range []int{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		cases = append(cases, exchange{name: fmt.Sprintf("7.9 code %d", c), send: these(closeFrame(code(c, ""))), code: 1002})
	}
	all(t, cases)
}
