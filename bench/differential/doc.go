// Package differential holds hocket.dev/websocket against gorilla/websocket and coder/websocket: what clients send is given to
// a server of each over a connection in memory, and they have to deliver the same messages, answer the same pings and end
// with the same close code; what one of them writes, the others have to read.
//
// It consists of tests. Where the others differ and the RFC says who is right, a [difference] names the rule and
// recognizes that one case. [FuzzDifferential] looks for differences that are not on the list.
package differential
