package load

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"runtime"
	"time"
)

// Options says what to run. The zero value of every field means its default. The tags are those of github.com/alecthomas/kong, so that a
// command can embed the struct; the help texts name the defaults that withDefaults
// fills in.
type Options struct {
	URL      string `arg:"" optional:"" help:"WebSocket address of the server, ws or wss (default ws://127.0.0.1:8000/v1/ws). Over wss the generator needs a goroutine for each connection, and much more CPU."`
	Insecure bool   `help:"Over wss: take any certificate, such as one that the server has signed itself."`
	// PublishURL is where the publisher connects, URL when empty.
	PublishURL string `hidden:""`

	Connections  int `short:"n" placeholder:"N" help:"Subscribers to open (default 1000). Each is one socket, so the open-file limits of this process and of the server bound it."`
	Channels     int `short:"m" placeholder:"N" help:"Channels the subscribers are spread over, one each (default 1)."`
	PayloadBytes int `placeholder:"BYTES" help:"Size of each payload, a JSON string (default 128, at least 42)."`

	Rate     float64       `short:"r" placeholder:"PER_SECOND" help:"Publishes per second over all channels (default 20)."`
	Closed   bool          `help:"Publish as fast as delivery allows, with --open publishes on their way, instead of at a rate."`
	Open     int           `placeholder:"N" help:"With --closed: publishes that have not yet been answered and reached every subscriber (default 64)."`
	Warmup   time.Duration `placeholder:"TIME" help:"Publish this long before measuring (default 1s, negative for not at all). What is sent meanwhile is checked like the rest."`
	Duration time.Duration `short:"d" placeholder:"TIME" help:"Publish this long (default 10s)."`
	Messages int           `placeholder:"N" help:"Stop after this many publishes, warm-up not counted, if that comes before --duration."`
	Drain    time.Duration `placeholder:"TIME" help:"Wait this long for what is still due after the last publish; what has not come then is missing (default 10s)."`

	From []string `placeholder:"ADDRESS" help:"Source addresses to connect from, in turn. Each gives about 28,000 ports. Default for a server on 127.0.0.1 on Linux: 127.0.0.2, 127.0.0.3, and one more per 10,000 connections; otherwise the system's choice."`
	PID  int      `name:"pid" placeholder:"PID" help:"Process id of the server on this machine (Linux): adds its CPU per delivered message and its memory per connection."`

	Idle   bool          `help:"Open and subscribe, publish nothing, and measure memory: the server's RSS when all are open, less its RSS with the first 200 open. Needs --pid."`
	Settle time.Duration `placeholder:"TIME" help:"With --idle: how long after the last connection memory is read (default 8s)."`

	// dial replaces the network in tests; i counts connections from 0, the
	// publisher comes last.
	dial func(i int) (net.Conn, error)
}

const (
	defaultURL          = "ws://127.0.0.1:8000/v1/ws"
	defaultConnections  = 1000
	defaultPayloadBytes = 128
	defaultRate         = 20
	defaultOpen         = 64
	idleBase            = 200 // connections that are open when idle memory is first read
	perSource           = 10_000
	maxChannels         = 1 << 16 // a payload holds the channel in four digits
	maxPayloadBytes     = 1 << 20
)

// withDefaults returns o with every default filled in.
func (o Options) withDefaults() Options {
	setDefault(&o.URL, defaultURL)
	setDefault(&o.PublishURL, o.URL)
	setDefault(&o.Connections, defaultConnections)
	setDefault(&o.Channels, 1)
	setDefault(&o.PayloadBytes, defaultPayloadBytes)
	setDefault(&o.Rate, defaultRate)
	setDefault(&o.Open, defaultOpen)
	setDefault(&o.Warmup, time.Second)
	setDefault(&o.Duration, 10*time.Second)
	setDefault(&o.Drain, 10*time.Second)
	setDefault(&o.Settle, 8*time.Second)
	o.Warmup = max(o.Warmup, 0)
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// check says what is wrong with o, which has its defaults.
func (o Options) check() error {
	switch {
	case o.Connections < 1:
		return fmt.Errorf("connections: %d is not a number of connections, give 1 or more", o.Connections)
	case o.Channels < 1 || o.Channels > maxChannels:
		return fmt.Errorf("channels: %d is outside 1 to %d", o.Channels, maxChannels)
	case o.PayloadBytes < MinPayloadBytes || o.PayloadBytes > maxPayloadBytes:
		return fmt.Errorf("payload: %d bytes is outside %d to %d", o.PayloadBytes, MinPayloadBytes, maxPayloadBytes)
	case o.Rate < 0 || o.Open < 0 || o.Messages < 0:
		return errors.New("rate, open and messages cannot be negative")
	case o.Duration < 0 || o.Drain < 0 || o.Settle < 0:
		return errors.New("duration, drain and settle cannot be negative")
	case o.Idle && o.PID == 0:
		return errors.New("idle: the process id of the server is needed to read its memory")
	}
	return checkFiles(o.Connections)
}

// An address is where to connect: what a URL says, taken apart.
type address struct {
	hostPort string // to dial
	host     string // for the header
	target   string // path and query
	name     string // of the server's certificate, "" without TLS
}

// parseAddress reads a ws or wss URL.
func parseAddress(raw string) (address, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return address{}, fmt.Errorf("url: %w", err)
	}
	if u.Scheme != "ws" && u.Scheme != "wss" || u.Hostname() == "" {
		return address{}, fmt.Errorf("url: %q is not of the form ws://host:port/path or wss://host:port/path", raw)
	}
	port, name := u.Port(), ""
	if u.Scheme == "wss" {
		name = u.Hostname()
		setDefault(&port, "443")
	}
	setDefault(&port, "80")
	return address{net.JoinHostPort(u.Hostname(), port), u.Host, u.RequestURI(), name}, nil
}

// sources returns the addresses to connect from; nil means the system's choice.
func (o Options) sources(to address) ([]*net.TCPAddr, error) {
	var addrs []*net.TCPAddr
	for _, s := range o.From {
		ip, err := netip.ParseAddr(s)
		if err != nil {
			return nil, fmt.Errorf("from: %w", err)
		}
		addrs = append(addrs, net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
	}
	if addrs != nil {
		return addrs, nil
	}
	server, err := netip.ParseAddrPort(to.hostPort)
	if err != nil || runtime.GOOS != "linux" || !server.Addr().Is4() || !server.Addr().IsLoopback() {
		return nil, nil
	}
	ip := netip.AddrFrom4([4]byte{127, 0, 0, 2})
	for range 2 + o.Connections/perSource {
		addrs = append(addrs, net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
		ip = ip.Next()
	}
	return addrs, nil
}
