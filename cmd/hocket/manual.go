package main

// manual is the description in `hocket --help`; those of the commands are beside them.
const manual = `Hocket is a real-time server: channels, history, presence and calls over WebSocket.

Try it:

  hocket serve --dev                          start a server and open the page it prints
  hocket sub ticker:demo                      watch a channel
  hocket pub chat:lobby '{"text":"hello"}'    publish to one

Environment: HOCKET_URL is the server that sub, pub and call talk to, HOCKET_TOKEN a token that they show; HOCKET_API_KEYS are keys that serve takes for the API of back ends, separated by commas.

Exit codes: 0 all went well, 1 it failed, 2 it could not begin (wrong arguments or configuration, a port in use).`
