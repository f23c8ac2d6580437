package network

import (
	"fmt"
	"net/netip"
	"sync"
)

// Pool hands out pod addresses in turn, so that an address is reused as late
// as possible: a client that still holds one reaches nobody, not somebody else.
type Pool struct {
	mu   sync.Mutex
	next netip.Addr
	used map[netip.Addr]bool
}

// NewPool starts at the first pod address.
func NewPool() *Pool {
	return &Pool{next: netip.MustParseAddr(FirstPod), used: map[netip.Addr]bool{}}
}

// Take reserves an address.
func (p *Pool) Take() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first, last := netip.MustParseAddr(FirstPod), netip.MustParseAddr(LastPod)
	for range 1 << 16 {
		address := p.next
		p.next = address.Next()
		if address.Compare(last) >= 0 {
			p.next = first
		}
		if !p.used[address] {
			p.used[address] = true
			return address.String(), nil
		}
	}
	return "", fmt.Errorf("all %d pod addresses are in use", len(p.used))
}

// Give returns an address.
func (p *Pool) Give(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.used, netip.MustParseAddr(address))
}
