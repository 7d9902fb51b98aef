package websocket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strconv"
)

// The bytes of SOCKS 5 (RFC 1928, RFC 1929).
const (
	socksVersion  = 5
	socksNoAuth   = 0
	socksPassword = 2
	socksConnect  = 1
	socksIPv4     = 1
	socksName     = 3
	socksIPv6     = 4
)

// connectSOCKS asks a SOCKS 5 proxy for a connection (RFC 1928 §3 to §6).
func connectSOCKS(nc net.Conn, user *url.Userinfo, address string) error {
	request, err := socksRequest(address)
	if err != nil {
		return err
	}
	hello := []byte{socksVersion, 1, socksNoAuth}
	if user != nil {
		hello = []byte{socksVersion, 2, socksNoAuth, socksPassword}
	}
	var answer [4]byte
	if err := ask(nc, hello, answer[:2]); err != nil {
		return err
	}
	switch {
	case answer[0] != socksVersion:
		return fmt.Errorf("it speaks version %d of SOCKS, want 5", answer[0])
	case answer[1] == socksPassword && user != nil:
		if err := socksLogin(nc, user); err != nil {
			return err
		}
	case answer[1] != socksNoAuth:
		return errors.New("it accepts none of the ways to log in")
	}
	if err := ask(nc, request, answer[:]); err != nil {
		return err
	}
	if answer[1] != 0 {
		return fmt.Errorf("it cannot connect to %s: %s", address, socksReply(answer[1]))
	}
	return skipBound(nc, answer[3])
}

// ask sends a question and reads an answer of a known size.
func ask(nc net.Conn, question, answer []byte) error {
	if _, err := nc.Write(question); err != nil {
		return err
	}
	_, err := io.ReadFull(nc, answer)
	return err
}

// socksLogin sends name and password (RFC 1929).
func socksLogin(nc net.Conn, user *url.Userinfo) error {
	name := user.Username()
	password, _ := user.Password()
	if len(name) > 255 || len(password) > 255 {
		return errors.New("its user's name or password is longer than 255 bytes")
	}
	question := append([]byte{1, byte(len(name))}, name...)
	question = append(append(question, byte(len(password))), password...)
	var answer [2]byte
	if err := ask(nc, question, answer[:]); err != nil {
		return err
	}
	if answer[1] != 0 {
		return errors.New("it refuses the user's name or password")
	}
	return nil
}

// socksRequest asks to connect to address; names are the proxy's to resolve.
func socksRequest(address string) ([]byte, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	request := []byte{socksVersion, socksConnect, 0}
	ip, err := netip.ParseAddr(host)
	switch {
	case err == nil && ip.Is4():
		request = append(append(request, socksIPv4), ip.AsSlice()...)
	case err == nil:
		request = append(append(request, socksIPv6), ip.AsSlice()...)
	case len(host) > 255:
		return nil, fmt.Errorf("the name %.20q… is longer than the 255 bytes of SOCKS", host)
	default:
		request = append(append(request, socksName, byte(len(host))), host...)
	}
	return binary.BigEndian.AppendUint16(request, uint16(number)), nil
}

// skipBound reads the address that ends the answer: of no use to a client.
func skipBound(nc net.Conn, kind byte) error {
	size := 0
	switch kind {
	case socksIPv4:
		size = 4
	case socksIPv6:
		size = 16
	case socksName:
		var n [1]byte
		if _, err := io.ReadFull(nc, n[:]); err != nil {
			return err
		}
		size = int(n[0])
	default:
		return fmt.Errorf("it answers with an address of kind %d", kind)
	}
	_, err := io.ReadFull(nc, make([]byte, size+2))
	return err
}

// socksReply says what a reply means (RFC 1928 §6).
func socksReply(code byte) string {
	says := []string{
		1: "general failure", 2: "not allowed by its rules", 3: "network unreachable", 4: "host unreachable",
		5: "connection refused", 6: "TTL expired", 7: "command not supported", 8: "kind of address not supported",
	}
	if int(code) < len(says) {
		return says[code]
	}
	return "reply " + strconv.Itoa(int(code))
}
