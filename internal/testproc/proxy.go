package testproc

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A Proxy is an nginx or HAProxy that listens on a Unix socket of its own, because a port that was free a moment ago
// may not be any more when a program without port 0 gets to it.
type Proxy struct {
	Socket string

	start func(t testing.TB) *Process
	now   *Process
}

// Nginx starts nginx with what stands in its http block. "$SOCKET" in it stands for the address to listen on. The test
// is skipped where nginx is not installed.
func Nginx(t testing.TB, conf string) *Proxy {
	t.Helper()
	program := lookFor(t, "nginx")
	return startProxy(t, func(dir, socket string) *exec.Cmd {
		// One process, so that none is left when it is killed; no files elsewhere.
		conf := "daemon off; master_process off; pid nginx.pid;\nevents {}\nhttp {\naccess_log off;\n" +
			"client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n" +
			strings.ReplaceAll(conf, "$SOCKET", "unix:"+socket) + "\n}\n"
		writeFile(t, filepath.Join(dir, "nginx.conf"), conf)
		return exec.Command(program, "-p", dir, "-c", "nginx.conf", "-e", "stderr")
	})
}

// HAProxy starts HAProxy with a configuration. "$SOCKET" in it stands for the address to bind. The test is skipped
// where HAProxy is not installed.
func HAProxy(t testing.TB, conf string) *Proxy {
	t.Helper()
	program := lookFor(t, "haproxy")
	return startProxy(t, func(dir, socket string) *exec.Cmd {
		path := filepath.Join(dir, "haproxy.cfg")
		writeFile(t, path, strings.ReplaceAll(conf, "$SOCKET", "unix@"+socket)+"\n")
		return exec.Command(program, "-db", "-f", path)
	})
}

// lookFor finds a daemon's program, also where the path of an ordinary user does not lead.
func lookFor(t testing.TB, name string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	t.Skipf("needs the package %s", name)
	return ""
}

func startProxy(t testing.TB, command func(dir, socket string) *exec.Cmd) *Proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "proxy") // t.TempDir is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	p := &Proxy{Socket: filepath.Join(dir, "socket")}
	p.start = func(t testing.TB) *Process { return StartCmd(t, command(dir, p.Socket)) }
	p.Start(t)
	return p
}

// Start starts the proxy again after Kill, on the same socket, and returns once it accepts.
func (p *Proxy) Start(t testing.TB) {
	t.Helper()
	_ = os.Remove(p.Socket) // nginx does not bind where one was killed
	p.now = p.start(t)
	Until(t, "the proxy to listen", func() bool {
		select {
		case <-p.now.Ended():
			t.Fatalf("the proxy has ended: %s", p.now.Output())
		default:
		}
		c, err := net.Dial("unix", p.Socket)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// Kill ends the proxy at once, with all connections through it.
func (p *Proxy) Kill(t testing.TB) {
	t.Helper()
	if err := p.now.Signal(os.Kill); err != nil {
		t.Fatal(err)
	}
	<-p.now.Ended()
}

// Dial connects to the proxy, wherever address points.
func (p *Proxy) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", p.Socket)
}

// DocumentedProxies start a proxy by its name, with the configuration that page tells its readers to write
// (docs/proxies.md), before a server at upstream, such as 127.0.0.1:40123. It ends connections that are silent for so
// many seconds.
var DocumentedProxies = map[string]func(t testing.TB, page, upstream string, silence int) *Proxy{
	"nginx": func(t testing.TB, page, upstream string, silence int) *Proxy {
		t.Helper()
		return Nginx(t, replace(t, fenced(t, page, "nginx"),
			"listen 80;", "listen $SOCKET;", "127.0.0.1:8000", upstream, "75s", fmt.Sprintf("%ds", silence)))
	},
	"HAProxy": func(t testing.TB, page, upstream string, silence int) *Proxy {
		t.Helper()
		return HAProxy(t, replace(t, fenced(t, page, "haproxy"), // checks of the server's health are left out: they cost time
			"bind :80", "bind $SOCKET", "127.0.0.1:8000 check", upstream, "maxconn 50000", "maxconn 100", "75s", fmt.Sprintf("%ds", silence)))
	},
}

// HAProxyForHTTP2 starts HAProxy as that page says, with a frontend that speaks HTTP/2 over TLS and nothing else. The
// certificate is a PEM file with its key.
func HAProxyForHTTP2(t testing.TB, page, upstream, certificate string) *Proxy {
	t.Helper()
	return HAProxy(t, replace(t, fenced(t, page, "haproxy"),
		"bind :80", "bind $SOCKET ssl crt "+certificate+" alpn h2", "127.0.0.1:8000 check", upstream, "maxconn 50000", "maxconn 100"))
}

// HAProxyNaming starts HAProxy as that page says for the PROXY protocol. It names this address as that of every client, since
// those of a Unix socket have none.
func HAProxyNaming(t testing.TB, page, upstream, client string) *Proxy {
	t.Helper()
	_, rest, found := strings.Cut(readFile(t, page), "The PROXY protocol")
	if !found {
		t.Fatalf("%s says nothing of the PROXY protocol", page)
	}
	return HAProxy(t, replace(t, block(t, page, rest, "haproxy"),
		"bind :443", "bind $SOCKET\n    tcp-request connection set-src ipv4("+client+")\n    tcp-request connection set-dst ipv4(198.51.100.1)",
		"127.0.0.1:8443", upstream, " check", "", "maxconn 50000", "maxconn 100"))
}

// fenced returns the first block of code of a language in a Markdown file.
func fenced(t testing.TB, path, language string) string {
	t.Helper()
	return block(t, path, readFile(t, path), language)
}

// block returns the first block of code of a language in text, which is of a file.
func block(t testing.TB, path, text, language string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, "\n```"+language+"\n")
	block, _, ended := strings.Cut(rest, "\n```\n")
	if !found || !ended {
		t.Fatalf("%s has no block of %s", path, language)
	}
	return block
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// replace replaces each first by its second, all of which have to be there.
func replace(t testing.TB, s string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(s, pairs[i]) {
			t.Fatalf("the configuration has no %q", pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
