package config

import (
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
	want.Listen, want.Anonymous = ":8000", true
	want.Origins, want.APIKeys = []string{"https://app.example.com"}, []string{"a-long-random-key"}
	chat, ticker := want.Fallback, want.Fallback
	chat.History.Count, chat.History.Age, chat.Presence = 1000, 24*time.Hour, true
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
channels: [{pattern: a, history: {count: 1, bytes: 2KiB, age: 3s, deletes: 4s}, presence: true, publish: server, overflow: refill, sample: 5s, presence_grace: 6s}]
fallback: {history: {count: 9}, presence_grace: 0s}
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
			History:  hocket.History{Count: 1, Bytes: 2048, Age: 3 * time.Second, Deletes: 4 * time.Second},
			Overflow: hocket.OverflowRefill, Sample: 5 * time.Second, PresenceGrace: 6 * time.Second}},
		Fallback: hocket.Rule{History: hocket.History{Count: 9, Age: 10 * time.Minute, Deletes: 10 * time.Minute}, PresenceGrace: -1},
		Limits: hocket.Limits{MessageBytes: 1 << 10, Subscriptions: 2, OpenRequests: 3, OutboxBytes: 4 << 10, HistoryEntries: 5,
			HistoryBytes: 6 << 10, InfoBytes: 7, LostMembers: 13, NamedMembers: 14, EphemeralKeys: 10, LagBytes: 11 << 10, LagAge: 12 * time.Second, CallTimeout: 8 * time.Second, ProofTimeout: 9 * time.Second},
	}
	if diff := cmp.Diff(want, have, cmpopts.IgnoreFields(hocket.Config{}, "Broker")); diff != "" {
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
		{"\nlimit: {}", `hocket.yaml:2: limit: there is no such setting; here can be listen, tls, anonymous, origins, api_keys, node, session_secret, ping_every, pong_timeout, drain, compression, compression_min_bytes, memory_bytes, window_bytes, channels, fallback, limits`},
		{"node: a\nnode: b", `hocket.yaml:2: node: stands here a second time, after line 1`},
		{"session_secret: too short", `hocket.yaml:1: session_secret: is too short to be a secret: it has 9 bytes and needs 16`},
		{"node: [a]", `hocket.yaml:1: node: must be a single value`},
		{"- a", `hocket.yaml:1: must hold names and values, such as listen: …`},
		{"tls: {cert: a.pem}", `hocket.yaml:1: tls.cert: is a certificate without its key: name that too, as tls.key`},
		{"tls:\n  key: a.pem", `hocket.yaml:2: tls.key: is a key without its certificate: name that too, as tls.cert`},
		{"origins: a", `hocket.yaml:1: origins: must be a list: one line for each, beginning with "- "`},
		{"origins:\n- https://a\n- b", `hocket.yaml:3: origins[1]: "b" is no origin: write it like https://app.example.com, without a path`},
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
		{"fallback:\n  overflow: sample", `hocket.yaml:2: fallback.overflow: "sample" is none of gap, disconnect, refill, latest`},
		{"fallback:\n  pattern: a", `hocket.yaml:2: fallback.pattern: there is no such setting; here can be history, presence, publish, overflow, sample, presence_grace`},
		{"channels:\n- pattern: a\n- pattern: a", `hocket.yaml:3: channels[1].pattern: is the same as that of rule 0, which comes first`},
		{"a: &x 1\nb: *x", `hocket.yaml:1: a: there is no such setting; here can be listen, tls, anonymous, origins, api_keys, node, session_secret, ping_every, pong_timeout, drain, compression, compression_min_bytes, memory_bytes, window_bytes, channels, fallback, limits`},
		{"node: &x n\nlisten: *x", `hocket.yaml:2: listen: refers to another value by *: write the value out`},
		{"listen: a:1\n---\nlisten: b:1", `hocket.yaml:2: a second document begins here: a configuration is one`},
	} {
		_, err := read(t, test.text)
		if err == nil || err.Error() != test.want {
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

// However an API key is written wrongly, it is not repeated.
func TestErrorsKeepSecrets(t *testing.T) {
	const secret = "s3cret"
	for _, text := range []string{
		"api_keys: " + secret,
		"api_keys: [" + secret + " x]",
		"api_keys: [[" + secret + "]]",
		"api_keys: [{" + secret + ": 1}]",
		"api_keys: {" + secret + ": 1}",
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
