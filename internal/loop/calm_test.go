//go:build !linux

package loop

import "testing"

// wantCalm has nothing to look at: a loop that waits on a channel cannot spin on a descriptor.
func (b *bench) wantCalm(t *testing.T) { b.do(func() {}) }
