package network

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Pod is the network namespace of one pod. It lives until Close and until its
// last process ended.
type Pod struct {
	Address string
	ns      *os.File
	link    string
}

// own is this thread's network namespace by a path that is right in every
// process namespace.
const own = "/proc/thread-self/ns/net"

// links numbers the host ends of the pods' links; the addresses come back
// into use, and an old link may go away a moment later than its pod.
var links atomic.Int64

// NewPod makes a namespace with eth0 at the address, joined to the bridge.
func NewPod(address string) (*Pod, error) {
	ns, err := newNamespace()
	if err != nil {
		return nil, err
	}
	p := &Pod{Address: address, ns: ns, link: fmt.Sprintf("pod%d", links.Add(1))}
	if err := p.connect(); err != nil {
		p.Close()
		return nil, fmt.Errorf("cannot connect pod address %s: %w", address, err)
	}
	return p, nil
}

// newNamespace makes an empty namespace and comes back from it.
func newNamespace() (*os.File, error) {
	var made *os.File
	err := aside(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("cannot make a network namespace: %w", err)
		}
		file, err := os.Open(own)
		made = file
		return err
	})
	return made, err
}

// aside runs f on a thread of its own that ends with it: a thread that has
// been in another namespace must never run anything else.
func aside(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}

func (p *Pod) connect() error {
	bridge, err := netlink.LinkByName(bridgeName)
	if err != nil {
		return fmt.Errorf("cannot find the bridge: %w", err)
	}
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: p.link, MasterIndex: bridge.Attrs().Index},
		PeerName:      "eth0",
		PeerNamespace: netlink.NsFd(int(p.ns.Fd())),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("cannot make the link: %w", err)
	}
	if err := netlink.LinkSetUp(veth); err != nil {
		return fmt.Errorf("cannot bring the link up: %w", err)
	}
	return p.configure()
}

// configure sets up the pod's side.
func (p *Pod) configure() error {
	handle, err := netlink.NewHandleAt(netns.NsHandle(p.ns.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("cannot reach into the namespace: %w", err)
	}
	defer handle.Close()
	lo, err := handle.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("cannot find the loopback: %w", err)
	}
	eth, err := handle.LinkByName("eth0")
	if err != nil {
		return fmt.Errorf("cannot find eth0: %w", err)
	}
	for _, link := range []netlink.Link{lo, eth} {
		if err := handle.LinkSetUp(link); err != nil {
			return fmt.Errorf("cannot bring %s up: %w", link.Attrs().Name, err)
		}
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(p.Address), Mask: net.CIDRMask(16, 32)}}
	if err := handle.AddrAdd(eth, address); err != nil {
		return fmt.Errorf("cannot give eth0 its address: %w", err)
	}
	route := &netlink.Route{LinkIndex: eth.Attrs().Index, Gw: net.ParseIP(Gateway), Family: nl.FAMILY_V4}
	if err := handle.RouteAdd(route); err != nil {
		return fmt.Errorf("cannot add the default route: %w", err)
	}
	return nil
}

// Start starts a command inside the pod's network namespace. The command must
// not ask for a signal on its parent's death: the parent is a thread that ends
// here.
func (p *Pod) Start(cmd *exec.Cmd) error {
	return aside(func() error {
		if err := unix.Setns(int(p.ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("cannot enter the pod's network: %w", err)
		}
		return cmd.Start()
	})
}

// Dial connects to a port of the pod's own loopback.
func (p *Pod) Dial(port int32) (net.Conn, error) {
	var conn net.Conn
	err := aside(func() error {
		if err := unix.Setns(int(p.ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("cannot enter the pod's network: %w", err)
		}
		var err error
		conn, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		return err
	})
	return conn, err
}

// Down lets nothing reach the address any more, as a machine does that has no
// power: whoever asks hears nothing.
func (p *Pod) Down() {
	if link, err := netlink.LinkByName(p.link); err == nil {
		_ = netlink.LinkSetDown(link)
	}
}

// Close takes the address away from whatever still runs there.
func (p *Pod) Close() {
	if link, err := netlink.LinkByName(p.link); err == nil {
		// An error means that the link went away with its namespace.
		_ = netlink.LinkDel(link)
	}
	p.ns.Close()
}
