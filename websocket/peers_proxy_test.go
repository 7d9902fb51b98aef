package websocket

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"hocket.dev/internal/testproc"
)

// proxied is a server with a proxy before it, which is set up as docs/proxies.md says.
type proxied struct {
	*errands
	*testproc.Proxy
	http2 *tls.Config // to speak HTTP/2 to the proxy with; nil for HTTP/1.1
}

func startProxied(t *testing.T, program, way string, silence int, opts AcceptOptions) *proxied {
	t.Helper()
	e := startErrands(t, way, opts)
	return &proxied{errands: e, Proxy: testproc.DocumentedProxies[program](t, "../docs/proxies.md", strings.TrimPrefix(e.url, "ws://"), silence)}
}

// dial connects as a page of the site would, so that the proxy has to keep the Host.
func (p *proxied) dial(t *testing.T, mode CompressionMode) *Conn {
	t.Helper()
	url := "ws://site.test:8443/"
	if p.http2 != nil {
		url = "wss://site.test:8443/"
	}
	c := dial(t, url, &DialOptions{
		NetDial: p.Proxy.Dial, Compression: Compression{Mode: mode, Threshold: 1},
		Header: http.Header{"Origin": {"http" + strings.TrimPrefix(strings.TrimSuffix(url, "/"), "ws")}},
		TLS:    p.http2, HTTP2: p.http2 != nil,
	})
	c.SetReadLimit(errandBytes)
	if compressed := c.deflate != nil; compressed != (mode != CompressionOff) {
		t.Errorf("mode %d: compression %v", mode, c.deflate)
	}
	return c
}

// wantLost asserts that a connection has ended without a close frame.
func wantLost(t *testing.T, err error) {
	t.Helper()
	wantClosed(t, err, CloseAbnormal, "")
}

// eachProxy runs a test with each proxy before a server of each way.
func eachProxy(t *testing.T, test func(t *testing.T, program, way string)) {
	for program := range testproc.DocumentedProxies {
		for way := range errandWays {
			t.Run(program+" before "+way, func(t *testing.T) {
				t.Parallel()
				test(t, program, way)
			})
		}
	}
}

func TestThroughProxies(t *testing.T) {
	eachProxy(t, func(t *testing.T, program, way string) {
		compression := Compression{Mode: CompressionTakeover, Threshold: 1}
		p := startProxied(t, program, way, 60, AcceptOptions{Compression: compression})
		p.everything(t, way)
	})
}

func (p *proxied) everything(t *testing.T, way string) {
	t.Helper()
	for _, mode := range []CompressionMode{CompressionOff, CompressionOn, CompressionTakeover} {
		t.Run(fmt.Sprintf("mode %d", mode), func(t *testing.T) {
			p.messages(t, mode)
			p.closes(t, mode)
		})
	}
	p.slowReader(t, way)
	p.restart(t)
}

// samples are messages of many sizes, the largest last.
var samples = sync.OnceValue(func() (all []string) {
	for i, n := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
		all = append(all, prose(uint64(i), n))
	}
	return all
})

// messages of all sizes come back, many at once in order, and pings are answered.
func (p *proxied) messages(t *testing.T, mode CompressionMode) {
	t.Helper()
	c := p.dial(t, mode)
	for _, msg := range samples() {
		if mode == CompressionOn && len(msg) > 70_000 {
			break // once compressed and once not is enough
		}
		c.say(t, Text, msg)
		c.want(t, Text, msg)
		c.say(t, Binary, msg)
		c.want(t, Binary, msg)
	}
	if mode == CompressionOff {
		msg := flood(1)
		msg = strings.Repeat(msg, errandBytes/len(msg))
		c.say(t, Text, msg)
		c.want(t, Text, msg)
	}
	const many = 500
	sent := run(func() error {
		for i := range many {
			if err := c.Write(t.Context(), Text, fmt.Appendf(nil, "message %d", i)); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range many {
		c.want(t, Text, fmt.Sprintf("message %d", i))
	}
	if err := sent(); err != nil {
		t.Error(err)
	}
	if err := c.Ping(pinging(t, c)); err != nil {
		t.Errorf("ping: %v", err)
	}
	_ = c.CloseNow()
	wantLost(t, <-p.ended)
}

// closes by either side reach the other with code and reason, and so do ends without.
func (p *proxied) closes(t *testing.T, mode CompressionMode) {
	t.Helper()
	c := p.dial(t, mode)
	if err := c.Close(4001, "until tomorrow"); err != nil {
		t.Error(err)
	}
	wantClosed(t, <-p.ended, 4001, "until tomorrow")

	c = p.dial(t, mode)
	c.say(t, Text, "/close 4002 das wär's")
	_, _, err := c.Read(t.Context())
	wantClosed(t, err, 4002, "das wär's")
	if err := <-p.ended; err != nil {
		t.Errorf("the server that closed was told %v", err)
	}

	c = p.dial(t, mode)
	c.say(t, Text, "/drop")
	_, _, err = c.Read(t.Context())
	wantLost(t, err)
	<-p.ended
}

// A reader that stalls holds up nobody else, and gets everything in the end.
func (p *proxied) slowReader(t *testing.T, way string) {
	t.Helper()
	slow, other := p.dial(t, CompressionOff), p.dial(t, CompressionOff)
	slow.say(t, Text, "/flood")
	if way != "goroutines" {
		<-p.stalled
	}
	other.say(t, Text, "meanwhile")
	other.want(t, Text, "meanwhile")
	for i := 0; ; i++ {
		_, msg, err := slow.Read(t.Context())
		if err == nil && string(msg) == "done" && i > 0 {
			break
		}
		if err != nil || string(msg) != flood(i) {
			t.Fatalf("message %d: %.16q (%d bytes), %v", i, msg, len(msg), err)
		}
	}
	for _, c := range []*Conn{slow, other} {
		if err := c.Close(CloseNormal, ""); err != nil {
			t.Error(err)
		}
		wantClosed(t, <-p.ended, CloseNormal, "")
	}
}

// restart loses the connections and nothing else.
func (p *proxied) restart(t *testing.T) {
	t.Helper()
	c := p.dial(t, CompressionOff)
	c.say(t, Text, "before")
	c.want(t, Text, "before")
	p.Kill(t)
	_, _, err := c.Read(t.Context())
	wantLost(t, err)
	wantLost(t, <-p.ended)
	p.Start(t)
	c = p.dial(t, CompressionOff)
	c.say(t, Text, "after")
	c.want(t, Text, "after")
}

// A proxy ends a connection that is silent for too long, unless the server pings it.
func TestPingsKeepProxiesFromEnding(t *testing.T) {
	t.Parallel()
	const silence = 5   // seconds; the loops ping at whole ones, so this leaves four for a machine that is busy
	var checks []func() // all are opened, then all are waited for: at the same time
	for program := range testproc.DocumentedProxies {
		for way := range errandWays {
			checks = append(checks, keepOpen(t, program, way, silence))
		}
	}
	for _, check := range checks {
		check()
	}
}

// keepOpen opens a connection with pings and then one without. The returned function waits until the proxy has
// ended the latter, and wants the former to be there still.
func keepOpen(t *testing.T, program, way string, silence int) (check func()) {
	t.Helper()
	pinged := startProxied(t, program, way, silence, AcceptOptions{KeepAlive: KeepAlive{PingEvery: time.Second, PongTimeout: time.Minute}})
	quiet := startProxied(t, program, way, silence, AcceptOptions{})

	kept, left := pinged.dial(t, CompressionOff), quiet.dial(t, CompressionOff)
	type read struct {
		msg string
		err error
	}
	heard := run(func() read { // a Conn answers pings while it is read
		_, msg, err := kept.Read(t.Context())
		return read{string(msg), err}
	})
	return func() {
		t.Helper()
		_, _, err := left.Read(t.Context())
		wantLost(t, err)
		wantLost(t, <-quiet.ended)

		kept.say(t, Text, "still here")
		if got := heard(); got.err != nil || got.msg != "still here" {
			t.Errorf("%s before %s, after more than %d s of silence: %q, %v", program, way, silence, got.msg, got.err)
		}
	}
}
