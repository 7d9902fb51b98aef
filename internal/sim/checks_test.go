package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"hocket.dev/broker"
)

// A tale is a world in which nothing runs: a test says what happened, and what the checker is to say of it.
type tale struct {
	*world
	t      *testing.T
	offset uint64
}

func tell(t *testing.T) *tale {
	w := &world{start: time.Now(), ephemeral: make(map[string]bool), writers: make(map[string]*lifetime)}
	w.truth = newTruth(func(string) int { return 100 }, func(format string, args ...any) { t.Errorf(format, args...) })
	return &tale{world: w, t: t}
}

// writes has an entry of a session come into the log of the board at a moment.
func (l *tale) writes(at time.Duration, session string, e broker.Entry) {
	e.Prev, e.Offset, e.From = l.offset, l.offset+1, &broker.Member{Session: session}
	l.offset++
	l.truth.add(board, "e", &e)
	entries := l.truth.current(board).entries
	entries[len(entries)-1].at = at
}

// sends has a client send a text, as several requests of its lives in turn.
func (l *tale) sends(text string, tries ...try) {
	l.sent = append(l.sent, &publication{who: "a1", text: text, channel: board, tries: tries})
}

// wants says of each violation how it begins, or a part of it.
func (l *tale) wants(parts ...string) {
	l.t.Helper()
	said := make([]string, len(l.broken))
	for i, v := range l.broken {
		said[i] = v.what
	}
	if !slices.EqualFunc(said, parts, strings.Contains) {
		l.t.Errorf("the checker says %q, want %q", said, parts)
	}
}

// TestOnlyWhatASessionSentIsOrdered has two sessions of one name, and one that sends something again.
func TestOnlyWhatASessionSentIsOrdered(t *testing.T) {
	one, two := &lifetime{who: "a1"}, &lifetime{who: "a1"}
	for name, c := range map[string]struct {
		first, second []try
		faults        []string
	}{
		"one session":                  {[]try{{one, 1}}, []try{{one, 2}}, []string{"1; stands at 2, after what was sent later"}},
		"one session, again and again": {[]try{{one, 1}, {one, 2}}, []try{{one, 3}, {one, 4}}, []string{"1; stands at 2"}},
		"sent again behind the other":  {[]try{{one, 1}, {one, 3}}, []try{{one, 2}}, nil},
		"another session":              {[]try{{one, 1}}, []try{{two, 2}}, nil},
		"sent by another session too":  {[]try{{one, 1}}, []try{{one, 2}, {two, 3}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			l := tell(t)
			l.sends("1;", c.first...)
			l.sends("2;", c.second...)
			l.writes(1*time.Second, "n", broker.Entry{Payload: []byte(`"2;"`)})
			l.writes(2*time.Second, "n", broker.Entry{Payload: []byte(`"1;"`)})
			l.checkOrder()
			l.wants(c.faults...)
		})
	}
}

// TestKeysMayEndOnceTheClientHasClosed has a server that sends on what it had to send, and a close frame behind it, to a client
// that has closed: that the session lives this does not say.
func TestKeysMayEndOnceTheClientHasClosed(t *testing.T) {
	const second = time.Second
	for name, c := range map[string]struct {
		going, handed time.Duration
		clean, stays  bool
		faults        []string
	}{
		"closed before":             {3 * second, 5 * second, true, false, nil},
		"closed before, has an id":  {3 * second, 5 * second, true, true, nil},
		"closed after":              {5 * second, 6 * second, true, false, []string{"ends k of n, which lives"}},
		"not at all":                {0, 5 * second, false, false, []string{"ends k of n, which lives"}},
		"closed after, and is mute": {5 * second, 3 * second, true, true, []string{"ends k of n, whose client may still come back"}},
		"lost":                      {3 * second, 5 * second, false, false, nil},
		"lost, has an id":           {3 * second, 5 * second, false, true, []string{"ends k of n, whose client may still come back"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := tell(t)
			life := &lifetime{who: "a1", names: []string{"n"}, stays: c.stays, began: second, going: c.going, clean: c.clean, over: true}
			life.hears(c.handed)
			l.lives = []*lifetime{life}
			l.writes(2*second, "n", broker.Entry{Key: "k", Payload: []byte(`"1;"`)})
			l.writes(4*second, "n", broker.Entry{Key: "k", Op: broker.Delete})
			l.checkEphemeral(board)
			l.wants(c.faults...)
		})
	}
}

// TestWhatIsSentStandsInTheLog has entries that are not what their clients sent.
func TestWhatIsSentStandsInTheLog(t *testing.T) {
	l := tell(t)
	for i, e := range []broker.Entry{
		{Key: "k", Payload: []byte(`"1;"`)},
		{Key: "k", Payload: []byte(`"2;"`), TTL: time.Second},
		{Key: "j", Payload: []byte(`"3;"`)},
		{Key: "k", Payload: []byte(`"4;"`)},
	} {
		text := string("1234"[i]) + ";"
		if i < 3 {
			l.sends(text, try{})
			p := l.sent[i]
			p.key, p.op, p.echo, p.payload = "k", "set", true, `"`+text+`"`
		}
		l.writes(time.Duration(i+1)*time.Second, "n", e)
	}
	l.checkSent()
	l.wants("was sent, and 2 is", "was sent, and 3 is", "which nobody has sent")
}
