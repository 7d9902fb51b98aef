package acme

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"hocket.dev/internal/testproc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, keepsFresh) }

// keepsFresh keeps a lock fresh, and looks every 5 seconds whether the lock is still there.
var keepsFresh = goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh")

// A log is written by the manager and read by the test.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// run runs a manager whose authority cannot be reached, until the test ends.
func run(t *testing.T) (*Manager, *log) {
	t.Helper()
	var l log
	m, err := New(Config{
		Domains: []string{"rt.example.com"}, Directory: "https://127.0.0.1:1/dir", Storage: t.TempDir(), Log: slog.New(slog.NewTextHandler(&l, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Listen(1, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	others := goleak.IgnoreCurrent()
	go func() {
		m.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		testproc.Until(t, "certmagic to do nothing more in the directory", func() bool { return goleak.Find(others, keepsFresh) == nil })
	})
	return m, &l
}

// An authority that cannot be reached is reported, and asked again; handshakes fail meanwhile, and the rest goes on.
func TestAnAuthorityThatCannotBeReached(t *testing.T) {
	m, l := run(t)
	testproc.Until(t, "the log to say so", func() bool {
		return strings.Contains(l.String(), "there is no certificate yet") && strings.Contains(l.String(), "connection refused")
	})
	config := m.Answer(&tls.Config{GetCertificate: m.GetCertificate, NextProtos: []string{"http/1.1"}})
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		_ = tls.Client(far, &tls.Config{ServerName: "rt.example.com"}).Handshake() // the server says that it fails
		far.Close()
	}()
	if err := tls.Server(near, config).Handshake(); err == nil || !strings.Contains(err.Error(), "no certificate available") {
		t.Errorf("a handshake: %v", err)
	}
	if !m.Covers("rt.example.com") || m.Covers("example.com") || m.Covers("a.rt.example.com") {
		t.Error("other hosts are covered than the domains")
	}
	var passed int
	h := m.Challenge(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed++ }))
	for _, path := range []string{"/", "/.well-known/acme-challenge/unknown", "/.well-known/acme-challenge/../../x"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://rt.example.com"+path, nil))
	}
	if passed != 3 {
		t.Errorf("%d of 3 requests that are no challenge were passed on", passed)
	}
}

// The authority alone is not asked for a certificate, and gets nothing but its own protocol.
func TestAnswer(t *testing.T) {
	m, _ := run(t)
	chosen := &tls.Config{}
	failed := errors.New("failed")
	for _, test := range []struct {
		choose  func(*tls.ClientHelloInfo) (*tls.Config, error)
		offered []string
		special bool
		want    *tls.Config
		err     error
	}{
		{nil, []string{Protocol}, true, nil, nil},
		{nil, []string{"h2", "http/1.1"}, false, nil, nil},
		{nil, []string{Protocol, "h2"}, false, nil, nil},
		{nil, nil, false, nil, nil},
		{func(*tls.ClientHelloInfo) (*tls.Config, error) { return chosen, nil }, []string{"h2"}, false, chosen, nil},
		{func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, failed }, []string{"h2"}, false, nil, failed},
		{func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, failed }, []string{Protocol}, true, nil, nil},
	} {
		base := &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, NextProtos: []string{"h2"}, GetConfigForClient: test.choose}
		answering := m.Answer(base)
		if answering.ClientAuth != base.ClientAuth || len(base.NextProtos) != 1 {
			t.Error("other clients are not asked for certificates")
		}
		got, err := answering.GetConfigForClient(&tls.ClientHelloInfo{SupportedProtos: test.offered})
		if test.special {
			if err != nil || got == nil || got.ClientAuth != tls.NoClientCert || len(got.NextProtos) != 1 || got.NextProtos[0] != Protocol {
				t.Errorf("%v: %+v, %v", test.offered, got, err)
			}
		} else if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%v: %p, %v", test.offered, got, err)
		}
	}
}

func TestFilesOfAuthorities(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.pem")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		none:  "the file of authorities " + none + " cannot be read: no such file or directory",
		empty: "the file of authorities " + empty + " holds no certificate in PEM",
	} {
		if _, err := New(Config{CAFile: file}); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// What certmagic warns of comes into the log with its fields, and nothing else does.
func TestLog(t *testing.T) {
	var l log
	var over atomic.Bool
	z := zap.New(slogCore{log: slog.New(slog.NewTextHandler(&l, nil)), over: &over}).With(zap.String("domain", "a.example"))
	z.Debug("debug")
	z.Info("info")
	z.Warn("warned", zap.Int("n", 7))
	z.Error("failed", zap.Error(errors.New("why")))
	over.Store(true)
	z.Error("debug")
	got := l.String()
	if strings.Contains(got, "debug") || strings.Contains(got, "info") ||
		!strings.Contains(got, `level=WARN msg="certificates: warned" domain=a.example n=7`) ||
		!strings.Contains(got, `level=ERROR msg="certificates: failed" domain=a.example error=why`) {
		t.Error(got)
	}
}
