//go:build !race

package wire

// raceEnabled: the race detector is on.
const raceEnabled = false
