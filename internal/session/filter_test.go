package session

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hocket.dev/broker"
	"hocket.dev/dialect"
)

// TestFiltersPassWhatCarriesTheTags compares filters with a model that takes them at their word.
func TestFiltersPassWhatCarriesTheTags(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"", "a", "b", "\x00", "ab", strings.Repeat("x", 256)})
		var from dialect.Filter
		for _, name := range rapid.SliceOfNDistinct(text, 0, 3, rapid.ID).Draw(t, "names") {
			from = append(from, dialect.FilterTag{Name: name, Values: rapid.SliceOfN(text, 1, 3).Draw(t, "values")})
		}
		e := &broker.Entry{Headers: map[string]string{"a": "a"}, Op: rapid.SampledFrom([]broker.Op{broker.Set, broker.Append, broker.Delete}).Draw(t, "op")}
		tags := rapid.MapOf(text, text).Draw(t, "tags")
		for name, value := range tags {
			e.Headers[dialect.TagHeader+name] = value
		}
		want := true
		for _, tag := range from {
			value, ok := tags[tag.Name]
			want = want && ok && slices.Contains(tag.Values, value)
		}
		f := newFilter(from)
		if got := f.passes(e); got != (want || e.Op == broker.Delete) {
			t.Fatalf("%v let %v pass: %v", from, e.Headers, got)
		}
		if n := testing.AllocsPerRun(3, func() { f.passes(e) }); n != 0 {
			t.Fatalf("%v allocations", n)
		}
	})
}

func TestFilteredSubscribersAreToldHowFarTheyAre(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	en, other := w.connect(), w.connect()
	say := func(payload, tags string) {
		other.send(`{"type":"publish","channel":"news","payload":` + payload + `,"tags":` + tags + `}`)
	}
	say(`1`, `{"lang":"de"}`)
	say(`2`, `{"lang":"en"}`)
	en.send(`{"type":"subscribe","id":"s","channel":"news","payload":{"from":{"last":9},"filter":{"lang":["en","fr"]}}}`)
	en.want(`"type":"reply","id":"s"`, `"payload":2`)
	other.subscribe("news", `{"filter":{"lang":["fr","en","en"]}}`) // shares the bytes
	say(`3`, `{"lang":"fr"}`)
	say(`4`, `{"lang":"de"}`)
	say(`5`, `{}`)
	en.want(`"payload":3`)
	other.want(`"payload":3`)
	w.pass(2 * time.Second)
	en.want(`{"type":"position","channel":"news","offset":5}`)
	if a, b := newFilter(dialect.Filter{{Name: "a", Values: []string{"b"}}}), newFilter(dialect.Filter{{Name: "ab"}}); a == b {
		t.Error("two filters are the same text")
	}
}
