// Package page says what a browser is told beside a page for people, so that the page can be neither framed, nor sniffed at, nor
// reached by others.
//
//	page.Protect(w.Header(), "default-src 'self'; frame-ancestors 'none'")
//
// It knows no pages and serves none. Its function may be called from any goroutine.
package page

import "net/http"

// Protect sets the headers of a page and of the files that belong to it. policy is its Content-Security-Policy, which says what
// the page may load.
func Protect(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY") // as frame-ancestors 'none', for who does not know that
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
}
