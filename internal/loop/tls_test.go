package loop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// selfSigned makes a certificate for 127.0.0.1, once.
var selfSigned = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// tlsPair returns a connection under TLS as the listener makes it, and its client.
func tlsPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	return tlsPairWith(t, &tls.Config{})
}

func tls12Pair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	return tlsPairWith(t, &tls.Config{MaxVersion: tls.VersionTLS12})
}

// tlsPairWith has the client stand on a [gathering].
func tlsPairWith(t *testing.T, config *tls.Config) (server, client *tls.Conn) {
	t.Helper()
	near, far := tcpPair(t)
	config.Certificates = []tls.Certificate{selfSigned()}
	server = tls.Server(NewCarrier(near), config)
	client = tls.Client(&gathering{TCPConn: far.(*net.TCPConn)}, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return server, client
}

// gathering is a connection that can send several records at once.
type gathering struct {
	*net.TCPConn
	hold bool
	held []byte
	last int // bytes of the last record that was read
	in   []byte
}

func (g *gathering) Read(b []byte) (int, error) {
	n, err := g.TCPConn.Read(b)
	g.in = append(g.in, b[:n]...)
	for len(g.in) >= 5 {
		record := 5 + int(g.in[3])<<8 + int(g.in[4])
		if len(g.in) < record {
			break
		}
		g.last, g.in = record, g.in[record:]
	}
	return n, err
}

func (g *gathering) Write(b []byte) (int, error) {
	if g.hold {
		g.held = append(g.held, b...)
		return len(b), nil
	}
	return g.TCPConn.Write(b)
}

// writeAtOnce sends each piece in a record of its own, and all in one segment.
func writeAtOnce(t *testing.T, client *tls.Conn, pieces ...string) {
	t.Helper()
	g := client.NetConn().(*gathering)
	g.hold = true
	for _, p := range pieces {
		mustWrite(t, client, p)
	}
	g.hold = false
	if _, err := g.Write(g.held); err != nil {
		t.Fatal(err)
	}
	g.held = nil
}
