package websocket

import (
	"fmt"
	"strings"
	"testing"
)

// What comes behind a close frame is discarded, and does not make the subject reset the
// connection. §5.5.1, §7.1.1, §7.4.
func TestConformance7Close(t *testing.T) {
	normal := closeFrame(code(1000, ""))
	echoed := []string{`text "Hello World!"`}
	large := strings.Repeat("BAsd7&jh23", 26214)
	cases := []exchange{
		{name: "7.1.1 a message, then close", send: these(textFrame("Hello World!"), normal), want: echoed, code: 1000},
		{name: "7.1.2 two close frames", send: these(normal, closeFrame("")), code: 1000},
		{name: "7.1.3 a ping behind close", send: these(normal, pingFrame("")), code: 1000},
		{name: "7.1.4 a text behind close", send: these(normal, textFrame("x")), code: 1000},
		{name: "7.1.5 close inside a message", send: these(begin("fragment1"), normal, finish("fragment2")), code: 1000},
		{name: "7.1.6 256 KiB, a message, close, ping", send: these(textFrame(large), textFrame("Hello World!"), normal, pingFrame("")),
			want: []string{"text " + brief(large), echoed[0]}, code: 1000},
		{name: "7.1 1 MiB behind close", send: these(normal, textFrame(strings.Repeat("x", 1<<20))), code: 1000},
		{name: "7.1 garbage behind close", send: these(normal, rawFrame{op: 7, rsv: 7}), code: 1000},
		{name: "7.3.1 no payload", send: these(closeFrame("")), code: noCode},
		{name: "7.3.2 one byte", send: these(closeFrame("a")), code: 1002},
		{name: "7.3.3 code", send: these(normal), code: 1000},
		{name: "7.3.4 code and reason", send: these(closeFrame(code(1000, "Hello World!"))), code: 1000},
		{name: "7.3.5 the longest reason", send: these(closeFrame(code(1000, strings.Repeat("*", 123)))), code: 1000},
		{name: "7.3.6 one byte more", send: these(closeFrame(code(1000, strings.Repeat("*", 124)))), code: 1002},
		{name: "7.5.1 a reason that is not UTF-8", send: these(closeFrame(code(1000, "κόσμε\xed\xa0\x80edited"))), code: 1007},
	}
	for _, c := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		cases = append(cases, exchange{name: fmt.Sprintf("7.7 code %d", c), send: these(closeFrame(code(c, ""))), code: c})
	}
	for _, c := range []int{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999} {
		cases = append(cases, exchange{name: fmt.Sprintf("7.9 code %d", c), send: these(closeFrame(code(c, ""))), code: 1002})
	}
	for _, c := range []int{5000, 65535} {
		cases = append(cases, exchange{name: fmt.Sprintf("7.13 code %d", c), send: these(closeFrame(code(c, ""))), code: 1002})
	}
	all(t, cases)
}

// What has come before the peer's end of the network connection is answered all the same.
func TestConformance7EndBehindClose(t *testing.T) {
	for _, s := range servers {
		t.Run(s.String(), func(t *testing.T) {
			p, _ := start(t, s, "")
			p.send(0, textFrame("a"), closeFrame(code(1000, "")))
			<-p.sent
			if err := p.nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if got := p.listen(); got.code != 1000 || len(got.events) != 1 {
				t.Errorf("%+v", got)
			}
		})
	}
}
