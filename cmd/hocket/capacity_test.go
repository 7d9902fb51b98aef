package main

import (
	"testing"

	"hocket.dev"
	"hocket.dev/internal/config"
)

func TestCapacityIsTheLessOfFilesAndMemory(t *testing.T) {
	for _, test := range []struct {
		files, memory, taken uint64
		want                 int
	}{
		{0, 0, 512 << 20, 0},
		{1 << 20, 0, 512 << 20, 982980},
		{20_000, 64 << 30, 512 << 20, 18690},
		{20_000, 1 << 30, 512 << 20, 16384},
		{20_000, 256 << 20, 512 << 20, leastSessions},
		{0, 1 << 30, 512 << 20, 16384},
		{256, 1 << 30, 0, 180},
		{10, 1 << 30, 0, 32768}, // no descriptor is left: that is told otherwise
	} {
		if got := capacity(test.files, test.memory, test.taken); got != test.want {
			t.Errorf("%d files and %d bytes without %d have room for %d, want %d", test.files, test.memory, test.taken, got, test.want)
		}
	}
}

func TestTheConfigurationSaysHowManySessions(t *testing.T) {
	file := config.Default()
	c := file.Hocket()
	setCapacity(&c, &file)
	if n := c.Limits.Sessions; n < 100 || c.Limits.SessionsPerAddress != n-n/4 || c.Limits.Unproved > n/2 || c.Limits.UntakenBytes < leastUntaken {
		t.Errorf("by default: %+v", c.Limits)
	}
	c.Limits = hocket.Limits{Sessions: 10, SessionsPerAddress: 9, Unproved: 3, UntakenBytes: 5}
	setCapacity(&c, &file)
	if l := c.Limits; l.Sessions != 10 || l.SessionsPerAddress != 9 || l.Unproved != 3 || l.UntakenBytes != 5 {
		t.Errorf("as configured: %+v", l)
	}
}
