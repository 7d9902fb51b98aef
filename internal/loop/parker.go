package loop

import (
	"net"
	"runtime"
	"time"
)

// A parker is the portable poller: it waits on a channel, which testing/synctest understands, and knows no descriptors.
type parker struct {
	awake chan struct{}
	timer *time.Timer
}

func newParker(*Loop) *parker { return &parker{awake: make(chan struct{}, 1)} }

func (p *parker) wait(d time.Duration) {
	switch {
	case d == 0:
		runtime.Gosched() // the goroutines of the connections have their turn between ours
	case d < 0:
		<-p.awake
	default:
		if p.timer == nil {
			p.timer = time.NewTimer(d)
		} else {
			p.timer.Reset(d)
		}
		select {
		case <-p.awake:
			p.timer.Stop()
		case <-p.timer.C:
		}
	}
}

func (p *parker) wake() {
	select {
	case p.awake <- struct{}{}:
	default: // a wake-up that nobody has taken yet is as good
	}
}

func (p *parker) behind() bool                         { return false }
func (p *parker) read()                                {}
func (p *parker) adopt(*Conn, net.Conn) (*link, error) { return nil, nil }
func (p *parker) stop()                                {}
