// Package dialect says what a client protocol is: how the bytes of one message become commands, and how replies,
// notices and log entries become bytes. The native protocol is in dialect/native; protocols of other systems are
// packages beside it.
//
// A dialect does no I/O, starts no goroutine and reads no clock. What a command does is decided in internal/session.
package dialect

import (
	"net/url"
	"time"

	"hocket.dev/broker"
	"hocket.dev/internal/hub"
)

// Dialect makes codecs for the connections that speak it.
type Dialect interface {
	// Name is the dialect's name in configuration and metrics, such as "native".
	Name() string
	// Subprotocols are the WebSocket subprotocols that select it, best first.
	Subprotocols() []string
	// Open makes the codec of one connection, and the commands that its handshake already contains (such as
	// subscriptions named in the query). An error is answered after the handshake, as PROTOCOL.md says.
	Open(h Handshake) (Codec, []Command, *Error)
}

// Handshake is what a dialect may look at when a connection opens.
type Handshake struct {
	Subprotocol string     // the selected one, "" when the client offered none
	Query       url.Values // of the request's URL
}

// Codec translates for one connection. It is used by one goroutine at a time.
type Codec interface {
	// Decode appends the commands in msg to dst. What is wrong with a message is a command of its own, with Err set,
	// so that errors are answered in order. Strings are copies; Payload is a part of msg.
	Decode(dst []Command, msg []byte) []Command
	// AppendReply appends the message that says r. id is the request's, NoID for what answers no request.
	AppendReply(dst []byte, id ID, r Reply) []byte
	// Encoding makes the pushed entries. Connections whose Encoding compares equal share their bytes.
	Encoding() hub.Encoding
}

// ID is a request's id as the client chose it: a number, a string, or none.
type ID struct {
	Kind IDKind
	Num  uint64
	Str  string
}

// IDKind says which of the forms an ID has.
type IDKind uint8

// The forms of an ID.
const (
	IDNone IDKind = iota
	IDNumber
	IDString
)

// NoID is the id of what belongs to no request.
var NoID = ID{}

// Verb is what a command asks for.
type Verb uint8

// The verbs of a client.
const (
	Invalid Verb = iota // Err says what is wrong
	Connect
	Subscribe
	Unsubscribe
	Publish
	History
	State
	Presence
	Call
	Ping
	Pong
)

// Command is one request of a client.
type Command struct {
	Verb    Verb
	ID      ID
	Err     *Error // set when Verb is Invalid, or when an argument is wrong
	Channel string // as the client wrote it; checked by the session
	Method  string // Call
	Payload []byte // Publish and Call: the payload, a part of the decoded message, to be copied when kept; nil for none
	Format  broker.Format

	Publish   PublishArgs
	Connect   *ConnectArgs
	Subscribe *SubscribeArgs
	History   *HistoryArgs
	State     *StateArgs
	Presence  *PresenceArgs
}

// PublishArgs are the arguments of Publish beside channel and payload.
type PublishArgs struct {
	Key            string
	Op             broker.Op
	NoEcho         bool
	IdempotencyKey string
	Seq            uint64 // 0: none
	Tags           map[string]string
	Expect         uint64 // see broker.Entry
	HasExpect      bool
	TTL            time.Duration
	Score          float64
	Ephemeral      bool // the key is deleted when the session ends
}

// ConnectArgs are the arguments of Connect.
type ConnectArgs struct {
	Token     string
	User      string
	Info      []byte // a JSON value, a copy; nil for none
	Client    string
	Heartbeat bool
	Binary    bool
}

// Start says where a subscription begins.
type Start uint8

// The places a subscription can begin at.
const (
	StartLive     Start = iota // entries to come
	StartLast                  // the newest Last entries
	StartSince                 // the entries of the time Since until now
	StartPosition              // everything after Epoch and Offset
	StartState                 // the latest entry of every key
)

// PresenceMode says what a subscription has to do with the channel's presence.
type PresenceMode uint8

// The presence modes of a subscription.
const (
	PresenceOff    PresenceMode = iota
	PresenceMember              // the session is a member and is told of others
	PresenceWatch               // it is told of others only
)

// SubscribeArgs are the arguments of Subscribe.
type SubscribeArgs struct {
	Start    Start
	Last     int
	Since    time.Duration // back from now
	Epoch    string
	Offset   uint64
	Presence PresenceMode
	// PresenceFrom resumes the presence log after this position when HasPresenceFrom is set; Presence is then
	// PresenceMember.
	PresenceFrom    broker.Position
	HasPresenceFrom bool
	// WantsState goes with StartPosition: the position is one of a state. Where the log has been compacted since, what has
	// changed in the state brings the client up to date.
	WantsState bool
	// Filter leaves out entries without these tags; nil for none.
	Filter Filter
}

// Filter names tags with the values of which an entry must have one, for each tag. Its fields are sorted, so that equal
// filters have equal texts.
type Filter []FilterTag

// FilterTag is a tag and the values that pass.
type FilterTag struct {
	Name   string
	Values []string
}

// HistoryArgs are the arguments of History. With neither After nor Before the newest Limit entries are meant.
type HistoryArgs struct {
	After     uint64
	HasAfter  bool
	Before    uint64
	HasBefore bool
	Limit     int // 0: the server's default
}

// StateArgs are the arguments of State.
type StateArgs struct {
	Order broker.Order
	Limit int    // 0: the server's default
	Next  string // the "next" of the page before, "" for the first
}

// PresenceArgs are the arguments of Presence.
type PresenceArgs struct {
	Limit int    // 0: the server's default
	Next  string // the "next" of the page before, "" for the first
}

// Reply is what a server says to one session, besides the entries of its channels. It is one of the types below;
// codecs switch on it.
type Reply interface{ reply() }

type (
	// Connected greets an admitted session. With an id it answers a Connect.
	Connected struct {
		Session, User, Node string
		PingMS              int64
		ExpiresAt           int64 // Unix milliseconds, 0 for never
		Features            []string
		MessageBytes        int64
	}
	// Subscribed answers a Subscribe.
	Subscribed struct {
		Channel   string
		Epoch     string
		Offset    uint64
		Recovered bool
		// Count is the number of members when HasCount is set; PresenceEpoch and PresenceOffset are the position of the presence log then.
		Count          int
		HasCount       bool
		PresenceEpoch  string
		PresenceOffset uint64
		E2E            bool // payloads are encrypted end to end
	}
	// Published answers a Publish.
	Published struct {
		Epoch     string
		Offset    uint64
		Duplicate bool
	}
	// Done answers a request that has nothing more to say, such as Unsubscribe.
	Done struct{ Channel string }
	// HistoryPage answers a History.
	HistoryPage struct {
		Channel string
		Page    broker.Page
	}
	// StatePage answers a State.
	StatePage struct {
		Channel string
		Page    broker.Page
		Count   int    // of all keys
		Next    string // "" for no more
	}
	// PresencePage answers a Presence: Members are entries of the presence log's state.
	PresencePage struct {
		Channel string
		Epoch   string
		Offset  uint64
		Count   int
		Members []*broker.Entry
		Next    string // "" for no more
	}
	// Result answers a Call: Payload is a JSON value.
	Result struct{ Payload []byte }
	// PongReply answers a Ping.
	PongReply struct{}
	// PingNotice asks a client that wants heartbeats for a Pong.
	PingNotice struct{}
	// Failed answers any request that failed, and says what is wrong outside any.
	Failed struct {
		Channel string
		Err     *Error
	}
	// PositionNotice says that entries up to Offset have been passed that were not for this session.
	PositionNotice struct {
		Channel string
		Offset  uint64
	}
	// GapNotice says that the entries From to To, both included, were not and will not be sent.
	GapNotice struct {
		Channel  string
		From, To uint64
		Reason   string
	}
	// Unsubscribed says that the server has ended a subscription.
	Unsubscribed struct {
		Channel string
		Err     *Error
	}
	// Event carries a payload to this session or user, on no channel.
	Event struct {
		Payload []byte
		Format  broker.Format
	}
	// Reconnect asks the client to connect again after AfterMS milliseconds, to URL when it is not "".
	Reconnect struct {
		AfterMS int64
		URL     string
	}
)

func (*Connected) reply()      {}
func (*Subscribed) reply()     {}
func (*Published) reply()      {}
func (*Done) reply()           {}
func (*HistoryPage) reply()    {}
func (*StatePage) reply()      {}
func (*PresencePage) reply()   {}
func (*Result) reply()         {}
func (*PongReply) reply()      {}
func (*PingNotice) reply()     {}
func (*Failed) reply()         {}
func (*PositionNotice) reply() {}
func (*GapNotice) reply()      {}
func (*Unsubscribed) reply()   {}
func (*Event) reply()          {}
func (*Reconnect) reply()      {}
