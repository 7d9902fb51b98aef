package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hocket.dev/internal/config"
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

// Clients show a certificate of an authority in the file, where they have to.
func TestClientCertificates(t *testing.T) {
	files, ours, theirs := newPEMFiles(t), newAuthority(t), newAuthority(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, ca, "CERTIFICATE", ours.cert.Raw)
	for mode, without := range map[string]bool{"require": false, "request": true} {
		n := start(t, secure(t, files, "tls: {client_ca: "+ca+", client_auth: "+mode+"}\n"))
		dial := func(certificates ...tls.Certificate) bool {
			config := files.trust(t)
			config.Certificates = certificates
			conn, _, err := websocket.Dial(t.Context(), "wss://"+n.http+"/v1/ws", &websocket.DialOptions{TLS: config})
			if err == nil {
				conn.CloseNow()
			}
			return err == nil
		}
		if a, e, none := dial(ours.vouch(t, "ada")), dial(theirs.vouch(t, "eve")), dial(); !a || e || none != without {
			t.Errorf("%s: ours %v, theirs %v, none %v", mode, a, e, none)
		}
	}
	named := start(t, secure(t, files, "tls: {client_ca: "+ca+", client_user: subject_cn}\nanonymous: false\nchannels: [{pattern: 'a', allow: [subscribe]}]\n"))
	config := files.trust(t)
	config.Certificates = []tls.Certificate{ours.vouch(t, "ada")}
	conn, _, err := websocket.Dial(t.Context(), "wss://"+named.http+"/v1/ws?channel=a&channel=b", &websocket.DialOptions{TLS: config})
	if err != nil {
		t.Fatal(err)
	}
	c := &conversation{t, conn, t.Context()}
	defer conn.CloseNow()
	if told := c.want(`{"type":"connected"`); !strings.Contains(told, `"user":"ada"`) {
		t.Errorf("greeted with %s", told)
	}
	c.want(`{"type":"error","channel":"b","error":{"code":1403`)
	r := execute(t, secure(t, files, "tls: {client_ca: "+files.key+"}\n"))
	if r.code != exitUsage || lastLine(r.err) != "hocket: the file of client authorities "+files.key+" holds no certificate in PEM" {
		t.Errorf("%+v", r)
	}
	r = execute(t, command("serve", "--config", write(t, "tls: {client_ca: "+ca+"}\n")))
	if r.code != exitUsage || !strings.Contains(r.err, "tls.client_ca asks clients for certificates, but the server has none itself") {
		t.Errorf("%+v", r)
	}
}

// An authority that has been taken away vouches for nobody any more, not for those either whom it has before; a file that
// cannot be used changes nothing.
func TestAuthoritiesAreExchanged(t *testing.T) {
	files, ours, theirs := newPEMFiles(t), newAuthority(t), newAuthority(t)
	cert, err := loadCertificate(files.cert, files.key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, ca, "CERTIFICATE", ours.cert.Raw)
	var log strings.Builder
	a, err := newAuthorities(&tls.Config{GetCertificate: cert.get}, &config.TLS{ClientCA: ca, ClientAuth: config.ClientRequire},
		slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	a.now = func() time.Time { return now }
	asking, sessions := a.ask(), tls.NewLRUClientSessionCache(10)
	ada, eve := ours.vouch(t, "ada"), theirs.vouch(t, "eve")
	want := func(adaMay, eveMay bool) {
		t.Helper()
		now = now.Add(2 * lookEvery)
		for client, may := range map[*tls.Certificate]bool{&ada: adaMay, &eve: eveMay} {
			trust := files.trust(t)
			trust.ServerName, trust.ClientSessionCache, trust.Certificates = "127.0.0.1", sessions, []tls.Certificate{*client}
			if err := shake(t, asking, trust); (err == nil) != may {
				t.Errorf("%v, want %v", err, may)
			}
		}
	}
	want(true, false)
	writePEM(t, ca, "CERTIFICATE", theirs.cert.Raw)
	want(false, true)
	writePEM(t, ca, "NONSENSE", nil)
	want(false, true)
	if err := os.Remove(ca); err != nil {
		t.Fatal(err)
	}
	want(false, true)
	writePEM(t, ca, "CERTIFICATE", ours.cert.Raw)
	want(true, false)
	if n := strings.Count(log.String(), "cannot be used"); n != 2 {
		t.Errorf("told %d times that a file cannot be used, want 2:\n%s", n, log.String())
	}
}

// shake does a handshake and returns what the server says of it.
func shake(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c := tls.Client(far, client)
		_, _ = c.Read(make([]byte, 1)) // until the server closes; what it says of the certificate comes behind the handshake
		far.Close()
	}()
	err := tls.Server(near, server).Handshake()
	near.Close()
	<-done
	return err
}
