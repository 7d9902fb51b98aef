//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
)

// greeting is what a subscriber is sent when messages will reach it from now on.
const greeting = "ready"

// servePeer runs one of the other servers until ctx ends. It writes its address to
// out once it listens. Subscribers connect to /ws, the publisher to /pub.
func servePeer(ctx context.Context, name string, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	fmt.Fprintln(out, l.Addr())
	switch name {
	case gorilla:
		return serveGorilla(ctx, l, false)
	case chat:
		return serveGorilla(ctx, l, true)
	case floor:
		return serveFloor(ctx, l)
	}
	return fmt.Errorf("there is no server %q, only %s", name, strings.Join(peerNames, ", "))
}
