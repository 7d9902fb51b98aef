// Package sys deals with the limits that the operating system sets to a server: how many files a process may have
// open, and what to do at that limit.
//
//	files, err := sys.RaiseFileLimit()
//	l := sys.NewListener(listener, log)
//	http.Serve(l, handler)
//
// It knows nothing of HTTP or sessions. Everything in it may be used from any goroutine.
package sys
