//go:build !linux

package loop

func newPoller(l *Loop) (poller, error) { return newParker(l), nil }
