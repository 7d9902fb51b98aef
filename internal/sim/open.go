package sim

import "time"

// An ask is a request that has not been answered.
type ask struct {
	at       time.Duration
	answered func(in *incoming)
}

// checkAnswered checks that in the end nobody waits for the answer to a request that was made when all had become quiet.
func (w *world) checkAnswered(actors []*actor) {
	for _, a := range actors {
		if a.socket == nil {
			continue
		}
		for id, open := range a.asks {
			if open.at < w.now()-quiet/2 {
				w.fault("", a.name, w.now(), "request %d, of %v, was never answered", id, open.at)
			}
		}
	}
}
