package hook

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"hocket.dev/dialect"
)

func TestOnlyPublicAddressesAreAsked(t *testing.T) {
	for _, a := range []string{
		"127.0.0.1", "127.9.9.9", "::1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254", "169.254.0.1",
		"0.0.0.0", "0.1.2.3", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "198.18.0.1", "224.0.0.1", "239.1.1.1",
		"240.0.0.1", "255.255.255.255", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1",
		"::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1", "2001:db8::1",
	} {
		if err := checkAddress(netip.MustParseAddr(a), false, nil); err != errInternal {
			t.Errorf("%s: %v", a, err)
		}
	}
	for _, a := range []string{"1.1.1.1", "172.32.0.1", "100.128.0.1", "::ffff:1.1.1.1", "2606:4700:4700::1111", "2a00:1450::1"} {
		if err := checkAddress(netip.MustParseAddr(a), false, nil); err != nil {
			t.Errorf("%s: %v", a, err)
		}
		if err := checkAddress(netip.MustParseAddr(a), true, nil); err != errPlain {
			t.Errorf("%s without TLS: %v", a, err)
		}
	}
	listed := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/64")}
	for _, a := range []string{"10.1.2.3", "::ffff:10.1.2.3", "fd00::5", "fd00::5%eth0"} {
		if err := checkAddress(netip.MustParseAddr(a), true, listed); err != nil {
			t.Errorf("%s is listed: %v", a, err)
		}
	}
	if err := checkAddress(netip.MustParseAddr("10.2.0.1"), false, listed); err != errInternal {
		t.Errorf("10.2.0.1 is not listed: %v", err)
	}
}

func TestAnInternalAddressIsNotAsked(t *testing.T) {
	asked := false
	b := ask(t, func(http.ResponseWriter, *http.Request) { asked = true }, func(c *Config) {
		u, _ := url.Parse(c.Publish.URL)
		c.Publish = Hook{URL: "https://localhost:" + u.Port(), WhenDown: Allow}
		c.Listed, c.Authenticate, c.Subscribe = nil, Hook{}, Hook{}
	})
	b.wantRefused(dialect.Unavailable, Invalid)
	if asked {
		t.Error("it was asked all the same")
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	asked := 0
	b := ask(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}, func(c *Config) { c.Publish.WhenDown = Allow })
	b.wantRefused(dialect.Unavailable, Invalid)
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// names is a name server in which every name has one address.
type names struct {
	mu      sync.Mutex
	address string
	running sync.WaitGroup
}

func (n *names) set(address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.address = address
}

// resolver asks n over a stream, as names can be asked for by TCP.
func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		n.running.Go(func() {
			defer server.Close()
			for n.answer(server) {
			}
		})
		return client, nil
	}}
}

// answer answers one query (RFC 1035 §4.1, §4.2.2).
func (n *names) answer(c net.Conn) bool {
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return false
	}
	q := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(c, q); err != nil {
		return false
	}
	end := 12
	for q[end] != 0 { // the labels of the name
		end += int(q[end]) + 1
	}
	end += 5 // with type and class
	a := append([]byte(nil), q[:end]...)
	a[2], a[3] = 0x80, 0x00                      // an answer without error
	binary.BigEndian.PutUint32(a[8:], 0)         // nothing more than
	if binary.BigEndian.Uint16(q[end-4:]) == 1 { // an address of IPv4
		binary.BigEndian.PutUint16(a[6:], 1)
		n.mu.Lock()
		ip := netip.MustParseAddr(n.address).As4()
		n.mu.Unlock()
		a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		a = append(a, ip[:]...)
	}
	_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...))
	return err == nil
}

// TestANameThatChangesItsAddressIsNotFollowed has a name lead to another address after it was found good.
func TestANameThatChangesItsAddressIsNotFollowed(t *testing.T) {
	n := &names{address: "127.0.0.1"}
	t.Cleanup(n.running.Wait)
	b := ask(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // so that the name is resolved for each question
		io.WriteString(w, `{"allow":true}`)
	}, func(c *Config) {
		c.Publish = Hook{URL: strings.Replace(c.Publish.URL, "127.0.0.1", "example.com", 1), WhenDown: Allow} // a name of the test's certificate
		c.Resolver = n.resolver()
	})
	b.wantAllowed()
	n.set("10.0.0.1")
	b.wantRefused(dialect.Unavailable, Invalid)
	n.set("127.0.0.1")
	b.wantAllowed()
}
