package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"testing/synctest"
	"time"

	"hocket.dev/websocket"
)

// proof is how a Client proves who it is, and what has come of it.
type proof struct {
	texts  chan string   // tokens or tickets, for when the Client asks for one
	cancel func()        // of Dial
	open   chan struct{} // closed when Dial has returned, or when the Client may come back by itself
	err    error         // of Dial
	lost   chan error    // what OnConnection is told
	coming bool          // what the proof is worth has not been told
	away   bool          // the server has ended the connection, and the Client comes back
	back   bool          // it has come back
}

func (p *proof) leave() {
	if p != nil {
		p.cancel()
	}
}

var (
	ticketForm = regexp.MustCompile(`^dial \?ticket=(<ticket:[a-z0-9]+>)$`)
	closeForm  = regexp.MustCompile(`^close ([0-9]+) ?(.*)$`)
)

// dial opens a connection in the way of a Client: with nothing or with a ticket.
func (p *stage) dial(n int, text string) {
	if a := p.actors[n]; a != nil && a.proof != nil && a.proof.away {
		return // it does so by itself
	}
	p.leave(n)
	p.lines[n] = text == "dial"
	if parts := ticketForm.FindStringSubmatch(text); parts != nil {
		p.knock(n, p.fill(parts[1]))
	}
}

// knock has a Client connect that proves who it is: with this ticket or, where it is "", with a token that it gets later.
func (p *stage) knock(n int, ticket string) *actor {
	a := &actor{heard: make(chan map[string]any, 100), asked: make(map[string]*asked), subs: make(map[string]*Subscription)}
	ctx, cancel := context.WithCancel(p.t.Context())
	of := &proof{texts: make(chan string, 1), cancel: cancel, open: make(chan struct{}), lost: make(chan error, 10), coming: true}
	a.proof, p.actors[n] = of, a
	shown := func(ctx context.Context) (string, error) {
		select {
		case text := <-of.texts:
			return text, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	o := &Options{NoCompression: true, OnConnection: func(lost error) { of.lost <- lost }}
	if o.Token = shown; ticket != "" {
		o.Token, o.Ticket = nil, shown
		of.texts <- ticket
	}
	o.NetDial = inMemory(p.t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.Query().Get("ticket"); got != ticket {
			p.t.Errorf("%s: the Client shows the ticket %q, want %q", p.at, got, ticket)
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"hocket.v1.json"}})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		a.conn = conn
		for {
			var m map[string]any
			_, b, err := conn.Read(context.Background())
			if err != nil || json.Unmarshal(b, &m) != nil {
				return
			}
			a.heard <- m
		}
	}))
	go func() {
		defer close(of.open)
		var c *Client
		if c, of.err = Dial(ctx, "ws://server/v1/ws", o); of.err == nil {
			a.c = c
		}
	}()
	synctest.Wait()
	return a
}

// prove has a Client introduce itself as the transcript's does, with a token or on a connection that was opened with a ticket. It
// answers false where it does not.
func (p *stage) prove(n int, m map[string]any) bool {
	fresh := p.lines[n]
	delete(p.lines, n)
	if m["type"] != "connect" {
		return false
	}
	a := p.actors[n]
	token := m["payload"].(map[string]any)["token"]
	text, _ := token.(string)
	switch {
	case a == nil && fresh && text != "":
		a = p.knock(n, "")
		a.proof.texts <- text
	case a == nil || a.proof == nil:
		return false
	case a.proof.away:
		a.proof.away, a.proof.back, a.proof.coming = false, true, true
		a.proof.texts <- text
	case !a.proof.coming:
		return false // a Client renews no token in place
	}
	sent := p.awaits(a, "connect")
	if got := sent["payload"].(map[string]any); got["token"] != token || got["client"] == nil {
		p.failf("the Client introduces itself by %v, want the token %v", got, token)
	}
	a.asked[fmt.Sprint(m["id"])] = &asked{id: sent["id"], done: a.proof.open}
	return true
}

// awaits waits for the next message of this type that the Client sends.
func (p *stage) awaits(a *actor, kind string) map[string]any {
	for range 1000 { // a Client that comes back takes its time
		synctest.Wait()
		for len(a.heard) > 0 {
			if sent := <-a.heard; sent["type"] == kind {
				return sent
			}
		}
		p.sleep(100 * time.Millisecond)
	}
	p.failf("the Client sends no %s", kind)
	return nil
}

// decided tells a Client that is to be admitted what the transcript's is told, and compares what it makes of it. It answers false
// for what is told later.
func (p *stage) decided(a *actor, m map[string]any) bool {
	if a.proof == nil || !a.proof.coming {
		return false
	}
	r := a.asked[fmt.Sprint(m["id"])]
	if r != nil {
		m["id"] = r.id
	}
	p.write(a, m)
	if r == nil || m["type"] != "reply" {
		return true
	}
	<-r.done
	a.proof.coming = false
	of := m["payload"].(map[string]any)
	if a.proof.err != nil || a.c.Session() != of["session"] || a.c.User() != of["user"] || len(a.c.Features()) != len(of["features"].([]any)) {
		p.failf("the Client connects with %v; want %v", a.proof.err, of)
	}
	if told := <-a.proof.lost; told != nil {
		p.failf("the Client tells %v instead of a connection", told)
	}
	return true
}

// closed ends a Client's connection, or has it be refused, and compares what the Client makes of it.
func (p *stage) closed(n int, text string) {
	a := p.actors[n]
	parts := closeForm.FindStringSubmatch(text)
	var code int
	if parts == nil {
		p.leave(n)
		return
	}
	fmt.Sscan(parts[1], &code)
	go a.conn.Close(websocket.CloseCode(code), parts[2])
	synctest.Wait()
	p.driven++
	if a.proof.coming && a.c == nil {
		<-a.proof.open
		var refused *Error
		if !errors.As(a.proof.err, &refused) || refused.Name != parts[2] {
			p.failf("the Client is refused with %v, want %s", a.proof.err, text)
		}
		p.leave(n)
		return
	}
	var ended *websocket.CloseError
	if told := <-a.proof.lost; !errors.As(told, &ended) || int(ended.Code) != code {
		p.failf("the Client tells %v, want %s", told, text)
	}
	a.proof.away = true
}

// again takes what a Client asks for by itself when it has come back. It answers false for what is asked for the first time.
func (p *stage) again(a *actor, m map[string]any) bool {
	channel, _ := m["channel"].(string)
	if a.proof == nil || !a.proof.back || m["type"] != "subscribe" || a.subs[channel] == nil {
		return false
	}
	sent := p.awaits(a, "subscribe")
	if have, want := plain(sent), plain(m); !reflect.DeepEqual(have, want) {
		p.failf("the Client goes on by %v, want %v", have, want)
	}
	done := make(chan struct{})
	close(done)
	a.asked[fmt.Sprint(m["id"])] = &asked{id: sent["id"], done: done}
	return true
}
