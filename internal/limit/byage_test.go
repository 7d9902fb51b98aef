package limit

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A guest may be in two lists.
type guest struct{ places [2]Place[guest] }

// Whatever comes and goes, two lists of the same things are as two slices.
func TestByAgeIsAsASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var lists [2]ByAge[guest]
		var naive [2][]*guest
		guests := make([]guest, 5)
		t.Repeat(map[string]func(*rapid.T){
			"come or go": func(t *rapid.T) {
				i, g := rapid.IntRange(0, 1).Draw(t, "list"), &guests[rapid.IntRange(0, len(guests)-1).Draw(t, "guest")]
				if p := &g.places[i]; p.Listed() && rapid.Bool().Draw(t, "goes") {
					lists[i].Remove(p)
					naive[i] = slices.DeleteFunc(naive[i], func(x *guest) bool { return x == g })
				} else if !p.Listed() {
					lists[i].Add(p, g)
					naive[i] = append(naive[i], g)
				}
			},
			"go though not there": func(t *rapid.T) {
				i, g := rapid.IntRange(0, 1).Draw(t, "list"), &guests[rapid.IntRange(0, len(guests)-1).Draw(t, "guest")]
				if !slices.Contains(naive[i], g) {
					lists[i].Remove(&g.places[i])
				}
			},
			"": func(t *rapid.T) {
				for i := range lists {
					wantByAge(t, &lists[i], naive[i])
					for k := range guests {
						if g := &guests[k]; g.places[i].Listed() != slices.Contains(naive[i], g) {
							t.Errorf("guest %d is listed: %v", k, g.places[i].Listed())
						}
					}
				}
			},
		})
		for i := range lists {
			for ; len(naive[i]) > 0; naive[i] = naive[i][1:] {
				lists[i].Remove(&lists[i].Oldest().places[i])
				wantByAge(t, &lists[i], naive[i][1:])
			}
		}
	})
}

func wantByAge(t *rapid.T, l *ByAge[guest], want []*guest) {
	t.Helper()
	var have, back []*guest
	for p := l.oldest; p != nil; p = p.newer {
		have = append(have, p.of)
	}
	for p := l.newest; p != nil; p = p.older {
		back = append(back, p.of)
	}
	slices.Reverse(back)
	if !slices.Equal(have, want) || !slices.Equal(back, want) || l.Len() != len(want) {
		t.Fatalf("holds %v, backwards %v, of length %d; want %v", have, back, l.Len(), want)
	}
	if o := l.Oldest(); len(want) == 0 && o != nil || len(want) > 0 && o != want[0] {
		t.Fatalf("%p is the oldest of %v", o, want)
	}
}
