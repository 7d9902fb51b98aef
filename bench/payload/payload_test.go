package payload

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"strings"
	"testing"
)

func TestTextIsJSONOfItsSizeAndNoneIsTwice(t *testing.T) {
	for _, size := range []int{0, MinText, 128, 1024} {
		seen := map[string]bool{}
		for stream := range uint64(3) {
			for n := range uint64(100) {
				b := AppendText([]byte("before"), stream, n, size)[len("before"):]
				if len(b) != max(size, MinText) || !json.Valid(b) || seen[string(b)] {
					t.Fatalf("message %d of stream %d in %d bytes: %s", n, stream, size, b)
				}
				seen[string(b)] = true
			}
		}
	}
}

func TestBook(t *testing.T) {
	const golden = `{"symbol":"BTC-USD","seq":0,"time":1700000000000,"bids":[["`
	if b := AppendBook(nil, 1, 0); !strings.HasPrefix(string(b), golden) {
		t.Errorf("the first book is %s", b)
	}
	seen := map[string]bool{}
	for n := range uint64(1000) {
		b := AppendBook(nil, 1, n)
		var book struct{ Bids, Asks [][2]string }
		if err := json.Unmarshal(b, &book); err != nil || len(b) != BookBytes || len(book.Bids) != levels || len(book.Asks) != levels {
			t.Fatalf("book %d: %v, %d bytes: %s", n, err, len(b), b)
		}
		if seen[string(b)] {
			t.Fatalf("book %d has been there before", n)
		}
		seen[string(b)] = true
		if again := AppendBook(nil, 1, n); !bytes.Equal(b, again) {
			t.Fatalf("book %d is not the same again", n)
		}
	}
}

// TestBookCompresses holds what the package says about it: were it easier than a real
// one, compression would look better than it is.
func TestBookCompresses(t *testing.T) {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, 6)
	if err != nil {
		t.Fatal(err)
	}
	const books = 200
	for n := range uint64(books) {
		w.Reset(&out)
		if _, err := w.Write(AppendBook(nil, 7, n)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if ratio := float64(out.Len()) / (books * BookBytes); ratio < 0.35 || ratio > 0.45 {
		t.Errorf("a book compresses to %.3f of its size, which is neither easy nor hard", ratio)
	} else {
		t.Logf("%.3f", ratio)
	}
}
