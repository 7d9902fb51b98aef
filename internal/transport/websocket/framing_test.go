package websocket

import (
	"strings"
	"testing"

	"hocket.dev/wire"
)

func TestFramingReadsBack(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 127, 1<<16 - 1, 1 << 16, 70_000} {
		b := []byte("before")
		b = text{}.Begin(b)
		b = append(b, strings.Repeat("m", size)...)
		b = text{}.End(b, len("before"))
		dec, whole := wire.NewDecoder(wire.Client, nil), wire.Assembler{}
		rest := b[len("before"):]
		ev, n, err := dec.Next(rest)
		msg, done := whole.Add(ev)
		if err != nil || n != len(rest) || !done || ev.Op != wire.Text || len(msg) != size || strings.Count(string(msg), "m") != size {
			t.Errorf("%d bytes come back as %d in %d of %d, whole %v, %v", size, len(msg), n, len(rest), done, err)
		}
	}
}
