package websocket

import (
	"fmt"
	"strings"
	"testing"
)

func TestConformance6Text(t *testing.T) {
	const kosme = "κόσμε"
	cases := []exchange{
		{name: "6.1.1 empty", send: these(textFrame("")), want: []string{`text ""`}},
		{name: "6.1.2 empty in fragments", send: these(begin(""), goOn(""), finish("")), want: []string{`text ""`}},
		{name: "6.1.3 empty around", send: these(begin(""), goOn("middle frame payload"), finish("")), want: []string{`text "middle frame payload"`}},
		{name: "6.2.1 in one frame", send: these(textFrame("Hello-µ@ßöäüàá-UTF-8!!")), want: []string{"text " + brief("Hello-µ@ßöäüàá-UTF-8!!")}},
		{name: "6.2.2 split between characters", send: these(begin("Hello-µ@ßöä"), finish("üàá-UTF-8!!")), want: []string{"text " + brief("Hello-µ@ßöäüàá-UTF-8!!")}},
		{name: "6.2.3 a fragment for each byte", send: byteFragments("Hello-µ@ßöäüàá-UTF-8!!"), want: []string{"text " + brief("Hello-µ@ßöäüàá-UTF-8!!")}},
		{name: "6.2.4 the same", send: byteFragments(kosme), want: []string{"text " + brief(kosme)}},
		{name: "6.3.1 bad in one frame", send: these(textFrame(kosme + "\xed\xa0\x80edited")), code: 1007},
		{name: "6.3.2 bad, a fragment for each byte", send: byteFragments(kosme + "\xed\xa0\x80edited"), code: 1007},
	}
	for _, valid := range []string{
		kosme, "\x00", "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80", "\x7f", "\xdf\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf",
		"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", "\xef\xbf\xbe", "\xf0\x9f\xbf\xbe", "\xf3\xaf\xbf\xbf",
	} {
		cases = append(cases,
			exchange{name: fmt.Sprintf("6.5 % x", valid), send: these(textFrame(valid)), want: []string{"text " + brief(valid)}},
			exchange{name: fmt.Sprintf("6.5 % x byte by byte", valid), send: these(textFrame(valid)), chop: 1, want: []string{"text " + brief(valid)}},
		)
	}
	for _, bad := range []string{
		"\xce", "\xce\xba\xe1", "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80", "\xf7\xbf\xbf\xbf", "\xf4\x90\x80\x80",
		"\x80", "\xbf", "\x80\xbf\x80", "\xc0 \xc1 ", "\xe0 ", "\xf0 \xf5 ", "\xfe", "\xff", "\xfe\xfe\xff\xff",
		"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xc0\x80",
		"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80",
	} {
		cases = append(cases,
			exchange{name: fmt.Sprintf("6.6 % x", bad), send: these(textFrame(bad)), code: 1007},
			exchange{name: fmt.Sprintf("6.6 % x behind text", bad), send: these(begin("valid "), finish(bad)), code: 1007},
		)
	}
	all(t, cases)
}

// byteFragments is a text message with a fragment for each byte.
func byteFragments(s string) []rawFrame {
	all := []rawFrame{begin(s[:1])}
	for i := 1; i < len(s); i++ {
		all = append(all, goOn(s[i:i+1]))
	}
	return append(all, finish(""))
}

// 6.4: the subject closes where it stands, while the rest of the message, frame or even
// character has not come and never will.
func TestConformance6FailsFast(t *testing.T) {
	const bad = "κόσμε\xf4\x90"
	for _, s := range subjects {
		t.Run(s.String(), func(t *testing.T) {
			t.Run("6.4.1 between fragments", func(t *testing.T) {
				p, _ := start(t, s, "")
				p.send(0, begin("κόσμε"), goOn("\xf4\x90\x80\x80"))
				wantFailure(t, p)
			})
			t.Run("6.4.2 in the fragment, before the character is whole", func(t *testing.T) {
				p, _ := start(t, s, "")
				p.send(0, begin("κόσμε\xf4"), goOn("\x90"))
				wantFailure(t, p)
			})
			t.Run("6.4.3 in the frame, whose rest never comes", func(t *testing.T) {
				p, _ := start(t, s, "")
				whole := p.encode(textFrame(bad + strings.Repeat("x", 100)))
				sendBytes(t, p.nc, whole[:len(whole)-100]...)
				wantFailure(t, p)
			})
			t.Run("6.4.4 in the last byte that comes", func(t *testing.T) {
				p, _ := start(t, s, "")
				whole := p.encode(textFrame(bad + strings.Repeat("x", 100)))
				for _, b := range whole[:len(whole)-100] {
					sendBytes(t, p.nc, b)
				}
				wantFailure(t, p)
			})
		})
	}
}

func wantFailure(t *testing.T, p *tester) {
	t.Helper()
	if got := p.listen(false); got.code != 1007 || len(got.events) != 0 {
		t.Errorf("closed with %d after %v, want 1007", got.code, got.events)
	}
}
