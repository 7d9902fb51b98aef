package wire

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Deflate holds the parameters of permessage-deflate (RFC 7692 §7.1), as offered or as
// agreed. The zero value is the bare extension: both sides may keep their context from
// message to message, and have windows of 32 KiB.
type Deflate struct {
	// ServerNoContextTakeover: the server compresses every message by itself (§7.1.1.1),
	// so the client needs no memory of earlier ones.
	ServerNoContextTakeover bool
	// ClientNoContextTakeover: the same for what the client sends (§7.1.1.2).
	ClientNoContextTakeover bool
	// ServerMaxWindowBits limits how far back the server's messages refer, within one
	// message too: 1<<bits bytes, 8 to 15 (§7.1.2.1). 0 is absent and means 15.
	ServerMaxWindowBits int
	// ClientMaxWindowBits is the same for what the client sends (§7.1.2.2). In an offer it
	// also says that the server may limit it; [AnyWindow] says only that.
	ClientMaxWindowBits int
}

// AnyWindow is an offered client_max_window_bits without a value (RFC 7692 §7.1.2.2).
const AnyWindow = -1

// The bounds of a window's size in bits (RFC 7692 §7.1.2).
const (
	minWindowBits = 8
	maxWindowBits = 15
)

const deflateName = "permessage-deflate"

// The parameters' names (RFC 7692 §7.1).
const (
	paramServerNoTakeover = "server_no_context_takeover"
	paramClientNoTakeover = "client_no_context_takeover"
	paramServerBits       = "server_max_window_bits"
	paramClientBits       = "client_max_window_bits"
)

// SendBits returns the window, in bits, that the given role has promised for what it
// sends: 8 to 15.
func (d Deflate) SendBits(role Role) int {
	bits := d.ServerMaxWindowBits
	if role == Client {
		bits = d.ClientMaxWindowBits
	}
	if bits <= 0 {
		return maxWindowBits
	}
	return bits
}

// ReceiveBits returns the window, in bits, of what the given role receives.
func (d Deflate) ReceiveBits(role Role) int { return d.SendBits(role.peer()) }

// SendsTakeover reports whether the given role may refer to earlier messages in what it
// sends. It never has to.
func (d Deflate) SendsTakeover(role Role) bool {
	if role == Client {
		return !d.ClientNoContextTakeover
	}
	return !d.ServerNoContextTakeover
}

// ReceivesTakeover reports whether what the given role receives may refer to earlier
// messages. Then it must remember them, in a [Window].
func (d Deflate) ReceivesTakeover(role Role) bool { return d.SendsTakeover(role.peer()) }

// String returns d as it stands in the header.
func (d Deflate) String() string {
	var b strings.Builder
	b.WriteString(deflateName)
	flag := func(name string, on bool) {
		if on {
			b.WriteString("; " + name)
		}
	}
	window := func(name string, bits int) {
		flag(name, bits != 0)
		if bits > 0 {
			b.WriteString("=" + strconv.Itoa(bits))
		}
	}
	flag(paramServerNoTakeover, d.ServerNoContextTakeover)
	flag(paramClientNoTakeover, d.ClientNoContextTakeover)
	window(paramServerBits, d.ServerMaxWindowBits)
	window(paramClientBits, d.ClientMaxWindowBits)
	return b.String()
}

// ParseDeflate reads the parameters of a permessage-deflate extension. offered tells a
// client's offer, in which client_max_window_bits may stand without a value, from a
// server's answer. The errors are those of RFC 7692 §7.1 upon which a server declines
// the offer and a client fails the connection: an unknown parameter, a repeated one, a
// value that is not allowed, a value that is missing.
func ParseDeflate(e Extension, offered bool) (Deflate, error) {
	var d Deflate
	if e.Name != deflateName {
		return d, fmt.Errorf("the extension is %q, not %s", e.Name, deflateName)
	}
	for i, p := range e.Params {
		if slices.ContainsFunc(e.Params[:i], func(earlier Param) bool { return earlier.Name == p.Name }) {
			return Deflate{}, fmt.Errorf("%s stands twice (RFC 7692 §7.1)", p.Name)
		}
		var err error
		switch p.Name {
		case paramServerNoTakeover:
			d.ServerNoContextTakeover, err = true, noValue(p)
		case paramClientNoTakeover:
			d.ClientNoContextTakeover, err = true, noValue(p)
		case paramServerBits:
			d.ServerMaxWindowBits, err = windowValue(p)
		case paramClientBits:
			if offered && !p.HasValue {
				d.ClientMaxWindowBits = AnyWindow
			} else {
				d.ClientMaxWindowBits, err = windowValue(p)
			}
		default:
			err = fmt.Errorf("%s has no parameter %q (RFC 7692 §7.1)", deflateName, p.Name)
		}
		if err != nil {
			return Deflate{}, err
		}
	}
	return d, nil
}

// noValue refuses a value where §7.1.1 allows none.
func noValue(p Param) error {
	if p.HasValue {
		return fmt.Errorf("%s has the value %q, but takes none (RFC 7692 §7.1.1)", p.Name, p.Value)
	}
	return nil
}

// windowValue reads a window: 8 to 15, decimal, without leading zeros (§7.1.2).
func windowValue(p Param) (int, error) {
	for bits := minWindowBits; bits <= maxWindowBits; bits++ {
		if p.Value == strconv.Itoa(bits) {
			return bits, nil
		}
	}
	return 0, fmt.Errorf("%s has the value %q, want 8 to 15 (RFC 7692 §7.1.2)", p.Name, p.Value)
}

// AcceptDeflate chooses among a client's offers, in their order, the first that can be
// met, and returns what a server answers. ok is false when there is none: then the
// answer names no extension, and the connection goes on without (RFC 7692 §5).
//
// want is the server's own wish: not to keep a context of its own messages, not to have
// to keep the client's, and windows no larger than it says (0 for no wish). A wish for
// the client's window is granted where the client can be asked (§7.1.2.2); the others
// always.
func AcceptDeflate(offers []Extension, want Deflate) (agreed Deflate, ok bool) {
	for _, e := range offers {
		if e.Name != deflateName {
			continue
		}
		offer, err := ParseDeflate(e, true)
		if err != nil {
			continue // §7: declined; the next offer may be a fallback without it
		}
		return want.answer(offer), true
	}
	return Deflate{}, false
}

// answer joins a client's offer and a server's wish to what holds for both.
func (want Deflate) answer(offer Deflate) Deflate {
	agreed := Deflate{
		ServerNoContextTakeover: want.ServerNoContextTakeover || offer.ServerNoContextTakeover,
		// What a client announces without being asked needs no answer, but an answer makes
		// it a promise, upon which no memory is kept for it (§7.1.1.2).
		ClientNoContextTakeover: want.ClientNoContextTakeover || offer.ClientNoContextTakeover,
		ServerMaxWindowBits:     smaller(want.ServerMaxWindowBits, offer.ServerMaxWindowBits),
	}
	if offer.ClientMaxWindowBits != 0 { // else the answer must not name it (§7.1.2.2)
		agreed.ClientMaxWindowBits = smaller(want.ClientMaxWindowBits, offer.ClientMaxWindowBits)
	}
	return agreed
}

// smaller returns the smaller of two windows, of which 0 and less are no limit.
func smaller(a, b int) int {
	switch {
	case a <= 0:
		return max(b, 0)
	case b <= 0:
		return a
	}
	return min(a, b)
}

// agree decides whether a server's answer fits one of the offers (RFC 7692 §7.1), and
// returns what holds then: the answer, and what this client announced about itself.
func agree(answer Deflate, offers []Deflate) (Deflate, error) {
	var err error
	for _, offer := range offers {
		if err = offer.meets(answer); err == nil {
			answer.ClientNoContextTakeover = answer.ClientNoContextTakeover || offer.ClientNoContextTakeover
			answer.ClientMaxWindowBits = smaller(answer.ClientMaxWindowBits, offer.ClientMaxWindowBits)
			return answer, nil
		}
	}
	return Deflate{}, err
}

// meets reports how answer breaks what this offer asked for.
func (offer Deflate) meets(answer Deflate) error {
	switch {
	case offer.ServerNoContextTakeover && !answer.ServerNoContextTakeover:
		return fmt.Errorf("%s was asked for and is missing (RFC 7692 §7.1.1.1)", paramServerNoTakeover)
	case offer.ServerMaxWindowBits > 0 && (answer.ServerMaxWindowBits == 0 || answer.ServerMaxWindowBits > offer.ServerMaxWindowBits):
		return fmt.Errorf("%s was to be at most %d (RFC 7692 §7.1.2.1)", paramServerBits, offer.ServerMaxWindowBits)
	case offer.ClientMaxWindowBits == 0 && answer.ClientMaxWindowBits != 0:
		return fmt.Errorf("%s was not offered (RFC 7692 §7.1.2.2)", paramClientBits)
	case offer.ClientMaxWindowBits > 0 && answer.ClientMaxWindowBits > offer.ClientMaxWindowBits:
		return fmt.Errorf("%s is larger than the %d offered (RFC 7692 §7.1.2.2)", paramClientBits, offer.ClientMaxWindowBits)
	}
	return nil
}
