package loop

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"net"
	"strings"
	"testing"
)

// A forger writes the records of a client of TLS 1.3 itself: crypto/tls sends no key updates of its own accord.
type forger struct {
	t      *testing.T
	nc     net.Conn
	secret []byte
	seq    uint64
}

// newForger takes over the writing side of client, whose secret the server has logged.
func newForger(t *testing.T, client *tls.Conn, keyLog string) *forger {
	t.Helper()
	if client.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skip("without AES in hardware crypto/tls chooses a cipher that is not forged here")
	}
	for line := range strings.Lines(keyLog) {
		if f := strings.Fields(line); f[0] == "CLIENT_TRAFFIC_SECRET_0" {
			secret, err := hex.DecodeString(f[2])
			if err != nil {
				t.Fatal(err)
			}
			return &forger{t: t, nc: client.NetConn(), secret: secret}
		}
	}
	t.Fatalf("no secret in %q", keyLog)
	return nil
}

// expand is HKDF-Expand-Label (RFC 8446 §7.1) without context.
func (f *forger) expand(label string, n int) []byte {
	f.t.Helper()
	info := append([]byte{0, byte(n), byte(6 + len(label))}, "tls13 "+label+"\x00"...)
	b, err := hkdf.Expand(sha256.New, f.secret, string(info), n)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

// append appends a record (RFC 8446 §5.2).
func (f *forger) append(dst []byte, typ byte, content string) []byte {
	f.t.Helper()
	block, err := aes.NewCipher(f.expand("key", 16))
	if err != nil {
		f.t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		f.t.Fatal(err)
	}
	nonce := f.expand("iv", 12)
	last := nonce[4:]
	binary.BigEndian.PutUint64(last, binary.BigEndian.Uint64(last)^f.seq)
	f.seq++
	inner := append([]byte(content), typ)
	header := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(inner)+aead.Overhead()))
	return append(dst, aead.Seal(header, nonce, inner, header)...)
}

// appendKeyUpdate asks the peer to change its keys, and changes ours (RFC 8446 §4.6.3, §7.2).
func (f *forger) appendKeyUpdate(dst []byte) []byte {
	f.t.Helper()
	dst = f.append(dst, 22, "\x18\x00\x00\x01\x01")
	f.secret, f.seq = f.expand("traffic upd", 32), 0
	return dst
}

// Key updates are answered, and bytes go on in both directions.
func TestKeyUpdate(t *testing.T) {
	b := newBench(t, drivers[0])
	e := newEcho()
	var log strings.Builder
	client := b.attachTLS(t, &e.owner, &tls.Config{KeyLogWriter: &log})
	f := newForger(t, client, log.String())
	for _, s := range []string{"one", "two"} {
		out := f.append(f.appendKeyUpdate(f.append(nil, 23, "before ")), 23, s)
		if _, err := f.nc.Write(out); err != nil {
			t.Fatal(err)
		}
		wantRead(t, client, "before "+s)
	}
}

// A peer that has the keys changed and reads nothing costs bounded memory, and then its connection.
func TestKeyUpdatesThatNobodyReads(t *testing.T) {
	b := newBench(t, drivers[0])
	o := &owner{}
	var log strings.Builder
	client, other := b.attachTLS(t, o, &tls.Config{KeyLogWriter: &log}), b.attachEcho(t)
	f := newForger(t, client, log.String())
	b.do(func() {
		for !o.state.has(full) {
			if _, err := o.Write(b.Scratch()); err != nil {
				t.Error(err)
				return
			}
		}
	})
	var flood []byte
	for range maxSealed / 20 { // an answer has 27 bytes
		flood = f.append(f.appendKeyUpdate(flood), 23, "x")
	}
	if _, err := f.nc.Write(flood); err != nil {
		t.Log(err) // it was closed before that was read
	}
	if err := <-o.closed; err != errUnread {
		t.Errorf("closed with %v, want %v", err, errUnread)
	}
	ping(t, other)
}
