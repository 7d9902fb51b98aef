package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hocket.dev/internal/testproc"
	"hocket.dev/websocket"
)

// An authority vouches for clients.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		Subject: pkix.Name{CommonName: "authority"}, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

// vouch makes the certificate of a client.
func (a *authority) vouch(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), Subject: pkix.Name{CommonName: name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Clients show a certificate of an authority in the file, which is exchanged without a restart.
func TestClientCertificates(t *testing.T) {
	files, ours, theirs := newPEMFiles(t), newAuthority(t), newAuthority(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, ca, "CERTIFICATE", ours.cert.Raw)
	ada, eve := ours.vouch(t, "ada"), theirs.vouch(t, "eve")
	for mode, without := range map[string]bool{"require": false, "request": true} {
		writePEM(t, ca, "CERTIFICATE", ours.cert.Raw)
		n := start(t, secure(t, files, "tls: {client_ca: "+ca+", client_auth: "+mode+"}\n"))
		dial := func(certificates ...tls.Certificate) bool {
			config := files.trust(t)
			config.Certificates = certificates
			config.ClientSessionCache = sessions
			conn, _, err := websocket.Dial(t.Context(), "wss://"+n.http+"/v1/ws", &websocket.DialOptions{TLS: config})
			if err == nil {
				conn.CloseNow()
			}
			return err == nil
		}
		if a, e, none := dial(ada), dial(eve), dial(); !a || e || none != without {
			t.Errorf("%s: ours %v, theirs %v, none %v", mode, a, e, none)
		}
		writePEM(t, ca, "CERTIFICATE", theirs.cert.Raw)
		testproc.Until(t, "the other authority to be taken", func() bool { return dial(eve) })
		if dial(ada) {
			t.Errorf("%s: a certificate is good after its authority was taken away", mode)
		}
		writePEM(t, ca, "NONSENSE", nil)
		testproc.Until(t, "the log to say so", func() bool { return !dial(ada) && strings.Contains(n.Output(), "cannot be used") })
		if !dial(eve) {
			t.Errorf("%s: a broken file has changed something", mode)
		}
	}
	r := execute(t, secure(t, files, "tls: {client_ca: "+files.key+"}\n"))
	if r.code != exitUsage || lastLine(r.err) != "hocket: the file of client authorities "+files.key+" holds no certificate in PEM" {
		t.Errorf("%+v", r)
	}
	r = execute(t, command("serve", "--config", write(t, "tls: {client_ca: "+ca+"}\n")))
	if r.code != exitUsage || !strings.Contains(r.err, "tls.client_ca asks clients for certificates, but the server has none itself") {
		t.Errorf("%+v", r)
	}
}

// sessions are those that clients would resume.
var sessions = tls.NewLRUClientSessionCache(10)
