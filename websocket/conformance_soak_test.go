//go:build soak

package websocket

import (
	"fmt"
	"testing"
)

// The numbers of the Autobahn test suite where the ordinary tests make do with less:
// `make soak` runs them. It takes minutes, most of them the tester's own compression.

func TestSoakConformance9Limits(t *testing.T) {
	var cases []exchange
	for _, op := range []byte{1, 2} {
		for _, size := range []int{64 * kib, 256 * kib, mib, 4 * mib, 8 * mib, 16 * mib} {
			cases = append(cases, load(fmt.Sprintf("9.%d", op), op, size, 0, 0))
		}
		for fragment := 64; fragment <= 4*mib; fragment *= 4 {
			cases = append(cases, load(fmt.Sprintf("9.%d", 2+op), op, 4*mib, fragment, 0))
		}
		for chop := 64; chop <= 2*kib; chop *= 2 {
			cases = append(cases, load(fmt.Sprintf("9.%d", 4+op), op, mib, 0, chop))
		}
	}
	all(t, cases)
}

func TestSoakConformance9RoundTrips(t *testing.T) {
	for _, s := range subjects {
		t.Run(s.String(), func(t *testing.T) { roundTrips(t, s, 1000) })
	}
}

// Every size a thousand times with one corpus, twenty times with the others.
func TestSoakConformance12Compression(t *testing.T) {
	for _, s := range subjects {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			compressedMessages(t, s, sizes, func(c corpus, size int) int {
				if c.name == "JSON" {
					return 1000
				}
				return 20
			})
		})
	}
}

// Every parameter set with every size; a thousand messages of the small ones, which meet
// the window as often.
func TestSoakConformance13ParameterSets(t *testing.T) {
	eachParameterSet(t, sizes, func(size int) int { return min(1000, mib/size) })
}

func TestSoakHostileFloods(t *testing.T) { floods(t, 1_000_000, subjects...) }
