module hocket.dev/bench

go 1.26.0

replace hocket.dev => ..

require (
	github.com/gorilla/websocket v1.5.3
	golang.org/x/sys v0.49.0
	hocket.dev v0.0.0
)
