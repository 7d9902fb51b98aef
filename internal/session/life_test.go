package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hocket.dev/broker"
	"hocket.dev/broker/brokertest"
	"hocket.dev/dialect"
)

func TestClosingFreesEverything(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	var cancelled error
	called := make(chan struct{})
	w.methods["wait"] = func(ctx context.Context, _ Call) ([]byte, error) {
		close(called)
		<-ctx.Done()
		cancelled = ctx.Err()
		return nil, nil
	}
	c := w.connect()
	c.subscribe("chat:lobby", `{"presence":true}`)
	c.subscribe("news", `{"presence":"watch"}`)
	c.send(`{"type":"publish","channel":"chat:lobby","payload":1,"echo":false}`) // a position is owed
	c.write(1 << 20)
	c.Receive([]byte(`{"type":"call","method":"wait"}`))
	c.Receive([]byte(`{"type":"history","channel":"news"}`))
	c.Receive([]byte(`{"type":"subscribe","channel":"pending","payload":{"presence":true}}`))
	c.Receive([]byte(`{"type":"publish","channel":"pending","payload":1}`))
	c.Raw([]byte("half"))
	if n := w.hub.Stats().Cursors; n != 4 || w.members("chat:lobby") != 1 {
		t.Fatalf("%d cursors and %d members before the end", n, w.members("chat:lobby"))
	}
	ended := make(chan struct{})
	go func() { defer close(ended); w.tasks.run() }()
	<-called

	c.Closed(1006, "connection lost")
	<-ended
	if cancelled == nil {
		t.Error("the call was not cancelled")
	}
	w.pass(15 * time.Second)
	if n := w.hub.Stats().Cursors; n != 0 {
		t.Errorf("%d cursors are left", n)
	}
	if a, b := w.members("chat:lobby"), w.members("pending"); a != 0 || b != 0 {
		t.Errorf("%d and %d members are left", a, b)
	}
	sh := w.node.Shard(0)
	if len(sh.sessions) != 0 || len(sh.owing) != 0 || sh.Counters.Sessions.Load() != 0 {
		t.Errorf("the shard holds %d sessions, owes %d positions", len(sh.sessions), len(sh.owing))
	}
	if c.subs != nil || c.open != nil || c.out != nil || c.due != (followers{}) || c.Pull() != nil {
		t.Errorf("the session holds %+v", c.Session)
	}
	if log := w.log.String(); strings.Count(log, "msg=connected") != 1 || !strings.Contains(log, "msg=disconnected") ||
		!strings.Contains(log, `address=192.0.2.1:5`) || !strings.Contains(log, "duration=0s code=1006") {
		t.Errorf("the log says\n%s", log)
	}
	// Nothing wakes it again, and it may be closed again.
	c.woken = false
	w.publish("chat:lobby", "2")
	c.Receive([]byte(`{"type":"ping"}`))
	c.Heartbeat()
	c.Closed(1006, "")
	if c.woken || sh.Counters.Sessions.Load() != 0 {
		t.Error("a closed session goes on")
	}
}

func TestLeaveIsRetriedWhileTheBrokerIsBusy(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	c := w.connect()
	c.subscribe("chat:lobby", `{"presence":true}`)
	w.broker.Fail(broker.ErrBusy)
	c.Closed(1006, "")
	w.pass(30 * time.Second)
	w.broker.Fail(nil)
	if n := w.members("chat:lobby"); n != 1 {
		t.Fatalf("%d members while the broker was busy", n)
	}
	w.pass(2 * leaveRetry)
	if n := w.members("chat:lobby"); n != 0 {
		t.Errorf("%d ghosts", n)
	}
}

// TestAJoinOfUnknownFateIsTakenBack has the broker write a join and not know it.
func TestAJoinOfUnknownFateIsTakenBack(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Broker = &ghostly{Lossy: c.Broker.(*brokertest.Lossy), lie: true}
	})
	c := w.connect()
	c.send(`{"type":"subscribe","id":1,"channel":"chat:lobby","payload":{"presence":true}}`)
	c.want(`"error":{"code":1504,"name":"unavailable"`)
	if n := w.members("chat:lobby"); n != 0 {
		t.Errorf("%d ghosts", n)
	}
	c.subscribe("chat:lobby", `{"presence":true}`)
}

func TestOpenRequestsAreBounded(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.OpenRequests = 3 })
	w.methods["slow"] = func(context.Context, Call) ([]byte, error) { return []byte(`"done"`), nil }
	w.methods["echo"] = func(_ context.Context, c Call) ([]byte, error) { return c.Payload, nil }
	c := w.connect()
	for i := range 5 {
		c.Receive(fmt.Appendf(nil, `{"type":"call","id":%d,"method":"slow"}`, i))
	}
	c.Receive([]byte(`{"type":"history","channel":"news"}`))
	c.Receive([]byte(`{"type":"ping","id":9}`))
	c.want(`"id":3,"error":{"code":1503,"name":"busy"`, `"id":4,"error":{"code":1503`,
		`{"type":"error","channel":"news","error":{"code":1503`, `"type":"pong","id":9`,
		`"id":0,"payload":"done"`, `"id":1`, `"id":2`)
	c.send(`{"type":"call","id":3,"method":"echo","payload":[3]}`)
	c.want(`"id":3,"payload":[3]`)
}

// TestAnsweredCallsLeaveNothing has a client call as often as it likes: nothing of a call outlives its answer.
func TestAnsweredCallsLeaveNothing(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	w.methods["echo"] = func(_ context.Context, c Call) ([]byte, error) { return c.Payload, nil }
	w.methods["wait"] = func(ctx context.Context, _ Call) ([]byte, error) { return nil, nil }
	c := w.connect()
	for range 100 {
		c.send(`{"type":"call","id":1,"method":"echo","payload":[1]}`)
		c.want(`"id":1,"payload":[1]`)
	}
	if n := len(w.loop.timers); n != 0 {
		t.Errorf("%d timers of answered calls", n)
	}
	c.Receive([]byte(`{"type":"call","id":1,"method":"wait"}`))
	c.Closed(1000, "")
	if n := len(w.loop.timers); n != 0 {
		t.Errorf("%d timers of a client that has gone", n)
	}
	w.settle()
}

func TestTooManyTasksAreBusy(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	w.methods["m"] = func(context.Context, Call) ([]byte, error) { return nil, nil }
	c := w.connect()
	w.refuse = true
	c.send(`{"type":"call","id":1,"method":"m"}`, `{"type":"history","id":2,"channel":"news"}`, `{"type":"history","id":3,"channel":"news"}`,
		`{"type":"subscribe","id":4,"channel":"chat:lobby","payload":{"presence":true}}`, `{"type":"subscribe","id":5,"channel":"news"}`)
	var parts []string
	for i := range 5 {
		parts = append(parts, fmt.Sprintf(`"id":%d,`, i+1))
	}
	for _, msg := range c.want(parts...) {
		if !strings.Contains(msg, `"name":"busy"`) || strings.Contains(msg, `"retry_after_ms":0`) {
			t.Errorf("%s is not busy with advice", msg)
		}
	}
	w.refuse = false
	if n := w.members("chat:lobby"); n != 0 || c.open != nil || len(c.subs) != 0 {
		t.Errorf("%d members, %d subscriptions and %+v are left", n, len(c.subs), c.open)
	}
	c.subscribe("chat:lobby", `{"presence":true}`)
}

func TestIDsMayNotBeUsedTwiceAtOnce(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	w.methods["m"] = func(context.Context, Call) ([]byte, error) { return []byte("1"), nil }
	c := w.connect()
	for _, msg := range []string{
		`{"type":"call","id":1,"method":"m"}`, `{"type":"call","id":"1","method":"m"}`, // a number and a string differ
		`{"type":"call","method":"m"}`, `{"type":"call","method":"m"}`, // none is no id
		`{"type":"publish","id":1,"channel":"news","payload":1}`,
	} {
		c.Receive([]byte(msg))
	}
	c.want(`{"type":"error","channel":"news","error":{"code":1105,"name":"id_in_use"`,
		`"id":1,"payload":1`, `"id":"1","payload":1`)
	c.send(`{"type":"call","id":1,"method":"m"}`)
	c.want(`"id":1,"payload":1`)
}

func TestSubscriptionsAreBounded(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Subscriptions = 2 })
	c := w.connect()
	c.subscribe("a", "{}")
	c.subscribe("b", "{}")
	c.send(`{"type":"subscribe","id":1,"channel":"c"}`)
	c.want(`"error":{"code":1430,"name":"limit_reached","message":"a session may have at most 2 subscriptions"`)
	c.send(`{"type":"unsubscribe","channel":"a"}`)
	c.subscribe("c", "{}")
}

// TestAFailedSubscribeLetsTheRestGoOn has requests wait for a subscribe that fails.
func TestAFailedSubscribeLetsTheRestGoOn(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	c := w.connect()
	w.broker.Fail(errors.New("the engine is gone"))
	c.Receive([]byte(`{"type":"subscribe","id":1,"channel":"news"}`))
	c.Receive([]byte(`{"type":"publish","id":2,"channel":"news","payload":1}`))
	c.Receive([]byte(`{"type":"unsubscribe","id":3,"channel":"news"}`))
	w.settle()
	c.want(`"id":1,"channel":"news","error":{"code":1504,"name":"unavailable"`, `"id":2,"channel":"news","error":{"code":1504`,
		`"id":3,"channel":"news","error":{"code":1405`)
	w.broker.Fail(nil)
	c.subscribe("news", "{}")
	if c.open != nil {
		t.Errorf("requests are left: %+v", c.open)
	}
}

// TestAReplyComesBeforeItsChannel has entries come while the subscribe is under way, and others be due already.
func TestAReplyComesBeforeItsChannel(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	c := w.connect()
	c.subscribe("busy", "{}")
	for i := range 20 {
		w.publish("busy", fmt.Sprint(i))
	}
	w.publish("news", "0")
	c.Receive([]byte(`{"type":"subscribe","id":1,"channel":"news","payload":{"from":{"last":5}}}`))
	w.publish("news", "1")
	w.publish("news", "2")
	c.write(40) // a part of the reply
	w.publish("news", "3")
	c.Receive([]byte(`{"type":"subscribe","channel":"later"}`))
	c.Receive([]byte(`{"type":"publish","channel":"later","payload":"kept"}`))
	w.settle()
	told, kept := false, false
	for _, msg := range append(c.messages(), c.take()...) {
		if strings.Contains(msg, `"id":1`) {
			told = true
		} else if strings.Contains(msg, `"channel":"news"`) && !told {
			t.Fatalf("before the reply came %s", msg)
		}
		kept = kept || strings.Contains(msg, `"payload":"kept"`)
	}
	c.send(`{"type":"publish","channel":"direct","payload":"as it was"}`)
	c.send(`{"type":"history","channel":"later"}`, `{"type":"history","channel":"direct"}`)
	c.want(`"payload":"kept"`, `"payload":"as it was"`)
	if !told || !kept {
		t.Errorf("the reply came: %v; what waited for another, as it was: %v", told, kept)
	}
}

func TestNobodyInParticularIsNotEverybody(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	c := w.connect()
	if n := w.node.shards[0].send("", "", []byte("1"), broker.JSON); n != 0 {
		t.Errorf("an event for nobody went to %d", n)
	}
	c.want()
}

func TestAPanicInAMethodIsLoggedWithItsStack(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	w.methods["boom"] = func(context.Context, Call) ([]byte, error) { panic("a mistake") }
	c, other := w.connect(), w.connect()
	c.send(`{"type":"call","id":1,"method":"boom"}`)
	c.want(`"id":1,"error":{"code":1500,"name":"internal"`)
	c.wantClosed(dialect.CloseInternal)
	other.send(`{"type":"ping"}`)
	other.want("pong")
	if log := w.log.String(); !strings.Contains(log, "a mistake") || !strings.Contains(log, "life_test.go") {
		t.Errorf("the log says\n%s", log)
	}
}

func TestHandshakeCommandsAreGreetedFirst(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	c := w.dial(
		dialect.Command{Err: dialect.NotSupported.Err()},
		dialect.Command{Verb: dialect.Connect, Connect: &dialect.ConnectArgs{User: "ada"}},
		dialect.Command{Verb: dialect.Subscribe, Channel: "a", Subscribe: &dialect.SubscribeArgs{}},
	)
	c.want(`"user":"ada"`, `"name":"not_supported"`)
	if len(c.subs) != 1 {
		t.Errorf("%d subscriptions", len(c.subs))
	}
}
