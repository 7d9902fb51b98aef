package client

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"hocket.dev"
)

// compressed reads how many messages the server at url has inflated and compressed.
func compressed(t *testing.T, url string) (in, out string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", "http"+strings.TrimSuffix(strings.TrimPrefix(url, "ws"), "/v1/ws")+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		if n, ok := strings.CutPrefix(line, `hocket_compressed_messages_total{direction="in"} `); ok {
			in = strings.TrimSpace(n)
		}
		if n, ok := strings.CutPrefix(line, `hocket_compressed_messages_total{direction="out"} `); ok {
			out = strings.TrimSpace(n)
		}
	}
	return in, out
}

func TestCompressionIsOfferedUnlessTurnedOff(t *testing.T) {
	large := strings.Repeat("a large payload ", 1000)
	for _, test := range []struct {
		name string
		on   bool // at the server
		opts Options
		want string // messages in either direction
	}{
		{"offered and agreed upon", true, Options{}, "1"},
		{"not offered", true, Options{NoCompression: true}, "0"},
		{"offered in vain", false, Options{}, "0"},
	} {
		_, url := serve(t, func(cfg *hocket.Config) { cfg.Compression, cfg.OpenAPI = test.on, true })
		c := dial(t, url, &test.opts)
		sub := subscribe(t, c, "a", nil)
		publish(t, c, "a", large)
		wantPayload(t, sub, `"`+large+`"`)
		publish(t, c, "a", "small")
		wantPayload(t, sub, `"small"`)
		if in, out := compressed(t, url); in != test.want || out != test.want {
			t.Errorf("%s: %s messages came compressed and %s went out so, want %s", test.name, in, out, test.want)
		}
	}
}
