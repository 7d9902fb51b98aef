package load

// A payload is a JSON string of fixed size, so that it passes any server as it
// is and is compared byte for byte:
//
//	"0003.0000000000000c.000000174876e800.klmnopqr…"
//	 channel  sequence     sent at (ns)    filler, turned by the sequence
//
// The sequence counts the channel's publishes from 0, the time counts from the
// start of the run.

// MinPayloadBytes is the size of the smallest payload: what stands before the
// filler, one byte of it, and the closing quote.
const MinPayloadBytes = fillerAt + 2

// The places of the parts in a payload.
const (
	channelAt = 1
	seqAt     = channelAt + 4 + 1
	sentAt    = seqAt + 16 + 1
	fillerAt  = sentAt + 16 + 1
)

// payload names one publish.
type payload struct {
	channel int    // index, below 1<<16
	seq     uint64 // of the channel, from 0
	sent    int64  // nanoseconds since the start of the run
}

// append appends p in size bytes to dst.
func (p payload) append(dst []byte, size int) []byte {
	dst = append(dst, '"')
	dst = appendHex(dst, uint64(p.channel), 4)
	dst = append(dst, '.')
	dst = appendHex(dst, p.seq, 16)
	dst = append(dst, '.')
	dst = appendHex(dst, uint64(p.sent), 16)
	dst = append(dst, '.')
	for i := fillerAt; i < size-1; i++ {
		dst = append(dst, filler[(p.seq+uint64(i))%uint64(len(filler))])
	}
	return append(dst, '"')
}

// parsePayload reads the numbers of a payload. It does not look at the filler:
// who compares the whole payload needs ok only to say what is wrong.
func parsePayload(b []byte) (p payload, ok bool) {
	if len(b) < MinPayloadBytes || b[0] != '"' || b[seqAt-1] != '.' || b[sentAt-1] != '.' || b[fillerAt-1] != '.' {
		return payload{}, false
	}
	channel, ok1 := parseHex(b[channelAt : channelAt+4])
	seq, ok2 := parseHex(b[seqAt : seqAt+16])
	sent, ok3 := parseHex(b[sentAt : sentAt+16])
	return payload{int(channel), seq, int64(sent)}, ok1 && ok2 && ok3
}

const (
	digits = "0123456789abcdef"
	filler = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
)

// appendHex appends the lowest width hexadecimal digits of v.
func appendHex(dst []byte, v uint64, width int) []byte {
	for i := width - 1; i >= 0; i-- {
		dst = append(dst, digits[v>>(4*i)&15])
	}
	return dst
}

// parseHex reads what appendHex wrote.
func parseHex(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}
