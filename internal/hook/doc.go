// Package hook asks the back end: who a client is, whether it may subscribe to a channel, whether it may publish.
//
//	c, err := hook.New(hook.Config{
//		Publish: hook.Hook{URL: "https://app.example.com/hocket", WhenDown: hook.Deny},
//		Secrets: [][]byte{secret},
//	})
//	answer, refused := c.Publish(ctx, session.PublishQuestion{…}) // session.Asker
//	err = hook.Verify(r.Header, body, secret, time.Now())        // in the back end
//
// A question is a POST of one JSON object, signed with a secret that both sides know; the answer allows, denies, or changes
// what was asked about. What comes from a back end is checked like what comes from a client: it has a deadline and a bound in
// bytes, and is JSON that every reader takes for the same.
//
// An address that is not of the public internet is not asked unless it is listed, and that is looked at when the connection
// is made, so neither a name that resolves to another address the next time nor a redirect leads to one. No proxy is used: it
// would resolve names by itself.
//
// A question may be asked again, with the same id, when a connection that was kept turns out to have been closed. Whatever else
// fails is not tried again here; the client of the node does, if it wants to. Questions change nothing, so a back end that
// only decides need not care.
//
// The package leaves out notices, which want no answer but have to arrive. Everything may be used from any goroutine.
package hook
