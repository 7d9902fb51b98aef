package config

import (
	"fmt"
	"time"

	"hocket.dev"
	"hocket.dev/broker"
	"hocket.dev/internal/clientcert"
	"hocket.dev/internal/rule"
)

// A File is what a configuration file says.
//
// The tags of its fields: `name` as written in the file; `default`; `doc` for the reference page; `min`, the smallest
// number; `secret` keeps the value out of errors.
type File struct {
	Listen         string   `name:"listen" default:"127.0.0.1:8000" doc:"The address to listen on. Port 0 takes any free port; without a host, as in \":8000\", every interface is listened on."`
	TLS            TLS      `name:"tls" doc:"Serves https and wss instead of http and ws."`
	ACME           ACME     `name:"acme" doc:"Gets certificates for the server's domains, from Let's Encrypt if nothing else is said, and renews them."`
	Redirect       string   `name:"redirect" doc:"An address, such as \":80\", where people who look for a page are sent on to https, on the port of listen, and programs are told to use TLS; an authority of acme may ask there too. \"none\" for not at all."`
	Insecure       bool     `name:"insecure" default:"false" doc:"Allows clear text on other addresses than this machine's own. Without it the server does not start where it would speak so, unless trusted_proxies names the proxy that speaks TLS."`
	Admin          Admin    `name:"admin" doc:"Another address for back ends and operators."`
	Anonymous      bool     `name:"anonymous" default:"false" doc:"Admits clients without proof of who they are, lets them name themselves, and allows everybody everything that no rule forbids. To open some channels only, leave it off and give their rules allow_anonymous."`
	AllowCalls     []string `name:"allow_calls" doc:"Patterns of methods that every client may call that has proved who it is, such as \"price.get\" or \"*\"."`
	Origins        []string `name:"origins" doc:"Origins of pages that may connect, such as \"https://app.example.com\", beside that of the server's own address. \"https://*.example.com\" stands for any one label, \"http://localhost:*\" for every port. \"*\" admits all pages, but counts cookies only of those that are named beside it; \"null\" admits pages without an address."`
	TrustedProxies []string `name:"trusted_proxies" doc:"Networks of proxies, such as \"10.0.0.0/8\" or \"192.0.2.7\", whose X-Forwarded-Proto is believed, and which speak TLS to clients where the server has no certificate: then what comes past them, or by http, is refused."`
	APIKeys        []APIKey `name:"api_keys" secret:"true" doc:"Keys that open the HTTP API for back ends; without one it is closed. An entry that is a text opens everything, one with a name and scopes what these say. Keys have at least 16 bytes; shorter ones are taken on this machine's own address only. More can be given in the environment, as HOCKET_API_KEYS, separated by commas."`
	APIKeysFile    string   `name:"api_keys_file" doc:"A file with a list of further keys, in YAML as under api_keys. It is read again when it changes, so keys are exchanged without a restart."`
	Node           string   `name:"node" doc:"The node's name, as clients are told; a random one when left out."`

	Proxying

	SessionSecret string `name:"session_secret" secret:"true" doc:"Makes the public names of sessions out of the ids of their clients: at least 16 bytes, such as those of openssl rand -base64 32. With it a client has the same name after a restart and on every node that is given the same one; without it one is made up at every start."`

	PingEvery   time.Duration `name:"ping_every" default:"25s" min:"1s" doc:"The time between pings to a client: whole seconds, at most 4m."`
	PongTimeout time.Duration `name:"pong_timeout" default:"10s" min:"1s" doc:"How long a client has to answer a ping: whole seconds, at most 4m. A client that vanishes is closed after both times at the latest."`
	Drain       time.Duration `name:"drain" default:"1s" min:"1ms" doc:"How long the server waits for clients to go when it stops."`

	Compression         bool  `name:"compression" default:"false" doc:"Compresses messages for clients that offer it (permessage-deflate), as browsers do, and takes compressed ones from them. What goes to many is compressed once, and a connection needs no memory for it. Worth it where messages are large and lines are narrow. Over TLS, the length of a compressed message can tell something of a secret that stands beside text an attacker may choose."`
	CompressionMinBytes Bytes `name:"compression_min_bytes" default:"512" min:"1" max:"64MiB" doc:"Smaller messages are not compressed: little would be saved. What would not become shorter goes out as it is."`

	MemoryBytes Bytes `name:"memory_bytes" default:"256MiB" min:"1MiB" doc:"What all channels together may hold. Beyond it the oldest entries go."`
	WindowBytes Bytes `name:"window_bytes" default:"256MiB" min:"1MiB" doc:"What the entries kept ready for subscribers may hold. Beyond it the largest windows are shortened, and who lags further behind is told what it missed."`

	Tokens Tokens `name:"tokens" doc:"Signed tokens (JWT) by which clients prove who they are; without a key or a URL none does."`

	Channels []Channel `name:"channels" doc:"The rules of channels. The first one whose pattern matches decides."`
	Fallback Rule      `name:"fallback" doc:"The rule of channels that no pattern matches."`
	Hooks    Hooks     `name:"hooks" doc:"Where the back end is asked who a client is and what it may do. docs/hooks.md describes what is asked."`
	Limits   Limits    `name:"limits" doc:"What one session may hold and ask."`

	at *lines
}

// TLS names the files of a certificate. They are read again when they have changed.
type TLS struct {
	Cert string `name:"cert" doc:"The file of the certificate, with those between it and its authority behind it, in PEM. It and the key are read again when they change, so a renewed certificate needs no restart."`
	Key  string `name:"key" doc:"The file of the certificate's private key, in PEM."`

	ClientCA   string        `name:"client_ca" doc:"A file with the authorities that vouch for the certificates of clients, in PEM, read again when it changes. Clients are then asked for one."`
	ClientAuth ClientAuth    `name:"client_auth" default:"request" doc:"With client_ca: \"request\" admits clients without a certificate too, \"require\" does not. A certificate that no authority vouches for is refused by both."`
	ClientUser ClientUser    `name:"client_user" default:"none" doc:"With client_ca: which part of a certificate names the user that it proves: \"subject_cn\", \"san_dns\", \"san_uri\" or \"san_email\". What the user may do stands in the rules (allow). With \"none\" a certificate only lets connect."`
	HSTS       time.Duration `name:"hsts" default:"8760h" doc:"How long browsers are to come back under TLS only (Strict-Transport-Security); 0s for not at all. Not sent with --dev."`
}

// ClientUser is the part of a certificate that names its user, "none" for no part.
type ClientUser string

// UnmarshalText reads one of them.
func (c *ClientUser) UnmarshalText(text []byte) error {
	var field clientcert.Field
	if string(text) != "none" {
		if err := field.UnmarshalText(text); err != nil {
			return fmt.Errorf("%w, none", err)
		}
	}
	*c = ClientUser(text)
	return nil
}

// ClientAuth says whether a client needs a certificate.
type ClientAuth string

// Whether a client needs a certificate.
const (
	ClientRequest ClientAuth = "request"
	ClientRequire ClientAuth = "require"
)

// UnmarshalText reads one of them.
func (c *ClientAuth) UnmarshalText(text []byte) error {
	if *c = ClientAuth(text); *c != ClientRequest && *c != ClientRequire {
		return fmt.Errorf("%q is none of request, require", text)
	}
	return nil
}

// ACME says which certificates to get, and from whom.
type ACME struct {
	Domains   []string `name:"domains" doc:"The domains that lead to this server, such as rt.example.com; wildcards cannot be had this way. Where no listen and no redirect is given they are \":443\" and \":80\". Naming one says that the terms of the authority are agreed to."`
	Email     string   `name:"email" doc:"Where the authority writes to when something is wrong."`
	Directory string   `name:"directory" doc:"The address of the authority's directory; Let's Encrypt's when left out."`
	CAFile    string   `name:"ca_file" doc:"A file with the authorities, in PEM, that vouch for directory, where the system does not know them."`
	Storage   string   `name:"storage" doc:"The directory where certificates, their keys and the account are kept, only for this user to read; .local/share/hocket/acme in the user's home when left out. Servers for the same domains may share one."`
}

// Admin is where back ends and operators come in.
type Admin struct {
	Listen string `name:"listen" doc:"The address where the API and metrics are served; at the address for clients they are then not to be found. On this machine's own address it speaks plain http, elsewhere https with the certificate of the server. Health checks are answered on both."`
}

// An APIKey opens the HTTP API, or a part of it.
type APIKey struct {
	Name   string   `name:"name" doc:"What metrics and errors call the key. While one takes the place of another both may have the same."`
	Key    string   `name:"key" secret:"true" doc:"The key: visible ASCII characters, at least 16 and random."`
	Scopes []string `name:"scopes" doc:"What the key opens: \"*\" everything; \"publish\" (with broadcast and batch), \"read\" (history, state, presence, channels) and \"remove\", each on all channels or on those of a pattern, as in \"publish:chat:*\"; the name of any other method, such as \"send\"; \"metrics\"; and \"console\", which is for a page that there is not yet. Every key may ask for info."`
}

// setText implements shorthand: a text is a key that opens everything.
func (k *APIKey) setText(s string) { *k = APIKey{Key: s, Scopes: []string{"*"}} }

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
	Allow    []rule.Verbs    `name:"allow" doc:"What every client may do here that has proved who it is, beside what its own capabilities allow: subscribe, publish, history (reading without a subscription), presence, or * for all of them. Left out, its capabilities alone decide."`

	Ask []rule.Verbs `name:"ask" doc:"What the back end is asked about here when a client that may do it wants to: subscribe, publish. See hooks."`

	AllowAnonymous []rule.Verbs `name:"allow_anonymous" doc:"What everybody may do here, without proof of who they are too."`

	Overflow rule.Overflow `name:"overflow" default:"gap" doc:"What happens to a subscriber whom the channel has left behind: \"gap\" tells it which offsets it missed and goes on, \"refill\" sends it those from history when it takes messages again, \"latest\" sends it only the latest entry of each key (and the newest of those without one), \"disconnect\" closes its connection with 4001."`
	Sample   time.Duration `name:"sample" default:"0s" doc:"Sends a subscriber at most one entry of each key in this time, the latest; entries without a key count as one key. What comes after a silence of this time goes out at once, what comes sooner waits for the end of the channel's interval. For positions, prices and the like; 0s sends all."`

	Rate ChannelRates `name:"rate" doc:"How often sessions may do what they do in the channels."`

	PresenceGrace time.Duration `name:"presence_grace" default:"10s" doc:"How long a member whose connection was lost, and the ephemeral keys it had, stay, so that it can come back unnoticed; 0s for not at all. It holds for clients that give their name in connect, as the SDKs do."`

	Schema Schema `name:"schema" doc:"The JSON Schema that every payload has to fit (see schema.md): written here, or the name of a file in JSON, from where this file is. A publish that does not fit is answered with schema_mismatch."`
	E2E    bool   `name:"e2e" default:"false" doc:"Whether clients encrypt payloads end to end (see e2e.md): the server takes only what it cannot read, and appends nothing to it. Not together with schema."`
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

	Places
	Rates Rates `name:"rates" doc:"How much clients may do in a time. A rate is written like \"100/s\" or \"30/10s\"; how much may come at once can follow, as in \"20/s burst 200\"; \"off\" is no limit. What is beyond it is answered with rate_limited and changes nothing."`
}

// Names tells whether the file names a setting, such as "tls.cert".
func (f *File) Names(path string) bool { return f.at != nil && (*f.at)[path] > 0 }

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
	c := hocket.Config{
		Secret: secret,
		Node:   f.Node, Anonymous: f.Anonymous, AllowCalls: f.AllowCalls, Origins: f.Origins, Keys: HocketKeys(f.APIKeys),
		Channels: rules, Fallback: f.Fallback.rule(""),
		Hooks:     f.Hooks.hocket(),
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
	f.Limits.apply(&c.Limits)
	if f.TLS.ClientUser != "none" {
		c.CertificateUser = string(f.TLS.ClientUser)
	}
	c.TrustedProxies, c.ClientHeader, c.ProxyProtocol = f.TrustedProxies, f.ClientHeader, f.ProxyProtocol
	return c
}

// HocketKeys are keys as the server takes them.
func HocketKeys(keys []APIKey) (all []hocket.APIKey) {
	for _, k := range keys {
		all = append(all, hocket.APIKey{Name: k.Name, Key: k.Key, Scopes: k.Scopes})
	}
	return all
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
		Presence: r.Presence, Publish: r.Publish, Allow: all(r.Allow), AllowAnonymous: all(r.AllowAnonymous), Ask: all(r.Ask), Overflow: r.Overflow, Sample: r.Sample, PresenceGrace: grace,
		Schema: string(r.Schema), E2E: r.E2E,
		Rates: hocket.RuleRates(r.Rate),
	}
}

func all(verbs []rule.Verbs) (v rule.Verbs) {
	for _, one := range verbs {
		v |= one
	}
	return v
}
