// Package origin decides which pages may reach a server, by what browsers say of them: the header Origin, or Sec-Fetch-Site
// where there is none.
//
//	list, err := origin.Compile([]string{"https://app.example.com", "https://*.example.org", "http://localhost:*"})
//	...
//	switch list.Judge(r.Header, origin.Own{Scheme: "https", Host: r.Host}) {
//	case origin.Refused:
//		// 403, before anything else
//	case origin.Cookieless:
//		r.Header.Del("Cookie") // nothing says that the visitor's own page has sent them
//	}
//
// A browser sends the cookies of a server with whatever any page asks of it, so cookies are proof of who the visitor is and
// not of who asks. Origin says that, and no page can change it. So:
//
//   - A page of the server's own address or of a listed origin is admitted, with its cookies.
//   - With "*" every page but a nameless one is admitted, and cookies count only for those that are named beside it.
//   - "null" is what a browser calls a page without an address, which any page can make of itself: it is admitted only where
//     it is listed as "null", without cookies.
//   - A request without Origin comes from a program, or from a browser that got something for a page without letting it see the
//     answer, or for a page of the same origin. Browsers tell the latter two apart in Sec-Fetch-Site: of another site it is
//     refused, of the same origin, or typed by the visitor, admitted. Where that is missing too it comes from a program, which
//     has no cookies but those it was given, or something on the way has removed what the browser said: it is admitted, and its
//     cookies do not count. A program that proves itself by a cookie names the server's origin.
//
// The package knows no paths and writes no answers. It is pure; a List may be used from any goroutine.
package origin
