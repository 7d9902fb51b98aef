package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"hocket.dev/internal/testproc"
)

// A grant that the back end gives too late is nobody's: not that of who has got the descriptor, and the place in the loop's
// table, of who has asked.
func TestAttackByALateAnswer(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	app := serveHook(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-answer:
		case <-t.Context().Done():
		}
		fmt.Fprint(w, `{"allow":true,"user":"root","capabilities":{">":["*"]}}`)
	})
	cmd := command("serve", "--listen", "127.0.0.1:0", "--config", write(t, `
channels: [{pattern: "open:*", allow_anonymous: [subscribe]}]
hooks: {authenticate: {url: "`+app+`"}, allow_addresses: [127.0.0.1], secrets: [a secret of the hooks, which is long enough]}
`))
	cmd.Env = append(cmd.Env, "GOMAXPROCS=2", "HOCKET_API_KEYS="+attackKey) // one loop, whose places are taken again last in, first out
	n := start(t, cmd)
	line := dialAs(t, "127.0.0.1", n.http)
	io.WriteString(line, "GET /v1/ws HTTP/1.1\r\nHost: "+n.http+"\r\n"+upgrade+"Authorization: Bearer a-token-of-the-app\r\n\r\n")
	<-asked
	place := descriptorOf(t, n, cmd.Process.Pid, line)
	line.(*net.TCPConn).SetLinger(0)
	line.Close()
	testproc.Until(t, "the first to have gone", func() bool { return strings.Contains(n.Output(), "msg=refused") })

	var later []*conversation
	reused := false
	for range 50 {
		c := dialAs(t, "127.0.0.1", n.http)
		later = append(later, converse(t, n, "", nil, c))
		reused = reused || descriptorOf(t, n, cmd.Process.Pid, c) == place
	}
	if !reused {
		t.Errorf("nobody has got the descriptor %s of the first", place)
	}
	close(answer)
	testproc.Until(t, "the answer to have come", func() bool {
		_, metrics := get(t, n, "/metrics", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+attackKey) })
		return strings.Contains(metrics, `hocket_hook_requests_total{hook="authenticate",outcome="allow"} 1`)
	})
	for _, c := range later {
		c.want(`{"type":"connected"`)
		if msg := c.request(1, `{"type":"publish","channel":"room","payload":1}`); !strings.Contains(msg, `"code":1403`) {
			t.Errorf("who came later may publish: %s", msg)
		}
	}
	if strings.Contains(n.Output(), "user=root") {
		t.Errorf("somebody was let in:\n%s", n.Output())
	}
}

// descriptorOf tells which descriptor the server has of a connection.
func descriptorOf(t *testing.T, n *node, pid int, nc net.Conn) string {
	t.Helper()
	at := nc.LocalAddr().(*net.TCPAddr)
	table, err := os.Open("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	remote, inode := fmt.Sprintf(":%04X", at.Port), ""
	_, port, _ := net.SplitHostPort(n.http)
	own, _ := strconv.Atoi(port)
	for lines := bufio.NewScanner(table); lines.Scan(); {
		f := strings.Fields(lines.Text()) // sl, local address, remote address, …, inode
		if len(f) > 9 && strings.HasSuffix(f[2], remote) && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", own)) {
			inode = "socket:[" + f[9] + "]"
		}
	}
	open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range open {
		if of, _ := os.Readlink(fd); of == inode {
			return filepath.Base(fd)
		}
	}
	t.Fatalf("the server has no descriptor of the connection from %v", at)
	return ""
}
