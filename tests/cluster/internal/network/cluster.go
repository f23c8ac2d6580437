package network

import (
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// SetUpCluster makes the cluster's own namespace, the current one, ready for
// pods: loopback, the bridge, and the ranges that are local as a whole.
func SetUpCluster() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("cannot find the loopback: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("cannot bring the loopback up: %w", err)
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeName, HardwareAddr: bridgeHardware}}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("cannot make a bridge (the kernel needs the modules bridge and veth): %w", err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(Gateway), Mask: net.CIDRMask(16, 32)}}
	if err := netlink.AddrAdd(bridge, address); err != nil {
		return fmt.Errorf("cannot give %s to the bridge: %w", Gateway, err)
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return fmt.Errorf("cannot bring the bridge up: %w", err)
	}
	for _, cidr := range []string{InfraRange, NodeRange, ServiceRange} {
		if err := makeLocal(lo, cidr); err != nil {
			return err
		}
	}
	return nil
}

// makeLocal lets processes listen on every address of a range.
func makeLocal(lo netlink.Link, cidr string) error {
	route := &netlink.Route{
		LinkIndex: lo.Attrs().Index,
		Dst:       mustNet(cidr),
		Table:     unix.RT_TABLE_LOCAL,
		Type:      unix.RTN_LOCAL,
		Scope:     netlink.SCOPE_HOST,
	}
	if err := netlink.RouteAdd(route); err != nil {
		return fmt.Errorf("cannot make %s local: %w", cidr, err)
	}
	return nil
}
