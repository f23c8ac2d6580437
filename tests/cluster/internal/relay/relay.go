// Package relay accepts connections and copies between them.
package relay

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

const (
	// acceptPause is how long to wait after a connection could not be taken:
	// descriptors come back as others end.
	acceptPause = 20 * time.Millisecond
	// bufferSize is per direction. Thousands of connections stay open at a time.
	bufferSize = 8 << 10
)

// Accept hands each connection to handle until the listener is closed. Whoever
// has no descriptors left goes on when there are some again: a listener that
// nobody accepts from looks to its clients like a server that never answers.
func Accept(listener net.Listener, handle func(net.Conn)) {
	for {
		conn, err := listener.Accept()
		switch {
		case err == nil:
			go handle(conn)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			slog.Warn("cannot accept a connection", "address", listener.Addr(), "error", err)
			time.Sleep(acceptPause)
		}
	}
}

// Join copies both ways and hands on each side's end, so that a half-closed
// connection stays one; a side that is reset resets the other.
func Join(a, b net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			to, from := way[0], way[1]
			if err := pump(to, from); err != nil {
				reset(to)
				reset(from)
			} else if half, ok := to.(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			}
		})
	}
	both.Wait()
	a.Close()
	b.Close()
}

// pump copies through a buffer. Spliced, each direction would hold the two
// descriptors of a pipe for as long as the connection lives.
func pump(to io.Writer, from io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, bufferSize))
	return err
}

func reset(conn net.Conn) {
	if lingering, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = lingering.SetLinger(0)
	}
	conn.Close()
}
