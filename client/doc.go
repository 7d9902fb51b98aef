// Package client talks to a Hocket server: subscribe to channels, publish, call methods.
//
//	c, err := client.Dial(ctx, "ws://127.0.0.1:8000/v1/ws", nil)
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//
//	sub, err := c.Subscribe(ctx, "chat:lobby", &client.SubscribeOptions{From: client.Last(50)})
//	...
//	_, err = c.Publish(ctx, "chat:lobby", map[string]string{"text": "hello"}, nil)
//	...
//	for {
//		m, err := sub.Next(ctx)
//		if err != nil {
//			return err
//		}
//		fmt.Println(m.Offset, string(m.Payload))
//	}
//
// A keyed channel is a [Map]: each key with its latest value, kept up to date.
//
//	board, err := c.Map(ctx, "board:7", nil)
//	...
//	_, err = board.Set(ctx, "pin-4", pin, nil)
//	for {
//		change, err := board.Next(ctx)
//		...
//	}
//
// [Map.Update] changes a value that others may be changing too; [Map.Write] and [Map.Text] make and follow a text that
// grows. Who is on a channel is told by the [Presence] of a subscription that asks for it; what it tells of this client is
// changed by [Client.SetInfo]. What a back end sends to this session or its user, on no channel, comes by [Client.NextEvent].
//
// Payloads can be encrypted end to end, with keys that the server does not have: see [E2E].
//
// A Client holds one connection and makes a new one when it is lost, after a growing, jittered delay. Subscriptions go on
// from the last message received; publishes that were not answered are sent again and applied once. What the server can
// no longer give is told as a Message of its own kind, [Gap] or [Reset], so that nothing is ever missing silently.
//
// Everything here may be used from any goroutine, except that one goroutine at a time reads a Subscription, and one events. A
// Client has two goroutines of its own until Close. It leaves out patterns of channels.
package client
