package hook

import (
	"bytes"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hocket.dev/dialect"
	"hocket.dev/internal/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	loopback = netip.MustParsePrefix("127.0.0.0/8")
	secret   = []byte("a secret of some length")
	begin    = time.UnixMilli(1_795_000_000_000)
)

// backEnd is a server that is asked, and a client that asks it.
type backEnd struct {
	*Client
	t   *testing.T
	url string

	mu  sync.Mutex
	now time.Time
	log bytes.Buffer
}

// ask starts a back end over TLS. change may change what the client is configured with.
func ask(t *testing.T, h http.HandlerFunc, change func(*Config)) *backEnd {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	b := &backEnd{t: t, url: server.URL + "/hook?key=in-the-url", now: begin}
	hook := Hook{URL: b.url}
	cfg := Config{
		Node: "n1", Agent: "Hocket/test", Authenticate: hook, Subscribe: hook, Publish: hook,
		Secrets: [][]byte{secret}, Listed: []netip.Prefix{loopback}, Roots: roots,
		Now: b.time, Log: slog.New(slog.NewTextHandler(&b.log, nil)), Timeout: 20 * time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if b.Client, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Client.Close)
	return b
}

func (b *backEnd) time() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *backEnd) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// publish asks whether something may be published.
func (b *backEnd) publish() (session.PublishAnswer, *dialect.Error) {
	return b.Publish(b.t.Context(), session.PublishQuestion{
		Asking:  session.Asking{Session: "s1", User: "ada", Address: "192.0.2.1:5", Channel: "chat:a"},
		Payload: []byte(`{"text":"in-the-payload"}`),
	})
}

// wantRefused asks, and wants this code and this outcome.
func (b *backEnd) wantRefused(code dialect.Code, o Outcome) *dialect.Error {
	b.t.Helper()
	before := b.Counters(Publish).ByOutcome[o].Load()
	_, err := b.publish()
	if err == nil || err.Code != code {
		b.t.Errorf("asked, and was told %v, want %d", err, code)
	}
	if n := b.Counters(Publish).ByOutcome[o].Load() - before; n != 1 {
		b.t.Errorf("%d more questions are counted as %s, want 1; the log says\n%s", n, o, b.log.String())
	}
	return err
}

func (b *backEnd) wantAllowed() {
	b.t.Helper()
	if _, err := b.publish(); err != nil {
		b.t.Errorf("asked, and was told %v; the log says\n%s", err, b.log.String())
	}
}

// says answers with a status and a body.
func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// hangs answers nothing until the client has gone.
func hangs(_ http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body) // net/http watches a connection for its end once the body has been read
	<-r.Context().Done()
}
