//go:build linux

package generator

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"hocket.dev/wire"
)

// Flood publishes to rooms while one more client floods: it sends as fast as a server takes it, and connects again whenever it is
// closed. In the first part it floods another server (Target.Idle), on which nothing else happens, in the second the one
// that is measured. So Result.Calm and Result.P99 differ by what the flood does to the server, not by what it does to the
// machine. Result.Flooded tells how many messages the server was sent beside.
type Flood struct {
	Subscribers int
	Rooms       int
	Rate        float64 // publishes per second to each room
	Bytes       int     // of payload
	Warmup      time.Duration
	Duration    time.Duration // of each part
}

func (f Flood) run(l *loop) (Result, error) {
	r := &fanout{Fanout: Fanout{Subscribers: f.Subscribers, Rooms: min(f.Rooms, f.Subscribers), Rate: f.Rate, Bytes: f.Bytes}, loop: l}
	if err := r.join(); err != nil {
		return Result{}, err
	}
	if err := r.publish(f.Warmup); err != nil {
		return Result{}, err
	}
	stop := l.flood(l.target.Idle)
	calm, _, err := r.part(f.Duration)
	if _, failed := stop(); failed != nil || err != nil {
		return Result{}, errors.Join(err, failed)
	}
	stop = l.flood(l.target.Addr)
	latency, result, err := r.part(f.Duration)
	sent, failed := stop()
	if failed != nil || err != nil {
		return Result{}, errors.Join(err, failed)
	}
	result.Calm, result.P50, result.P99, result.Flooded = calm.Percentile(99), latency.Percentile(50), latency.Percentile(99), sent
	return result, nil
}

// floodAtOnce is how many messages one write of a flooder holds.
const floodAtOnce = 256

// flood floods a server until stop is called, which answers how many messages were sent.
func (l *loop) flood(addr string) (stop func() (sent int, err error)) {
	ctx, cancel := context.WithCancel(l.ctx)
	var frames []byte
	for i := range floodAtOnce {
		message := l.target.Dialect.appendPublish(nil, flooded, uint64(i), []byte(`"spam"`))
		frames = wire.AppendMaskedFrame(frames, wire.Text, [4]byte{9, 8, 7, 6}, message)
	}
	var sent atomic.Int64
	var running sync.WaitGroup
	var failed error
	running.Go(func() {
		for ctx.Err() == nil && failed == nil {
			failed = l.floodOnce(ctx, addr, frames, &sent)
		}
	})
	return func() (int, error) {
		cancel()
		running.Wait()
		return int(sent.Load()), failed
	}
}

// flooded is the room that a flooder publishes to; nobody is there.
const flooded = 1 << 20

// floodOnce floods by one connection, until that is closed or ctx ends. The error is that no server is there.
func (l *loop) floodOnce(ctx context.Context, addr string, frames []byte, sent *atomic.Int64) error {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("flood: %w", err)
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	path, _ := l.target.Dialect.publisher(flooded)
	request := wire.Request{Host: addr, Target: path, Key: wire.EncodeKey([16]byte{1})}
	if _, err := nc.Write(wire.AppendRequest(nil, request)); err != nil {
		return nil
	}
	in := bufio.NewReader(nc)
	if answer, err := http.ReadResponse(in, nil); err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		return nil // refused: it tries again
	}
	var reading sync.WaitGroup
	reading.Go(func() { // what is answered is of no interest, but for the end
		buf := make([]byte, 64<<10)
		for err := error(nil); err == nil; {
			_, err = in.Read(buf)
		}
		nc.Close()
	})
	for err == nil {
		if _, err = nc.Write(frames); err == nil {
			sent.Add(floodAtOnce)
		}
	}
	nc.Close()
	reading.Wait()
	return nil
}
