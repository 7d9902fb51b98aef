package websocket

import (
	"errors"
	"fmt"
	"net/http"
)

// redirects reports whether a response sends the client elsewhere.
func redirects(response *http.Response) bool {
	switch response.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// follow returns where a redirect leads, and which of the caller's headers may be sent
// there: what names the user is for the host it was given for.
func (t target) follow(response *http.Response, header http.Header) (target, http.Header, error) {
	location := response.Header.Get("Location")
	if location == "" {
		return target{}, nil, errors.New("a redirect without a Location")
	}
	u, err := t.url.Parse(location)
	if err != nil {
		return target{}, nil, fmt.Errorf("a redirect to %q: %w", location, err)
	}
	next, err := parseTarget(u.String())
	switch {
	case err != nil:
		return target{}, nil, fmt.Errorf("a redirect to %q: %w", u.Redacted(), err)
	case t.secure && !next.secure:
		return target{}, nil, fmt.Errorf("a redirect from wss to %q, which is not secured", u.Redacted())
	case next.address == t.address:
		if next.url.User == nil {
			next.url.User = t.url.User
		}
		return next, header, nil
	}
	header = header.Clone()
	for _, name := range []string{"Authorization", "Cookie"} {
		header.Del(name)
	}
	return next, header, nil
}
