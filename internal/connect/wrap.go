package connect

import "io"

// Wrap gives deadlines to a connection that has none, such as the body of a response with
// status 101. Its Close must make Read and Write end.
func Wrap(stream io.ReadWriteCloser) *Conn { return newConn(wrapped{stream}, nil, nil) }

// wrapped is any connection.
type wrapped struct{ io.ReadWriteCloser }

// end implements link.
func (w wrapped) end() { w.abort() }

// abort implements link.
func (w wrapped) abort() { _ = w.Close() } // it is given up
