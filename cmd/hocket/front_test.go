package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"hocket.dev/internal/testproc"
)

var adminAt = regexp.MustCompile(`API +(https?)://(\S+)/api/v1/`)

// With an address of their own back ends find nothing at that of clients, and clients nothing at theirs; health is told on both.
func TestAddressForBackEnds(t *testing.T) {
	n := start(t, command("serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--config", write(t, "anonymous: true\napi_keys: [a-long-random-key]\n")))
	m := adminAt.FindStringSubmatch(n.Output())
	if m == nil {
		t.Fatalf("the address is not told:\n%s", n.Output())
	}
	admin := &node{http: m[2]}
	withKey := func(method string) func(*http.Request) {
		return func(r *http.Request) {
			r.Method = method
			r.Header.Set("Authorization", "Bearer a-long-random-key")
		}
	}
	for _, test := range []struct {
		path, method     string
		clients, backEnd int
	}{
		{"/api/v1/info", "POST", 404, 200},
		{"/metrics", "GET", 404, 200},
		{"/v1/info", "GET", 200, 404},
		{"/v1/ws", "GET", 426, 404},
		{"/", "GET", 200, 404},
		{"/healthz", "GET", 200, 200},
		{"/readyz", "GET", 200, 200},
	} {
		if status, body := get(t, n, test.path, withKey(test.method)); status != test.clients {
			t.Errorf("%s for clients: %d %.100s", test.path, status, body)
		}
		if status, body := get(t, admin, test.path, withKey(test.method)); status != test.backEnd {
			t.Errorf("%s for back ends: %d %.100s", test.path, status, body)
		}
	}
	for _, path := range []string{"/v1/../api/v1/info", "//api/v1/info", "/v1/%2e%2e/api/v1/info", "/v1/..%2fapi/v1/info", "/healthz/../metrics"} {
		if status, body := get(t, n, path, withKey("POST")); status != 404 {
			t.Errorf("%s for clients: %d %.100s", path, status, body)
		}
	}
	for path, at := range map[string]*node{"/api/v1/info": n, "/api/nope": n, "/v1/nope": n, "/v1/info": admin, "/v1/ws": admin, "/v1/": admin} {
		if status, body := get(t, at, path, nil); status != 404 || !strings.HasPrefix(body, `{"error":{"code":1404,"name":"not_found",`) {
			t.Errorf("%s at %s is told in another form than other errors: %d %.100s", path, at.http, status, body)
		}
	}
	if status, _ := get(t, admin, "/metrics", nil); status != 401 {
		t.Errorf("metrics without a key: %d", status)
	}
	n.Signal(sigterm)
	if code := n.ExitCode(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// On the machine's own address back ends speak plain http even where clients speak TLS, elsewhere they do not.
func TestAddressForBackEndsUnderTLS(t *testing.T) {
	files := newPEMFiles(t)
	for at, scheme := range map[string]string{"127.0.0.1:0": "http", "0.0.0.0:0": "https"} {
		n := start(t, command("serve", "--listen", "127.0.0.1:0", "--admin", at, "--tls-cert", files.cert, "--tls-key", files.key))
		m := adminAt.FindStringSubmatch(n.Output())
		if m == nil || m[1] != scheme {
			t.Fatalf("%s: the address is not told:\n%s", at, n.Output())
		}
		transport := &http.Transport{TLSClientConfig: files.trust(t), ForceAttemptHTTP2: true}
		response, err := (&http.Client{Transport: transport}).Get(scheme + "://" + strings.Replace(m[2], "localhost", "127.0.0.1", 1) + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		transport.CloseIdleConnections()
		if response.StatusCode != 200 || (response.ProtoMajor == 2) != (scheme == "https") {
			t.Errorf("%s: %s %s", at, response.Proto, response.Status)
		}
	}
	for _, args := range [][]string{{"--admin", "0.0.0.0:0"}, {"--dev", "--admin", "0.0.0.0:0"}} {
		if r := execute(t, command(append([]string{"serve"}, args...)...)); r.code != exitUsage || !strings.Contains(r.err, "0.0.0.0:0") {
			t.Errorf("%v: %+v", args, r)
		}
	}
	taken := start(t, command("serve", "--listen", "127.0.0.1:0"))
	r := execute(t, command("serve", "--listen", "127.0.0.1:0", "--admin", taken.http))
	if r.code != exitUsage || lastLine(r.err) != "hocket: "+taken.http+" is in use by another program: stop that, or choose another address with --admin" {
		t.Errorf("%+v", r)
	}
	testproc.Until(t, "the other to live on", func() bool { status, _ := get(t, taken, "/healthz", nil); return status == 200 })
}
