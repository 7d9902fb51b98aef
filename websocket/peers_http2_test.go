package websocket

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hocket.dev/internal/testproc"
)

// HAProxy turns a client's WebSocket over HTTP/2 (RFC 8441) into an upgrade for the server.
func TestThroughHAProxyFromHTTP2(t *testing.T) {
	t.Parallel()
	const way = "loops with their listener"
	client, certificate := testCertificate(t)
	e := startErrands(t, way, AcceptOptions{Compression: Compression{Mode: CompressionTakeover, Threshold: 1}})
	proxy := testproc.HAProxyForHTTP2(t, "../docs/proxies.md", strings.TrimPrefix(e.url, "ws://"), certificate)
	(&proxied{e, proxy, client}).everything(t, way)
}

// testCertificate returns the certificate of httptest, as a client trusts it and as the name of a PEM file with the key.
func testCertificate(t *testing.T) (client *tls.Config, file string) {
	t.Helper()
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	own := web.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	both := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Certificate[0]})
	both = append(both, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	file = filepath.Join(t.TempDir(), "site.pem")
	if err := os.WriteFile(file, both, 0o600); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	return &tls.Config{RootCAs: roots, ServerName: "example.com"}, file
}
