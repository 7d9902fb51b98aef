package clientaddr

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"
)

// version2 makes a header of the second version.
func version2(command, family byte, rest ...[]byte) string {
	var body []byte
	for _, r := range rest {
		body = append(body, r...)
	}
	b := append([]byte(nil), signature...)
	b = append(b, command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return string(append(b, body...))
}

var (
	ends4 = []byte{192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb}
	ends6 = append(append(append([]byte(nil), addr6("2001:db8::1")...), addr6("2001:db8::2")...), 0xdc, 0x04, 0x01, 0xbb)
	mixed = append(append(append([]byte(nil), addr6("::ffff:192.0.2.1")...), addr6("::ffff:198.51.100.1")...), 0xdc, 0x04, 0x01, 0xbb)
)

func addr6(s string) []byte {
	a := netip.MustParseAddr(s).As16()
	return a[:]
}

func field(kind byte, value string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value)))
	return append(b, value...)
}

// summed is a header with a checksum, of which change is added.
func summed(change uint32) string {
	b := []byte(version2(0x21, 0x11, ends4, field(1, "h2"), field(typeChecksum, "\x00\x00\x00\x00"), field(2, "example.com")))
	sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	at := fixedBytes + ipv4Bytes + len(field(1, "h2")) + 3
	binary.BigEndian.PutUint32(b[at:], sum+change)
	return string(b)
}

var proxyHeaders = map[string]struct {
	client string // "" for none that is valid
	err    error
}{
	"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n":            {client: "192.0.2.1:56324"},
	"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n": {client: "255.255.255.255:65535"},
	"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n":           {client: "[2001:db8::1]:56324"},
	"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.1 0 443\r\n":  {client: "192.0.2.1:0"},
	"PROXY UNKNOWN\r\n": {},
	"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n": {},
	"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n":                 {err: errLine},
	"PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n":                   {err: errLine},
	"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 1\r\n":             {err: errLine},
	"PROXY TCP4  192.0.2.1 198.51.100.1 56324 443\r\n":              {err: errLine},
	"PROXY TCP4 2001:db8::1 2001:db8::2 56324 443\r\n":              {err: errLine},
	"PROXY TCP6 192.0.2.1 198.51.100.1 56324 443\r\n":               {err: errLine},
	"PROXY TCP6 fe80::1%eth0 2001:db8::2 56324 443\r\n":             {err: errLine},
	"PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n":               {err: errLine},
	"PROXY TCP4 192.0.2.1 198.51.100.1 -1 443\r\n":                  {err: errLine},
	"PROXY TCP4 192.0.2.1 198.51.100.1 0443 443\r\n":                {err: errLine},
	"PROXY TCP4 192.0.2.1 example.com 56324 443\r\n":                {err: errLine},
	"PROXY UDP4 192.0.2.1 198.51.100.1 56324 443\r\n":               {err: errLine},
	"PROXY \r\n": {err: errLine},
	"PROXY UNKNOWN " + strings.Repeat("x", 100) + "\r\n": {err: errLine},
	"GET / HTTP/1.1\r\n":                          {err: errNoProxy},
	"PROXX":                                       {err: errNoProxy},
	"\r\n\r\nGET":                                 {err: errNoProxy},
	"\x16\x03\x01":                                {err: errNoProxy},
	version2(0x21, 0x11, ends4):                   {client: "192.0.2.1:56324"},
	version2(0x21, 0x12, ends4):                   {client: "192.0.2.1:56324"},
	version2(0x21, 0x21, ends6):                   {client: "[2001:db8::1]:56324"},
	version2(0x21, 0x21, mixed):                   {client: "192.0.2.1:56324"},
	version2(0x21, 0x31, make([]byte, unixBytes)): {},
	version2(0x21, 0x00):                          {},
	version2(0x21, 0x00, []byte("anything")):      {},
	version2(0x21, 0x71, []byte("of later")):      {},
	version2(0x20, 0x00):                          {},
	version2(0x20, 0x11, ends4):                   {},
	version2(0x21, 0x11, ends4, field(1, "h2"), field(0x20, ""), field(4, "pad")): {client: "192.0.2.1:56324"},
	summed(0): {client: "192.0.2.1:56324"},
	summed(1): {err: errChecksum},
	version2(0x21, 0x11, ends4, field(typeChecksum, "\x00")):   {err: errChecksum},
	version2(0x21, 0x11, ends4[:11]):                           {err: errAddresses},
	version2(0x21, 0x21, ends6[:35]):                           {err: errAddresses},
	version2(0x21, 0x31, make([]byte, 215)):                    {err: errAddresses},
	version2(0x21, 0x11, ends4, []byte{1, 0}):                  {err: errTLV},
	version2(0x21, 0x11, ends4, []byte{1, 0, 9, 1}):            {err: errTLV},
	version2(0x21, 0x11, ends4, make([]byte, MaxProxyBytes-8)): {err: errLong},
	version2(0x11, 0x11, ends4):                                {err: errVersion},
	version2(0x22, 0x11, ends4):                                {err: errCommand},
}

func TestProxyHeadersAreRead(t *testing.T) {
	for header, want := range proxyHeaders {
		client, n, err := ParseProxy([]byte(header + "GET / HTTP/1.1\r\n"))
		if want.err != nil {
			if !errors.Is(err, want.err) || n != 0 || client.IsValid() {
				t.Errorf("%q: %v, %d, %v; want %v", header, client, n, err, want.err)
			}
			continue
		}
		if err != nil || n != len(header) || client.IsValid() != (want.client != "") || client.IsValid() && client.String() != want.client {
			t.Errorf("%q: %v, %d, %v; want %q, %d", header, client, n, err, want.client, len(header))
		}
	}
}

// Whatever has come of a header, more is waited for, until it is whole or wrong; then that stays so.
func cutAnywhere(t *testing.T, b []byte) {
	t.Helper()
	client, n, err := ParseProxy(b)
	if n > len(b) || n < 0 || err != nil && n != 0 {
		t.Fatalf("%q: %d, %v", b, n, err)
	}
	for i := range b {
		c, m, e := ParseProxy(b[:i])
		switch {
		case e != nil && err == nil:
			t.Fatalf("%q is wrong, but not with %q behind it", b[:i], b[i:])
		case m > 0 && (m != n || c != client):
			t.Fatalf("%q is %v and %d long, and with %q behind it %v and %d", b[:i], c, m, b[i:], client, n)
		case n > 0 && i < n && m > 0 || n > 0 && i >= n && m != n:
			t.Fatalf("%q is whole with %d bytes, not with %d", b, m, n)
		}
	}
}

func TestProxyHeadersMayBeCutAnywhere(t *testing.T) {
	for header := range proxyHeaders {
		if len(header) < 1000 {
			cutAnywhere(t, []byte(header+"GET"))
		}
	}
}

func FuzzParseProxy(f *testing.F) {
	for header := range proxyHeaders {
		if len(header) < 300 {
			f.Add([]byte(header))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) { cutAnywhere(t, b[:min(len(b), 600)]) })
}

func TestReadingAHeaderAllocatesLittle(t *testing.T) {
	two := []byte(version2(0x21, 0x11, ends4))
	if n := testing.AllocsPerRun(100, func() { ParseProxy(two) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
