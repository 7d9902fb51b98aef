package hocket

import (
	"net/http"
	"time"

	"hocket.dev/internal/token"
)

// SetSessionCookie sets the session cookie, which proves to a server of the same host who a browser belongs to, as the token in
// it says (see TokenSigner): for back ends, in the answer to a login. No script of a page can read it (HttpOnly), it travels
// over TLS only (Secure), no other host can set or overwrite it (the name begins with __Host-), and pages of other sites do
// not make a browser send it (SameSite=Strict). It is gone at expires, or with the browser where that is the zero time; the token
// has an end of its own, and that counts.
func SetSessionCookie(w http.ResponseWriter, token string, expires time.Time) {
	http.SetCookie(w, sessionCookie(token, expires, 0))
}

// ClearSessionCookie takes the session cookie away: for back ends, in the answer to a logout. The token in it holds until its end,
// unless it is revoked.
func ClearSessionCookie(w http.ResponseWriter) {
	http.SetCookie(w, sessionCookie("", time.Time{}, -1))
}

func sessionCookie(value string, expires time.Time, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: token.SecureCookie, Value: value, Path: "/", Expires: expires, MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}
