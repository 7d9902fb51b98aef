// Package soak opens and drops connections to a server in odd ways, by the hundred thousand, and says what the process has
// more of afterwards. Only tests with the build tag soak use it: `make soak` runs them.
//
// The server runs in the test's own process, so that its descriptors, goroutines and memory can be counted. Storm keeps at most
// a few thousand connections open at once, comes from several addresses, and ends most connections by a reset, so that
// neither descriptors nor ports run out.
package soak
