package jwks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"hocket.dev/internal/token"
)

// fetch fetches once. The errors do not repeat the URL, which may hold what is nobody's business.
func (s *Source) fetch(ctx context.Context) (keys []token.Key, fresh time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.cfg.URL, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("jwks: %w", err)
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	request.Header.Set("User-Agent", "hocket")
	response, err := s.client.Do(request)
	if err != nil {
		if wrapped := new(url.Error); errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, 0, fmt.Errorf("jwks: fetch from %s: %w", request.URL.Host, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("jwks: fetch from %s: the answer has status %d", request.URL.Host, response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, token.MaxKeyBytes+1)) // ParsePublished refuses what is longer
	if err != nil {
		return nil, 0, fmt.Errorf("jwks: fetch from %s: %w", request.URL.Host, err)
	}
	if keys, err = token.ParsePublished(text); err != nil {
		return nil, 0, fmt.Errorf("jwks: fetch from %s: %w", request.URL.Host, err)
	}
	return keys, freshness(response.Header), nil
}

// freshness is how long an answer is good for (RFC 9111 §4.2.1, §4.2.3), within our bounds.
func freshness(h http.Header) time.Duration {
	fresh := freshFor
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return minFresh
		case "max-age":
			if age, ok := seconds(strings.Trim(value, `"`)); ok {
				fresh = age
			}
		}
	}
	if age, ok := seconds(h.Get("Age")); ok { // so long it has been in a cache
		fresh -= age
	}
	return min(max(fresh, minFresh), maxFresh)
}

// seconds reads a number of seconds; one that is too large is that of all time.
func seconds(text string) (time.Duration, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	if errors.Is(err, strconv.ErrRange) {
		n, err = 1<<31-1, nil
	}
	return time.Duration(n) * time.Second, err == nil
}
