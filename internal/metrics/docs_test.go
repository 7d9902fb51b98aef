package metrics_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"hocket.dev/websocket"
)

// TestEveryMetricIsExplained compares a scrape with docs/metrics.md.
func TestEveryMetricIsExplained(t *testing.T) {
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, url := start(t)
	c, _, err := websocket.Dial(t.Context(), url+"/v1/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	await(t, c, "connected")
	c.Close(websocket.CloseNormal, "")
	do(t, "GET", url+"/v1/ws", "", "")
	do(t, "POST", url+"/api/v1/info", "", "k")

	name := regexp.MustCompile(`hocket_[a-z_]+`)
	there := map[string]bool{"hocket_closes_total": true} // may be counted a moment after this scrape
	for sample := range scrape(t, url) {
		if n := name.FindString(sample); n != "" {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				n = strings.TrimSuffix(n, suffix)
			}
			there[n] = true
		}
	}
	written := map[string]bool{}
	for _, n := range name.FindAllString(string(page), -1) {
		written[strings.TrimSuffix(n, "_bucket")] = true
	}
	for n := range there {
		if !written[n] {
			t.Errorf("docs/metrics.md does not explain %s", n)
		}
	}
	for n := range written {
		if n != "hocket_" && !there[n] {
			t.Errorf("docs/metrics.md explains %s, which is not there", n)
		}
	}
}
