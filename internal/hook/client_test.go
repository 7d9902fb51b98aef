package hook

import (
	"net/netip"
	"strings"
	"testing"

	"hocket.dev/dialect"
	"hocket.dev/internal/session"
)

func TestConfigurationsThatAreWrong(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"publish: url: is none":                 func(c *Config) { c.Publish.URL = "app.example.com/secret-in-it" },
		"url: is none":                          func(c *Config) { c.Publish.URL = "ftp://app.example.com/secret-in-it" },
		"url: is none: write":                   func(c *Config) { c.Publish.URL = "https://\x00secret-in-it" },
		"holds a name or password":              func(c *Config) { c.Publish.URL = "https://me:secret-in-it@app.example.com/" },
		"holds a fragment":                      func(c *Config) { c.Publish.URL = "https://app.example.com/#secret-in-it" },
		"not of the public internet":            func(c *Config) { c.Publish.URL = "https://169.254.169.254/secret-in-it" },
		"url: the address is not of the public": func(c *Config) { c.Publish.URL = "https://[::ffff:127.0.0.1]/secret-in-it" },
		"only listed addresses are asked":       func(c *Config) { c.Publish.URL = "http://app.example.com/secret-in-it" },
		"url: only listed addresses are asked":  func(c *Config) { c.Publish.URL = "http://1.1.1.1/secret-in-it" },
		"authenticate: when_down":               func(c *Config) { c.Authenticate.WhenDown = Allow },
		"there must be 1 or 2 secrets":          func(c *Config) { c.Secrets = nil },
		"secrets to sign with, not 3":           func(c *Config) { c.Secrets = [][]byte{secret, secret, secret} },
		"at least 16 bytes":                     func(c *Config) { c.Secrets = [][]byte{[]byte("secret-in-it")} },
		"header Authorization is not forwarded": func(c *Config) { c.Forward = []string{"authorization"} },
		"header Cookie is not forwarded":        func(c *Config) { c.Forward = []string{"COOKIE"} },
		"header Sec-Websocket-Protocol is not":  func(c *Config) { c.Forward = []string{"Sec-WebSocket-Protocol"} },
		"at most 32 headers can be forwarded":   func(c *Config) { c.Forward = make([]string, maxForward+1) },
	} {
		cfg := Config{Publish: Hook{URL: "https://app.example.com/"}, Secrets: [][]byte{secret}}
		change(&cfg)
		_, err := New(cfg)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		} else if strings.Contains(err.Error(), "secret-in-it") {
			t.Errorf("%v repeats a secret", err)
		}
	}
}

func TestWhoeverIsNotNamedIsNotAsked(t *testing.T) {
	c, err := New(Config{Publish: Hook{URL: "http://127.0.0.1:1/"}, Secrets: [][]byte{secret}, Listed: []netip.Prefix{loopback}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Has(Subscribe) || c.Counters(Subscribe) != nil || !c.Has(Publish) {
		t.Error("it is not told who is asked")
	}
	if _, err := c.Subscribe(t.Context(), session.SubscribeQuestion{}); err == nil || err.Code != dialect.NotSupported {
		t.Error(err)
	}
	if _, err := New(Config{}); err != nil {
		t.Errorf("nobody is asked: %v", err)
	}
}

func TestWhenDownIsText(t *testing.T) {
	for _, w := range []WhenDown{Deny, Allow} {
		text, _ := w.MarshalText()
		var got WhenDown
		if err := got.UnmarshalText(text); err != nil || got != w {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	var w WhenDown
	if w.UnmarshalText([]byte("maybe")) == nil {
		t.Error("maybe is taken")
	}
}
