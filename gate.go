package hocket

import (
	"fmt"

	"hocket.dev/internal/auth"
	"hocket.dev/internal/origin"
	"hocket.dev/internal/rule"
)

// gate is what a configuration says about who comes in and what they may do, made ready.
type gate struct {
	origins *origin.List
	proxies origin.Proxies
	auth    *auth.Authenticator
	rules   *rule.Set
	calls   *rule.Capabilities // what every client may call that has proved who it is
	asker   *asker
}

// newGate checks that part of a configuration.
func newGate(c *Config) (g gate, err error) {
	if g.rules, err = rule.Compile(c.Channels, c.Fallback); err != nil {
		return g, fmt.Errorf("hocket: channels: %w", err)
	}
	if g.origins, err = origin.Compile(c.Origins); err != nil {
		return g, fmt.Errorf("hocket: Origins: %w", err)
	}
	if g.proxies, err = origin.ParseProxies(c.TrustedProxies); err != nil {
		return g, fmt.Errorf("hocket: TrustedProxies: %w", err)
	}
	if g.calls, err = parseCalls(c.AllowCalls); err != nil {
		return g, err
	}
	if g.asker, err = newAsker(c, g.rules); err != nil {
		return g, err
	}
	g.auth = auth.New(auth.Config{Backend: g.asker.authenticate()})
	return g, nil
}

// parseCalls takes patterns of methods.
func parseCalls(patterns []string) (*rule.Capabilities, error) {
	lists := make(map[string][]string, len(patterns))
	for _, p := range patterns {
		lists[p] = []string{rule.CanCall.String()}
	}
	calls, err := rule.ParseCapabilities(lists, "")
	if err != nil {
		return nil, fmt.Errorf("hocket: AllowCalls: %w", err)
	}
	return calls, nil
}
