// Package payload makes the messages of the benchmark. They are the same in every run
// on every machine, and no two of them are: a message that is lost, doubled, exchanged
// or damaged is seen by comparing bytes. All of them are JSON, so that a server that
// checks payloads passes them.
//
// Two kinds: [AppendText], of any size and quickly made, and [AppendBook], 1 KiB as an
// exchange would send it, for compression. Functions may be called from any goroutine.
package payload

import (
	"math/rand/v2"
	"strconv"
)

// MinText is the size in bytes of the smallest message of [AppendText].
const MinText = 2 + 2*16

const (
	digits = "0123456789abcdef"
	filler = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
)

// AppendText appends message n of a stream, a JSON string of size bytes, to dst and
// returns the extended slice: the numbers of the stream and of the message in 16
// hexadecimal digits each, then letters that are turned by one with each message. A size below
// [MinText] becomes MinText.
func AppendText(dst []byte, stream, n uint64, size int) []byte {
	end := len(dst) + max(size, MinText)
	dst = append(dst, '"')
	dst = appendHex(dst, stream)
	dst = appendHex(dst, n)
	for at := int((stream + n) % uint64(len(filler))); len(dst) < end-1; at = 0 {
		dst = append(dst, filler[at:min(len(filler), at+end-1-len(dst))]...)
	}
	return append(dst, '"')
}

// appendHex appends v in 16 digits.
func appendHex(dst []byte, v uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[v>>shift&15])
	}
	return dst
}

// BookBytes is the size of every message of [AppendBook].
const BookBytes = 1024

// AppendBook appends order book n of a stream to dst and returns the extended slice:
//
//	{"symbol":"BTC-USD","seq":12,"time":1700000000600,"bids":[["63999.52","1.3702"],…],
//	 "asks":[["64000.48","0.0521"],…],"checksum":"5b1f…"}
//
// on one line, with 21 levels on each side. Prices walk away from a middle that wanders
// from one message to the next, by up to a dollar a level; amounts are any below 10.
// Both come from a generator (PCG) that is seeded with stream and n, so that each message
// can be made by itself, and so do the digits of "checksum", of which there are as many
// as are missing to 1 KiB: 17 less those of n. compress/flate leaves some 0.41.
func AppendBook(dst []byte, stream, n uint64) []byte {
	r := rand.New(rand.NewPCG(stream, n))
	start := len(dst)
	dst = append(dst, `{"symbol":"BTC-USD","seq":`...)
	dst = strconv.AppendUint(dst, n, 10)
	dst = append(dst, `,"time":`...)
	dst = strconv.AppendUint(dst, 1_700_000_000_000+50*n, 10)
	middle := 6_400_000 + int(n%997) - 498 + r.IntN(100) // in cents
	dst = append(dst, `,"bids":[`...)
	dst = appendLevels(dst, r, middle, -1)
	dst = append(dst, `],"asks":[`...)
	dst = appendLevels(dst, r, middle, 1)
	dst = append(dst, `],"checksum":"`...)
	for len(dst)-start < BookBytes-2 {
		dst = append(dst, digits[r.IntN(len(digits))])
	}
	return append(dst, `"}`...)
}

// levels is how many prices each side of a book has.
const levels = 21

// appendLevels appends one side of a book: sign is the direction its prices go.
func appendLevels(dst []byte, r *rand.Rand, price, sign int) []byte {
	for i := range levels {
		price += sign * (1 + r.IntN(100))
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `["`...)
		dst = appendFixed(dst, price, 2)
		dst = append(dst, `","`...)
		dst = appendFixed(dst, r.IntN(100_000), 4)
		dst = append(dst, `"]`...)
	}
	return dst
}

// appendFixed appends v / 10^places with so many digits behind the point.
func appendFixed(dst []byte, v, places int) []byte {
	unit := 1
	for range places {
		unit *= 10
	}
	dst = strconv.AppendInt(dst, int64(v/unit), 10)
	dst = append(dst, '.')
	for unit /= 10; unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+v/unit%10))
	}
	return dst
}
