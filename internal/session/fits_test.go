package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"hocket.dev/broker"
	"hocket.dev/dialect"
	"hocket.dev/internal/rule"
)

// fitting makes rules with a schema for "form:>": an object with lines of text.
func fitting(t *testing.T) func(c *Config) {
	t.Helper()
	rules := []rule.Rule{{
		Pattern: "form:>", History: rule.History{Count: 1000},
		Schema: `{"type":"object","properties":{"lines":{"items":{"type":"string"}}},"additionalProperties":{"type":"integer"}}`,
	}}
	set, err := rule.Compile(rules, rule.Rule{History: rule.History{Count: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := CompileSchemas(rules, rule.Rule{})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.Rules, c.Schemas = set, schemas }
}

func TestAPublishThatDoesNotFitIsRefused(t *testing.T) {
	w := newWorld(t, fitting(t))
	c := w.connect()
	for _, test := range []struct{ fields, want string }{
		{`"payload":[]`, `the payload does not fit the schema of form:a: must be of type object, not array`},
		{`"payload":{"lines":["a",{"b":1}]}`, `the payload does not fit the schema of form:a: at /lines/1: must be of type string, not object`},
		{`"payload":"e30=","encoding":"base64"`, `form:a has a schema, so its payloads are JSON`},
		{`"payload":"more","key":"k","op":"append"`, `the payload does not fit the schema of form:a: must be of type object, not string`},
		{`"payload":7,"key":"k","op":"delete"`, `the payload does not fit the schema of form:a: must be of type object, not number`},
	} {
		c.send(`{"type":"publish","id":1,"channel":"form:a",` + test.fields + `}`)
		c.want(fmt.Sprintf(`{"type":"error","id":1,"channel":"form:a","error":{"code":1114,"name":"schema_mismatch","message":%q,"retry_after_ms":0}}`, test.want))
	}
	for i, fields := range []string{`"payload":{"lines":[],"n":1}`, `"key":"k","op":"delete"`, `"key":"k","op":"delete","payload":null`} {
		c.send(fmt.Sprintf(`{"type":"publish","id":%d,"channel":"form:a",%s}`, i, fields))
		c.want(fmt.Sprintf(`"type":"reply","id":%d`, i))
	}
	c.send(`{"type":"publish","id":9,"channel":"other","payload":[]}`)
	c.want(fmt.Sprintf(`"type":"reply","id":%d`, 9))

	err := w.node.CheckPayload("form:a", &broker.Entry{Payload: []byte(`1`)})
	if err == nil || err.Code != dialect.SchemaMismatch {
		t.Error(err)
	}
	var told *dialect.Error
	w.node.Publish("form:a", broker.Entry{Payload: []byte(`1`)}, func(_ broker.Receipt, err *dialect.Error) { told = err })
	if told == nil || told.Code != dialect.SchemaMismatch {
		t.Error(told)
	}
}

// An append that no value could take is the sender's mistake, and no conflict with what is there.
func TestAnAppendOfWhatCannotGrowIsRefused(t *testing.T) {
	w := newWorld(t, fitting(t))
	c := w.connect()
	for _, test := range []struct{ payload, kind string }{
		{`7`, "a number"}, {`{"a":1}`, "an object"}, {`["a"]`, "an array"}, {`null`, "null"}, {`true`, "a truth value"},
	} {
		c.send(`{"type":"publish","id":1,"channel":"c","key":"k","op":"append","payload":` + test.payload + `}`)
		c.want(fmt.Sprintf(`{"type":"error","id":1,"channel":"c","error":{"code":1106,"name":"invalid_payload","message":`+
			`"an append adds a string to a string, or bytes in base64 to bytes: the payload must be one of them, not %s","retry_after_ms":0}}`, test.kind))
		w.node.Publish("c", broker.Entry{Key: "k", Op: broker.Append, Payload: []byte(test.payload)}, func(_ broker.Receipt, err *dialect.Error) {
			if err == nil || err.Code != dialect.InvalidPayload {
				t.Errorf("a back end's append of %s gives %v", test.payload, err)
			}
		})
	}
	c.send(`{"type":"state","id":2,"channel":"c"}`)
	c.want(`"count":0`)
	w.node.Publish("c", broker.Entry{Key: "k", Op: broker.Append, Payload: []byte(" \"grows\"")}, func(_ broker.Receipt, err *dialect.Error) {
		if err != nil {
			t.Error(err)
		}
	})
	c.send(`{"type":"publish","id":3,"channel":"c","key":"k","op":"append","payload":"AP8=","encoding":"base64"}`)
	c.want(`"code":1409,"name":"conflict","message":"the value of this key is of another kind`)

	w.node.Publish("c", broker.Entry{Key: "large", Payload: fmt.Appendf(nil, "%q", strings.Repeat("l", broker.MaxValueBytes-2))}, func(_ broker.Receipt, err *dialect.Error) {
		if err != nil {
			t.Error(err)
		}
	})
	c.send(`{"type":"publish","id":4,"channel":"c","key":"large","op":"append","payload":"more"}`)
	c.want(`"code":1109,"name":"too_large","message":"the value of a key may have at most 1048576 bytes`)
}

// What takes long to check leaves the loop. Nothing overtakes it on its channel.
func TestALongCheckKeepsTheOrder(t *testing.T) {
	w := newWorld(t, fitting(t))
	c := w.connect()
	long := func(last string) string { return `{"lines":[` + strings.Repeat(`"x",`, 1000) + last + `]}` }
	c.Receive([]byte(`{"type":"publish","id":1,"channel":"form:a","payload":` + long(`"x"`) + `}`))
	c.Receive([]byte(`{"type":"publish","id":2,"channel":"form:a","payload":{"n":2}}`))
	c.Receive([]byte(`{"type":"publish","id":3,"channel":"form:a","payload":` + long(`3`) + `}`))
	c.Receive([]byte(`{"type":"publish","id":4,"channel":"form:a","payload":{"n":4}}`))
	c.Receive([]byte(`{"type":"history","id":5,"channel":"form:a","payload":{"limit":2}}`))
	c.Receive([]byte(`{"type":"publish","id":6,"channel":"form:b","payload":{"n":6}}`))
	got := c.want(`"type":"reply","id":6`, `"type":"reply","id":1`, `"type":"reply","id":2`,
		`"id":3,"channel":"form:a","error":{"code":1114,"name":"schema_mismatch",`+
			`"message":"the payload does not fit the schema of form:a: at /lines/1000: must be of type string, not number"`,
		`"type":"reply","id":4`, `"type":"reply","id":5`)
	if page := got[5]; !strings.Contains(page, `"payload":{"n":2}`) || !strings.Contains(page, `"payload":{"n":4}`) {
		t.Errorf("the history is %s", page)
	}
	if c.open != nil {
		t.Errorf("%d requests are left open", c.open.count)
	}
}

func TestWhatWaitsForALongCheckIsBounded(t *testing.T) {
	w := newWorld(t, fitting(t))
	c := w.connect()
	const fit = heldMessages * 64 << 10 / (commandBytes + 4012)
	long := `{"type":"publish","channel":"form:%d","payload":{"lines":[` + strings.Repeat(`"x",`, 1000) + `""]}}`
	for i := range fit {
		c.Receive(fmt.Appendf(nil, long, i%2))
	}
	if n := len(w.tasks.fns); n != 1 {
		t.Errorf("%d checks of one session are under way", n)
	}
	for channel := range 3 { // two that wait, one of its own
		c.Receive(fmt.Appendf(nil, long, channel))
		c.Receive(fmt.Appendf(nil, `{"type":"ping","id":%d}`, channel))
	}
	got := c.take()
	for i := range 3 {
		if !strings.Contains(got[2*i], `"channel":"form:`) || !strings.Contains(got[2*i], `"name":"busy"`) {
			t.Errorf("answered %s", got[2*i])
		}
	}
	w.settle()
	if got := c.take(); len(got) != 0 || c.open != nil {
		t.Errorf("left are %v, %v", got, c.open)
	}
	history := func(channel string) string {
		c.send(`{"type":"history","id":"h","channel":"` + channel + `","payload":{"limit":1000}}`)
		return c.want(`"type":"reply","id":"h"`)[0]
	}
	if n := strings.Count(history("form:0")+history("form:1"), `"lines"`); n != fit {
		t.Errorf("%d of %d were published", n, fit)
	}
	c.Receive(fmt.Appendf(nil, long, 0))
	c.Closed(1006, "")
	w.settle()

	w.refuse = true
	d := w.connect()
	d.send(strings.Replace(fmt.Sprintf(long, 0), `{`, `{"id":1,`, 1))
	d.want(`"id":1,"channel":"form:0","error":{"code":1503,"name":"busy"`)
	if d.open != nil {
		t.Error("a refused check is left open")
	}
}

func TestASchemaThatIsNoneIsARulesFault(t *testing.T) {
	for _, test := range []struct {
		text, want string
	}{
		{`{"type":"objekt"}`, `rule 1: schema: at /type: must be one of "array", "boolean", "integer", "null" and 3 more`},
		{`{"type":"object","type":"object"}`, `rule 1: schema: is not JSON that everybody reads alike: the name "type" stands twice in one object at byte 17`},
	} {
		_, err := CompileSchemas([]rule.Rule{{Pattern: "a"}, {Pattern: "b", Schema: test.text}}, rule.Rule{})
		var e *rule.Error
		if !errors.As(err, &e) || err.Error() != test.want {
			t.Errorf("%v, want %s", err, test.want)
		}
	}
	if _, err := CompileSchemas(nil, rule.Rule{Schema: `[]`}); err == nil || !strings.HasPrefix(err.Error(), "fallback rule: schema: ") {
		t.Error(err)
	}
}

// A check beside the loop waits for its turn, so that many clients together take no more of processors and memory than a few.
func TestFewPayloadsAreCheckedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fitting(t))
		for range cap(w.node.checks) {
			w.node.checks <- struct{}{}
		}
		c := w.connect()
		done := false
		go func() {
			c.send(`{"type":"publish","id":1,"channel":"form:a","payload":{"lines":["` + strings.Repeat("x", 2*quickBytes) + `"]}}`)
			done = true
		}()
		if synctest.Wait(); done {
			t.Error("it is checked though as many are as may be")
		}
		<-w.node.checks
		if synctest.Wait(); !done {
			t.Error("it is not checked in its turn")
		}
		c.want(`"type":"reply"`)
	})
}
