//go:build soak

package main

import (
	"crypto/tls"
	be "encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"hocket.dev/internal/testproc"
)

const acmeDomain = "rt.hocket.test"

// An authority is Pebble, Let's Encrypt's own for tests, which comes to these ports of this machine for every domain.
func startPebble(t *testing.T, tlsPort, httpPort int) (p *testproc.Process, yaml string) {
	t.Helper()
	dir, files := t.TempDir(), newPEMFiles(t)
	program := filepath.Join(dir, "pebble")
	build := exec.Command("go", "build", "-modfile=../../tools/go.mod", "-o", program, "github.com/letsencrypt/pebble/v2/cmd/pebble")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	at := fmt.Sprintf("127.0.0.1:%d", testproc.FreePort(t))
	set, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": at, "certificate": files.cert, "privateKey": files.key, "httpPort": httpPort, "tlsPort": tlsPort, "keyAlgorithm": "ecdsa",
	}})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(config, set, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-config", config, "-dnsserver", serveNames(t))
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0")
	p = testproc.StartCmd(t, cmd)
	testproc.Until(t, "Pebble to listen", func() bool {
		nc, err := net.Dial("tcp", at)
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
	return p, fmt.Sprintf("acme: {directory: 'https://%s/dir', ca_file: %s, storage: %s, email: ops@example.com}\n", at, files.cert, filepath.Join(dir, "certs"))
}

// serveNames answers each question for an address with this machine's own, and others with nothing (RFC 1035 §4.1, over TCP as in
// §4.2.2).
func serveNames(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer nc.Close()
				var size [2]byte
				if _, err := io.ReadFull(nc, size[:]); err != nil {
					return
				}
				question := make([]byte, be.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(nc, question); err == nil {
					answer := answerName(question)
					_, _ = nc.Write(append(be.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)) // who asks asks again
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

// answerName answers one question. It takes it to be well formed.
func answerName(question []byte) []byte {
	end := 12
	for question[end] != 0 {
		end += 1 + int(question[end])
	}
	end += 5
	answer := append([]byte{question[0], question[1], 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0}, question[12:end]...)
	if be.BigEndian.Uint16(question[end-4:]) == 1 { // A
		answer[7] = 1
		answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
	}
	return answer
}

// issued waits for a certificate of Pebble's and returns its serial number.
func issued(t *testing.T, n *node, certificates ...tls.Certificate) (serial string) {
	t.Helper()
	testproc.Until(t, "a certificate", func() bool {
		nc, err := tls.Dial("tcp", n.http, &tls.Config{ServerName: acmeDomain, InsecureSkipVerify: true, Certificates: certificates})
		if err != nil {
			return false
		}
		defer nc.Close()
		leaf := nc.ConnectionState().PeerCertificates[0]
		serial = leaf.SerialNumber.String()
		return strings.Contains(leaf.Issuer.CommonName, "Pebble") && leaf.VerifyHostname(acmeDomain) == nil
	})
	return serial
}

// serve --acme gets a certificate by either challenge, and has it again after a restart.
func TestSoakACME(t *testing.T) {
	closed, tlsPort, httpPort := testproc.FreePort(t), testproc.FreePort(t), testproc.FreePort(t)
	listens := fmt.Sprintf("127.0.0.1:%d", tlsPort)
	client := newAuthority(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, ca, "CERTIFICATE", client.cert.Raw)
	ada := client.vouch(t, "ada")
	for _, test := range []struct {
		name           string
		tls, http      int // where the authority comes to
		redirect, yaml string
		clients        []tls.Certificate
	}{
		{"by TLS", tlsPort, closed, "none", "", nil},
		{"by TLS beside certificates of clients", tlsPort, closed, "none", "tls: {client_ca: " + ca + ", client_auth: require}\n", []tls.Certificate{ada}},
		{"by http", closed, httpPort, fmt.Sprintf("127.0.0.1:%d", httpPort), "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			pebble, yaml := startPebble(t, test.tls, test.http)
			cmd := func() *exec.Cmd {
				return command("serve", "--acme", acmeDomain, "--listen", listens, "--redirect", test.redirect, "--config", write(t, yaml+test.yaml))
			}
			n := start(t, cmd())
			first := issued(t, n, test.clients...)
			n.Signal(sigterm)
			if code := n.ExitCode(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
			pebble.Signal(sigterm)
			<-pebble.Ended()
			if again := issued(t, start(t, cmd()), test.clients...); again != first {
				t.Errorf("after a restart the certificate is %s, not %s", again, first)
			}
		})
	}
}
