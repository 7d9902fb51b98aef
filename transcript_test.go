package hocket

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hocket.dev/wire"
)

// TestTranscripts holds the server to the conversations in spec/transcripts, in virtual time. Their README says how they
// are written.
func TestTranscripts(t *testing.T) {
	paths, err := filepath.Glob("spec/transcripts/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no transcripts: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			steps := readTranscript(t, path)
			synctest.Test(t, func(t *testing.T) {
				p := &play{t: t, path: path, sleep: time.Sleep, peers: make(map[int]*peer), bound: make(map[string]string)}
				defer p.end()
				for i, s := range steps {
					p.step = s
					p.act()
					if next := i + 1; s.sign == ">" && (next == len(steps) || steps[next].sign != ">" || steps[next].client != s.client) {
						p.peer().flush()
					}
				}
				p.nothingMore()
			})
		})
	}
}

// step is one line of a transcript.
type step struct {
	line   int
	client int // 1 when the line names none
	sign   string
	text   string
}

var stepForm = regexp.MustCompile(`^([0-9]*)(>|<\*|<|@|!|=) (.+)$`)

func readTranscript(t *testing.T, path string) (steps []step) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		parts := stepForm.FindStringSubmatch(text)
		if parts == nil {
			t.Fatalf("%s:%d: no step: %s", path, n, text)
		}
		s := step{line: n, client: 1, sign: parts[2], text: parts[3]}
		if parts[1] != "" {
			s.client, _ = strconv.Atoi(parts[1])
		}
		steps = append(steps, s)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}

// play is a transcript on stage.
type play struct {
	t     *testing.T
	path  string
	sleep func(time.Duration)
	step  step
	house *house // the server; nil before the first step that needs it
	peers map[int]*peer
	bound map[string]string // values of placeholders with a name
}

func (p *play) failf(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("%s:%d: %s", p.path, p.step.line, fmt.Sprintf(format, args...))
}

func (p *play) act() {
	switch text := p.step.text; p.step.sign {
	case ">":
		p.peer().write(wire.Text, []byte(p.fill(text)))
	case "<":
		p.hear(text)
	case "<*":
		p.hear(text)
		for msg, ok := p.peer().peek(); ok && p.matches(text, msg); msg, ok = p.peer().peek() {
			p.peer().take()
		}
	case "@":
		p.pass(text)
	case "!":
		p.hearEnd(text)
	case "=":
		p.direct(text)
	}
}

// hear takes the next message of a client, which has to be as text says.
func (p *play) hear(text string) {
	p.t.Helper()
	synctest.Wait()
	msg, ok := p.peer().take()
	if !ok {
		p.failf("nothing came (%s); want %s", p.peer().ending(), text)
	}
	if !p.matches(text, msg) {
		p.failf("received %s\nwant %s\nknown %v", msg, text, p.bound)
	}
}

// hearEnd waits for the end of a connection.
func (p *play) hearEnd(text string) {
	p.t.Helper()
	synctest.Wait()
	if msg, ok := p.peer().peek(); ok {
		p.failf("received %s; want the end: %s", msg, text)
	}
	if got := p.peer().ending(); got != text {
		p.failf("%s; want %s", got, text)
	}
}

func (p *play) pass(text string) {
	d, err := time.ParseDuration(strings.TrimPrefix(text, "+"))
	if err != nil {
		p.failf("%v", err)
	}
	p.nothingMore()
	p.sleep(d)
	synctest.Wait()
}

// nothingMore fails when a client has got a message that the transcript does not know of.
func (p *play) nothingMore() {
	p.t.Helper()
	synctest.Wait()
	for n, peer := range p.peers {
		if msg, ok := peer.peek(); ok && !peer.stalled() {
			p.failf("client %d has also received %s", n, msg)
		}
	}
}

func (p *play) peer() *peer {
	peer := p.peers[p.step.client]
	if peer == nil {
		p.failf("client %d has not connected", p.step.client)
	}
	return peer
}

// placeholder is <kind>, which matches any value, or <kind:name>, which stands for the same value wherever it comes
// again; a new one may have to come after, or to differ from, one known before.
var placeholder = regexp.MustCompile(`<([a-z]+)(?::([a-z0-9]+)(?: (after|not) ([a-z0-9]+))?)?>`)

// kinds says what the values of placeholders look like.
var kinds = map[string]string{
	"session": `[A-Za-z0-9_-]+`, "epoch": `[^"\\]+`, "next": `[^"\\]+`, "rest": `.*`, "text": `[^"\\]*`,
	"offset": `[0-9]+`, "time": `[0-9]+`, "ms": `[0-9]+`,
}

// fill puts the known values into what is to be sent.
func (p *play) fill(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(s string) string {
		parts := placeholder.FindStringSubmatch(s)
		value, ok := p.bound[parts[1]+":"+parts[2]]
		if !ok {
			p.failf("%s is not known here", s)
		}
		return value
	})
}

// matches compares msg with text and remembers the values of new placeholders.
func (p *play) matches(text, msg string) bool {
	var form strings.Builder
	var places [][]string
	end := 0
	for _, at := range placeholder.FindAllStringSubmatchIndex(text, -1) {
		form.WriteString(regexp.QuoteMeta(text[end:at[0]]))
		end = at[1]
		parts := placeholder.FindStringSubmatch(text[at[0]:at[1]])
		kind, ok := kinds[parts[1]]
		if !ok {
			p.failf("%s is of no known kind", parts[0])
		}
		form.WriteString("(" + kind + ")")
		places = append(places, parts)
	}
	form.WriteString(regexp.QuoteMeta(text[end:]))
	values := regexp.MustCompile("^" + form.String() + "$").FindStringSubmatch(msg)
	if values == nil {
		return false
	}
	for i, parts := range places {
		if !p.bind(parts, values[i+1]) {
			return false
		}
	}
	return true
}

// bind compares value with what is known of a placeholder.
func (p *play) bind(parts []string, value string) bool {
	kind, name, relation, other := parts[1], parts[2], parts[3], parts[4]
	if name == "" {
		return true
	}
	if known, ok := p.bound[kind+":"+name]; ok {
		return known == value
	}
	known, ok := p.bound[kind+":"+other]
	if relation != "" && !ok {
		p.failf("<%s:%s> is not known here", kind, other)
	}
	switch relation {
	case "not":
		if value == known {
			return false
		}
	case "after":
		a, _ := strconv.ParseUint(known, 10, 64)
		if b, _ := strconv.ParseUint(value, 10, 64); b <= a {
			return false
		}
	}
	p.bound[kind+":"+name] = value
	return true
}
