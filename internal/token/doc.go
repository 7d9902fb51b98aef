// Package token says what a client proves about itself: it verifies and signs tokens (JSON Web Tokens, RFC 7519), makes
// and reads tickets, and finds the session cookie.
//
//	keys, err := token.ParseKeys(pem)
//	v, err := token.NewVerifier(token.Config{Keys: keys, Audience: []string{"chat.example.com"}})
//	claims, err := v.Verify(text, now)
//	if e := new(token.Error); errors.As(err, &e) {
//		e.Reason    // Expired, Signature, …
//		e.KeyID     // with UnknownKey: what to look for in a newer key set, given to Verifier.Rotate
//	}
//
// Signatures are the matter of github.com/golang-jwt/jwt. The text of a token is read here, more strictly than that
// library does: a header or claim that stands twice, a base64 text with a second spelling, a number beyond all dates and a
// deeply nested value are refused, so that no two readers can see two tokens in one text.
//
// What cannot happen here, whatever a token says: "none" is no algorithm; a key verifies only the algorithms that its kind
// and its owner allow, so a public key is never taken for a secret; a key that a token brings along ("jwk", "x5c") or
// points to ("jku", "x5u") is not looked at; "kid" is compared and nothing else.
//
// What the package leaves out: it fetches nothing (internal/jwks does), keeps nothing (tickets are kept by a broker), and
// does not interpret capabilities.
//
// Everything may be used from any goroutine. Nothing reads a clock: time comes in as now. No error repeats a part of a
// token or a key.
package token
