package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"hocket.dev"
	"hocket.dev/internal/rule"
)

func read(t *testing.T, text string) (File, error) {
	t.Helper()
	f := Default()
	return f, parse("hocket.yaml", []byte(text), &f)
}

func TestExample(t *testing.T) {
	f, err := read(t, example)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Listen, want.Redirect, want.Admin.Listen, want.Anonymous = ":443", ":80", "127.0.0.1:8001", true
	want.TLS.Cert, want.TLS.Key = "/etc/hocket/fullchain.pem", "/etc/hocket/privkey.pem"
	want.Origins, want.APIKeys = []string{"https://app.example.com"}, []APIKey{{"", "a-long-random-key", []string{"*"}}, {"shop", "another-long-random-key", []string{"publish:order:*", "read"}}}
	chat, ticker := want.Fallback, want.Fallback
	chat.History.Count, chat.History.Age, chat.Presence = 1000, 24*time.Hour, true
	chat.Schema = `{"type":"object","required":["text"],"properties":{"text":{"type":"string","maxLength":4000}}}`
	ticker.History.Count, ticker.Publish, ticker.Overflow, ticker.Sample = 1, rule.Server, rule.OverflowLatest, 250*time.Millisecond
	want.Channels = []Channel{{"chat:*", chat}, {"ticker:>", ticker}}
	want.Limits.MessageBytes = 128 << 10
	if diff := cmp.Diff(want, f, cmpopts.IgnoreUnexported(File{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestEmptyFileIsAllDefaults(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "null\n"} {
		f, err := read(t, text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(Default(), f, cmpopts.IgnoreUnexported(File{})); diff != "" {
			t.Errorf("%q: -want +got:\n%s", text, diff)
		}
	}
}

// What the file does not name stays as it was, inside of groups too.
func TestReadKeepsWhatIsNotNamed(t *testing.T) {
	f := Default()
	f.Anonymous, f.Fallback.History.Count = true, 7
	if err := parse("hocket.yaml", []byte("fallback: {history: {age: 1m}}"), &f); err != nil {
		t.Fatal(err)
	}
	if !f.Anonymous || f.Fallback.History != (History{Count: 7, Age: time.Minute, Deletes: 10 * time.Minute}) {
		t.Errorf("%+v", f.Fallback.History)
	}
}

func TestHocketGetsEverySetting(t *testing.T) {
	f, err := read(t, `
node: n1
session_secret: sixteen bytes, no less
ping_every: 5s
pong_timeout: 2s
drain: 100ms
compression: true
compression_min_bytes: 1KiB
window_bytes: 2MiB
channels: [{pattern: a, history: {count: 1, bytes: 2KiB, age: 3s, deletes: 4s}, presence: true, publish: server, overflow: refill, sample: 5s, presence_grace: 6s, allow: [subscribe, history], allow_anonymous: [presence], schema: {type: object}, ask: [subscribe, publish]}, {pattern: b, e2e: true}]
fallback: {history: {count: 9}, presence_grace: 0s}
hooks: {authenticate: {url: "https://a.example/a"}, subscribe: {url: "https://a.example/s", when_down: allow}, publish: {url: "http://127.0.0.1/p"},
  secrets: [one secret of many bytes, two secrets of many], timeout: 4s, concurrency: 5, allow_addresses: [127.0.0.1], forward_headers: [User-Agent]}
limits: {message_bytes: 1KiB, subscriptions: 2, open_requests: 3, outbox_bytes: 4KiB, history_entries: 5, history_bytes: 6KiB,
  info_bytes: 7, lost_members: 13, named_members: 14, ephemeral_keys: 10, lag_bytes: 11KiB, lag_age: 12s, call_timeout: 8s, proof_timeout: 9s}
`)
	if err != nil {
		t.Fatal(err)
	}
	have := f.Hocket()
	want := hocket.Config{
		Node: "n1", Secret: []byte("sixteen bytes, no less"), PingEvery: 5 * time.Second, PongTimeout: 2 * time.Second, Drain: 100 * time.Millisecond, WindowBytes: 2 << 20,
		Compression: true, CompressionMinBytes: 1 << 10,
		Channels: []hocket.Rule{{Pattern: "a", Presence: true, Publish: hocket.PublishServer,
			History: hocket.History{Count: 1, Bytes: 2048, Age: 3 * time.Second, Deletes: 4 * time.Second},
			Allow:   hocket.CanSubscribe | hocket.CanHistory, AllowAnonymous: hocket.CanPresence, Ask: hocket.CanSubscribe | hocket.CanPublish,
			Overflow: hocket.OverflowRefill, Sample: 5 * time.Second, PresenceGrace: 6 * time.Second, Schema: `{"type":"object"}`},
			{Pattern: "b", E2E: true, PresenceGrace: 10 * time.Second, History: hocket.History{Count: 100, Age: 10 * time.Minute, Deletes: 10 * time.Minute}}},
		Fallback: hocket.Rule{History: hocket.History{Count: 9, Age: 10 * time.Minute, Deletes: 10 * time.Minute}, PresenceGrace: -1},
		Hooks: hocket.Hooks{
			Authenticate: hocket.Hook{URL: "https://a.example/a"}, Subscribe: hocket.Hook{URL: "https://a.example/s", WhenDown: hocket.HookAllow},
			Publish: hocket.Hook{URL: "http://127.0.0.1/p"}, Secrets: []string{"one secret of many bytes", "two secrets of many"}, Timeout: 4 * time.Second, Concurrent: 5,
			AllowAddresses: []string{"127.0.0.1"}, ForwardHeaders: []string{"User-Agent"},
		},
		Limits: hocket.Limits{MessageBytes: 1 << 10, Subscriptions: 2, OpenRequests: 3, OutboxBytes: 4 << 10, HistoryEntries: 5,
			HistoryBytes: 6 << 10, InfoBytes: 7, LostMembers: 13, NamedMembers: 14, EphemeralKeys: 10, LagBytes: 11 << 10, LagAge: 12 * time.Second, CallTimeout: 8 * time.Second, ProofTimeout: 9 * time.Second},
	}
	def := Default()
	def.Limits.apply(&want.Limits) // the test of limits has others
	if diff := cmp.Diff(want, have, cmpopts.IgnoreFields(hocket.Config{}, "Broker"), cmpopts.IgnoreUnexported(hocket.Rule{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if have.Broker == nil {
		t.Error("there is no broker")
	}
}

func TestErrorsNameLineAndField(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"listen: 8000", `hocket.yaml:1: listen: "8000" is no address: write it like 127.0.0.1:8000 or :8000`},
		{"listen:", `hocket.yaml:1: listen: has no value: give it one, or leave the line out`},
		{"anonymous: yes please", `hocket.yaml:1: anonymous: "yes please" must be true or false`},
		{"\nlimit: {}", `hocket.yaml:2: limit: there is no such setting; here can be listen, tls, acme, …`},
		{"node: a\nnode: b", `hocket.yaml:2: node: stands here a second time, after line 1`},
		{"session_secret: too short", `hocket.yaml:1: session_secret: is too short to be a secret: it has 9 bytes and needs 16`},
		{"node: [a]", `hocket.yaml:1: node: must be a single value`},
		{"- a", `hocket.yaml:1: must hold names and values, such as listen: …`},
		{"tls: {cert: a.pem}", `hocket.yaml:1: tls.cert: is a certificate without its key: name that too, as tls.key`},
		{"tls:\n  key: a.pem", `hocket.yaml:2: tls.key: is a key without its certificate: name that too, as tls.cert`},
		{"tls: {client_auth: ask}", `hocket.yaml:1: tls.client_auth: "ask" is none of request, require`},
		{"tls:\n  cert: a.pem\n  key: a.pem\n  client_auth: require", `hocket.yaml:4: tls.client_auth: says who needs a certificate, but nothing says whose are good: name the file of their authorities, as tls.client_ca`},
		{"tls: {client_user: subject_cn}", `hocket.yaml:1: tls.client_user: says whom a certificate proves, but nothing says whose are good: name the file of their authorities, as tls.client_ca`},
		{"acme: {domains: ['*.example.com']}", `hocket.yaml:1: acme.domains[0]: "*.example.com" stands for many domains, for which an authority asks the DNS and not the server: list each one`},
		{"acme: {domains: [rt.example.com, https://a]}", `hocket.yaml:1: acme.domains[1]: "https://a" is no domain: write it in lower case, like rt.example.com`},
		{"acme: {directory: 'http://a'}", `hocket.yaml:1: acme.directory: "http://a" is no address of a directory: it begins with https://`},
		{"{tls: {cert: a, key: b}, acme: {domains: [a.example]}}", `hocket.yaml:1: acme.domains: and tls.cert cannot both be: the certificate comes from one of them`},
		{"admin: {listen: here}", `hocket.yaml:1: admin.listen: "here" is no address: write it like 127.0.0.1:8001`},
		{"redirect: '80'", `hocket.yaml:1: redirect: "80" is no address: write it like :80, or "none"`},
		{"origins: a", `hocket.yaml:1: origins: must be a list: one line for each, beginning with "- "`},
		{"origins:\n- https://a\n- b", `hocket.yaml:3: origins[1]: "b" is no origin: write it like https://app.example.com, without a path`},
		{"origins: ['https://*.example.com', 'https://a.*']", `hocket.yaml:1: origins[1]: "https://a.*" has a "*" where none can be: it stands for the first label, as in https://*.example.com, for the port, as in http://localhost:*, or alone for everything`},
		{"trusted_proxies: [10.0.0.0/8, '::1', 10.0.0.0/33]", `hocket.yaml:1: trusted_proxies[2]: "10.0.0.0/33" is no network: write it like 10.0.0.0/8 or 2001:db8::/32`},
		{"api_keys:\n- {name: a b, key: k, scopes: [read]}", `hocket.yaml:2: api_keys[0].name: must have at most 64 letters, digits, '.', '_' and '-'`},
		{"api_keys: [a, {key: k}]", `hocket.yaml:1: api_keys[1]: its scopes must be listed: what the key opens, such as "publish" or "read:chat:*", or "*" for everything`},
		{"api_keys: [{key: k, scopes: [read, all]}]", `hocket.yaml:1: api_keys[0].scopes: "all" is no scope: there are *, call, console, disconnect, metrics, publish, read, remove, revoke, send, sessions, subscribe, tickets, unsubscribe`},
		{"api_keys: [{key: k, scopes: ['send:a']}]", `hocket.yaml:1: api_keys[0].scopes: "send:a" is of no channel: leave out what follows send`},
		{"api_keys: [{key: k, scopes: ['read:a**']}]", `hocket.yaml:1: api_keys[0].scopes: "read:a**" '*' at byte 1 is not a whole segment of the pattern`},
		{"hooks:\n  publish: {url: 'ftp://a'}", `hocket.yaml:2: hooks.publish.url: is none: write it like https://app.example.com/hocket`},
		{"hooks:\n  authenticate: {url: 'https://10.0.0.1/'}", `hocket.yaml:2: hooks.authenticate.url: the address is not of the public internet, and not listed`},
		{"hooks: {publish: {url: 'https://a.example/'}}", `hocket.yaml:1: hooks.publish.url: would never be asked: no channel's rule has ask: [publish]`},
		{"hooks: {publish: {when_down: maybe}}", `hocket.yaml:1: hooks.publish.when_down: "maybe" is none of deny, allow`},
		{"hooks:\n  allow_addresses: [10.0.0.0/8, lan]", `hocket.yaml:2: hooks.allow_addresses[1]: "lan" is no network: write it like 10.0.0.0/8 or 192.0.2.7`},
		{"hooks: {forward_headers: [cookie]}", `hocket.yaml:1: hooks.forward_headers: the header Cookie is not forwarded: the proof in it is, as token or cookie`},
		{"hooks: {secrets: [a-secret-of-16-bytes, short]}", `hocket.yaml:1: hooks.secrets[1]: is too short to be a secret: it has 5 bytes and needs 16`},
		{"hooks:\n  secrets: [a-secret-of-16-bytes, b-secret-of-16-bytes, c-secret-of-16-bytes]", `hocket.yaml:2: hooks.secrets: are 3: give one, or two while one takes the place of the other`},
		{"fallback:\n  ask: [subscribe]", `hocket.yaml:2: fallback.ask: asks the back end about subscribe, but hooks.subscribe has no url`},
		{"channels:\n- pattern: a\n  ask: [publish]", `hocket.yaml:3: channels[0].ask: asks the back end about publish, but hooks.publish has no url`},
		{"channels:\n- {pattern: a, ask: [history]}", `hocket.yaml:2: channels[0].ask: the back end can be asked about subscribe and publish`},
		{"ping_every: 1500ms", `hocket.yaml:1: ping_every: 1.5s is not in whole seconds up to 4m`},
		{"pong_timeout: 5m", `hocket.yaml:1: pong_timeout: 5m0s is not in whole seconds up to 4m`},
		{"pong_timeout: 0s", `hocket.yaml:1: pong_timeout: "0s" is less than 1s`},
		{"drain: 10", `hocket.yaml:1: drain: "10" is no duration: write it like 90s, 10m or 1h30m`},
		{"compression: off", `hocket.yaml:1: compression: "off" must be true or false`},
		{"compression_min_bytes: 0", `hocket.yaml:1: compression_min_bytes: "0" is less than 1`},
		{"compression_min_bytes: some", `hocket.yaml:1: compression_min_bytes: "some" is no size: write it like 65536, 64KiB, 16MiB or 2GiB`},
		{"memory_bytes: 1MB", `hocket.yaml:1: memory_bytes: "1MB" is no size: write it like 65536, 64KiB, 16MiB or 2GiB`},
		{"memory_bytes: 99999999TiB", `hocket.yaml:1: memory_bytes: "99999999TiB" is no size: write it like 65536, 64KiB, 16MiB or 2GiB`},
		{"limits:\n  subscriptions: many", `hocket.yaml:2: limits.subscriptions: "many" is no whole number`},
		{"limits:\n  open_requests: 0", `hocket.yaml:2: limits.open_requests: "0" is less than 1`},
		{"limits:\n  message_bytes: 1TiB", `hocket.yaml:2: limits.message_bytes: "1TiB" is more than 64MiB`},
		{"channels:\n- pattern: chat:*\n  history:\n    age: 10 minutes", `hocket.yaml:4: channels[0].history.age: "10 minutes" is no duration: write it like 90s, 10m or 1h30m`},
		{"channels:\n- pattern: a\n  history: {count: -1}", `hocket.yaml:3: channels[0].history.count: "-1" is less than 0`},
		{"channels:\n- pattern: a\n  publish: nobody", `hocket.yaml:3: channels[0].publish: "nobody" is none of clients, server`},
		{"channels:\n- pattern: a\n  sample: -1s", `hocket.yaml:3: channels[0].sample: "-1s" is less than 0`},
		{"channels:\n- pattern: a\n  presence_grace: soon", `hocket.yaml:3: channels[0].presence_grace: "soon" is no duration: write it like 90s, 10m or 1h30m`},
		{"fallback:\n  history: {deletes: 0s}", `hocket.yaml:2: fallback.history.deletes: "0s" is less than 1s`},
		{"limits:\n  ephemeral_keys: 0", `hocket.yaml:2: limits.ephemeral_keys: "0" is less than 1`},
		{"fallback:\n  allow: [read]", `hocket.yaml:2: fallback.allow[0]: "read" is no verb: there are subscribe, publish, history, presence, call and *`},
		{"channels:\n- pattern: a\n  allow: [subscribe, call]", `hocket.yaml:3: channels[0].allow: calls are not of channels: list the methods that may be called under allow_calls`},
		{"fallback:\n  allow_anonymous: [call]", `hocket.yaml:2: fallback.allow_anonymous: calls are not of channels: list the methods that may be called under allow_calls`},
		{"fallback:\n  overflow: sample", `hocket.yaml:2: fallback.overflow: "sample" is none of gap, disconnect, refill, latest`},
		{"fallback:\n  pattern: a", `hocket.yaml:2: fallback.pattern: there is no such setting; here can be history, presence, publish, …`},
		{"channels:\n- pattern: a\n- pattern: a", `hocket.yaml:3: channels[1].pattern: is the same as that of rule 0, which comes first`},
		{"a: &x 1\nb: *x", `hocket.yaml:1: a: there is no such setting; here can be listen, tls, acme, …`},
		{"node: &x n\nlisten: *x", `hocket.yaml:2: listen: refers to another value by *: write the value out`},
		{"listen: a:1\n---\nlisten: b:1", `hocket.yaml:2: a second document begins here: a configuration is one`},
	} {
		_, err := read(t, test.text)
		want, open := strings.CutSuffix(test.want, "…") // a list of settings goes on
		if err == nil || err.Error() != test.want && !(open && strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q:\n have %v\n want %s", test.text, err, test.want)
		}
	}
}

// Where the wording is the YAML parser's or a pattern's, the place is ours.
func TestErrorsOfOthersNameThePlace(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"a: b: c", `hocket.yaml:1: is no YAML: `},
		{"channels:\n\t- pattern: a", `hocket.yaml:2: is no YAML: `},
		{"channels:\n- presence: true", `hocket.yaml:2: channels[0].pattern: `},
		{"channels:\n- presence: true\n  pattern: a b", `hocket.yaml:3: channels[0].pattern: `},
	} {
		_, err := read(t, test.text)
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%q:\n have %v\n want %s…", test.text, err, test.want)
		}
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.yaml")
	f := Default()
	err := Read(path, &f)
	if want := path + ": cannot be read: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("have %v, want %s", err, want)
	}
}

func TestFileOfKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	for _, test := range []struct{ text, want string }{
		{"- first\n- {name: shop, key: second, scopes: [publish]}\n", ""},
		{"", ": holds no key"},
		{"[]", ": holds no key"},
		{"first", `:1: must be a list: one line for each, beginning with "- "`},
		{"- first\n- first", ":2: [1]: its key is that of another entry"},
		{"- [s3cret]", `:1: [0]: must hold names and values, such as name: …`},
		{"- {s3cret: x}", `:1: [0]: there is no such setting, or a text that needs quotes; here can be name, key, scopes`},
		{"- key: a\n  scopes: [all]", `:2: [0].scopes: "all" is no scope: there are `},
	} {
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		keys, err := ReadKeys(path)
		if test.want == "" {
			want := []APIKey{{"", "first", []string{"*"}}, {"shop", "second", []string{"publish"}}}
			if diff := cmp.Diff(want, keys); err != nil || diff != "" {
				t.Errorf("%v, -want +got:\n%s", err, diff)
			}
		} else if err == nil || !strings.HasPrefix(err.Error(), path+test.want) {
			t.Errorf("%q: %v, want %s", test.text, err, test.want)
		}
	}
	if _, err := ReadKeys(path + ".none"); err == nil || err.Error() != path+".none: cannot be read: no such file or directory" {
		t.Errorf("a file that is not there: %v", err)
	}
}

// However an API key is written wrongly, it is not repeated.
func TestErrorsKeepSecrets(t *testing.T) {
	const secret = "s3cret"
	for _, text := range []string{
		"api_keys: " + secret,
		"hooks: {secrets: " + secret + "}",
		"hooks: {secrets: [[" + secret + "]]}",
		"hooks: {secrets: [{" + secret + ": 1}]}",
		"hooks: {publish: {url: 'https://" + secret + ":x@a.example/'}}",
		"hooks: {publish: {url: 'http://a.example/?key=" + secret + "'}}",
		"hooks: {publish: {url: 'https://a.example/?key=" + secret + "'}}",
		"hooks: {publish: {url: [" + secret + "]}}",
		"api_keys: [" + secret + " x]",
		"api_keys: [[" + secret + "]]",
		"api_keys: [{" + secret + ": 1}]",
		"api_keys: {" + secret + ": 1}",
		"api_keys: [{name: a, " + secret + ": 1}]",
		"api_keys: [{key: " + secret + "}]",
		"api_keys: [{key: [" + secret + "]}]",
		"api_keys: [{key: {" + secret + ": 1}}]",
		"api_keys: [{key: " + secret + ", scopes: [all]}]",
		"api_keys: [" + secret + ", " + secret + "]",
		"api_keys: *" + secret,
		"api_keys:\n- *" + secret,
		"api_keys:\n- &" + secret,
		"api_keys: !" + secret + " a",
		"api_keys:\n- @" + secret,
		"api_keys:\n- `" + secret,
		"api_keys:\n- \"" + secret,
		"api_keys:\n- " + secret + ": b: c",
		"api_keys:\n- %" + secret + "\n- ''",
		"session_secret: " + secret,
		"session_secret: [" + secret + "]",
		"session_secret: {" + secret + ": 1}",
		"session_secret: *" + secret,
		"session_secret: \"" + secret,
	} {
		_, err := read(t, text)
		if err == nil {
			t.Errorf("%q is accepted", text)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestBytes(t *testing.T) {
	for _, text := range []string{"0", "1", "1023", "1KiB", "1025", "64KiB", "1536KiB", "256MiB", "3GiB", "1TiB"} {
		if b, err := parseBytes(text); err != nil || b.String() != text {
			t.Errorf("%s: have %v, %v", text, b, err)
		}
	}
}
