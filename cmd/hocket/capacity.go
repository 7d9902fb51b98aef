package main

import (
	"hocket.dev"
	"hocket.dev/internal/config"
	"hocket.dev/internal/sys"
)

const (
	// sessionBytes is what a session is reckoned with: an idle one takes about a tenth, one under TLS about half.
	sessionBytes = 32 << 10
	// leastSessions is how many sessions there may be however little memory there seems to be.
	leastSessions = 1000
	// leastUntaken is what clients may leave however little memory there seems to be.
	leastUntaken = 64 << 20
)

// setCapacity says how many sessions the server takes, and how much it keeps for those that do not take it, where the configuration
// does not: what open files and memory have room for.
func setCapacity(c *hocket.Config, file *config.File) {
	memory, taken := sys.MemoryLimit(), uint64(file.MemoryBytes)+uint64(file.WindowBytes)
	if c.Limits.Sessions == 0 {
		files, _ := sys.RaiseFileLimit() // announce tells the error
		c.Limits.Sessions = capacity(files, memory, taken)
	}
	if c.Limits.UntakenBytes == 0 && memory > 0 {
		c.Limits.UntakenBytes = int64(max((memory-min(memory, taken))/4, leastUntaken))
	}
	if c.Limits.SessionsPerAddress == 0 {
		c.Limits.SessionsPerAddress = c.Limits.Sessions - c.Limits.Sessions/4
	}
	if c.Limits.Sessions > 0 {
		c.Limits.Unproved = min(c.Limits.Unproved, max(c.Limits.Sessions/2, 1))
	}
}

// capacity is how many sessions there is room for, 0 where nothing is known. Of the open files a sixteenth is left for those
// who have yet to make a handshake, so that they can be told that there is no room.
func capacity(files, memory, taken uint64) int {
	most := sessionsFor(files)
	most -= most / 16
	if memory > 0 {
		by := max((memory-min(memory, taken))/sessionBytes, leastSessions)
		if most == 0 || by < most {
			most = by
		}
	}
	return int(most)
}
