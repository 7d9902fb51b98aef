package sim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"hocket.dev/broker"
)

// A position is a place in a channel, as clients see it.
type position struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

// How a subscription begins.
const (
	fromLive = iota
	fromLast
	fromSince
	fromPosition
	fromState
)

// A run is one subscription on one connection, or the whole life of one of the SDK's: what was asked, and all that came.
type run struct {
	who, channel string
	session      string // "" for the SDK, which has one after another
	client       string
	kit          bool // by the SDK, which hides positions and replies

	kind      int
	last      int
	since     time.Duration
	asked     position
	wants     bool // the state goes on from there, and where it cannot, all of it follows
	askedAt   time.Duration
	position  // of the reply
	recovered bool
	repliedAt time.Duration
	member    bool
	filter    map[string][]string // which values of tags it asks for, nil for no filter

	items   []item
	ended   string // why, "" while it lives
	endedAt time.Duration
	tooSlow time.Duration // when it was disconnected for being too slow, 0 for never
}

// What a subscription brings.
const (
	gotMessage = iota
	gotPosition
	gotGap
	gotRestart // the SDK's Reset
	gotWhole   // the SDK's Sync: a state has come
)

// An item is something that a subscription brought.
type item struct {
	kind   int
	at     time.Duration
	epoch  string // the SDK's: by hand it is the run's
	offset uint64 // also the end of a gap
	from   uint64 // of a gap

	handed           time.Duration // when the server let go of it, or earlier; 0 by the SDK
	sentBy           time.Duration // the same, or later
	reason           string        // of a gap
	time             int64
	score            float64
	key, op, payload string
	binary           bool   // the payload is no JSON
	author           string // the session, "" for a back end
	user             string
	tags             map[string]string
}

func (it *item) String() string {
	switch it.kind {
	case gotMessage:
		return fmt.Sprintf("message %d %s %s %.40s", it.offset, it.op, it.key, it.payload)
	case gotPosition:
		return fmt.Sprintf("position %d", it.offset)
	case gotGap:
		return fmt.Sprintf("gap %d-%d", it.from, it.offset)
	}
	return fmt.Sprintf("restart %s %d", it.epoch, it.offset)
}

// incoming is any message of the server.
type incoming struct {
	Type     string            `json:"type"`
	ID       *uint64           `json:"id"`
	Channel  string            `json:"channel"`
	Epoch    string            `json:"epoch"`
	Offset   uint64            `json:"offset"`
	Time     int64             `json:"time"`
	Payload  json.RawMessage   `json:"payload"`
	Encoding string            `json:"encoding"`
	From     *author           `json:"from"`
	Tags     map[string]string `json:"tags"`
	Key      string            `json:"key"`
	Op       string            `json:"op"`
	Members  []member          `json:"members"`
	Score    float64           `json:"score"`
	Error    *failure          `json:"error"`
	handed   time.Duration     // when the server let go of it, or earlier
	sentBy   time.Duration     // the same, or later
}

// An author is who has published.
type author struct {
	Session string `json:"session"`
	User    string `json:"user"`
}

type failure struct {
	Code  int    `json:"code"`
	Name  string `json:"name"`
	After int64  `json:"retry_after_ms"`
	position
}

// The codes of errors that a client meets here.
const (
	codeConflict     = 1409
	codeEpochChanged = 1410
	codeBusy         = 1503
	codeUnavailable  = 1504
)

// passing tells errors after which the same may succeed.
func (f *failure) passing() bool {
	return f.Code == codeEpochChanged || f.Code == codeBusy || f.Code == codeUnavailable
}

// item makes one of a message, a position or a gap.
func (in *incoming) item(at time.Duration) (it item) {
	it = item{at: at, handed: in.handed, sentBy: in.sentBy, offset: in.Offset}
	switch in.Type {
	case "position":
		it.kind = gotPosition
	case "gap":
		var gap struct {
			From, To uint64
			Reason   string
		}
		_ = json.Unmarshal(in.Payload, &gap) // without sense it is a gap of nothing, which is a violation
		it.kind, it.from, it.offset, it.reason = gotGap, gap.From, gap.To, gap.Reason
	default:
		it.time, it.key, it.op, it.payload, it.score = in.Time, in.Key, in.Op, string(in.Payload), in.Score
		if it.binary = in.Encoding == "base64"; it.binary {
			payload, _ := base64.StdEncoding.DecodeString(unquote(in.Payload)) // without sense it is another one
			it.payload = string(payload)
		}
		if it.op == "" {
			it.op = "set"
		}
		if in.From != nil {
			it.author, it.user = in.From.Session, in.From.User
		}
		it.tags = in.Tags
	}
	return it
}

// differs says that an item is not the entry as it was published, in some part.
func (it *item) differs(f *fact) bool {
	author, user := "", ""
	if f.From != nil {
		author, user = f.From.Session, f.From.User
	}
	bare := f.Op == broker.Delete && f.gone != nil && it.payload == "" // its payload was removed
	return it.payload != string(f.Payload) && !bare || it.key != f.Key || it.op != opName(f.Op) || it.time != f.Time ||
		it.binary != (f.Format == broker.Binary) || it.author != author || it.user != user || it.score != f.Score || !maps.Equal(it.tags, f.tags())
}

// tags are those that an entry was published with.
func (f *fact) tags() map[string]string {
	tags := make(map[string]string)
	for name, value := range f.Headers {
		if tag, ok := strings.CutPrefix(name, "tag:"); ok {
			tags[tag] = value
		}
	}
	return tags
}

// A publication is a publish, tried once or several times.
type publication struct {
	who, text    string // text is unique, and what the payload begins with
	channel, key string
	op           string
	score        float64
	echo         bool
	name         string // idempotency key, "" for none
	seq          uint64 // 0 for none
	expect       uint64 // what the newest entry is to be, where conditional
	conditional  bool
	payload      string            // as it is to stand in the log
	binary       bool              // it is no JSON
	ttl          time.Duration     // 0 for none
	tags         map[string]string // "lang"
	user         string            // of the client
	body         []byte            // of the request, without its id
	twin         *publication      // the same in another channel

	sessions []string // that have sent it, in turn
	tries    []try    // of clients that speak by hand
	sentAt   time.Duration
	acked    bool
	position // of the first answer
	ackedAt  time.Duration
	acks     []answer // all of those that said that it is applied
	denials  []answer // that the condition does not hold
	refused  int      // attempts that were answered with an error that says that nothing was changed
	failed   int      // those answered otherwise
}

// A try is one attempt at a publish: in which life of its client, and which of its requests that is.
type try struct {
	life *lifetime
	id   uint64
}

// An answer is one to an attempt at a publish.
type answer struct {
	position            // of the entry, or of what is there instead
	duplicate           bool
	askedAt, answeredAt time.Duration
}
