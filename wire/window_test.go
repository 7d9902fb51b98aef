package wire

import (
	"bytes"
	"testing"
)

// A window is the end of everything added, of its size and never more, however the pieces
// fall; and it takes memory only as it fills.
func TestWindow(t *testing.T) {
	all := noise(9, 2000)
	for piece := 1; piece < 600; piece++ {
		w := NewWindow(8)
		for end := piece; end <= len(all); end += piece {
			w.add(all[end-piece : end])
			if want := all[max(end-256, 0):end]; !bytes.Equal(w.b, want) || cap(w.b) > 256 {
				t.Fatalf("pieces of %d, after %d bytes: %d in room for %d, or the wrong ones", piece, end, len(w.b), cap(w.b))
			}
		}
		if got := w.last(10); !bytes.Equal(got, w.b[len(w.b)-10:]) {
			t.Fatalf("last 10 of %d: % x", len(w.b), got)
		}
	}
	w := NewWindow(15)
	if w.add([]byte("hello")); cap(w.b) > 16 {
		t.Errorf("five bytes take %d", cap(w.b))
	}
	var none *Window
	if string(w.last(100)) != "hello" || w.last(-1) != nil || none.last(5) != nil {
		t.Error("last")
	}
}
