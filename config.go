package hocket

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/api"
	"hocket.dev/internal/rule"
	"hocket.dev/internal/session"
)

// Rule holds the settings of the channels that its pattern matches.
type Rule = rule.Rule

// History says how much of a channel is kept.
type History = rule.History

// Verbs is a set of what may be done in a channel, for Rule.Allow and Rule.AllowAnonymous.
type Verbs = rule.Verbs

// The verbs of a client.
const (
	CanSubscribe = rule.CanSubscribe // follow a channel, and catch up with what its log keeps
	CanPublish   = rule.CanPublish   // append to a channel's log
	CanHistory   = rule.CanHistory   // read a channel's log and state without following it
	CanPresence  = rule.CanPresence  // be a member of a channel, and see who is

	CanEverything = rule.CanEverything
)

// Who may publish to a channel, of those that are permitted to.
const (
	PublishClients = rule.Clients // clients and the server
	PublishServer  = rule.Server  // the server alone
)

// What happens to a subscriber whom the channel's window has left behind.
const (
	OverflowGap        = rule.OverflowGap        // it is told which offsets it missed and goes on
	OverflowDisconnect = rule.OverflowDisconnect // its connection is closed with 4001
	OverflowRefill     = rule.OverflowRefill     // it gets them from history when it takes messages again
	OverflowLatest     = rule.OverflowLatest     // it gets the latest entry of each key, and the newest of those without one
)

// Limits bound what one session may hold and ask; zero values mean the defaults.
type Limits = session.Limits

// APIKey opens the HTTP API for back ends, or the part of it that its scopes name; docs/api.md lists them.
type APIKey = api.Key

// Call is a client's call of a method.
type Call = session.Call

// Error is an error with a stable code, as clients see it. An application's own codes begin at 10000.
type Error = dialect.Error

// Config says what a node does. Its zero value works: it keeps no history and admits nobody.
type Config struct {
	// Node is the node's name, as clients are told. "" means a random one.
	Node string
	// Anonymous admits clients without proof of identity, lets them name themselves, and allows everybody everything that
	// no rule forbids.
	Anonymous bool
	// Tokens says which signed tokens prove who a client is, in a handshake, in connect, or in the session cookie.
	Tokens Tokens
	// CertificateUser says which part of a verified client certificate of TLS names its user: "subject_cn", "san_dns", "san_uri"
	// or "san_email". "" has certificates prove nothing. They count after every other proof in a handshake.
	CertificateUser string
	// AllowCalls are patterns of methods that every client may call that has proved who it is, beside what its
	// capabilities allow.
	AllowCalls []string
	// Origins are the origins of pages that may connect, such as "https://app.example.com", beside that of the node's own
	// address. "https://*.example.com" stands for any one label, "http://localhost:*" for every port; "*" admits all pages, but
	// counts cookies only of those that are named beside it, and "null" those without an address.
	Origins []string
	// TrustedProxies are the networks of proxies, such as "10.0.0.0/8", whose X-Forwarded-Proto is believed.
	TrustedProxies []string
	// ClientHeader says in which header TrustedProxies name the client; nobody else is believed, and no other header. The
	// client's address is in the log, and limits and bans are counted by it.
	ClientHeader ClientHeader
	// ProxyProtocol says that each connection of Listener and ListenerTLS begins with a header of the PROXY protocol, version 1
	// or 2, which names the client. Connections that are not of TrustedProxies are closed.
	ProxyProtocol bool
	// APIKeys open the whole HTTP API for back ends, and Keys what their scopes name. Without any it is closed, unless OpenAPI
	// is set. SetAPIKeys exchanges them.
	APIKeys []string
	Keys    []APIKey
	// OpenAPI opens the HTTP API to everybody who reaches it: for development on loopback.
	OpenAPI bool

	// Channels are the rules of channels; the first one that matches decides.
	Channels []Rule
	// Fallback is the rule of channels that none matches.
	Fallback Rule
	// MethodSchemas are JSON Schemas, in JSON, by the names of methods. A call whose payload does not fit is answered with
	// "schema_mismatch" and does not reach the method; one without a payload counts as null.
	MethodSchemas map[string]string

	// Hooks answer what the node asks the program, or a back end.
	Hooks Hooks

	// PingEvery is the time between pings to a client, whole seconds up to 4 minutes; 0 means 25 s.
	PingEvery time.Duration
	// PongTimeout is how long a client has to answer a ping, whole seconds up to 4 minutes; 0 means 10 s. A client
	// that vanishes is closed, and all it held freed, after PingEvery and PongTimeout at the latest.
	PongTimeout time.Duration
	// Drain is the time over which Close asks clients to come back elsewhere; 0 means 1 s.
	Drain time.Duration

	// Compression answers clients that offer permessage-deflate (RFC 7692), as browsers do, and compresses what they are
	// sent. It is off by default, as in most servers of this kind, though here a connection holds nothing for it and an
	// entry is compressed once for all its subscribers, in about 10 µs for 1 KiB: small messages gain little, what one
	// client alone is told is compressed for it alone, and over TLS the length of a compressed message tells something
	// of its content to who can put text beside a secret in it. It pays where entries are large and lines are narrow: JSON
	// of 1 KiB shrinks to about 40 %.
	Compression bool
	// CompressionMinBytes is how many bytes a message has at least that is compressed; 0 means 512. What compression does
	// not shorten is sent as it is.
	CompressionMinBytes int

	Limits Limits
	// WindowBytes bounds the windows of followed channels on this node; 0 means 256 MiB. Beyond it the largest windows
	// are shortened: who lags or comes back from further behind is served by the broker, or told what it missed.
	WindowBytes int64
	// KeepMemory turns off that memory is given back to the system, which costs a collection, a few seconds after a wave
	// of at least 1,000 clients has come or gone; and that the percentage of the collector (GOGC) is raised for ten seconds when so many
	// are gone at once, by which the heap may grow by 64 MiB at most.
	KeepMemory bool
	// Tasks bounds how many reads of the broker and calls of methods are under way at once; 0 means 1024. Beyond it
	// requests are answered with "busy".
	Tasks int

	// Secret makes the public names of sessions out of the ids of their clients, so that a client that comes back is known
	// by the same name and tells nobody its id. nil means a random one: names are then others after a restart. Nodes
	// that share a broker have the same one.
	Secret []byte
	// Broker keeps the logs. nil means a broker.Memory.
	Broker broker.Broker
	// Log is told of connects, disconnects and failures. nil means slog.Default.
	Log *slog.Logger

	// Loops is the number of event loops; 0 means max(1, GOMAXPROCS-1).
	Loops int
	// Portable uses the driver with a goroutine per connection on Linux too: for tests in virtual time.
	Portable bool
}

const maxTicks = 4 * time.Minute

// compressFrom is what Config.CompressionMinBytes is when it is 0: of smaller messages little is saved, and a packet is
// sent anyway.
const compressFrom = 512

func (c *Config) setDefaults() error {
	if c.Node == "" {
		c.Node = randomName()
	}
	if c.PingEvery == 0 {
		c.PingEvery = 25 * time.Second
	}
	if c.PongTimeout == 0 {
		c.PongTimeout = 10 * time.Second
	}
	if c.Drain == 0 {
		c.Drain = time.Second
	}
	if c.CompressionMinBytes == 0 {
		c.CompressionMinBytes = compressFrom
	}
	if c.Broker == nil {
		c.Broker = broker.NewMemory(broker.MemoryConfig{})
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if _, err := c.finder(); err != nil {
		return err
	}
	for name, d := range map[string]time.Duration{"PingEvery": c.PingEvery, "PongTimeout": c.PongTimeout} {
		if d < time.Second || d > maxTicks || d%time.Second != 0 {
			return fmt.Errorf("hocket: %s must be whole seconds from 1s to %v, not %v", name, maxTicks, d)
		}
	}
	if c.CompressionMinBytes < 0 {
		return fmt.Errorf("hocket: CompressionMinBytes must not be negative, not %d", c.CompressionMinBytes)
	}
	for _, key := range c.APIKeys {
		c.Keys = append(slices.Clip(c.Keys), APIKey{Key: key, Scopes: []string{"*"}})
	}
	if err := api.CheckKeys(c.Keys); err != nil {
		return fmt.Errorf("hocket: API keys: %w", err)
	}
	return nil
}

func randomName() string {
	var b [5]byte
	rand.Read(b[:])
	return "n-" + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}
