// Command centrifuge is a real-time server on the centrifuge library, as its tutorial
// builds it: anyone may subscribe and publish, the broker is in memory, settings are the
// library's own. Clients speak its protocol in JSON.
package main

import (
	"context"
	"net"
	"net/http"

	"github.com/centrifugal/centrifuge"

	"hocket.dev/bench/internal/peer"
)

func main() { peer.Main(serve) }

func serve(l net.Listener, compress bool) error {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return err
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{}}, nil
	})
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, answer centrifuge.SubscribeCallback) {
			answer(centrifuge.SubscribeReply{}, nil)
		})
		client.OnPublish(func(_ centrifuge.PublishEvent, answer centrifuge.PublishCallback) {
			answer(centrifuge.PublishReply{}, nil)
		})
	})
	if err := node.Run(); err != nil {
		return err
	}
	handler := centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		Compression:    compress,
		PingPongConfig: centrifuge.PingPongConfig{PingInterval: -1}, // the generator answers none
	})
	http.Handle("/connection/websocket", handler)
	return http.Serve(l, nil)
}
