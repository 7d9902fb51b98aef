// Package clientaddr finds the address of a client behind proxies.
//
// What a proxy says of its client is believed where the proxy is one that the configuration trusts, and nobody else: a
// client can write into a header what it likes. There are two ways to say it, which do not mix. A proxy that speaks HTTP names
// the client in a header ([Finder]); one that only passes bytes on begins each connection with a few of its own
// (ParseProxy, for the PROXY protocol of HAProxy, versions 1 and 2).
//
//	f := clientaddr.Finder{Trusted: networks, Header: clientaddr.XForwardedFor}
//	address := f.Find(r.RemoteAddr, r.Header)
//
// The package only computes. Everything in it may be used from any goroutine.
package clientaddr
