//go:build soak

package session

import (
	"testing"

	"hocket.dev/internal/soak"
)

// A hundred thousand sessions subscribe, become members, call, publish and vanish in odd ways. Afterwards there is no
// channel, cursor, member or timer, and the memory there was before.
func TestSoakComingsAndGoings(t *testing.T) {
	s := newStation(t)
	s.comeAndGo(20_000) // until the logs are as long as they get
	s.wantEmpty()
	before := soak.Measure(t)
	s.comeAndGo(100_000)
	s.wantEmpty()
	before.WantBack(t, 2<<20, 24<<20)
}

// A channel with a hundred thousand members stays usable.
func TestSoakCrowd(t *testing.T) { manyMembers(t, 100_000) }
