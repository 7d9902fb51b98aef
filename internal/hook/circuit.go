package hook

import (
	"sync"
	"time"
)

// The circuit opens after silentMost questions in a row without any answer. One is then asked every retryAfter, until one
// is answered.
const (
	silentMost = 10
	retryAfter = time.Second
)

// circuit tells when it is of no use to ask, so that not everybody waits for the deadline of a back end that is down. An
// answer, whatever it says, closes it: what one client can make the back end refuse is no reason not to ask about others.
type circuit struct {
	mu     sync.Mutex
	silent int       // questions without an answer since the last one
	next   time.Time // when the next one is asked, once it is open
}

// ready tells whether to ask now.
func (c *circuit) ready(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.silent < silentMost:
		return true
	case now.Before(c.next):
		return false
	}
	c.next = now.Add(retryAfter)
	return true
}

// answered notes an answer.
func (c *circuit) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silent = 0
}

// unanswered notes that there was none.
func (c *circuit) unanswered(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.silent++; c.silent == silentMost {
		c.next = now.Add(retryAfter)
	}
}
