package kubelet

import (
	"sync"

	v1 "k8s.io/api/core/v1"
)

// PowerAnnotation on a Node pulls its plug while it says "off": what runs
// there is gone in an instant, with its addresses, and nobody hears from the
// node again until the plug is back.
const PowerAnnotation = "weir.test/power"

// power is a node's. Its zero value is on.
type power struct {
	mu  sync.Mutex
	off chan struct{} // nil while it is on; closed when it comes back
}

// set tells whether that is a change.
func (p *power) set(on bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on == (p.off == nil) {
		return false
	}
	if on {
		close(p.off)
		p.off = nil
	} else {
		p.off = make(chan struct{})
	}
	return true
}

func (p *power) isOff() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.off != nil
}

// wait returns at once while it is on, else when it is back.
func (p *power) wait() {
	p.mu.Lock()
	off := p.off
	p.mu.Unlock()
	if off != nil {
		<-off
	}
}

// follow does to a node what its annotation says.
func (k *Kubelet) follow(object *v1.Node) {
	node := k.nodes[object.Name]
	if node == nil || !node.power.set(object.Annotations[PowerAnnotation] != "off") {
		return
	}
	off := node.power.isOff()
	k.log.Info("power of a node", "node", node.Name, "off", off)
	if !off {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.pods {
		if p.node == node {
			p.crash()
		}
	}
}
