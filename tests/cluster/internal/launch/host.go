package launch

import (
	"bufio"
	"errors"
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

	mu sync.Mutex // one order at a time
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
		case done:
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

// serveControl takes the orders of other processes of the user.
func (h *host) serveControl(path string) error {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("cannot listen for control: %w", err)
	}
	go relay.Accept(listener, h.control)
	return nil
}

// control answers one line with "ok" or what went wrong.
func (h *host) control(conn net.Conn) {
	defer conn.Close()
	line, err := bufio.NewReader(io.LimitReader(conn, 64)).ReadString('\n')
	if err != nil {
		return
	}
	order, err := parseOrder(strings.TrimSpace(line))
	if err != nil {
		fmt.Fprintln(conn, err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.conn.Send(order); err != nil {
		fmt.Fprintln(conn, err)
		return
	}
	answer := <-h.answers
	if answer == "" {
		answer = "ok"
	}
	fmt.Fprintln(conn, answer)
}

func parseOrder(line string) (box.Packet, error) {
	if kind := box.Kind(line); kind == endAPI || kind == startAPI {
		return box.Packet{Kind: kind}, nil
	}
	port, err := strconv.Atoi(strings.TrimPrefix(line, "expose "))
	if err != nil || port < 1 || port > 65535 {
		return box.Packet{}, fmt.Errorf("expected \"expose PORT\", %q or %q, found %q", endAPI, startAPI, line)
	}
	return box.Packet{Kind: expose, Code: port}, nil
}

// Expose makes a port of the host reachable inside a running cluster.
func Expose(state string, port int) error {
	if err := tell(state, fmt.Sprintf("%s %d", expose, port)); err != nil {
		return fmt.Errorf("cannot expose port %d: %w", port, err)
	}
	return nil
}

// EndAPI kills the API server of a running cluster; what it has stored stays.
func EndAPI(state string) error {
	return tell(state, string(endAPI))
}

// StartAPI starts it again and waits until it is ready.
func StartAPI(state string) error {
	return tell(state, string(startAPI))
}

// tell gives an order to a running cluster and waits until it is carried out.
func tell(state, order string) error {
	path := filepath.Join(state, "control.sock")
	conn, err := net.Dial("unix", path)
	if err != nil {
		return fmt.Errorf("no cluster runs in %s: %w", state, err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintln(conn, order); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the cluster did not answer: %w", err)
	}
	if answer = strings.TrimSpace(answer); answer != "ok" {
		return errors.New(answer)
	}
	return nil
}
