package client

import (
	"encoding/base64"
	"encoding/json"
	"time"
)

// Position is a place in the log of a channel: after the entry with this offset. Offsets grow and have holes; one
// compares them and does no arithmetic with them.
type Position struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

// Kind says what a Message is.
type Kind uint8

const (
	// Entry is what was published to the channel.
	Entry Kind = iota
	// Gap says that the entries from From to To, both included, were not sent and will not be.
	Gap
	// Reset says that the subscription could not go on where it stood: entries in between are gone, the log began anew, or
	// a state has to be read from its beginning. What is still kept follows, of a state all of it: what is not in it is
	// gone. Position is the channel's now.
	Reset
	// Sync says, where the subscription began with State, that all the keys there were have come: at first, and after every
	// new connection.
	Sync
)

// String returns "message", "gap", "reset" or "sync".
func (k Kind) String() string {
	return [...]string{Entry: "message", Gap: "gap", Reset: "reset", Sync: "sync"}[k]
}

// A Message is what a subscription brings. It belongs to whoever got it.
type Message struct {
	Kind     Kind
	Channel  string
	Position Position // of the entry; of the channel where Kind is Reset or Sync; of the gap's end

	// Of an Entry.
	Time    time.Time // when it was appended, by the broker's clock, to the millisecond
	Payload []byte    // a JSON value, or any bytes if Binary; nil for a deletion without payload
	Binary  bool
	From    *Member // who published; nil when it was a back end
	Key     string  // "" in a stream
	Op      string  // "set", "append" or "delete"
	Tags    map[string]string
	Score   float64 // by which a state can be sorted
	Err     error   // why the payload, which is nil then, could not be decrypted; see E2E. nil elsewhere

	// Of a Gap.
	GapFrom, GapTo uint64
	Reason         string // such as "slow_consumer"
}

// Decode stores the payload in what v points to, as json.Unmarshal does. Where there is none, as of a key that does not
// exist, it leaves v alone. Of one that could not be decrypted it answers Err.
func (m Message) Decode(v any) error {
	if m.Err != nil {
		return m.Err
	}
	if len(m.Payload) == 0 {
		return nil
	}
	return json.Unmarshal(m.Payload, v)
}

// A Member names a session and its user, "" for an anonymous one.
type Member struct {
	User    string          `json:"user"`
	Session string          `json:"session"`
	Info    json.RawMessage `json:"info,omitempty"` // what it tells about itself in presence; nil elsewhere, and when it tells nothing
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
	From     *Member           `json:"from"`
	Key      string            `json:"key"`
	Op       string            `json:"op"`
	Tags     map[string]string `json:"tags"`
	Score    float64           `json:"score"`
	Members  []Member          `json:"members"`
	Error    *wireError        `json:"error"`
}

// message makes an Entry of a message.
func (in *incoming) message(epoch string) (Message, error) {
	m := Message{
		Channel: in.Channel, Position: Position{epoch, in.Offset}, Time: time.UnixMilli(in.Time),
		Payload: in.Payload, From: in.From, Key: in.Key, Op: in.Op, Tags: in.Tags, Score: in.Score,
	}
	if m.Op == "" {
		m.Op = "set"
	}
	var err error
	m.Payload, m.Binary, err = in.bytes()
	return m, err
}

// bytes returns the payload, and whether it is bytes that are no JSON.
func (in *incoming) bytes() (b []byte, binary bool, err error) {
	if in.Encoding != "base64" {
		return in.Payload, false, nil
	}
	var text string
	if err = json.Unmarshal(in.Payload, &text); err != nil {
		return in.Payload, false, err
	}
	b, err = base64.StdEncoding.DecodeString(text)
	return b, true, err
}

// outgoing is any request of the client.
type outgoing struct {
	Type           string            `json:"type"`
	ID             uint64            `json:"id"`
	Channel        string            `json:"channel,omitempty"`
	Method         string            `json:"method,omitempty"`
	Payload        json.RawMessage   `json:"payload,omitempty"`
	Encoding       string            `json:"encoding,omitempty"`
	Key            string            `json:"key,omitempty"`
	Op             string            `json:"op,omitempty"`
	Echo           *bool             `json:"echo,omitempty"`
	Tags           map[string]string `json:"tags,omitempty"`
	IdempotencyKey string            `json:"idempotency_key,omitempty"`
	Seq            uint64            `json:"seq,omitempty"`
	Expect         *uint64           `json:"expect,omitempty"`
	TTLMS          int64             `json:"ttl_ms,omitempty"`
	Score          float64           `json:"score,omitempty"`
	Ephemeral      bool              `json:"ephemeral,omitempty"`
}

// encode writes a request down. Nothing in it can fail: payloads have been marshaled before.
func (o *outgoing) encode() []byte {
	b, err := json.Marshal(o)
	if err != nil {
		panic("client: " + err.Error())
	}
	return b
}

// marshal makes the payload of a request.
func marshal(payload any) (json.RawMessage, error) {
	b, err := json.Marshal(payload)
	if err != nil {
		return nil, &Error{Code: invalidPayload, Name: "invalid_payload", Message: err.Error()}
	}
	return b, nil
}
