package client

import (
	"slices"
	"testing"

	"hocket.dev"
)

// What the server has on is known before anything is asked for.
func TestFeatures(t *testing.T) {
	_, url := serve(t, func(c *hocket.Config) { c.Fallback.E2E = true })
	c := dial(t, url, nil)
	features := c.Features()
	for name, want := range map[string]bool{"history": true, "anonymous": true, "e2e": true, "tokens": false, "schema": false} {
		if slices.Contains(features, name) != want {
			t.Errorf("%s is not said to be %v: %v", name, want, features)
		}
	}
	features[0] = "mine"
	if slices.Contains(c.Features(), "mine") {
		t.Error("the answer can be changed")
	}
}
