//go:build !race

package websocket

// raceEnabled: the race detector is on.
const raceEnabled = false
