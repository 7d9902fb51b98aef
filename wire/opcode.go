package wire

import "strconv"

// Role is the side of the connection on which a [Decoder] stands. It decides
// about masking (§5.1): what a client sends is masked, what a server sends is not.
type Role uint8

const (
	// Server receives masked frames and sends unmasked ones.
	Server Role = iota
	// Client receives unmasked frames and sends masked ones.
	Client
)

// String returns "server" or "client".
func (r Role) String() string {
	if r == Client {
		return "client"
	}
	return "server"
}

// peer returns the other side.
func (r Role) peer() Role {
	if r == Client {
		return Server
	}
	return Client
}

// Opcode says what a frame carries (§5.2). It has four bits on the wire.
type Opcode uint8

// The opcodes of §11.8. All others are reserved and refused by the [Decoder].
const (
	Continuation Opcode = 0  // a further fragment of the message begun before
	Text         Opcode = 1  // a message in UTF-8, or its first fragment
	Binary       Opcode = 2  // a message of arbitrary bytes, or its first fragment
	Close        Opcode = 8  // the closing handshake (§5.5.1)
	Ping         Opcode = 9  // to be answered by a pong (§5.5.2)
	Pong         Opcode = 10 // answer to a ping, or a one-way heartbeat (§5.5.3)
)

// Control reports whether o is a control opcode: one of the upper eight, reserved
// ones included (§5.5).
func (o Opcode) Control() bool { return o&8 != 0 }

// known reports whether o is defined by RFC 6455.
func (o Opcode) known() bool { return o <= Binary || o >= Close && o <= Pong }

// String returns the name of o in lower case, or "opcode 11" for a reserved one.
func (o Opcode) String() string {
	switch o {
	case Continuation:
		return "continuation"
	case Text:
		return "text"
	case Binary:
		return "binary"
	case Close:
		return "close"
	case Ping:
		return "ping"
	case Pong:
		return "pong"
	}
	return "opcode " + strconv.Itoa(int(o))
}
