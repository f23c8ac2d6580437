package launch

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"weir/tests/cluster/internal/box"
	"weir/tests/cluster/internal/relay"
)

// host is Up's side of the conversation with Inside.
type host struct {
	conn    *box.Conn
	answers chan string

	mu sync.Mutex // one expose at a time
}

// obey does what the inside asks until it is gone.
func (h *host) obey(readiness chan<- string) {
	for {
		packet, files, err := h.conn.Receive()
		if err != nil {
			return
		}
		switch packet.Kind {
		case ready:
			readiness <- packet.Message
		case exposed:
			h.answers <- packet.Message
		case dial:
			for _, file := range files {
				go joinHost(file, packet.Code)
			}
		}
	}
}

// joinHost joins a connection from inside with a port of the host.
func joinHost(file *os.File, port int) {
	inside, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return
	}
	outside, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		inside.Close()
		return
	}
	relay.Join(inside, outside)
}

// serveControl lets other processes of the user expose further ports.
func (h *host) serveControl(path string) error {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("cannot listen for control: %w", err)
	}
	go relay.Accept(listener, h.control)
	return nil
}

// control answers one line "expose PORT" with "ok" or what went wrong.
func (h *host) control(conn net.Conn) {
	defer conn.Close()
	line, err := bufio.NewReader(io.LimitReader(conn, 64)).ReadString('\n')
	if err != nil {
		return
	}
	port, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(line), "expose "))
	if err != nil || port < 1 || port > 65535 {
		fmt.Fprintf(conn, "expected \"expose PORT\", found %q\n", line)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.conn.Send(box.Packet{Kind: expose, Code: port}); err != nil {
		fmt.Fprintln(conn, err)
		return
	}
	answer := <-h.answers
	if answer == "" {
		answer = "ok"
	}
	fmt.Fprintln(conn, answer)
}

// Expose makes a port of the host reachable inside a running cluster.
func Expose(state string, port int) error {
	path := filepath.Join(state, "control.sock")
	conn, err := net.Dial("unix", path)
	if err != nil {
		return fmt.Errorf("no cluster runs in %s: %w", state, err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "expose %d\n", port); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the cluster did not answer: %w", err)
	}
	if answer = strings.TrimSpace(answer); answer != "ok" {
		return fmt.Errorf("cannot expose port %d: %s", port, answer)
	}
	return nil
}
