package sim

import (
	"slices"
	"time"

	"hocket.dev/internal/rule"
)

// A flow says of all that came over a connection where each message began, and when the server let go of that, or earlier.
type flow struct {
	begins []int64 // bytes before it
	handed []time.Duration
}

func (f *flow) add(begins int64, handed time.Duration) {
	f.begins, f.handed = append(f.begins, begins), append(f.handed, handed)
}

// of is when the server let go of the byte behind so many, or earlier.
func (f *flow) of(behind int64) time.Duration {
	i, found := slices.BinarySearch(f.begins, behind)
	if !found {
		i--
	}
	if i < 0 {
		return 0
	}
	return f.handed[i]
}

// lags checks that a client is not sent what it is too far behind of, by the bounds of this world. What was there before it came is
// no lag, until it has come to the newest entry. What is sent waits for the line to have room, as many bytes as the driver takes: it
// was taken out of the log no earlier than those before these were let go of.
func (c *checker) lags(it *item, f *fact) {
	p := &c.w.profile
	bytes, age := p.limits.LagBytes, p.limits.LagAge
	if bytes == 0 && age == 0 || c.r.kit || c.state || c.kind.sample > 0 || c.kind.overflow != rule.OverflowGap && c.kind.overflow != rule.OverflowDisconnect {
		return
	}
	begins := c.epoch.after(f.Offset) - 1
	if c.level && p.punctual() {
		taken := c.r.flow.of(it.begins - int64(p.quality.waits))
		since := c.epoch.entries[begins:max(begins+1, c.epoch.appendedBy(taken-p.faults.delay-aMoment))]
		if lag := since[len(since)-1].at - f.at; age > 0 && lag > age+tickLag {
			c.fault(it.at, "%v was sent after %v, when others had come since for %v", it, taken, lag)
		}
		if lag := sizeOf(since); bytes > 0 && len(since) > 1 && lag > bytes {
			c.fault(it.at, "%v was sent after %v, when it was %d bytes behind", it, taken, lag)
		}
	}
	c.level = c.level || begins+1 >= c.epoch.appendedBy(it.sentBy)
}

// aMoment is longer than anything takes that takes no time.
const aMoment = 20 * time.Millisecond

// punctual says that the engine tells the node of every entry in time.
func (p *profile) punctual() bool {
	return p.faults.lose+p.faults.late+p.faults.read+p.outages+p.losses+p.restarts == 0
}

// sizeOf adds up entries, but for what was removed.
func sizeOf(facts []*fact) (bytes int64) {
	for _, f := range facts {
		if f.gone == nil {
			bytes += f.Size()
		}
	}
	return bytes
}
