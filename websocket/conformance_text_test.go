package websocket

import (
	"fmt"
	"strings"
	"testing"
)

const kosme = "κόσμε"

// The sequences of 6.5 to 6.23 are those by which UTF-8 decoders are tested: at the edges
// of each length, of the surrogates and of Unicode, too long, cut, and impossible.
var (
	validText = func() []string {
		all := []string{
			"hello$world", "hello¢world", "hello€world", "hello𤭢world", kosme, "κ", "κό", "κόσ", "κόσμ",
			"\x00", "\u0080", "\u0800", "\U00010000", "\x7f", "\u07ff", "\uffff", "\U0010ffff", "\ud7ff", "\ue000", "\ufffd",
			"\ufff9", "\ufffa", "\ufffb", "\ufffe",
		}
		for plane := rune(1); plane <= 16; plane++ { // the two that are no characters
			all = append(all, string(plane<<16|0xfffe), string(plane<<16|0xffff))
		}
		return all
	}()
	badText = []string{
		// cut
		"\xce", "\xce\xba\xe1", "\xce\xba\xe1\xbd", "\xce\xba\xe1\xbd\xb9\xcf", "\xce\xba\xe1\xbd\xb9\xcf\x83\xce", "κόσμ\xce",
		"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xfc\x80\x80\x80\x80", "\xdf", "\xef\xbf", "\xf7\xbf\xbf", "\xfb\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf",
		"\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80\xfc\x80\x80\x80\x80\xdf\xef\xbf\xf7\xbf\xbf\xfb\xbf\xbf\xbf\xfd\xbf\xbf\xbf\xbf",
		// beyond Unicode
		"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80", "\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf", "\xf4\x90\x80\x80",
		// continuations and beginnings alone
		"\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80", "\x80\xbf\x80\xbf", "\x80\xbf\x80\xbf\x80", "\x80\xbf\x80\xbf\x80\xbf", from(0x80, 0xbf, ""),
		from(0xc0, 0xdf, " "), from(0xe0, 0xef, " "), from(0xf0, 0xf7, " "), from(0xf8, 0xfb, " "), from(0xfc, 0xfd, " "),
		// impossible
		"\xfe", "\xff", "\xfe\xfe\xff\xff",
		// longer than needed
		"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf",
		"\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf8\x87\xbf\xbf\xbf", "\xfc\x83\xbf\xbf\xbf\xbf",
		"\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf8\x80\x80\x80\x80", "\xfc\x80\x80\x80\x80\x80",
		// surrogates
		"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf",
		"\xed\xa0\x80\xed\xb0\x80", "\xed\xa0\x80\xed\xbf\xbf", "\xed\xad\xbf\xed\xb0\x80", "\xed\xad\xbf\xed\xbf\xbf",
		"\xed\xae\x80\xed\xb0\x80", "\xed\xae\x80\xed\xbf\xbf", "\xed\xaf\xbf\xed\xb0\x80", "\xed\xaf\xbf\xed\xbf\xbf",
	}
)

// from is the bytes from first to last, with something behind each.
func from(first, last byte, behind string) string {
	var b strings.Builder
	for c := int(first); c <= int(last); c++ {
		b.WriteByte(byte(c))
		b.WriteString(behind)
	}
	return b.String()
}

// §8.1.
func TestConformance6Text(t *testing.T) {
	const hello = "Hello-µ@ßöäüàá-UTF-8!!"
	cases := []exchange{
		{name: "6.1.1 empty", send: these(textFrame("")), want: []string{`text ""`}},
		{name: "6.1.2 empty in fragments", send: these(begin(""), goOn(""), finish("")), want: []string{`text ""`}},
		{name: "6.1.3 empty around", send: these(begin(""), goOn("middle frame payload"), finish("")), want: []string{`text "middle frame payload"`}},
		{name: "6.2.1 in one frame", send: these(textFrame(hello)), want: []string{"text " + brief(hello)}},
		{name: "6.2.2 split between characters", send: these(begin("Hello-µ@ßöä"), finish("üàá-UTF-8!!")), want: []string{"text " + brief(hello)}},
		{name: "6.2.3 a fragment for each byte", send: byteFragments(hello), want: []string{"text " + brief(hello)}},
		{name: "6.2.4 the same", send: byteFragments(kosme), want: []string{"text " + brief(kosme)}},
		{name: "6.3.1 bad in one frame", send: these(textFrame(kosme + "\xed\xa0\x80edited")), code: 1007},
		{name: "6.3.2 bad, a fragment for each byte", send: byteFragments(kosme + "\xed\xa0\x80edited"), code: 1007},
	}
	for _, valid := range validText {
		cases = append(cases, exchange{name: fmt.Sprintf("6 good % x", valid), send: these(textFrame(valid)), want: []string{"text " + brief(valid)}})
	}
	for _, bad := range badText {
		cases = append(cases,
			exchange{name: fmt.Sprintf("6 bad % x", bad), send: these(textFrame(bad)), code: 1007},
			exchange{name: fmt.Sprintf("6 bad % x behind text", bad), send: these(begin("valid "), finish(bad)), code: 1007},
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
// character has not come and never will. §8.1.
func TestConformance6FailsFast(t *testing.T) {
	for _, s := range subjects {
		t.Run(s.String(), func(t *testing.T) {
			s := s.begin(t)
			for _, tt := range []struct {
				name, good, bad string
				chop            int
				oneFrame        bool
			}{
				{name: "6.4.1 in the second fragment", good: kosme, bad: "\xf4\x90\x80\x80"},
				{name: "6.4.2 before the character is whole", good: kosme + "\xf4", bad: "\x90"},
				{name: "6.4.3 in the frame, whose rest never comes", good: kosme, bad: "\xf4\x90\x80\x80", oneFrame: true},
				{name: "6.4.4 in the last byte that comes", good: kosme + "\xf4", bad: "\x90", oneFrame: true},
				{name: "6.4.4 byte by byte", good: kosme + "\xf4", bad: "\x90", oneFrame: true, chop: 1},
			} {
				t.Run(tt.name, func(t *testing.T) {
					p, _ := start(t, s, "")
					if !tt.oneFrame {
						p.send(tt.chop, begin(tt.good), goOn(tt.bad))
						wantFailure(t, p, 1007)
						return
					}
					whole := p.encode(textFrame(tt.good + tt.bad + strings.Repeat("x", 100)))
					whole = whole[:len(whole)-100]
					for n := tt.chop; len(whole) > 0; whole = whole[n:] {
						if n == 0 {
							n = len(whole)
						}
						sendBytes(t, p.nc, whole[:n]...)
					}
					wantFailure(t, p, 1007)
				})
			}
		})
	}
}
