package clientaddr

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"strconv"
	"strings"
)

// Bounds of the PROXY protocol. Version 2 allows 64 KiB for what follows its addresses; that is for extensions
// which are not read here.
const (
	maxLine       = 107 // of version 1, by its specification
	MaxProxyBytes = 4 << 10
)

var (
	signature = []byte("\r\n\r\n\x00\r\nQUIT\n") // of version 2
	lineBegin = []byte("PROXY ")                 // of version 1

	errNoProxy   = errors.New("the connection does not begin with a header of the PROXY protocol")
	errLine      = errors.New("the line of the PROXY protocol is malformed")
	errVersion   = errors.New("the header of the PROXY protocol has another version than 1 or 2")
	errCommand   = errors.New("the header of the PROXY protocol has a command that is neither LOCAL nor PROXY")
	errLong      = errors.New("the header of the PROXY protocol is longer than 4 KiB")
	errAddresses = errors.New("the header of the PROXY protocol is too short for its addresses")
	errTLV       = errors.New("the header of the PROXY protocol has a field that is longer than the header")
	errChecksum  = errors.New("the checksum in the header of the PROXY protocol is wrong")
)

// ParseProxy reads the header of the PROXY protocol, version 1 or 2, that b begins with: who the client is, and how long the
// header is. n is 0 where more bytes are needed; any error can be told from the first bytes that are wrong. The client
// is not valid where the proxy speaks for itself, as in checks of the server's health, or for one whose address is not of IP:
// who has connected is then to be taken for the client.
func ParseProxy(b []byte) (client netip.AddrPort, n int, err error) {
	switch {
	case begins(b, signature):
		return parseVersion2(b)
	case begins(b, lineBegin):
		return parseVersion1(b)
	}
	return netip.AddrPort{}, 0, errNoProxy
}

// begins tells whether b and what may follow it begin with prefix.
func begins(b, prefix []byte) bool {
	n := min(len(b), len(prefix))
	return bytes.Equal(b[:n], prefix[:n])
}

// parseVersion1 reads "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n".
func parseVersion1(b []byte) (client netip.AddrPort, n int, err error) {
	head := b[:min(len(b), maxLine)]
	end := bytes.IndexByte(head, '\n')
	switch {
	case end < 0 && len(head) < maxLine:
		return client, 0, nil
	case end < 1 || head[end-1] != '\r':
		return client, 0, errLine
	}
	fields := strings.Split(string(head[len(lineBegin):end-1]), " ")
	switch fields[0] {
	case "UNKNOWN": // what follows is to be ignored
		return client, end + 1, nil
	case "TCP4", "TCP6":
	default:
		return client, 0, errLine
	}
	if len(fields) != 5 {
		return client, 0, errLine
	}
	from, ok := parseEnd(fields[0] == "TCP6", fields[1], fields[3])
	if _, valid := parseEnd(fields[0] == "TCP6", fields[2], fields[4]); !ok || !valid {
		return client, 0, errLine
	}
	return from, end + 1, nil
}

// parseEnd reads one end of a connection.
func parseEnd(six bool, address, port string) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(address)
	p, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || a.Is4() == six || a.Zone() != "" || len(port) > 1 && port[0] == '0' {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(plain(a), uint16(p)), true
}

// Parts of version 2.
const (
	fixedBytes = 16 // signature, version and command, family, length
	ipv4Bytes  = 12 // two addresses and two ports
	ipv6Bytes  = 36
	unixBytes  = 216

	typeChecksum = 3 // of a field: PP2_TYPE_CRC32C
)

// parseVersion2 reads the binary form.
func parseVersion2(b []byte) (client netip.AddrPort, n int, err error) {
	if len(b) > 12 {
		switch {
		case b[12]>>4 != 2:
			return client, 0, errVersion
		case b[12]&15 > 1:
			return client, 0, errCommand
		}
	}
	if len(b) < fixedBytes {
		return client, 0, nil
	}
	n = fixedBytes + int(binary.BigEndian.Uint16(b[14:]))
	switch {
	case n > MaxProxyBytes:
		return client, 0, errLong
	case len(b) < n:
		return client, 0, nil
	}
	head := b[:n]
	client, fields, err := addresses(head)
	if err == nil {
		err = checkFields(head, fields)
	}
	if err != nil {
		return netip.AddrPort{}, 0, err
	}
	if head[12]&15 == 0 { // LOCAL
		client = netip.AddrPort{}
	}
	return client, n, nil
}

// addresses reads who the client is, and where the fields begin. The two halves of the family are the addresses' and the
// protocol's (stream or datagram), of which the latter makes no difference.
func addresses(head []byte) (client netip.AddrPort, fields int, err error) {
	at := head[fixedBytes:]
	need := 0
	switch head[13] >> 4 {
	case 1:
		if need = ipv4Bytes; len(at) >= need {
			client = netip.AddrPortFrom(netip.AddrFrom4([4]byte(at[:4])), binary.BigEndian.Uint16(at[8:]))
		}
	case 2:
		if need = ipv6Bytes; len(at) >= need {
			client = netip.AddrPortFrom(plain(netip.AddrFrom16([16]byte(at[:16]))), binary.BigEndian.Uint16(at[32:]))
		}
	case 3:
		need = unixBytes
	default: // none, or one that this version does not know: the rest is not to be looked at
		return client, len(head), nil
	}
	if len(at) < need {
		return netip.AddrPort{}, 0, errAddresses
	}
	return client, fixedBytes + need, nil
}

// checkFields passes over the fields from at on, and looks whether the checksum is right where there is one.
func checkFields(head []byte, at int) error {
	for at < len(head) {
		if len(head)-at < 3 {
			return errTLV
		}
		kind, size := head[at], int(binary.BigEndian.Uint16(head[at+1:]))
		value := at + 3
		if at = value + size; at > len(head) {
			return errTLV
		}
		if kind != typeChecksum {
			continue
		}
		if size != 4 {
			return errChecksum
		}
		// It is that of the header with zeros in its own place.
		table := crc32.MakeTable(crc32.Castagnoli)
		sum := crc32.Update(0, table, head[:value])
		sum = crc32.Update(sum, table, make([]byte, 4))
		sum = crc32.Update(sum, table, head[at:])
		if sum != binary.BigEndian.Uint32(head[value:]) {
			return errChecksum
		}
	}
	return nil
}
