package hocket

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestKeysAreNotGuessed has one address try keys, and others be none the worse for it.
func TestKeysAreNotGuessed(t *testing.T) {
	s, err := New(Config{APIKeys: []string{"the-right-key-of-all"}, Portable: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	try := func(address, key string) int {
		r := httptest.NewRequest(http.MethodPost, "/api/v1/info", nil)
		r.RemoteAddr = address
		r.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if (w.Code == http.StatusTooManyRequests) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%d with Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
		return w.Code
	}
	for range guessing.Burst {
		if code := try("192.0.2.1:7", "wrong-key-number-one"); code != http.StatusUnauthorized {
			t.Fatalf("answered %d", code)
		}
	}
	for address, want := range map[string]int{"192.0.2.1:8": http.StatusTooManyRequests, "192.0.2.2:7": http.StatusUnauthorized} {
		if code := try(address, "wrong-key-number-two"); code != want {
			t.Errorf("%s: answered %d, want %d", address, code, want)
		}
	}
	if code := try("192.0.2.1:9", "the-right-key-of-all"); code != http.StatusOK {
		t.Errorf("the right key is answered %d", code)
	}
}
