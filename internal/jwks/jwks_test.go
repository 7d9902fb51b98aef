package jwks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hocket.dev/internal/token"
)

const address = "https://issuer.example/keys"

// A token signed with a key that came up a moment ago holds, and one whose key is gone does not.
func TestRotation(t *testing.T) {
	i := newIssuer(t, "a")
	server := httptest.NewServer(i)
	defer server.Close()
	w := follow(t, server.URL, nil, 0)
	first := i.token("a", time.Now())
	w.wantUser(t, first, "a")
	i.rotate("b", "c")
	w.wantUser(t, first, "a") // as long as nobody asks for another
	w.wantUser(t, i.token("b", time.Now()), "b")
	w.wantUser(t, i.token("c", time.Now()), "c")
	w.wantUnknown(t, first)
	if err := w.Err(); err != nil {
		t.Error(err)
	}
}

func TestKeysAreFetchedBeforeTheyAreOld(t *testing.T) {
	for _, test := range []struct {
		header http.Header
		every  time.Duration
	}{
		{nil, 10 * time.Minute},
		{http.Header{"Cache-Control": {"public, max-age=300"}}, 5 * time.Minute},
		{http.Header{"Cache-Control": {"public", "MAX-AGE=\"300\""}}, 5 * time.Minute},
		{http.Header{"Cache-Control": {"max-age=300"}, "Age": {"100"}}, 200 * time.Second},
		{http.Header{"Cache-Control": {"max-age=300"}, "Age": {"400"}}, time.Minute},
		{http.Header{"Cache-Control": {"max-age=1"}}, time.Minute},
		{http.Header{"Cache-Control": {"max-age=0, must-revalidate"}}, time.Minute},
		{http.Header{"Cache-Control": {"max-age=9999, no-cache"}}, time.Minute},
		{http.Header{"Cache-Control": {"no-store"}}, time.Minute},
		{http.Header{"Cache-Control": {"max-age=86400"}}, time.Hour},
		{http.Header{"Cache-Control": {"max-age=99999999999999999999"}, "Age": {"-1"}}, time.Hour},
		{http.Header{"Cache-Control": {"max-age=-1, max-age=x"}}, 10 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			i := newIssuer(t, "a")
			i.header = test.header
			w := follow(t, address, i, AskEvery)
			defer w.stop()
			for n := 1; n < 4; n++ {
				synctest.Wait()
				if i.count() != n {
					t.Errorf("%v: fetched %d times, want %d", test.header, i.count(), n)
				}
				i.rotate(fmt.Sprint("a", n))
				time.Sleep(test.every)
				synctest.Wait()
				if _, err := w.v.Verify(i.token(fmt.Sprint("a", n), time.Now()), time.Now()); err != nil {
					t.Errorf("%v: the new key is not there: %v", test.header, err)
				}
			}
		})
	}
}

// Who sends tokens with key ids that do not exist makes no flood of requests, and does not keep a new key from being found.
func TestFloodOfUnknownKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "a")
		w := follow(t, address, i, AskEvery)
		defer w.stop()
		forger := newIssuer(t, "x", "y", "z")
		text := []string{forger.token("x", time.Now()), forger.token("y", time.Now()), forger.token("z", time.Now())}
		certain := 0
		for n := range 1000 { // in 100 seconds
			switch _, err := w.Verify(t.Context(), text[n%3], time.Now()); {
			case !mayBeNewer(err):
				t.Fatal(err)
			case !errors.Is(err, token.ErrLater):
				certain++
			}
			time.Sleep(100 * time.Millisecond)
		}
		if certain < 9 || certain > 11 {
			t.Errorf("%d times the key was known not to be there", certain)
		}
		if got := i.count(); got < 10 || got > 12 {
			t.Errorf("fetched %d times in 100 s", got)
		}
		time.Sleep(AskEvery)
		w.wantUnknown(t, text[0])
		i.rotate("b")
		time.Sleep(AskEvery - time.Nanosecond)
		w.wantLater(t, i.token("b", time.Now()))
		time.Sleep(time.Nanosecond)
		w.wantUser(t, i.token("b", time.Now()), "b")
	})
}

// Tokens that name no key find a new one too, and are no more of a flood.
func TestNewKeyOfTokensThatNameNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "")
		w := follow(t, address, i, AskEvery)
		defer w.stop()
		old := i.token("", time.Now())
		w.wantUser(t, old, "")
		i.rotate("")
		w.wantUser(t, i.token("", time.Now()), "")
		w.wantLater(t, old) // a newer set might hold its key
		forged := newIssuer(t, "").token("", time.Now())
		for range 1000 { // in 100 seconds
			time.Sleep(100 * time.Millisecond)
			if _, err := w.Verify(t.Context(), forged, time.Now()); !mayBeNewer(err) {
				t.Fatal(err)
			}
		}
		if got := i.count(); got < 10 || got > 13 {
			t.Errorf("fetched %d times in 100 s", got)
		}
		time.Sleep(AskEvery)
		w.wantUnknown(t, old)
		secret, _ := token.ParseSigner([]byte("no secret is ever published, so none is asked for"), "")
		text, _ := secret.Sign(token.Claims{Expires: time.Now().Add(time.Hour)})
		if _, err := w.Verify(t.Context(), text, time.Now()); err == nil || mayBeNewer(err) || errors.Is(err, token.ErrLater) {
			t.Errorf("a token of a secret: %v", err)
		}
	})
}

// A key that came up just after the start is found at once.
func TestNewKeyAfterARegularFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "a")
		w := follow(t, address, i, AskEvery)
		defer w.stop()
		w.wantUser(t, i.token("a", time.Now()), "a")
		i.rotate("b")
		w.wantUser(t, i.token("b", time.Now()), "b")
		i.rotate("c")
		w.wantLater(t, i.token("c", time.Now()))
		time.Sleep(AskEvery)
		w.wantUser(t, i.token("c", time.Now()), "c")
		if got := i.count(); got != 3 {
			t.Errorf("fetched %d times", got)
		}
	})
}

// A URL that hangs holds no more than some of those who wait for it.
func TestFewWaitForAURLThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "a")
		i.answers(0, func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() })
		text := newIssuer(t, "x").token("x", time.Now())
		w := follow(t, address, i, AskEvery)
		defer w.stop()
		synctest.Wait()
		var refused atomic.Int64
		var wg sync.WaitGroup
		for range 3 * maxWaiting {
			wg.Go(func() {
				begun := time.Now()
				if _, err := w.Verify(t.Context(), text, time.Now()); !errors.Is(err, token.ErrLater) {
					t.Error(err)
				}
				if time.Since(begun) == 0 {
					refused.Add(1)
				}
			})
		}
		wg.Wait()
		if n := refused.Load(); n != 2*maxWaiting || w.waiting != 0 {
			t.Errorf("%d did not have to wait, %d still do", n, w.waiting)
		}
	})
}

// What a regular fetch has answered already is not fetched again.
func TestWishThatIsFulfilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "a")
		w := follow(t, address, i, AskEvery)
		defer w.stop()
		synctest.Wait()
		w.ask <- struct{}{} // as of somebody whose wish the first fetch has met before Run heard of it
		synctest.Wait()
		if i.count() != 1 {
			t.Errorf("fetched %d times", i.count())
		}
		for n := 2; n < 50; n++ { // however the two meet, one of each kind is the most
			before := i.count()
			time.Sleep(freshFor)
			w.Refresh(t.Context())
			synctest.Wait()
			if more := i.count() - before; more < 1 || more > 2 {
				t.Fatalf("fetched %d times in one moment", more)
			}
		}
	})
}

// No more is read of an answer than a key set may have.
func TestEndlessAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		endless := &spaces{}
		i := newIssuer(t)
		i.answers(0, func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(endless), Request: r}, nil
		})
		w := follow(t, address, i, AskEvery)
		defer w.stop()
		synctest.Wait()
		if n := endless.read; n > token.MaxKeyBytes+1 || w.Err() == nil {
			t.Errorf("%d bytes were read: %v", n, w.Err())
		}
	})
}

// spaces is an answer without end, or nearly.
type spaces struct{ read int }

func (s *spaces) Read(b []byte) (int, error) {
	if s.read > 4*token.MaxKeyBytes {
		return 0, io.EOF
	}
	for i := range b {
		b[i] = ' '
	}
	s.read += len(b)
	return len(b), nil
}

func TestManyWaitForOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "a")
		w := follow(t, address, i, AskEvery)
		defer w.stop()
		synctest.Wait()
		time.Sleep(AskEvery)
		i.rotate("b")
		i.answers(0, func(r *http.Request) (*http.Response, error) {
			time.Sleep(3 * time.Second) // they all come meanwhile
			i.answer = nil
			return nil, errors.New("down")
		})
		text := i.token("b", time.Now())
		var wg sync.WaitGroup
		for n := range 100 {
			wg.Go(func() {
				time.Sleep(time.Duration(n) * 20 * time.Millisecond)
				w.wantLater(t, text)
			})
		}
		wg.Wait()
		if got := i.count(); got != 2 {
			t.Errorf("fetched %d times", got)
		}
	})
}

func TestKnownKeysOutliveTheURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "a")
		w := follow(t, address, i, AskEvery)
		defer w.stop()
		w.wantUser(t, i.token("a", time.Now()), "a")
		i.answers(http.StatusBadGateway, nil)
		time.Sleep(KeepFor - time.Hour)
		w.wantUser(t, i.token("a", time.Now()), "a")
		if err := w.Err(); err == nil || !strings.Contains(err.Error(), "issuer.example: the answer has status 502") {
			t.Errorf("the error is %v", err)
		}
		if n := i.count(); n < 250 || n > 300 { // every five minutes
			t.Errorf("fetched %d times in 23 hours", n)
		}
		time.Sleep(time.Hour + 2*maxRetry + freshFor)
		w.wantLater(t, i.token("a", time.Now()))

		i.answers(http.StatusOK, nil)
		time.Sleep(maxRetry)
		w.wantUser(t, i.token("a", time.Now()), "a")
		w.stop()
		said := w.log.String()
		if w.Err() != nil || strings.Count(said, "level=WARN") != 1 || strings.Count(said, "level=INFO") != 1 {
			t.Errorf("error %v, and in the log:\n%s", w.Err(), said)
		}
	})
}

func TestIssuerThatIsDownAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "a")
		asked := make(chan struct{})
		i.answers(0, func(r *http.Request) (*http.Response, error) {
			<-asked
			return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: http.NoBody, Request: r}, nil
		})
		w := follow(t, address, i, AskEvery)
		defer w.stop()
		if err := w.Err(); !errors.Is(err, ErrNotFetched) {
			t.Errorf("before the first fetch: %v", err)
		}
		close(asked)
		w.wantLater(t, i.token("a", time.Now()))
		i.answers(http.StatusOK, nil)
		time.Sleep(AskEvery)
		w.wantUser(t, i.token("a", time.Now()), "a")
	})
}

func TestAnswersThatAreNone(t *testing.T) {
	body := func(text string) func(*http.Request) (*http.Response, error) {
		return func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
		}
	}
	for part, answer := range map[string]func(*http.Request) (*http.Response, error){
		"not one JSON object": body("<html>"),
		"no key that can be":  body(`{"keys":[]}`),
		"more than 1048576":   body(`{"keys":[` + strings.Repeat(" ", token.MaxKeyBytes)),
		"deadline exceeded":   func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
		"no route":            func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") },
	} {
		synctest.Test(t, func(t *testing.T) {
			i := newIssuer(t, "a")
			w := follow(t, address+"?key=MARKED", i, AskEvery)
			defer w.stop()
			w.wantUser(t, i.token("a", time.Now()), "a")
			i.answers(0, answer)
			time.Sleep(freshFor + fetchTimeout)
			synctest.Wait()
			if err := w.Err(); err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "MARKED") {
				t.Errorf("the error is %v, want one with %q", err, part)
			}
			w.wantUser(t, i.token("a", time.Now()), "a") // what is known stays
		})
	}
}

func TestRunEndsWhileAFetchIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "a")
		i.answers(0, func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() })
		w := follow(t, address, i, AskEvery)
		ctx, cancel := context.WithCancel(t.Context())
		refreshed := make(chan bool, 2)
		go func() { refreshed <- w.Refresh(t.Context()) }()
		go func() { refreshed <- w.Refresh(ctx) }()
		synctest.Wait()
		cancel()
		if <-refreshed {
			t.Error("refreshed, though nobody waited for it")
		}
		w.stop()
		if <-refreshed || w.Refresh(t.Context()) {
			t.Error("refreshed after the end")
		}
		if w.log.Len() > 0 {
			t.Errorf("an end in order is logged:\n%s", w.log)
		}
	})
}

func TestRedirects(t *testing.T) {
	i := newIssuer(t, "a")
	other := httptest.NewServer(i)
	defer other.Close()
	mux := http.NewServeMux()
	mux.Handle("/keys", i)
	mux.Handle("/moved", http.RedirectHandler("/keys", http.StatusFound))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	mux.Handle("/away", http.RedirectHandler(other.URL+"/?key=MARKED", http.StatusFound))
	mux.HandleFunc("/tls", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://"+r.Host+"/keys", http.StatusFound)
	})
	mux.Handle("/up", http.RedirectHandler("https://"+other.Listener.Addr().String(), http.StatusFound))
	server := httptest.NewServer(mux)
	defer server.Close()
	for path, ok := range map[string]bool{"/keys": true, "/moved": true, "/loop": false, "/away": false, "/up": false, "/tls": false} {
		w := follow(t, server.URL+path, nil, 0)
		if got := w.Refresh(t.Context()); got != ok {
			t.Errorf("%s: fetched %v, %v", path, got, w.Err())
		}
		if err := w.Err(); !ok && (!errors.Is(err, errRedirect) || strings.Contains(err.Error(), "MARKED")) {
			t.Errorf("%s: %v", path, err)
		}
		w.stop()
	}
}

func TestURLs(t *testing.T) {
	for url, problem := range map[string]string{
		"https://issuer.example/keys":       "",
		"http://localhost:8080/keys":        "",
		"http://127.0.0.1/keys":             "",
		"http://[::1]:8080/keys":            "",
		"http://issuer.example/keys":        "must begin with https://",
		"http://localhost.example/keys":     "must begin with https://",
		"http://10.0.0.1/keys":              "must begin with https://",
		"file:///etc/passwd":                "is none",
		"ftp://localhost/keys":              "must begin with https://",
		"issuer.example/keys":               "is none",
		"":                                  "is none",
		"https://":                          "is none",
		"https:issuer.example":              "is none",
		"https://ada:secret@issuer.example": "user or password",
		"https://issuer.example/%zz":        "is none",
	} {
		_, err := New(Config{URL: url})
		if problem == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("%q: %v, want %q", url, err, problem)
		}
	}
	if _, err := New(Config{URL: "http://issuer.example/keys", Insecure: true}); err != nil {
		t.Error(err)
	}
	if _, err := New(Config{URL: "ftp://issuer.example/keys", Insecure: true}); err == nil {
		t.Error("ftp is allowed")
	}
}
