package config

import (
	"time"

	"hocket.dev"
	"hocket.dev/broker"
	"hocket.dev/internal/rule"
)

// A File is what a configuration file says.
//
// The tags of its fields: `name` as written in the file; `default`; `doc` for the reference page; `min`, the smallest
// number; `secret` keeps the value out of errors.
type File struct {
	Listen    string   `name:"listen" default:"127.0.0.1:8000" doc:"The address to listen on. Port 0 takes any free port; without a host, as in \":8000\", every interface is listened on."`
	TLS       TLS      `name:"tls" doc:"Serves https and wss instead of http and ws."`
	Anonymous bool     `name:"anonymous" default:"false" doc:"Admits clients without proof of who they are, and lets them name themselves. Tokens are not checked yet, so without it no client is admitted."`
	Origins   []string `name:"origins" doc:"Origins of pages that may connect, such as \"https://app.example.com\", beside those of the server's own address. \"http://localhost:*\" admits every port, \"*\" all origins."`
	APIKeys   []string `name:"api_keys" secret:"true" doc:"Keys that open the HTTP API for back ends; without one it is closed. More can be given in the environment, as HOCKET_API_KEYS, separated by commas."`
	Node      string   `name:"node" doc:"The node's name, as clients are told; a random one when left out."`

	SessionSecret string `name:"session_secret" secret:"true" doc:"Makes the public names of sessions out of the ids of their clients: at least 16 bytes, such as those of openssl rand -base64 32. With it a client has the same name after a restart and on every node that is given the same one; without it one is made up at every start."`

	PingEvery   time.Duration `name:"ping_every" default:"25s" min:"1s" doc:"The time between pings to a client: whole seconds, at most 4m."`
	PongTimeout time.Duration `name:"pong_timeout" default:"10s" min:"1s" doc:"How long a client has to answer a ping: whole seconds, at most 4m. A client that vanishes is closed after both times at the latest."`
	Drain       time.Duration `name:"drain" default:"1s" min:"1ms" doc:"How long the server waits for clients to go when it stops."`

	Compression         bool  `name:"compression" default:"false" doc:"Compresses messages for clients that offer it (permessage-deflate), as browsers do, and takes compressed ones from them. What goes to many is compressed once, and a connection needs no memory for it. Worth it where messages are large and lines are narrow. Over TLS, the length of a compressed message can tell something of a secret that stands beside text an attacker may choose."`
	CompressionMinBytes Bytes `name:"compression_min_bytes" default:"512" min:"1" max:"64MiB" doc:"Smaller messages are not compressed: little would be saved. What would not become shorter goes out as it is."`

	MemoryBytes Bytes `name:"memory_bytes" default:"256MiB" min:"1MiB" doc:"What all channels together may hold. Beyond it the oldest entries go."`
	WindowBytes Bytes `name:"window_bytes" default:"256MiB" min:"1MiB" doc:"What the entries kept ready for subscribers may hold. Beyond it the largest windows are shortened, and who lags further behind is told what it missed."`

	Channels []Channel `name:"channels" doc:"The rules of channels. The first one whose pattern matches decides."`
	Fallback Rule      `name:"fallback" doc:"The rule of channels that no pattern matches."`
	Limits   Limits    `name:"limits" doc:"What one session may hold and ask."`

	at *lines
}

// TLS names the files of a certificate. They are read again when they have changed.
type TLS struct {
	Cert string `name:"cert" doc:"The file of the certificate, with those between it and its authority behind it, in PEM. It and the key are read again when they change, so a renewed certificate needs no restart."`
	Key  string `name:"key" doc:"The file of the certificate's private key, in PEM."`
}

// A Channel is the rule of the channels that its pattern matches.
type Channel struct {
	Pattern string `name:"pattern" doc:"A channel name in which \"*\" stands for one segment and \":>\" at the end for the rest; \">\" alone matches everything."`
	Rule
}

// A Rule holds the settings of channels.
type Rule struct {
	History  History         `name:"history" doc:"How much of a channel is kept for who comes late or comes back. Each bound holds by itself."`
	Presence bool            `name:"presence" default:"false" doc:"Whether clients may be listed as members of the channel, and see who is."`
	Publish  rule.Publishers `name:"publish" default:"clients" doc:"Who may publish: \"clients\" and the server, or the \"server\" (API and methods) alone."`
	Overflow rule.Overflow   `name:"overflow" default:"gap" doc:"What happens to a subscriber whom the channel has left behind: \"gap\" tells it which offsets it missed and goes on, \"refill\" sends it those from history when it takes messages again, \"latest\" sends it only the latest entry of each key (and the newest of those without one), \"disconnect\" closes its connection with 4001."`
	Sample   time.Duration   `name:"sample" default:"0s" doc:"Sends a subscriber at most one entry of each key in this time, the latest; entries without a key count as one key. What comes after a silence of this time goes out at once, what comes sooner waits for the end of the channel's interval. For positions, prices and the like; 0s sends all."`

	PresenceGrace time.Duration `name:"presence_grace" default:"10s" doc:"How long a member whose connection was lost, and the ephemeral keys it had, stay, so that it can come back unnoticed; 0s for not at all. It holds for clients that give their name in connect, as the SDKs do."`
}

// A History says how much is kept.
type History struct {
	Count int           `name:"count" default:"100" doc:"Entries; 0 keeps nothing."`
	Bytes Bytes         `name:"bytes" default:"0" doc:"Bytes of payloads and what belongs to them; 0 is no bound."`
	Age   time.Duration `name:"age" default:"10m" doc:"Time since publication; 0 is no bound. The values of keys end with it too."`

	Deletes time.Duration `name:"deletes" default:"10m" min:"1s" doc:"How long it is remembered that a key was deleted, so that who was away meanwhile and has an older state learns of it."`
}

// Limits bound what one session may hold and ask.
type Limits struct {
	MessageBytes   Bytes         `name:"message_bytes" default:"64KiB" min:"1KiB" max:"64MiB" doc:"One message from a client."`
	Subscriptions  int           `name:"subscriptions" default:"1000" min:"1" doc:"Channels subscribed to at once."`
	OpenRequests   int           `name:"open_requests" default:"1024" min:"1" doc:"Requests that wait for an answer."`
	OutboxBytes    Bytes         `name:"outbox_bytes" default:"256KiB" min:"4KiB" doc:"Replies and events that wait to be sent. Beyond half of it the session is not read, beyond all of it and two pages of history closed."`
	HistoryEntries int           `name:"history_entries" default:"1000" min:"1" doc:"Entries in one page of history."`
	HistoryBytes   Bytes         `name:"history_bytes" default:"1MiB" min:"1KiB" doc:"The entries of one page of history."`
	InfoBytes      Bytes         `name:"info_bytes" default:"4KiB" min:"1" doc:"What a member tells about itself."`
	LostMembers    int           `name:"lost_members" default:"100000" min:"1" doc:"Members of all sessions of the node whose connections were lost and that are waited for; who is lost beyond it leaves at once."`
	NamedMembers   int           `name:"named_members" default:"1000" min:"1" doc:"Members of a channel beyond which joins and leaves are told by their number, not by name."`
	EphemeralKeys  int           `name:"ephemeral_keys" default:"100" min:"1" doc:"Keys that end with the session."`
	LagBytes       Bytes         `name:"lag_bytes" default:"0" doc:"What the entries that one subscription has not taken yet may hold before the overflow rule of the channel decides, \"refill\" excepted; 0 leaves it to window_bytes alone."`
	LagAge         time.Duration `name:"lag_age" default:"0s" doc:"How old the oldest of them may be before it does; 0s is no bound."`
	CallTimeout    time.Duration `name:"call_timeout" default:"10s" min:"1ms" doc:"How long a method may take to answer a call."`
	ProofTimeout   time.Duration `name:"proof_timeout" default:"10s" min:"1ms" doc:"How long a client has to prove who it is."`
}

// Default returns what holds where a file says nothing.
func Default() File {
	var f File
	fillDefaults(&f)
	return f
}

// Hocket returns the configuration of a node with these settings and a broker of its own in memory.
func (f *File) Hocket() hocket.Config {
	rules := make([]hocket.Rule, len(f.Channels))
	for i, c := range f.Channels {
		rules[i] = c.rule(c.Pattern)
	}
	var secret []byte
	if f.SessionSecret != "" {
		secret = []byte(f.SessionSecret)
	}
	return hocket.Config{
		Secret: secret,
		Node:   f.Node, Anonymous: f.Anonymous, Origins: f.Origins, APIKeys: f.APIKeys,
		Channels: rules, Fallback: f.Fallback.rule(""),
		PingEvery: f.PingEvery, PongTimeout: f.PongTimeout, Drain: f.Drain,
		Compression: f.Compression, CompressionMinBytes: int(f.CompressionMinBytes),
		Limits: hocket.Limits{
			MessageBytes: int64(f.Limits.MessageBytes), Subscriptions: f.Limits.Subscriptions,
			OpenRequests: f.Limits.OpenRequests, OutboxBytes: int(f.Limits.OutboxBytes),
			HistoryEntries: f.Limits.HistoryEntries, HistoryBytes: int64(f.Limits.HistoryBytes),
			LostMembers: f.Limits.LostMembers, NamedMembers: f.Limits.NamedMembers,
			EphemeralKeys: f.Limits.EphemeralKeys, LagBytes: int64(f.Limits.LagBytes), LagAge: f.Limits.LagAge,
			InfoBytes: int(f.Limits.InfoBytes), CallTimeout: f.Limits.CallTimeout, ProofTimeout: f.Limits.ProofTimeout,
		},
		WindowBytes: int64(f.WindowBytes),
		Broker:      broker.NewMemory(broker.MemoryConfig{MaxBytes: int64(f.MemoryBytes)}),
	}
}

func (r *Rule) rule(pattern string) hocket.Rule {
	grace := r.PresenceGrace
	if grace == 0 {
		grace = -1 // 0 means the default there
	}
	return hocket.Rule{
		Pattern: pattern,
		History: hocket.History{
			Count: r.History.Count, Bytes: int64(r.History.Bytes), Age: r.History.Age, Deletes: r.History.Deletes,
		},
		Presence: r.Presence, Publish: r.Publish, Overflow: r.Overflow, Sample: r.Sample, PresenceGrace: grace,
	}
}
