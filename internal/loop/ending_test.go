package loop

import (
	"io"
	"slices"
	"testing"
)

// slowEnd is a handler whose end takes a quarter of the budget to tell.
type slowEnd struct {
	owner
	told func()
}

func (s *slowEnd) Closed(error) { s.told() }

func (s *slowEnd) attach(t *testing.T, b *bench) {
	t.Helper()
	server, _ := b.pair(t)
	if err := b.Attach(&s.Conn, server, s); err != nil {
		t.Fatal(err)
	}
	b.do(func() {})
}

// TestEndsAreToldWithinTheBudget has many connections end in one turn: they are told in their order, over several.
func TestEndsAreToldWithinTheBudget(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		const conns = 9
		ends := make([]slowEnd, conns)
		var order []int
		perTurn := map[uint64]int{}
		all := make(chan struct{})
		for i := range ends {
			ends[i].told = func() {
				b.advance(b.cfg.TurnBudget / 4)
				perTurn[b.Stats().Turns]++
				if order = append(order, i); len(order) == conns {
					close(all)
				}
			}
			ends[i].attach(t, b)
		}
		b.do(func() {
			for i := range ends {
				ends[i].Close(io.EOF)
				if n, _ := ends[i].Write([]byte("x")); n != 0 {
					t.Errorf("connection %d takes bytes after its end", i)
				}
			}
		})
		<-all
		b.do(func() {})
		for turn, n := range perTurn {
			if n > 1 { // their share
				t.Errorf("turn %d told %d ends of a quarter of the budget", turn, n)
			}
		}
		if want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8}; !slices.Equal(order, want) {
			t.Errorf("told %v, want %v", order, want)
		}
		if n := b.Stats().Conns; n != 0 {
			t.Errorf("Stats count %d connections, want 0", n)
		}
	})
}

// TestGroupCloseTellsEveryEnd holds that the end of the group has no budget.
func TestGroupCloseTellsEveryEnd(t *testing.T) {
	eachDriver(t, func(t *testing.T, b *bench) {
		const conns = 9
		ends := make([]slowEnd, conns)
		told := 0
		for i := range ends {
			ends[i].told = func() { b.advance(b.cfg.TurnBudget); told++ }
			ends[i].attach(t, b)
		}
		b.do(func() {
			for i := range ends[:5] {
				ends[i].Close(io.EOF)
			}
		})
		b.group.Close()
		if told != conns {
			t.Errorf("%d of %d connections were told of their end", told, conns)
		}
	})
}
