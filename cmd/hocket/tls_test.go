package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hocket.dev/internal/testproc"
	"hocket.dev/websocket"
)

// pemFiles are a certificate for 127.0.0.1 and its key.
type pemFiles struct{ cert, key string }

func newPEMFiles(t *testing.T) pemFiles {
	t.Helper()
	dir := t.TempDir()
	f := pemFiles{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	f.renew(t, 1)
	return f
}

// renew writes a new pair with this serial number.
func (f pemFiles) renew(t *testing.T, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, f.cert, "CERTIFICATE", der)
	writePEM(t, f.key, "PRIVATE KEY", keyDER)
}

func writePEM(t *testing.T, path, typ string, der []byte) {
	t.Helper()
	// Renewed files are put in their place, not written over.
	if err := os.WriteFile(path+".new", pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// trust is what a client needs to believe in the pair.
func (f pemFiles) trust(t *testing.T) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(f.cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("no certificate in the file")
	}
	return &tls.Config{RootCAs: roots}
}

// The server speaks wss, https in both versions of HTTP, and takes up a renewed certificate.
func TestServeTLS(t *testing.T) {
	files := newPEMFiles(t)
	yaml := write(t, "tls: {cert: "+files.cert+", key: "+files.key+"}\n")
	for _, args := range [][]string{
		{"--tls-cert", files.cert, "--tls-key", files.key},
		{"--config", yaml},
	} {
		n := start(t, command(append([]string{"serve", "--dev", "--listen", "127.0.0.1:0"}, args...)...))
		for _, want := range []string{"https://" + n.http + "/", "wss://" + n.http + "/v1/ws"} {
			if !strings.Contains(n.Output(), want) {
				t.Errorf("%s is not told of:\n%s", want, n.Output())
			}
		}
		conn, _, err := websocket.Dial(t.Context(), "wss://"+n.http+"/v1/ws", &websocket.DialOptions{
			TLS: files.trust(t), Header: http.Header{"Origin": {"https://" + n.http}},
		})
		if err != nil {
			t.Fatal(err)
		}
		c := &conversation{t, conn, t.Context()}
		c.want(`{"type":"connected"`)
		for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: files.trust(t), ForceAttemptHTTP2: http2}}
			response, err := client.Get("https://" + n.http + "/v1/info")
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if response.Proto != proto || !strings.Contains(string(body), "hocket") {
				t.Errorf("%s %s, want %s", response.Proto, body, proto)
			}
			client.CloseIdleConnections()
		}
		files.renew(t, 2)
		testproc.Until(t, "a handshake with the renewed certificate", func() bool {
			nc, err := tls.Dial("tcp", n.http, files.trust(t))
			if err == nil {
				nc.Close()
			}
			return err == nil
		})
		c.send(`{"type":"publish","id":1,"channel":"chat:lobby","payload":"still there"}`)
		c.want(`{"type":"reply","id":1,`)
		conn.CloseNow()
	}
}

// bench goes over wss, too, and takes a certificate that nobody has vouched for only where it is told to.
func TestBenchOverTLS(t *testing.T) {
	files := newPEMFiles(t)
	n := start(t, command("serve", "--dev", "--listen", "127.0.0.1:0", "--tls-cert", files.cert, "--tls-key", files.key))
	args := []string{"bench", "-n", "3", "--messages", "5", "--warmup=-1s", "wss://" + n.http + "/v1/ws"}
	if r := execute(t, command(append(args, "--insecure")...)); r.code != 0 || !strings.Contains(r.out, "15") {
		t.Errorf("exit code %d\n%s%s\nwant 15 messages delivered", r.code, r.out, r.err)
	}
	if r := execute(t, command(args...)); r.code == 0 || !strings.Contains(r.err, "certificate") {
		t.Errorf("without --insecure: exit code %d\n%s", r.code, r.err)
	}
}

func TestTLSFilesThatCannotBeUsed(t *testing.T) {
	files, other := newPEMFiles(t), newPEMFiles(t)
	none := filepath.Join(t.TempDir(), "none.pem")
	for _, test := range []struct{ cert, key, want string }{
		{files.cert, "", "a certificate and its key belong together: give both --tls-cert and --tls-key"},
		{none, files.key, "the certificate " + none + " cannot be read: no such file or directory"},
		{files.cert, none, "the key " + none + " cannot be read: no such file or directory"},
		{files.cert, other.key, "the certificate " + files.cert + " and the key " + other.key + " cannot be used: tls: private key does not match public key"},
		{files.key, files.key, "the certificate " + files.key + " and the key " + files.key + " cannot be used: tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched"},
	} {
		r := execute(t, command("serve", "--dev", "--tls-cert", test.cert, "--tls-key", test.key))
		if r.code != exitUsage || lastLine(r.err) != "hocket: "+test.want {
			t.Errorf("exit code %d\n have %s\n want hocket: %s", r.code, r.err, test.want)
		}
	}
}

// A pair that is half renewed, or broken, leaves the one before it in its place.
func TestCertificateIsRenewedWhole(t *testing.T) {
	files, other := newPEMFiles(t), newPEMFiles(t)
	other.renew(t, 2)
	c, err := loadCertificate(files.cert, files.key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c.now = func() time.Time { return now }
	wantSerial := func(serial int64) {
		t.Helper()
		now = now.Add(2 * lookEvery)
		pair, err := c.get(nil)
		if err != nil || pair.Leaf.SerialNumber.Int64() != serial {
			t.Fatalf("serial number %v, %v; want %d", pair.Leaf.SerialNumber, err, serial)
		}
	}
	wantSerial(1)
	if err := os.Rename(other.cert, files.cert); err != nil {
		t.Fatal(err)
	}
	wantSerial(1)
	if err := os.Remove(files.key); err != nil {
		t.Fatal(err)
	}
	wantSerial(1)
	if err := os.Rename(other.key, files.key); err != nil {
		t.Fatal(err)
	}
	wantSerial(2)
}

// TLS 1.1 is refused for itself, also where the environment has Go speak it and a suite is left that it has in common with the
// client: the suites of modernTLS alone would refuse it as well, so they are left out here.
func TestOldTLSIsRefusedWhateverTheSuites(t *testing.T) {
	t.Setenv("GODEBUG", "tls10server=1")
	files := newPEMFiles(t)
	pair, err := tls.LoadX509KeyPair(files.cert, files.key)
	if err != nil {
		t.Fatal(err)
	}
	speak := func(config *tls.Config) error {
		config.Certificates, config.CipherSuites = []tls.Certificate{pair}, nil
		near, far := net.Pipe()
		defer near.Close()
		done := make(chan error, 1)
		go func() {
			defer far.Close()
			done <- tls.Server(far, config).Handshake()
		}()
		old := files.trust(t)
		old.ServerName, old.MinVersion, old.MaxVersion = "127.0.0.1", tls.VersionTLS11, tls.VersionTLS11
		if err := tls.Client(near, old).Handshake(); err != nil {
			near.Close()
			<-done
			return err
		}
		return <-done
	}
	if err := speak(new(tls.Config)); err != nil {
		t.Fatalf("this client is refused by who takes TLS 1.1: %v", err)
	}
	if speak(modernTLS("")) == nil {
		t.Error("TLS 1.1 is spoken")
	}
}
