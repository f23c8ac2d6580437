package relay

import (
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

// scarce has no descriptors at first.
type scarce struct {
	net.Listener
	failures int
}

func (s *scarce) Accept() (net.Conn, error) {
	if s.failures > 0 {
		s.failures--
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return s.Listener.Accept()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

func TestWhoHadNoDescriptorsAcceptsAgain(t *testing.T) {
	listener := listen(t)
	ended := make(chan struct{})
	go func() {
		Accept(&scarce{Listener: listener, failures: 3}, func(conn net.Conn) {
			_, _ = conn.Write([]byte("here"))
			conn.Close()
		})
		close(ended)
	}()
	if said, err := io.ReadAll(dial(t, listener.Addr().String())); err != nil || string(said) != "here" {
		t.Errorf("said %q, %v", said, err)
	}
	listener.Close()
	<-ended
}

// joined is a client whose connection is joined with one to an echo.
func joined(t *testing.T) *net.TCPConn {
	t.Helper()
	echo, front := listen(t), listen(t)
	go Accept(echo, func(conn net.Conn) {
		_ = pump(conn, conn)
		conn.Close()
	})
	go Accept(front, func(conn net.Conn) { Join(conn, dial(t, echo.Addr().String())) })
	return dial(t, front.Addr().String())
}

func TestAHalfClosedConnectionStaysOne(t *testing.T) {
	client := joined(t)
	_, _ = client.Write([]byte("to the end"))
	_ = client.CloseWrite()
	if said, err := io.ReadAll(client); err != nil || string(said) != "to the end" {
		t.Errorf("said %q, %v", said, err)
	}
}

func TestAJoinedConnectionHoldsTwoDescriptors(t *testing.T) {
	open := func() int {
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	const count = 20
	exchange := func() {
		client, word := joined(t), make([]byte, 4)
		_, _ = client.Write([]byte("ping"))
		if _, err := io.ReadFull(client, word); err != nil {
			t.Fatal(err)
		}
	}
	exchange()
	before := open()
	for range count {
		exchange()
	}
	// Two listeners, the client, its joined pair, and the echo.
	if each := (open() - before) / count; each > 6 {
		t.Errorf("%d descriptors a connection, expected 6", each)
	}
}
