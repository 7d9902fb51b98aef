package config

import (
	"strings"
	"testing"
)

func TestChanged(t *testing.T) {
	read := func(text string) *File {
		f := Default()
		if err := parse("hocket.yaml", []byte(text), &f); err != nil {
			t.Fatal(err)
		}
		return &f
	}
	const before = `
anonymous: true
limits: {subscriptions: 7, sessions: 5, rates: {session: {messages: 10/s}}}
channels: [{pattern: "chat:*", presence: true}]
proxy_protocol: false
`
	for text, want := range map[string]string{
		before:                   "",
		"# other lines" + before: "",
		strings.Replace(before, "true", "false", 1):                                                    "anonymous",
		strings.Replace(before, "presence: true", "", 1):                                               "channels",
		strings.Replace(before, "10/s", "20/s", 1):                                                     "limits.rates.session.messages",
		strings.Replace(before, "subscriptions: 7, sessions: 5, ", "", 1):                              "limits.subscriptions limits.sessions",
		before + "fallback: {history: {count: 1}}":                                                     "fallback.history.count",
		before + "api_keys: [0123456789abcdef]\nclient_header: forwarded\ntrusted_proxies: [10.0.0.1]": "trusted_proxies api_keys client_header",
	} {
		if got := strings.Join(read(before).Changed(read(text)), " "); got != want {
			t.Errorf("changed are %q, want %q:%s", got, want, text)
		}
	}
}
