package jwks

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hocket.dev/internal/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An issuer signs tokens with keys that it changes, and publishes them.
type issuer struct {
	t testing.TB

	mu      sync.Mutex
	signers map[string]*token.Signer
	jwks    map[string]string
	asked   int
	header  http.Header
	status  int
	answer  func(*http.Request) (*http.Response, error) // in the place of the key set, when not nil
}

func newIssuer(t testing.TB, ids ...string) *issuer {
	i := &issuer{t: t, signers: map[string]*token.Signer{}, header: http.Header{}, status: http.StatusOK}
	i.rotate(ids...)
	return i
}

// rotate publishes other keys than before, "" for one without an id.
func (i *issuer) rotate(ids ...string) {
	i.t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.jwks = map[string]string{}
	for _, id := range ids {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			i.t.Fatal(err)
		}
		if i.signers[id], err = token.NewSigner(private, id); err != nil {
			i.t.Fatal(err)
		}
		point, _ := private.PublicKey.Bytes()
		e := base64.RawURLEncoding.EncodeToString
		name := ""
		if id != "" {
			name = fmt.Sprintf(`"kid":%q,`, id)
		}
		i.jwks[id] = fmt.Sprintf(`{"kty":"EC","crv":"P-256",%s"x":%q,"y":%q}`, name, e(point[1:33]), e(point[33:]))
	}
}

// token returns one that holds for an hour from now on.
func (i *issuer) token(id string, now time.Time) string {
	i.t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	text, err := i.signers[id].Sign(token.Claims{User: id, Expires: now.Add(time.Hour)})
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

func (i *issuer) set() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked++
	var list []string
	for _, key := range i.jwks {
		list = append(list, key)
	}
	return []byte(`{"keys":[` + strings.Join(list, ",") + `]}`)
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// RoundTrip is the issuer as seen through a network without sockets, for bubbles.
func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	set := i.set()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.answer != nil {
		return i.answer(r)
	}
	return &http.Response{StatusCode: i.status, Header: i.header.Clone(), Body: io.NopCloser(bytes.NewReader(set)), Request: r}, nil
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(i.set()) }

// set changes how the issuer answers.
func (i *issuer) answers(status int, answer func(*http.Request) (*http.Response, error)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status, i.answer = status, answer
}

// A watch is a source that runs, its verifier and its log.
type watch struct {
	*Source
	v    *token.Verifier
	log  *bytes.Buffer
	stop func()
}

// follow runs a source until the test ends or stop is called. In a bubble, where a test is no end for it, call stop.
func follow(t testing.TB, url string, transport http.RoundTripper, askEvery time.Duration) *watch {
	t.Helper()
	v, err := token.NewVerifier(token.Config{})
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{v: v, log: &bytes.Buffer{}}
	w.Source, err = New(Config{URL: url, Verifier: v, Transport: transport, Log: slog.New(slog.NewTextHandler(w.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	w.askEvery = askEvery
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(w.stop)
	return w
}

func (w *watch) wantUser(t testing.TB, text, user string) {
	t.Helper()
	if claims, err := w.Verify(context.Background(), text, time.Now()); err != nil || claims.User != user {
		t.Errorf("a token of %s: %+v, %v", user, claims, err)
	}
}

func (w *watch) wantUnknown(t testing.TB, text string) {
	t.Helper()
	if _, err := w.Verify(context.Background(), text, time.Now()); !mayBeNewer(err) || errors.Is(err, token.ErrLater) {
		t.Errorf("the token is refused with %v", err)
	}
}

// wantLater wants the token's key not to be known, and not to be looked for either.
func (w *watch) wantLater(t testing.TB, text string) {
	t.Helper()
	if claims, err := w.Verify(context.Background(), text, time.Now()); !errors.Is(err, token.ErrLater) || claims.User != "" {
		t.Errorf("the token is answered with %v", err)
	}
}
