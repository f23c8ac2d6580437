// Package network gives every pod a network namespace of its own with one
// address, joined to the others by a bridge. It needs no privileges but those
// of the user namespace it runs in, and of the kernel only veth and bridge.
//
//	pod A: eth0 10.64.0.2 ─┐
//	pod B: eth0 10.64.0.3 ─┼─ bridge weir0 10.64.255.1: nodes, API server,
//	...                    ┘  cluster IPs, the way to the host's ports
package network

import (
	"net"
	"net/netip"
)

// The address plan. 10.64.0.0/16 is one link: pods first, at its end what
// belongs to the cluster itself.
const (
	// PodRange holds pods and infrastructure; FirstPod to LastPod are pods.
	PodRange = "10.64.0.0/16"
	FirstPod = "10.64.0.2"
	LastPod  = "10.64.253.255"
	// InfraRange is local to the cluster's own namespace as a whole: a process
	// there can listen on any of its addresses.
	InfraRange = "10.64.255.0/24"
	// Gateway is the bridge's own address, the pods' way out of the link.
	Gateway = "10.64.255.1"
	// HostAddress is where exposed ports of the host are found.
	HostAddress = "10.64.255.253"
	// APIAddress is where the API server is found.
	APIAddress = "10.64.255.254"
	// ServiceRange holds the cluster IPs, local like InfraRange.
	ServiceRange = "10.96.0.0/16"
	// DNSAddress answers names; it lies in the part of ServiceRange from which
	// the API server hands out addresses only on request.
	DNSAddress = "10.96.0.10"
	// firstNode is the address of the first node.
	firstNode = "10.64.254.1"
	// NodeRange holds the nodes' own addresses, local like InfraRange.
	NodeRange = "10.64.254.0/24"
)

// bridgeName is the link that joins the pods.
const bridgeName = "weir0"

// bridgeHardware is the bridge's own hardware address. Without one given, a
// bridge takes the lowest of its ports', which changes as pods come and go;
// pods that know the old one then lose their connections to the API server
// until they ask anew, up to 45 s later.
var bridgeHardware = net.HardwareAddr{0x02, 0, 0x0a, 0x40, 0xff, 0x01}

// NodeAddress is the address of the i-th node, at most 250 of them.
func NodeAddress(i int) string {
	a := netip.MustParseAddr(firstNode).As4()
	a[3] += byte(i)
	return netip.AddrFrom4(a).String()
}

func mustNet(cidr string) *net.IPNet {
	_, n, err := net.ParseCIDR(cidr)
	if err != nil {
		panic("address plan: " + err.Error())
	}
	return n
}
