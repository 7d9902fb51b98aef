//go:build linux

package generator

import "time"

// Handshakes opens connections and closes each as soon as its handshake is answered,
// with so many under way at a time. What is counted is the whole life of the connection: the
// server accepts, answers, and notices the end.
type Handshakes struct {
	Open     int           // under way at a time
	Warmup   time.Duration // before measuring
	Duration time.Duration // measured
}

// visit is a connection that is closed once it is open.
type visit struct {
	loop *loop
	done *int
}

func (v *visit) opened(c *conn) error {
	v.loop.drop(c)
	*v.done++
	return nil
}

func (v *visit) received(_ *conn, b []byte) (int, error) { return len(b), nil }

func (h Handshakes) run(l *loop) (Result, error) {
	path := "/echo" // where the server says nothing unasked
	if l.target.Dialect != Bare {
		path, _ = l.target.Dialect.subscriber(0)
	}
	done := 0
	v := &visit{loop: l, done: &done}
	visiting := func(end time.Time) error {
		return l.until(func() bool {
			over := !time.Now().Before(end)
			for !over && l.open < h.Open && l.err == nil {
				if err := l.dial(path, v); err != nil {
					l.fail(err)
				}
			}
			return over && l.open == 0
		})
	}
	if err := visiting(time.Now().Add(h.Warmup)); err != nil {
		return Result{}, err
	}
	done = 0
	m, err := l.measure()
	if err != nil {
		return Result{}, err
	}
	if err := visiting(m.began.Add(h.Duration)); err != nil {
		return Result{}, err
	}
	return m.result(done)
}
