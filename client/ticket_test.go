package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// numbered gives the tickets "ticket+1", "ticket+2" and so on.
func numbered() func(context.Context) (string, error) {
	var n atomic.Int64
	return func(context.Context) (string, error) { return fmt.Sprintf("ticket+%d", n.Add(1)), nil }
}

// playTickets is play for a server that tells which tickets it is shown. At most 16 are shown.
func playTickets(t *testing.T, act func(s *script)) (url string, shown <-chan string) {
	t.Helper()
	tickets := make(chan string, 16)
	server := acting(act)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tickets <- r.URL.Query().Get("ticket")
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	return "ws" + strings.TrimPrefix(web.URL, "http") + "/v1/ws?room=1", tickets
}

func TestEveryConnectionHasATicketOfItsOwn(t *testing.T) {
	there := make(chan struct{})
	url, shown := playTickets(t, func(s *script) {
		switch s.nth {
		case 0:
			s.conn.CloseNow()
		case 1:
			s.conn.Close(4100, "token_expired")
		case 2:
			s.conn.Close(4200, "unauthenticated")
		default:
			close(there)
			s.rest()
		}
	})
	c := dial(t, url, &Options{Ticket: numbered()})
	<-there
	c.Close()
	have := []string{<-shown, <-shown, <-shown, <-shown}
	if diff := cmp.Diff([]string{"ticket+1", "ticket+2", "ticket+3", "ticket+4"}, have); diff != "" {
		t.Error(diff)
	}
}

// One ticket may have expired on its way to the server; a second one that is refused is no accident.
func TestTheSecondRefusedTicketEndsTheClient(t *testing.T) {
	const refusal = `{"error":{"code":1401,"name":"unauthenticated","message":"the ticket is not known"}}`
	var handshakes atomic.Int64
	first := acting(func(s *script) { s.conn.CloseNow() })
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handshakes.Add(1) == 1 {
			first.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, refusal)
	}))
	defer web.Close()
	c := dial(t, "ws"+strings.TrimPrefix(web.URL, "http"), &Options{Ticket: numbered()})
	<-c.ended
	_, err := c.Publish(t.Context(), "a", 1, nil)
	wantError(t, err, &Error{Code: 1401, Name: "unauthenticated", Message: "the ticket is not known"})
	if n := handshakes.Load(); n != 3 {
		t.Errorf("%d handshakes, want the first and two that are refused", n)
	}
}

func TestErrorsTellWhatATicketDidNot(t *testing.T) {
	asleep := errors.New("the back end sleeps")
	_, err := Dial(t.Context(), "ws://127.0.0.1:1/v1/ws", &Options{Ticket: func(context.Context) (string, error) { return "", asleep }})
	if !errors.Is(err, asleep) {
		t.Errorf("error %v", err)
	}
	for _, url := range []string{"ws://127.0.0.1:1/v1/ws", "ftp://127.0.0.1/", "ws:///v1/ws", "ws://127.0.0.1:1/%zz"} {
		if _, err := Dial(t.Context(), url, &Options{Ticket: numbered()}); err == nil || strings.Contains(err.Error(), "ticket") {
			t.Errorf("%s: error %v", url, err)
		}
	}
}

// TestEveryConnectionShowsATokenOfItsOwn has one that has expired be followed by another.
func TestEveryConnectionShowsATokenOfItsOwn(t *testing.T) {
	shown := make(chan string, 4)
	url := play(t, func(s *script) {
		var hello struct{ Token, Client string }
		if err := json.Unmarshal(s.hello, &hello); err != nil || hello.Client == "" {
			t.Errorf("introduced by %s", s.hello)
		}
		if shown <- hello.Token; s.nth == 0 {
			s.conn.Close(4100, "token_expired")
			return
		}
		s.rest()
	})
	c := dial(t, url, &Options{Token: numbered()})
	have := []string{<-shown, <-shown}
	c.Close()
	if diff := cmp.Diff([]string{"ticket+1", "ticket+2"}, have); diff != "" {
		t.Error(diff)
	}
}
