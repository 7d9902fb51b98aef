// Package jwks keeps the keys that verify tokens as fresh as the URL they are published at (RFC 7517).
//
//	source, err := jwks.New(jwks.Config{URL: "https://issuer.example/.well-known/jwks.json", Verifier: v})
//	go source.Run(ctx)
//	claims, err := v.Verify(text, now)          // at once, with the keys that are known
//	claims, err = source.Verify(ctx, text, now) // waits for newer keys where the one that is named is not known
//	if errors.Is(err, token.ErrLater) { … }      // they could not be had
//
// What the URL says is read by token.ParsePublished. The package does not decide what a token is worth, and fetches nothing
// but the one URL: no discovery, no address that a token names.
//
// A Source may be used from any goroutine, and fetches on that of Run alone. Verify and Refresh may wait; they are for
// tasks, not for loops.
package jwks
