package metrics_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"hocket.dev"
	"hocket.dev/internal/testproc"
	"hocket.dev/websocket"
)

func TestWhatIsLimitedIsCounted(t *testing.T) {
	one := hocket.Rate{Count: 1, Per: time.Hour}
	srv, err := hocket.New(hocket.Config{
		Anonymous: true, APIKeys: []string{"k"}, Portable: true, Loops: 1, Drain: time.Millisecond, Log: slog.New(slog.DiscardHandler),
		Limits: hocket.Limits{Sessions: 7, Rates: hocket.Rates{
			Session: hocket.Taking{Publishes: one}, Refusals: hocket.Rate{Count: 2, Per: time.Hour}, Strikes: one, BanFor: time.Hour,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(srv)
	t.Cleanup(func() {
		srv.Close(context.Background())
		front.Close()
	})
	for range 2 {
		c, _, err := websocket.Dial(t.Context(), front.URL+"/v1/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		await(t, c, "connected")
		for range 4 {
			if err := c.Write(t.Context(), websocket.Text, []byte(`{"type":"publish","channel":"a","payload":1}`)); err != nil {
				t.Fatal(err)
			}
		}
		for err == nil {
			_, _, err = c.Read(t.Context())
		}
	}
	var s samples
	testproc.Until(t, "both sessions to go", func() bool { // of which their clients know before
		s = scrape(t, front.URL)
		return s["hocket_sessions"] == 0
	})
	for name, want := range map[string]float64{
		`hocket_limited_total{limit="publishes",of="session"}`: 6,
		`hocket_limited_total{limit="messages",of="session"}`:  0,
		`hocket_bans_total{of="address"}`:                      1,
		`hocket_accounts{of="address"}`:                        1,
		`hocket_closes_total{code="4003"}`:                     1,
		`hocket_closes_total{code="4202"}`:                     1,
		`hocket_sessions_limit`:                                7,
	} {
		if got, ok := s[name]; got != want || !ok {
			t.Errorf("%s is %v, %v; want %v", name, got, ok, want)
		}
	}
}
