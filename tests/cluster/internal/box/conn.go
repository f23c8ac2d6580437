package box

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"syscall"
)

// Conn sends and receives packets. Send may be called from several goroutines,
// Receive from one.
type Conn struct {
	socket *net.UnixConn
}

// Pair makes two connected ends; the second is a file for a child process.
func Pair() (*Conn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "control")
	ours, err := FromFile(os.NewFile(uintptr(fds[0]), "control"))
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// FromFile takes over a seqpacket socket.
func FromFile(file *os.File) (*Conn, error) {
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d is not a socket: %w", file.Fd(), err)
	}
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("descriptor is a %T, expected a Unix socket", conn)
	}
	return &Conn{socket: socket}, nil
}

// Send writes one packet with the given descriptors.
func (c *Conn) Send(p Packet, files ...*os.File) error {
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("cannot encode packet %s: %w", p.Kind, err)
	}
	if len(body) > MaxPacket {
		return fmt.Errorf("packet %s has %d bytes, at most %d are allowed", p.Kind, len(body), MaxPacket)
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = syscall.UnixRights(fds...)
	}
	if _, _, err := c.socket.WriteMsgUnix(body, rights, nil); err != nil {
		return fmt.Errorf("cannot send packet %s: %w", p.Kind, err)
	}
	return nil
}

// Receive reads one packet and the descriptors that came with it. An error
// means that the other side is gone.
func (c *Conn) Receive() (Packet, []*os.File, error) {
	body := make([]byte, MaxPacket)
	oob := make([]byte, syscall.CmsgSpace(4*3))
	n, oobn, _, _, err := c.socket.ReadMsgUnix(body, oob)
	if err != nil {
		return Packet{}, nil, fmt.Errorf("cannot receive a packet: %w", err)
	}
	if n == 0 {
		return Packet{}, nil, fmt.Errorf("the other side closed the socket")
	}
	files, err := filesOf(oob[:oobn])
	if err != nil {
		return Packet{}, nil, err
	}
	var p Packet
	if err := json.Unmarshal(body[:n], &p); err != nil {
		return Packet{}, files, fmt.Errorf("cannot decode a packet: %w", err)
	}
	return p, files, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.socket.Close() }

func filesOf(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("cannot read descriptors: %w", err)
	}
	var files []*os.File
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil {
			return nil, fmt.Errorf("cannot read descriptors: %w", err)
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return files, nil
}
