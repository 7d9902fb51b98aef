//go:build !race

package sim

// raceEnabled says that the race detector is on.
const raceEnabled = false
