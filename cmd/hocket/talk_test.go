package main

import (
	"encoding/json"
	"strings"
	"testing"

	"hocket.dev/internal/testproc"
)

// against gives a command the address of n.
func against(n *node, args ...string) []string { return append(args, "--url", n.ws()) }

func TestPubSubCall(t *testing.T) {
	n := startDev(t)
	for _, publish := range []struct{ data, in string }{{`{"a":1}`, ""}, {"hello", ""}, {"-", "[1,2]\n"}, {"-", "some text\n"}} {
		cmd := command(against(n, "pub", "log", publish.data)...)
		cmd.Stdin = strings.NewReader(publish.in)
		r := execute(t, cmd)
		var at struct {
			Epoch  string
			Offset uint64
		}
		if err := json.Unmarshal([]byte(r.out), &at); err != nil || r.code != 0 || at.Epoch == "" || at.Offset == 0 {
			t.Fatalf("pub %v: %+v", publish, r)
		}
	}
	r := execute(t, command(against(n, "sub", "--last", "10", "-n", "4", "log")...))
	lines := strings.Split(strings.TrimSuffix(r.out, "\n"), "\n")
	if r.code != 0 || len(lines) != 4 {
		t.Fatalf("%+v", r)
	}
	for i, want := range []string{`{"a":1}`, `"hello"`, `[1,2]`, `"some text"`} {
		var m struct {
			Type, Channel string
			Payload       json.RawMessage
		}
		if err := json.Unmarshal([]byte(lines[i]), &m); err != nil || m.Type != "message" || m.Channel != "log" || string(m.Payload) != want {
			t.Errorf("line %s, want %s (%v)", lines[i], want, err)
		}
	}
	if r := execute(t, command(against(n, "call", "echo", `{"b":2}`)...)); r.code != 0 || r.out != "{\"b\":2}\n" {
		t.Errorf("%+v", r)
	}
	if r := execute(t, command(against(n, "call", "time")...)); r.code != 0 || !strings.HasPrefix(r.out, `{"time":`) {
		t.Errorf("%+v", r)
	}
}

func TestKeyedPublish(t *testing.T) {
	n := startDev(t)
	execute(t, command(against(n, "pub", "board", "a", "--key", "k", "--tag", "x=y")...))
	execute(t, command(against(n, "pub", "board", "b", "--key", "k", "--op", "append")...))
	r := execute(t, command(against(n, "sub", "--state", "-n", "1", "board")...))
	if !strings.Contains(r.out, `"payload":"ab"`) || !strings.Contains(r.out, `"key":"k"`) {
		t.Errorf("%+v", r)
	}
}

// What went wrong is one sentence, and the exit code 1.
func TestTalkFails(t *testing.T) {
	n := startDev(t)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"pub", "ticker:demo", "1"}, "publish to ticker:demo: permission_denied: publish to ticker:demo is not allowed"},
		{[]string{"call", "none"}, `call none: not_found: there is no method "none"`},
		{[]string{"sub", "a", "a:"}, "subscribe to a:: invalid_channel: "},
	} {
		r := execute(t, command(against(n, test.args...)...))
		if r.code != exitFailed || !strings.HasPrefix(r.err, "hocket: "+test.want) || strings.Count(r.err, "\n") != 1 {
			t.Errorf("%v: %+v", test.args, r)
		}
	}
	if r := execute(t, command("pub", "a", "b", "--url", "ws://127.0.0.1:1/v1/ws")); r.code != exitFailed || !strings.Contains(r.err, "connection refused") {
		t.Errorf("%+v", r)
	}
}

// A subscriber outlives its server: the next one on the same port serves it on.
func TestSubComesBack(t *testing.T) {
	n := startDev(t)
	sub := testproc.StartCmd(t, command(against(n, "sub", "news")...))
	testproc.Until(t, "the subscription", func() bool {
		execute(t, command(against(n, "pub", "news", "first")...))
		return strings.Contains(sub.Output(), `"first"`)
	})
	n.Signal(sigterm)
	n.ExitCode(t)
	again := start(t, command("serve", "--dev", "--listen", n.http))
	testproc.Until(t, "the subscriber to come back", func() bool { return strings.Contains(sub.Output(), "connected again") })
	execute(t, command(against(again, "pub", "news", "second")...))
	testproc.Until(t, "what the new server sends", func() bool { return strings.Contains(sub.Output(), `"second"`) })
	if !strings.Contains(sub.Output(), `{"type":"reset","channel":"news"`) {
		t.Error("nothing says that the log began anew")
	}
	sub.Signal(sigterm)
	if code := sub.ExitCode(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestBench(t *testing.T) {
	n := startDev(t)
	r := execute(t, command("bench", "-n", "20", "-r", "50", "-d", "300ms", "--warmup", "10ms", "--json", n.ws()))
	var result struct {
		Delivered uint64
		Faults    struct{ Missing uint64 }
	}
	if err := json.Unmarshal([]byte(r.out), &result); err != nil || r.code != 0 || result.Delivered < 20 || result.Faults.Missing > 0 {
		t.Errorf("%+v", r)
	}
}
