module hocket.dev/bench

go 1.26.0

replace hocket.dev => ..

require (
	github.com/coder/websocket v1.8.15
	github.com/gorilla/websocket v1.5.3
	go.uber.org/goleak v1.3.0
	golang.org/x/sys v0.49.0
	hocket.dev v0.0.0
)

require github.com/klauspost/compress v1.20.3 // indirect
