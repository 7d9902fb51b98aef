package main

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"hocket.dev"
	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/config"
)

const demoChannel = "ticker:demo"

// openForDev changes the defaults to those of --dev: open on this machine, with some history and presence everywhere.
func openForDev(file *config.File) {
	file.Anonymous = true
	file.Origins = []string{
		"http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*",
		"https://localhost:*", "https://127.0.0.1:*", "https://[::1]:*",
	}
	file.Fallback.History = config.History{Count: 1000, Age: 10 * time.Minute}
	file.Fallback.Presence = true
	file.Limits.OpenRates()
	file.Hooks.AllowAddresses = []string{"127.0.0.0/8", "::1"}
}

// addDemo adds what only --dev has: the demo channel, an API without keys, and offsets with holes, so that nobody comes
// to rely on consecutive ones.
func addDemo(c *hocket.Config, file *config.File) {
	demo := c.Fallback
	demo.Pattern, demo.Publish = demoChannel, hocket.PublishServer
	if !slices.ContainsFunc(c.Channels, func(r hocket.Rule) bool { return r.Pattern == demoChannel }) {
		c.Channels = append([]hocket.Rule{demo}, c.Channels...)
	}
	c.OpenAPI = true
	c.Broker = broker.NewMemory(broker.MemoryConfig{Scatter: true, MaxBytes: int64(file.MemoryBytes)})
}

// startDemo adds the methods echo and time, and a ticker that ends with ctx.
func startDemo(ctx context.Context, srv *hocket.Server) {
	srv.Handle("echo", func(_ context.Context, c hocket.Call) (any, error) {
		if c.Payload == nil {
			return nil, nil
		}
		return json.RawMessage(c.Payload), nil
	})
	srv.Handle("time", func(context.Context, hocket.Call) (any, error) {
		return map[string]int64{"time": time.Now().UnixMilli()}, nil
	})
	go tick(ctx, srv)
}

// quote is what the ticker publishes.
type quote struct {
	Symbol string  `json:"symbol"`
	Price  float64 `json:"price"`
	Change float64 `json:"change"` // since the quote before
}

// tick publishes the price of something that does not exist, four times a second. That nobody could be told one does
// not matter.
func tick(ctx context.Context, srv *hocket.Server) {
	every := time.NewTicker(250 * time.Millisecond)
	defer every.Stop()
	price := 100.0
	for {
		select {
		case <-every.C:
			next := cents(max(1, price*(1+0.002*rand.NormFloat64()))) // #nosec G404 -- a price that does not exist
			_, _ = srv.Publish(ctx, demoChannel, quote{"HKT", next, cents(next - price)})
			price = next
		case <-ctx.Done():
			return
		}
	}
}

func cents(v float64) float64 { return math.Round(v*100) / 100 }

// onlyThisMachine refuses what does not come from a program on this machine: requests under another name than the
// machine's own (a page can make its own name point here) and pages of other origins that post.
func onlyThisMachine(next http.Handler) http.Handler {
	posting := http.NewCrossOriginProtection()
	// WebSockets have their own list of origins. Over HTTP/2 their method is CONNECT (RFC 8441), which is taken for one that
	// changes something.
	posting.AddInsecureBypassPattern("/v1/ws")
	posting.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		tell(w, dialect.Errorf(dialect.OriginNotAllowed, "with --dev pages of other origins may not post: ask the API from a program"))
	}))
	next = posting.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(r.Host) {
			tell(w, dialect.Errorf(dialect.PermissionDenied, "with --dev only requests to localhost, 127.0.0.1 and [::1] are answered"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopback tells whether an address, with or without a port, is this machine's own.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = strings.Trim(addr, "[]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
