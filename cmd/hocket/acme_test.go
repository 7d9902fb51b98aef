package main

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"hocket.dev/internal/acme"
	"hocket.dev/internal/testproc"
)

// One flag is enough: where nothing else is said the server listens where an authority and browsers come to.
func TestACMESettings(t *testing.T) {
	for _, test := range []struct {
		flags            serveCmd
		yaml             string
		listen, redirect string
		fails            string
	}{
		{serveCmd{ACME: []string{"rt.example.com"}}, "", ":443", ":80", ""},
		{serveCmd{ACME: []string{"rt.example.com"}, Listen: "127.0.0.1:8000"}, "", "127.0.0.1:8000", ":80", ""},
		{serveCmd{ACME: []string{"rt.example.com"}, Redirect: "none"}, "", ":443", "", ""},
		{serveCmd{}, "acme: {domains: [a.example, b.example]}", ":443", ":80", ""},
		{serveCmd{}, "{listen: '127.0.0.1:8000', redirect: none, acme: {domains: [a.example]}}", "127.0.0.1:8000", "", ""},
		{serveCmd{}, "acme: {email: ops@example.com}", "127.0.0.1:8000", "", ""},
		{serveCmd{ACME: []string{"*.example.com"}}, "", "", "", `--acme: "*.example.com" stands for many domains`},
		{serveCmd{ACME: []string{"192.0.2.1"}}, "", "", "", `--acme: "192.0.2.1" is no domain`},
		{serveCmd{ACME: []string{"a.example"}, TLSCert: "c", TLSKey: "k"}, "", "", "", "a certificate comes from --tls-cert or from --acme"},
		{serveCmd{ACME: []string{"a.example"}, Dev: true}, "", "", "", "--dev opens access to everybody"},
	} {
		test.flags.Config = write(t, test.yaml)
		set, err := test.flags.settings()
		switch {
		case test.fails != "":
			if err == nil || !strings.Contains(err.Error(), test.fails) {
				t.Errorf("%+v: %v, want %s", test.flags, err, test.fails)
			}
		case err != nil || set.listen != test.listen || set.redirect != test.redirect:
			t.Errorf("%+v %s: %+v, %v", test.flags, test.yaml, set, err)
		}
	}
}

// While the authority cannot be reached the server says so, and ends when it is told to.
func TestServeWithoutItsAuthority(t *testing.T) {
	dir := t.TempDir()
	n := start(t, command("serve", "--acme", "rt.example.com", "--listen", "127.0.0.1:0", "--redirect", "127.0.0.1:0", "--config",
		write(t, "acme: {directory: 'https://127.0.0.1:1/dir', storage: "+filepath.Join(dir, "certs")+"}")))
	testproc.Until(t, "the log to say so", func() bool { return strings.Contains(n.Output(), "there is no certificate yet") })
	config := &tls.Config{ServerName: "rt.example.com", InsecureSkipVerify: true}
	if nc, err := tls.Dial("tcp", n.http, config); err == nil {
		nc.Close()
		t.Error("there is a certificate from nobody")
	}
	at := sendingOn.FindStringSubmatch(n.Output())[1]
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "rt.example.com"
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if want := "https://rt.example.com:" + strings.TrimPrefix(n.http, "127.0.0.1:") + "/"; response.Header.Get("Location") != want {
		t.Errorf("sent on to %q, want %q", response.Header.Get("Location"), want)
	}
	n.Signal(sigterm)
	if code := n.ExitCode(t); code != 0 || strings.Contains(n.Output(), "canceled") {
		t.Errorf("exit code %d, or news of what was broken off:\n%s", code, n.Output())
	}
}

// The authority's protocol, for which clients are not asked for certificates, opens nothing.
func TestNoRequestComesByTheChallenge(t *testing.T) {
	h := (&settings{}).guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for protocol, want := range map[string]int{acme.Protocol: http.StatusMisdirectedRequest, "http/1.1": 200, "": 200} {
		r := httptest.NewRequest("GET", "https://rt.example.com/v1/ws", nil)
		r.TLS.NegotiatedProtocol = protocol
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%q: %d, want %d", protocol, w.Code, want)
		}
	}
}
