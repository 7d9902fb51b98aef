package load

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"

	"hocket.dev/wire"
)

// fake is a server of the native protocol, small enough to misbehave on purpose. It
// is reached through pipes, so that everything happens in virtual time.
type fake struct {
	t *testing.T
	// deliver says what subscriber sub (in the order of opening) is sent for publish
	// n; msg is what would be right. nil stands for that.
	deliver func(sub, n int, msg string) []string
	// silent keeps publishes from being answered.
	silent bool
	// refuse answers subscriptions with an error.
	refuse bool
	// hangup closes the first subscriber at this publish, if it is not 0.
	hangup int

	wg   sync.WaitGroup
	mu   sync.Mutex
	subs []*fakePeer
	n    int // publishes so far
}

// fakePeer is a connection of the fake.
type fakePeer struct {
	nc      net.Conn
	channel string
	out     chan []byte // frames to be written
}

// dial opens a connection to the fake.
func (f *fake) dial(int) (net.Conn, error) {
	client, server := net.Pipe()
	f.wg.Go(func() { f.serve(server) })
	return client, nil
}

// serve runs one connection.
func (f *fake) serve(nc net.Conn) {
	defer nc.Close()
	br := bufio.NewReader(nc)
	request, err := http.ReadRequest(br)
	if err != nil {
		f.t.Errorf("handshake: %v", err)
		return
	}
	up, refusal := wire.ParseUpgrade(request.Method, request.ProtoMajor, request.ProtoMinor, request.Host, request.Header)
	if refusal != nil {
		f.t.Errorf("handshake: %v", refusal)
		return
	}
	p := &fakePeer{nc: nc, out: make(chan []byte, 10_000)}
	p.out <- wire.AppendResponse(nil, up.Key, "", nil)
	f.wg.Go(p.write)
	defer close(p.out)
	defer f.leave(p)
	p.send(`{"type":"connected","payload":{}}`)
	f.read(p, br)
}

// read takes messages until the connection ends.
func (f *fake) read(p *fakePeer, br *bufio.Reader) {
	d := wire.NewDecoder(wire.Server, nil)
	buf := make([]byte, 4096)
	var whole wire.Assembler
	for {
		n, err := br.Read(buf)
		if err != nil {
			return
		}
		for b := buf[:n]; len(b) > 0; {
			ev, n, err := d.Next(b)
			if err != nil {
				f.t.Errorf("the generator broke the protocol: %v", err)
				return
			}
			b = b[n:]
			if msg, done := whole.Add(ev); done {
				f.handle(p, msg)
			}
			if ev.Kind == wire.KindClose {
				p.out <- wire.AppendClose(nil, ev.Code, "")
				return
			}
		}
	}
}

// handle answers one message.
func (f *fake) handle(p *fakePeer, msg []byte) {
	var in notice
	if err := json.Unmarshal(msg, &in); err != nil {
		f.t.Errorf("the generator sent %s: %v", msg, err)
		return
	}
	switch {
	case in.Type == "subscribe" && f.refuse:
		p.send(`{"type":"error","id":%s,"error":{"code":1403,"name":"permission_denied","message":"no"}}`, in.ID)
	case in.Type == "subscribe":
		f.join(p, in.Channel)
		p.send(`{"type":"reply","id":%s,"channel":%q,"payload":{"epoch":"e","offset":0}}`, in.ID, in.Channel)
	case in.Type == "publish":
		if !f.silent {
			p.send(`{"type":"reply","id":%s,"payload":{"epoch":"e","offset":1}}`, in.ID)
		}
		f.publish(in.Channel, string(in.Payload))
	}
}

// publish delivers one payload.
func (f *fake) publish(channel, payload string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.n
	f.n++
	if n > 0 && n == f.hangup {
		f.subs[0].nc.Close()
	}
	msg := pushOf(channel, 10+3*n, payload)
	for i, p := range f.subs {
		if p.channel != channel {
			continue
		}
		msgs := []string{msg}
		if f.deliver != nil {
			msgs = f.deliver(i, n, msg)
		}
		for _, m := range msgs {
			p.send("%s", m)
		}
	}
}

// pushOf is a message as a server sends it.
func pushOf(channel string, offset int, payload string) string {
	return fmt.Sprintf(`{"type":"message","channel":%q,"offset":%d,"time":1,"payload":%s,"from":{"user":"u"}}`, channel, offset, payload)
}

func (f *fake) join(p *fakePeer, channel string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.channel = channel
	f.subs = append(f.subs, p)
}

func (f *fake) leave(p *fakePeer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs = slices.DeleteFunc(f.subs, func(other *fakePeer) bool { return other == p })
}

// send queues a text message. The queue holds more than any test sends.
func (p *fakePeer) send(format string, args ...any) {
	p.out <- wire.AppendFrame(nil, wire.Text, fmt.Appendf(nil, format, args...))
}

// write writes what is queued, then ends the connection.
func (p *fakePeer) write() {
	defer p.nc.Close()
	for b := range p.out {
		if _, err := p.nc.Write(b); err != nil {
			for range p.out { // the reader ends by itself, and closes the queue
			}
			return
		}
	}
}
