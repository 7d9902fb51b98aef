package config

import (
	"fmt"
	"time"

	"hocket.dev"
	"hocket.dev/internal/clientaddr"
	"hocket.dev/internal/limit"
	"hocket.dev/internal/rule"
)

// Places bound how many there may be at once.
type Places struct {
	Sessions           int   `name:"sessions" default:"0" doc:"Sessions of the server; beyond it handshakes are answered 503. 0 is what the limits of open files and of memory have room for."`
	SessionsPerUser    int   `name:"sessions_per_user" default:"1000" doc:"Sessions of one user who has proved who it is; 0 is no bound."`
	SessionsPerAddress int   `name:"sessions_per_address" default:"0" doc:"Sessions of one address, of IPv6 of one network of 64 bits; 0 is three quarters of sessions."`
	UntakenBytes       Bytes `name:"untaken_bytes" default:"0" doc:"What all clients have been sent and not taken, of those that have left more than 16KiB. Beyond it the one that has for longest is closed. 0 is a quarter of the memory that there is beside memory_bytes and window_bytes, at least 64MiB."`
	Unproved           int   `name:"unproved" default:"10000" min:"1" doc:"Sessions that have not proved who they are. Beyond it the oldest is closed."`
	UnprovedBytes      Bytes `name:"unproved_bytes" default:"16KiB" min:"1KiB" doc:"One message of such a session, which may send four times as much in all."`
}

// Rates bound how much clients do in a time.
type Rates struct {
	Session SessionRates `name:"session" doc:"What one session may do."`
	User    UserRates    `name:"user" doc:"What all sessions of one user may do together; of those who have proved who they are."`
	Address AddressRates `name:"address" doc:"What all sessions of one address may do together: of IPv6, of one network of 64 bits."`

	Handshakes limit.Rate    `name:"handshakes" default:"5000/s burst 50000" doc:"Handshakes of all clients; beyond it they are answered 503."`
	Refusals   limit.Rate    `name:"refusals" default:"1000/m" doc:"How often one session may be refused for its rates; then it is closed with 4003."`
	Strikes    limit.Rate    `name:"strikes" default:"1/10m" doc:"How many sessions of one user, or else of one address, may be closed so; the next one is closed with 4202, and its user or address shut out for ban_for. An address of more than 64 sessions is shared by many, and not shut out."`
	BanFor     time.Duration `name:"ban_for" default:"10m" doc:"How long a user or an address is shut out; 0s for not at all."`
}

// SessionRates are those of one session.
type SessionRates struct {
	Messages   limit.Rate `name:"messages" default:"200/s burst 3000" doc:"Messages."`
	Bytes      limit.Rate `name:"bytes" default:"1MiB/s burst 8MiB" doc:"Bytes of messages, as they are after decompression."`
	Subscribes limit.Rate `name:"subscribes" default:"100/s burst 2000" doc:"Requests to subscribe."`
	Publishes  limit.Rate `name:"publishes" default:"100/s burst 500" doc:"Publishes."`
	Calls      limit.Rate `name:"calls" default:"100/s burst 500" doc:"Calls of methods."`
}

// UserRates are those of one user.
type UserRates struct {
	Messages   limit.Rate `name:"messages" default:"1000/s burst 30000" doc:"Messages."`
	Bytes      limit.Rate `name:"bytes" default:"8MiB/s burst 64MiB" doc:"Bytes of messages."`
	Subscribes limit.Rate `name:"subscribes" default:"500/s burst 20000" doc:"Requests to subscribe."`
	Publishes  limit.Rate `name:"publishes" default:"500/s burst 5000" doc:"Publishes."`
	Calls      limit.Rate `name:"calls" default:"500/s burst 5000" doc:"Calls of methods."`
}

// AddressRates are those of one address, behind which there may be an office, or a whole provider.
type AddressRates struct {
	Handshakes limit.Rate `name:"handshakes" default:"500/s burst 20000" doc:"Handshakes; beyond it they are answered 429."`
	Messages   limit.Rate `name:"messages" default:"10000/s burst 200000" doc:"Messages."`
	Bytes      limit.Rate `name:"bytes" default:"64MiB/s burst 512MiB" doc:"Bytes of messages."`
	Subscribes limit.Rate `name:"subscribes" default:"5000/s burst 200000" doc:"Requests to subscribe."`
	Publishes  limit.Rate `name:"publishes" default:"5000/s burst 50000" doc:"Publishes."`
	Calls      limit.Rate `name:"calls" default:"5000/s burst 50000" doc:"Calls of methods."`
}

// ChannelRates are those in the channels of a rule.
type ChannelRates struct {
	Publishes      limit.Rate   `name:"publishes" default:"off" doc:"Publishes of one session."`
	Bytes          limit.Rate   `name:"bytes" default:"off" doc:"Bytes of their payloads."`
	Subscribes     limit.Rate   `name:"subscribes" default:"off" doc:"Requests of one session to subscribe."`
	TotalPublishes limit.Rate   `name:"total_publishes" default:"off" doc:"Publishes of all sessions of this server together."`
	TotalBytes     limit.Rate   `name:"total_bytes" default:"off" doc:"Bytes of their payloads."`
	AtLimit        rule.AtLimit `name:"at_limit" default:"reject" doc:"What happens beyond these rates: \"reject\" answers with an error, \"slow\" carries the request out and does not read the session until there is room again; where that would take longer than 10 s, it answers with an error too."`
}

// Proxying says how the address of a client is found that comes through a proxy.
type Proxying struct {
	ClientHeader  clientaddr.Header `name:"client_header" default:"none" doc:"The header in which trusted_proxies name the client: \"forwarded\" (RFC 7239) or \"x_forwarded_for\"; \"none\" where the client is who has connected. Only this header is looked at, and of nobody else believed: the client is the last address in it that is none of a trusted proxy."`
	ProxyProtocol bool              `name:"proxy_protocol" default:"false" doc:"Whether each connection begins with a header of the PROXY protocol, version 1 or 2, which names the client. Connections of others than trusted_proxies are closed."`
}

// OpenRates takes away every limit on how much clients do, and on how many of them there are.
func (l *Limits) OpenRates() {
	l.Rates = Rates{}
	l.SessionsPerUser = 0
}

// apply puts the limits into those of the server.
func (l *Limits) apply(to *hocket.Limits) {
	to.Sessions, to.SessionsPerUser, to.SessionsPerAddress = l.Sessions, l.SessionsPerUser, l.SessionsPerAddress
	to.UntakenBytes = int64(l.UntakenBytes)
	to.Unproved, to.UnprovedBytes = l.Unproved, int64(l.UnprovedBytes)
	s, u, a := &l.Rates.Session, &l.Rates.User, &l.Rates.Address
	to.Rates = hocket.Rates{
		Session:    hocket.Taking(*s),
		User:       hocket.Taking(*u),
		Address:    hocket.Taking{Messages: a.Messages, Bytes: a.Bytes, Subscribes: a.Subscribes, Publishes: a.Publishes, Calls: a.Calls},
		Handshakes: l.Rates.Handshakes, AddressHandshakes: a.Handshakes,
		Refusals: l.Rates.Refusals, Strikes: l.Rates.Strikes, BanFor: l.Rates.BanFor,
	}
}

// checkProxying says what does not go together.
func (f *File) checkProxying() error {
	for i, s := range f.TrustedProxies {
		if _, err := clientaddr.ParseNetwork(s); err != nil {
			return f.fail(fmt.Sprintf("trusted_proxies[%d]", i), "%w", err)
		}
	}
	switch named := len(f.TrustedProxies) > 0; {
	case f.ClientHeader != clientaddr.None && !named:
		return f.fail("client_header", "is believed of nobody: name the proxies as trusted_proxies")
	case f.ProxyProtocol && !named:
		return f.fail("proxy_protocol", "is believed of nobody: name the proxies as trusted_proxies")
	}
	return nil
}
