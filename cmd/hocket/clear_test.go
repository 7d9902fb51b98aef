package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"hocket.dev/internal/config"
	"hocket.dev/internal/origin"
	"hocket.dev/internal/testproc"
	"hocket.dev/websocket"
)

// Clear text goes over no network unless somebody has said so.
func TestClearTextIsRefused(t *testing.T) {
	for _, test := range []struct {
		args, yaml string
		refused    bool
	}{
		{"", "listen: 192.0.2.1:1", true},
		{"", "listen: ':8000'", true},
		{"", "listen: 0.0.0.0:8000", true},
		{"", "listen: rt.example.com:8000", true},
		{"", "listen: 127.0.0.1:8000", false},
		{"", "listen: '[::1]:8000'", false},
		{"", "listen: localhost:8000", false},
		{"", "{listen: ':8000', insecure: true}", false},
		{"", "{listen: ':8000', trusted_proxies: [10.0.0.0/8]}", false},
		{"", "{listen: ':8000', tls: {cert: c, key: k}}", false},
		{"insecure", "listen: ':8000'", false},
	} {
		c := &serveCmd{Config: write(t, test.yaml), Insecure: test.args == "insecure"}
		_, err := c.settings()
		if refused := err != nil && strings.Contains(err.Error(), "would be served in clear text"); refused != test.refused || err != nil && !refused {
			t.Errorf("%s: %v", test.yaml, err)
		}
	}
	r := execute(t, command("serve", "--listen", ":0"))
	want := "hocket: :0 would be served in clear text: give it a certificate (--tls-cert and --tls-key, or --acme), name the proxy in front of it that does (trusted_proxies), listen on this machine alone (127.0.0.1:8000), or say --insecure"
	if r.code != exitUsage || lastLine(r.err) != want {
		t.Errorf("exit code %d\n have %s\n want %s", r.code, r.err, want)
	}
}

// Behind proxies that speak TLS, what comes past them or by http is told so, whatever it asks for; only health checks pass.
func TestClearTextBehindProxies(t *testing.T) {
	proxies := origin.Proxies{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	set := &settings{proxies: proxies, tls: config.TLS{HSTS: time.Hour}}
	h := set.guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, test := range []struct {
		from, proto, method, path string
		tls                       bool
		status                    int
		location                  string
	}{
		{"10.0.0.1:1", "https", "GET", "/", false, 200, ""},
		{"10.0.0.1:1", "https", "POST", "/api/v1/publish", false, 200, ""},
		{"10.0.0.1:1", "", "GET", "/v1/ws", false, 200, ""},
		{"10.0.0.1:1", "http", "GET", "/", false, 308, "https://rt.example/"},
		{"10.0.0.1:1", "http", "HEAD", "/a//b?c=d&e", false, 308, "https://rt.example/a//b?c=d&e"},
		{"10.0.0.1:1", "http", "GET", "//evil.example/", false, 308, "https://rt.example//evil.example/"},
		{"10.0.0.1:1", "http", "GET", "/v1/ws", false, 403, ""},
		{"10.0.0.1:1", "http", "POST", "/", false, 403, ""},
		{"10.0.0.1:1", "http", "GET", "/metrics", false, 403, ""},
		{"10.0.0.1:1", "http", "GET", "/", true, 308, "https://rt.example/"}, // TLS to the proxy is not TLS to the client
		{"10.0.0.1:1", "http", "GET", "/healthz", false, 200, ""},
		{"192.0.2.1:1", "https", "GET", "/", false, 308, "https://rt.example/"}, // anybody can say so
		{"192.0.2.1:1", "https", "POST", "/api/v1/publish", false, 403, ""},
		{"192.0.2.1:1", "", "GET", "/v1/ws", true, 200, ""},
		{"192.0.2.1:1", "", "GET", "/readyz", false, 200, ""},
		{"127.0.0.1:1", "", "POST", "/api/v1/publish", false, 200, ""},
		{"[::1]:1", "", "GET", "/v1/ws", false, 200, ""},
		{"", "", "GET", "/v1/ws", false, 403, ""},
	} {
		r := httptest.NewRequest(test.method, "http://rt.example:80"+test.path, nil)
		r.RemoteAddr = test.from
		if test.proto != "" {
			r.Header.Set("X-Forwarded-Proto", test.proto)
		}
		if test.tls {
			r.TLS = &tls.ConnectionState{}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != test.status || w.Header().Get("Location") != test.location || (w.Code == 403) != strings.Contains(w.Body.String(), `"tls_required"`) {
			t.Errorf("%+v: %d %v %s", test, w.Code, w.Header(), w.Body)
		}
		if (w.Code == 200 || w.Code >= 300) && set.admit(r) != (w.Code == 200) && !strings.HasSuffix(test.path, "z") {
			t.Errorf("%+v: a handshake is admitted: %v", test, set.admit(r))
		}
		secure := set.proxies.Scheme(r) == "https"
		if got := w.Header().Get("Strict-Transport-Security"); (got == "max-age=3600") != secure {
			t.Errorf("%+v: Strict-Transport-Security is %q", test, got)
		}
	}
	set.insecure = true
	if w := httptest.NewRecorder(); true {
		r := httptest.NewRequest("GET", "http://rt.example/v1/ws", nil)
		if set.guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r); w.Code != 200 {
			t.Errorf("insecure: %d", w.Code)
		}
	}
}

// People who come by http are sent on to the host they asked for, if it has a certificate; programs are told.
func TestSendingOn(t *testing.T) {
	for _, test := range []struct {
		host, path, port string
		change           func(*http.Request)
		status           int
		location         string
	}{
		{"rt.example", "/", "", nil, 308, "https://rt.example/"},
		{"RT.example:80", "/", "", nil, 308, "https://rt.example/"},
		{"rt.example:8080", "/x?y", "8443", nil, 308, "https://rt.example:8443/x?y"},
		{"[::1]:8080", "/", "8443", nil, 308, "https://[::1]:8443/"},
		{"evil.example", "/", "", nil, 421, ""},
		{"", "/", "", nil, 421, ""},
		{"rt.example/evil", "/", "", nil, 421, ""},
		{"rt.example\\evil", "/", "", nil, 421, ""},
		{"user@rt.example", "/", "", nil, 421, ""},
		{"rt.example", "/", "", func(r *http.Request) { r.Method = "POST" }, 403, ""},
		{"rt.example", "/", "", func(r *http.Request) { r.Header.Set("Upgrade", "websocket") }, 403, ""},
		{"rt.example", "/v1/ws", "", nil, 403, ""},
		{"rt.example", "/v1/info", "", nil, 403, ""},
		{"rt.example", "/api/v1/publish", "", nil, 403, ""},
		{"rt.example", "/metrics", "", nil, 403, ""},
		{"rt.example", "/", "", func(r *http.Request) { r.URL.Path = "*" }, 403, ""},
	} {
		h := refuseClear(test.port, func(host string) bool { return host == "rt.example" || host == "::1" })
		r := httptest.NewRequest("GET", test.path, nil)
		r.Host = test.host
		if test.change != nil {
			test.change(r)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != test.status || w.Header().Get("Location") != test.location {
			t.Errorf("%s%s: %d %v %s", test.host, test.path, w.Code, w.Header(), w.Body)
		}
	}
}

var sendingOn = regexp.MustCompile(`Redirect +http://(\S+)/`)

// A server under TLS sends people on, with the headers that keep them there, and takes no handshake by http.
func TestServeWithRedirect(t *testing.T) {
	files := newPEMFiles(t)
	n := start(t, command("serve", "--listen", "127.0.0.1:0", "--redirect", "127.0.0.1:0", "--tls-cert", files.cert, "--tls-key", files.key,
		"--config", write(t, "anonymous: true")))
	var clear []string
	testproc.Until(t, "the address to be told", func() bool {
		clear = sendingOn.FindStringSubmatch(n.Output())
		return clear != nil
	})
	transport := &http.Transport{TLSClientConfig: files.trust(t)}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get("http://" + clear[1] + "/index.html")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if response.Request.URL.String() != "https://"+n.http+"/index.html" || !strings.Contains(string(body), "<!doctype html>") {
		t.Errorf("sent on to %s, %.100s", response.Request.URL, body)
	}
	for name, want := range map[string]string{"Strict-Transport-Security": "max-age=31536000", "X-Frame-Options": "DENY"} {
		if got := response.Header.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	_, refused, err := websocket.Dial(t.Context(), "ws://"+clear[1]+"/v1/ws", nil)
	if err == nil || refused == nil || refused.StatusCode != http.StatusForbidden {
		t.Errorf("a handshake by http: %v", err)
	}
	if r := execute(t, command("serve", "--redirect", ":0")); r.code != exitUsage || !strings.Contains(r.err, "there is no certificate") {
		t.Errorf("without a certificate: %+v", r)
	}
}

// Of TLS 1.2 only suites that are forward secret and authenticated are spoken, and nothing older.
func TestOldTLSIsNotSpoken(t *testing.T) {
	files := newPEMFiles(t)
	n := start(t, command("serve", "--dev", "--listen", "127.0.0.1:0", "--tls-cert", files.cert, "--tls-key", files.key))
	dial := func(change func(*tls.Config)) error {
		c := files.trust(t)
		change(c)
		nc, err := tls.Dial("tcp", n.http, c)
		if err == nil {
			nc.Close()
		}
		return err
	}
	for name, change := range map[string]func(*tls.Config){
		"TLS 1.1": func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 },
		"CBC": func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}
		},
		"no forward secrecy": func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}
		},
	} {
		if dial(change) == nil {
			t.Errorf("%s is spoken", name)
		}
	}
	for name, change := range map[string]func(*tls.Config){
		"TLS 1.3": func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 },
		"TLS 1.2": func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 },
	} {
		if err := dial(change); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
