package load

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestResultForPeople(t *testing.T) {
	r := Result{
		URL: "ws://x/", Mode: "rate", Connections: 5000, Channels: 1, PayloadBytes: 128,
		Opening: time.Second, Publishing: 10 * time.Second, Delivering: 10 * time.Second,
		Published: 200, Delivered: 1_000_000,
		Latency: Latency{P50: 150 * time.Microsecond},
	}
	before, after := Process{CPU: time.Second, RSS: 10 << 20}, Process{CPU: 6 * time.Second, RSS: 20 << 20}
	r.Server = new(Usage)
	r.setMemory(before, after, 5000)
	r.Server.set(before, after, r.Delivered)
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"5000 on 1", "200 of 128 bytes", "20.0/s", "100000/s", "p50 150µs", "5µs per delivered message", "2097 bytes per connection", "faults         none"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in:\n%s", want, &text)
		}
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	r.Faults.Missing = 3
	r.Faults.note("bench:0: message %d did not come", 7)
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "3 missing; first: bench:0: message 7") {
		t.Errorf("error %v", err)
	}
}

func TestResultForPrograms(t *testing.T) {
	r := newResult(Options{URL: "ws://x/", Idle: true, Connections: 3})
	b, err := json.Marshal(&r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"mode":"idle"`, `"p99_ns":0`, `"missing":0`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is not in %s", want, b)
		}
	}
	if strings.Contains(string(b), `"server":`) {
		t.Errorf("usage of an unknown process in %s", b)
	}
}

func TestOnlyTheFirstFaultsAreDescribed(t *testing.T) {
	var f Faults
	for range 100 {
		f.note("x")
	}
	if len(f.First) != maxSentences {
		t.Errorf("%d sentences", len(f.First))
	}
}
