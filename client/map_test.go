package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// dialIn connects within a bubble to a server that plays act.
func dialIn(t *testing.T, act func(s *script)) *Client {
	t.Helper()
	c, err := Dial(t.Context(), "ws://server/v1/ws", &Options{NetDial: inMemory(t, acting(act)), NoCompression: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// asks wants the next request to be a subscribe with this payload, and answers it.
func (s *script) asks(t *testing.T, want, reply string) {
	in := s.hear()
	if in.Type != "subscribe" || string(in.Payload) != want {
		t.Errorf("connection %d is asked %s %s, want subscribe %s", s.nth, in.Type, in.Payload, want)
	}
	s.say(`{"type":"reply","id":%d,"channel":"a","payload":%s}`, in.ID, reply)
}

func (s *script) entry(offset int, key, op, payload string) {
	s.say(`{"type":"message","channel":"a","offset":%d,"time":1,"key":%q,"op":%q,"payload":%s}`, offset, key, op, payload)
}

// A state that does not fit into the buffer comes all the same, and once.
func TestAStateIsTakenWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialIn(t, func(s *script) {
			s.asks(t, `{"from":"state"}`, `{"epoch":"e","offset":9,"recovered":true}`)
			for i := range 5 {
				s.entry(i+1, fmt.Sprint("k", i), "set", `"x"`)
			}
			time.Sleep(time.Second)
			s.entry(9, "k9", "set", `"x"`)
			s.rest()
		})
		s := subscribe(t, c, "a", &SubscribeOptions{From: State(), Buffer: 2})
		time.Sleep(500 * time.Millisecond)
		for _, want := range []uint64{1, 2, 3, 4, 5, 9} {
			if m := next(t, s); m.Position.Offset != want {
				t.Fatalf("%+v came, want %d", m, want)
			}
		}
	})
}

// wantValues compares what a map shows, oldest first.
func wantValues(t *testing.T, m *Map, want string) {
	t.Helper()
	var all []string
	for key, v := range m.All() {
		all = append(all, key+"="+string(v.Payload))
	}
	if have := strings.Join(all, " "); have != want {
		t.Errorf("the map shows %s, want %s", have, want)
	}
}

// wantChange takes the next change of a map.
func wantChange(t *testing.T, m *Map, want string) {
	t.Helper()
	c, err := m.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	have := c.Key + "=" + string(c.Value.Payload)
	if c.Deleted {
		have = "-" + c.Key
	}
	if have != want {
		t.Errorf("changed: %s, want %s", have, want)
	}
}

// A map goes on by position over cuts and gaps; where the log cannot tell, the state is read anew and only what differs
// changes.
func TestMapGoesOnByPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step := make(chan struct{})
		c := dialIn(t, func(s *script) {
			switch s.nth {
			case 0:
				s.asks(t, `{"from":"state"}`, `{"epoch":"e","offset":9,"recovered":true}`)
				s.entry(4, "a", "set", `1`)
				s.entry(9, "b", "set", `"x"`)
				s.entry(11, "b", "append", `"y"`)
				s.say(`{"type":"gap","channel":"a","payload":{"from":12,"to":12,"reason":"without_key"}}`) // no key is missing
				<-step
				s.say(`{"type":"gap","channel":"a","payload":{"from":12,"to":20,"reason":"slow_consumer"}}`)
				if in := s.hear(); in.Type != "unsubscribe" {
					t.Errorf("after a gap comes %+v", in)
				}
				s.asks(t, `{"from":{"epoch":"e","offset":11,"state":true}}`, `{"epoch":"e","offset":15,"recovered":true}`)
				s.entry(14, "a", "delete", `null`)
				s.entry(15, "c", "set", `3`)
				<-step
			case 1:
				s.asks(t, `{"from":{"epoch":"e","offset":15,"state":true}}`, `{"epoch":"f","offset":2,"recovered":false}`)
				s.entry(1, "b", "set", `"xy"`)
				s.entry(2, "d", "set", `4`)
				s.rest()
			}
		})
		m, err := c.Map(t.Context(), "a", nil)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantValues(t, m, `a=1 b="xy"`)
		wantChange(t, m, `a=1`)
		wantChange(t, m, `b="xy"`)
		step <- struct{}{}
		synctest.Wait()
		wantValues(t, m, `b="xy" c=3`)
		wantChange(t, m, `-a`)
		wantChange(t, m, `c=3`)
		step <- struct{}{}
		time.Sleep(3 * time.Second)
		wantValues(t, m, `b="xy" d=4`)
		wantChange(t, m, `b="xy"`)
		wantChange(t, m, `d=4`)
		wantChange(t, m, `-c`)
	})
}

// Where a cut state goes on from the log with more of a value that never came, it is read anew.
func TestMapDoesNotAppendToWhatItLacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialIn(t, func(s *script) {
			if s.nth == 0 {
				s.asks(t, `{"from":"state"}`, `{"epoch":"e","offset":9,"recovered":true}`)
				s.entry(4, "a", "set", `"a"`)
				return
			}
			s.asks(t, `{"from":{"epoch":"e","offset":4,"state":true}}`, `{"epoch":"e","offset":9,"recovered":true}`)
			s.entry(5, "b", "set", `"b"`)
			s.entry(6, "b", "append", `"b"`)
			s.entry(9, "c", "append", `"more"`)
			s.hear() // unsubscribe
			s.asks(t, `{"from":"state"}`, `{"epoch":"e","offset":9,"recovered":true}`)
			s.entry(4, "a", "set", `"a"`)
			s.entry(6, "b", "set", `"bb"`)
			s.entry(9, "c", "set", `"all and more"`)
			s.rest()
		})
		m, err := c.Map(t.Context(), "a", nil)
		if err != nil {
			t.Fatal(err)
		}
		wantValues(t, m, `a="a" b="bb" c="all and more"`)
	})
}

// A state that ends with a delete is whole when a position says so, or after a while without more.
func TestMapIsWhole(t *testing.T) {
	for name, test := range map[string]struct {
		say  func(s *script)
		want time.Duration
	}{
		"position": {func(s *script) { s.say(`{"type":"position","channel":"a","offset":9}`) }, 0},
		"live":     {func(s *script) { s.entry(10, "b", "set", "2") }, 0},
		"quiet":    {func(*script) {}, quietAfter},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := dialIn(t, func(s *script) {
					s.asks(t, `{"from":"state"}`, `{"epoch":"e","offset":9,"recovered":true}`)
					s.entry(4, "a", "set", `1`)
					test.say(s)
					s.rest()
				})
				began := time.Now()
				if _, err := c.Map(t.Context(), "a", nil); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took != test.want {
					t.Errorf("whole after %v, want %v", took, test.want)
				}
			})
		})
	}
}

// What came and went unread is no change, and several changes of a key are one.
func TestChangesUnread(t *testing.T) {
	c := newChanges[int]()
	values := map[string]int{}
	set := func(key string, v int) { values[key] = v; c.mark(key, true) }
	del := func(key string) { delete(values, key); c.mark(key, false) }
	next := func() string {
		for {
			key, _, now, had, has, ok := c.next(func(k string) (int, bool) { v, ok := values[k]; return v, ok })
			switch {
			case !ok:
				return "none"
			case has:
				return fmt.Sprintf("%s=%d", key, now)
			case had:
				return "-" + key
			}
		}
	}
	set("a", 1)
	set("b", 1)
	set("a", 2)
	for range 1000 {
		set("typing", 1)
		del("typing")
	}
	if n := c.order.Len(); n != 2 {
		t.Errorf("%d changes are kept", n)
	}
	for _, want := range []string{"a=2", "b=1", "none"} {
		if have := next(); have != want {
			t.Errorf("%s, want %s", have, want)
		}
	}
	del("a")
	set("a", 3)
	del("b")
	for _, want := range []string{"a=3", "-b", "none"} {
		if have := next(); have != want {
			t.Errorf("%s, want %s", have, want)
		}
	}
}

// A conflict is an error of its own that knows what to expect, and an Update begins again with what the other has written.
func TestUpdateMeetsAConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialIn(t, func(s *script) {
			s.asks(t, `{"from":"state"}`, `{"epoch":"e","offset":9,"recovered":true}`)
			s.entry(9, "n", "set", `1`)
			in := s.hear()
			if in.Expect == nil || *in.Expect != 9 || string(in.Payload) != "2" {
				t.Errorf("first try: %+v", in)
			}
			s.say(`{"type":"error","id":%d,"channel":"a","error":{"code":1409,"name":"conflict","message":"no","epoch":"e","offset":12}}`, in.ID)
			time.Sleep(time.Second)
			s.entry(12, "n", "set", `5`)
			in = s.hear()
			if in.Expect == nil || *in.Expect != 12 || string(in.Payload) != "6" {
				t.Errorf("second try: %+v", in)
			}
			s.say(`{"type":"reply","id":%d,"payload":{"epoch":"e","offset":13}}`, in.ID)
			time.Sleep(time.Second)
			s.entry(13, "n", "set", `6`)
			in = s.hear()
			if in.Expect == nil || *in.Expect != 0 || in.TTLMS != 1 || in.Score != 2.5 || !in.Ephemeral || in.Tags["lang"] != "en" {
				t.Errorf("publish: %+v", in)
			}
			s.say(`{"type":"error","id":%d,"channel":"a","error":{"code":1409,"name":"conflict","message":"no","epoch":"e","offset":13}}`, in.ID)
			s.rest()
		})
		m, err := c.Map(t.Context(), "a", nil)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := m.Update(t.Context(), "n", nil, add(1)); err != nil {
			t.Fatal(err)
		}
		if v, _ := m.Get("n"); string(v.Payload) != "6" || time.Since(began) != 2*time.Second {
			t.Errorf("after %v the value is %s", time.Since(began), v.Payload)
		}
		var conflict *ConflictError
		_, err = c.Publish(t.Context(), "a", 7, &PublishOptions{Key: "n", Expect: new(uint64), TTL: time.Microsecond, Score: 2.5,
			Ephemeral: true, Tags: map[string]string{"lang": "en"}})
		if !errors.As(err, &conflict) || conflict.Position != (Position{"e", 13}) {
			t.Errorf("%v", err)
		}
		wantError(t, err, &Error{Code: 1409, Name: "conflict"})
	})
}

// What has changed while a client was away comes in the order of the latest entries, so behind the offset of an update may come what
// lies before its key.
func TestUpdateWaitsForItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialIn(t, func(s *script) {
			switch s.nth {
			case 0:
				s.asks(t, `{"from":"state"}`, `{"epoch":"e","offset":9,"recovered":true}`)
				s.entry(9, "n", "set", `1`)
				s.say(`{"type":"reply","id":%d,"payload":{"epoch":"e","offset":12}}`, s.hear().ID)
				time.Sleep(time.Millisecond) // and the line breaks
			case 1:
				s.asks(t, `{"from":{"epoch":"e","offset":9,"state":true}}`, `{"epoch":"e","offset":15,"recovered":true}`)
				s.entry(14, "other", "set", `1`)
				time.Sleep(time.Second)
				s.entry(15, "n", "set", `3`) // by another client
				s.rest()
			}
		})
		m, err := c.Map(t.Context(), "a", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Update(t.Context(), "n", nil, add(1)); err != nil {
			t.Fatal(err)
		}
		if v, _ := m.Get("n"); string(v.Payload) != "3" {
			t.Errorf("the value is %s", v.Payload)
		}
	})
}

// add returns a change that adds to a number.
func add(n int) func(Message) (any, error) {
	return func(old Message) (any, error) {
		var v int
		err := old.Decode(&v)
		return v + n, err
	}
}

func openMap(t *testing.T, url, channel string) *Map {
	t.Helper()
	m, err := dial(t, url, nil).Map(t.Context(), channel, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// pieces gives words one after another, each when the one before has gone out.
func pieces(words ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, w := range words {
			if !yield(w, nil) {
				return
			}
		}
	}
}

func TestTextThatGrows(t *testing.T) {
	_, url := serve(t, nil)
	writer, early := openMap(t, url, "answers"), openMap(t, url, "answers")
	read := func(m *Map) string {
		var text strings.Builder
		for piece, err := range m.Text(t.Context(), "answer") {
			if err != nil {
				t.Error(err)
			}
			text.WriteString(piece)
		}
		return text.String()
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		if have := read(early); have != `Hocket "is" a melody` {
			t.Errorf("who is there reads %q", have)
		}
	})
	if err := writer.Write(t.Context(), "answer", pieces("Hoc", `ket "is"`, " a", " melody"), nil); err != nil {
		t.Fatal(err)
	}
	reading.Wait()
	if have := read(openMap(t, url, "answers")); have != `Hocket "is" a melody` {
		t.Errorf("who comes late reads %q", have)
	}
	fails := func(yield func(string, error) bool) { yield("", errors.ErrUnsupported) }
	if err := writer.Write(t.Context(), "answer", fails, nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

func TestMapOfAServer(t *testing.T) {
	_, url := serve(t, nil)
	one, two := openMap(t, url, "board"), openMap(t, url, "board")
	if _, err := one.Set(t.Context(), "pin", json.RawMessage(`{"x":1}`), nil); err != nil {
		t.Fatal(err)
	}
	wantChange(t, one, `pin={"x":1}`)
	wantChange(t, two, `pin={"x":1}`)
	if _, err := two.Delete(t.Context(), "pin", nil); err != nil {
		t.Fatal(err)
	}
	wantChange(t, one, `-pin`)
	wantChange(t, two, `-pin`)
	one.Close()
	_, err := one.Next(t.Context())
	wantError(t, err, ErrClosed)
}
