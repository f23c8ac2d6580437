package launch

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"weir/tests/cluster/internal/box"
	"weir/tests/cluster/internal/network"
	"weir/tests/cluster/internal/relay"
)

// The descriptors that Up hands over, in this order.
const (
	controlFD = 3 + iota
	apiFD
	gatewayFD
)

// Inside is process 1 of a cluster. It returns only with an error.
func Inside(state string) error {
	o, err := loadOptions(state)
	if err != nil {
		return fmt.Errorf("cannot read the options: %w", err)
	}
	conn, err := box.FromFile(os.NewFile(controlFD, "control"))
	if err != nil {
		return fmt.Errorf("weir-cluster inside is started by weir-cluster up: %w", err)
	}
	if err := mountOwnProc(); err != nil {
		return err
	}
	if err := network.SetUpCluster(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	errs := make(chan error, 1)
	c := &cluster{options: o, ended: make(chan error, 16)}
	go func() { errs <- c.obeyHost(ctx, conn) }()
	for _, port := range o.Expose {
		if err := exposePort(conn, port); err != nil {
			return err
		}
	}
	go func() {
		gateway, err := c.start(ctx)
		if err == nil {
			err = forward(apiFD, net.JoinHostPort(network.APIAddress, "6443"))
		}
		if err == nil && gateway != "" {
			err = forward(gatewayFD, net.JoinHostPort(gateway, "80"))
		}
		if err == nil {
			err = conn.Send(box.Packet{Kind: ready, Message: gateway})
		}
		if err != nil {
			errs <- err
		}
	}()
	select {
	case err := <-errs:
		return err
	case err := <-c.ended:
		return err
	}
}

// mountOwnProc shows the namespace's own processes in /proc. Where the host
// covers parts of /proc that is refused, and nothing here depends on it.
func mountOwnProc() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot make the mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil && err != unix.EPERM {
		return fmt.Errorf("cannot mount /proc: %w", err)
	}
	return nil
}

// obeyHost carries out orders; it ends with the host's side.
func (c *cluster) obeyHost(ctx context.Context, conn *box.Conn) error {
	for {
		packet, _, err := conn.Receive()
		if err != nil {
			return fmt.Errorf("the launcher is gone: %w", err)
		}
		switch packet.Kind {
		case expose:
			err = exposePort(conn, packet.Code)
		case endAPI:
			err = c.endAPI()
		case startAPI:
			err = c.startAPIAgain(ctx)
		default:
			continue
		}
		answer := box.Packet{Kind: done}
		if err != nil {
			answer.Message = err.Error()
		}
		if err := conn.Send(answer); err != nil {
			return err
		}
	}
}

// exposePort listens on the host address and hands connections to the host.
func exposePort(conn *box.Conn, port int) error {
	listener, err := net.Listen("tcp", net.JoinHostPort(network.HostAddress, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("cannot expose port %d: %w", port, err)
	}
	go relay.Accept(listener, func(accepted net.Conn) {
		defer accepted.Close()
		if file, err := accepted.(*net.TCPConn).File(); err == nil {
			_ = conn.Send(box.Packet{Kind: dial, Code: port}, file)
			file.Close()
		}
	})
	return nil
}

// forward accepts on a listener of the host and joins with an address inside.
func forward(fd uintptr, address string) error {
	file := os.NewFile(fd, "listener")
	listener, err := net.FileListener(file)
	file.Close()
	if err != nil {
		return fmt.Errorf("descriptor %d is not a listener: %w", fd, err)
	}
	go relay.Accept(listener, func(outside net.Conn) {
		inside, err := net.Dial("tcp", address)
		if err != nil {
			outside.Close()
			return
		}
		relay.Join(outside, inside)
	})
	return nil
}
