// Package load is the engine behind "hocket bench": it opens many WebSocket
// connections to a server, publishes, and checks that every message reaches
// every subscriber once, in order and byte for byte.
//
// What is here: [Run], which takes [Options] and gives a [Result], to be printed
// as a table ([Result.WriteText]) or encoded as JSON. [Histogram], [Process] and
// [ReadProcess] are exported for the benchmarks in bench/.
//
// What is left out: starting servers, comparing them, other transports than
// plain WebSocket.
//
//	result, err := load.Run(ctx, load.Options{
//		URL:         "ws://127.0.0.1:8000/v1/ws",
//		Connections: 5000,
//		Rate:        20,
//		Duration:    10 * time.Second,
//		PID:         server.Pid,
//	})
//	if err != nil {
//		return err // the run could not be made
//	}
//	result.WriteText(os.Stdout)
//	return result.Err() // nil when every message arrived as it should
//
// One event loop reads all connections, so that the generator is cheaper than
// what it measures: a message is taken apart once, and every further copy of it
// only compared with the first. Run may be called from any goroutine; several
// runs in one process share its open files and its processors.
package load
