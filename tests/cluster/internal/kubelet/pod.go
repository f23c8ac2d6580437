package kubelet

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"weir/tests/cluster/internal/network"
)

// retryPause is how long to wait before trying again what a pod lacks: a
// secret that is not there yet, an API server that is away.
const retryPause = time.Second

// pod is one pod on its way from assigned to gone.
type pod struct {
	kubelet         *Kubelet
	node            *Node
	namespace, name string
	uid             types.UID
	dir             string

	// living ends when the pod shall stop.
	living context.Context
	cease  context.CancelFunc
	// doomed is closed when the object is being deleted, or gone.
	doomed   chan struct{}
	doomOnce sync.Once
	// changed asks for a status patch.
	changed chan struct{}
	// anew asks for one even if nothing changed: somebody else may have
	// written another.
	anew atomic.Bool

	mu         sync.Mutex
	latest     *v1.Pod
	deadline   time.Time // when stopping turns into killing
	net        *network.Pod
	containers []*container // init containers first
	initDone   bool
	phase      v1.PodPhase
	startTime  metav1.Time
	since      map[v1.PodConditionType]transition
}

func newPod(ctx context.Context, k *Kubelet, n *Node, object *v1.Pod) *pod {
	p := &pod{
		kubelet: k, node: n, namespace: object.Namespace, name: object.Name, uid: object.UID,
		dir:    filepath.Join(k.dir, "pods", string(object.UID)),
		doomed: make(chan struct{}), changed: make(chan struct{}, 1), latest: object, phase: v1.PodPending,
		startTime: metav1.Now(), since: map[v1.PodConditionType]transition{},
	}
	p.living, p.cease = context.WithCancel(ctx)
	for i := range object.Spec.InitContainers {
		p.containers = append(p.containers, newContainer(p, &object.Spec.InitContainers[i], true))
	}
	for i := range object.Spec.Containers {
		p.containers = append(p.containers, newContainer(p, &object.Spec.Containers[i], false))
	}
	p.update(object)
	return p
}

// update takes note of a newer object. Only what may change in a running pod
// is looked at: annotations and labels, and that it shall end.
func (p *pod) update(object *v1.Pod) {
	p.mu.Lock()
	p.latest = object
	p.mu.Unlock()
	if object.DeletionTimestamp != nil {
		grace := time.Duration(0)
		if object.DeletionGracePeriodSeconds != nil {
			grace = time.Duration(*object.DeletionGracePeriodSeconds) * time.Second
		}
		p.doom(grace)
	} else if finished(object) {
		// Somebody else said so, as eviction does.
		p.stop(0)
	}
}

// doom makes the pod end because its object does.
func (p *pod) doom(grace time.Duration) {
	p.stop(grace)
	p.doomOnce.Do(func() { close(p.doomed) })
}

// stop makes the pod end, killed when the grace is over. A later call can
// shorten the grace, never lengthen it.
func (p *pod) stop(grace time.Duration) {
	p.mu.Lock()
	if at := time.Now().Add(grace); p.deadline.IsZero() || at.Before(p.deadline) {
		p.deadline = at
	}
	p.mu.Unlock()
	p.cease()
}

// crash ends everything of the pod at once: its node has lost its power.
func (p *pod) crash() {
	p.stop(0)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.net != nil {
		p.net.Down()
	}
	for _, c := range p.containers {
		if c.proc != nil {
			c.proc.kill()
		}
	}
}

// run takes the pod through its life; when it returns nothing is left of it.
func (p *pod) run() {
	p.node.power.wait()
	synced := make(chan struct{})
	over := make(chan struct{})
	go func() {
		p.keepStatus(over)
		close(synced)
	}()
	if p.prepare() {
		p.runContainers()
	}
	p.finish()
	close(over)
	<-synced
	if net := p.network(); net != nil {
		net.Close()
		p.kubelet.pool.Give(net.Address)
	}
	// Ended pods keep their logs until somebody deletes them.
	<-p.doomed
	p.remove()
	if err := os.RemoveAll(p.dir); err != nil {
		p.kubelet.log.Warn("cannot remove the pod's directory", "pod", p.name, "error", err)
	}
}

// prepare gives the pod its network and volumes; false if it was stopped.
func (p *pod) prepare() bool {
	for p.living.Err() == nil {
		err := p.prepareNetwork()
		if err == nil {
			p.notify()
			err = p.prepareVolumes(p.living)
		}
		if err == nil {
			return true
		}
		p.event(v1.EventTypeWarning, "FailedMount", err.Error())
		pause(p.living, retryPause)
	}
	return false
}

func (p *pod) prepareNetwork() error {
	if p.network() != nil {
		return nil
	}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	address, err := p.kubelet.pool.Take()
	if err != nil {
		return err
	}
	net, err := network.NewPod(address)
	if err != nil {
		p.kubelet.pool.Give(address)
		return err
	}
	p.mu.Lock()
	p.net = net
	p.mu.Unlock()
	return nil
}

// runContainers runs init containers one after the other and then all others
// together. Init containers with restart policy Always stay beside them and
// end last.
func (p *pod) runContainers() {
	sidecars, endSidecars := context.WithCancel(context.WithoutCancel(p.living))
	defer endSidecars()
	var beside, main sync.WaitGroup
	for _, c := range p.containers {
		if !c.isInit {
			continue
		}
		if c.isSidecar() {
			beside.Go(func() { c.loop(sidecars) })
			if !c.waitStarted(p.living) {
				break
			}
			continue
		}
		if code := c.loop(p.living); code != 0 || p.living.Err() != nil {
			endSidecars()
			beside.Wait()
			return
		}
	}
	if p.living.Err() == nil {
		p.mu.Lock()
		p.initDone, p.phase = true, v1.PodRunning
		p.mu.Unlock()
		p.notify()
		for _, c := range p.containers {
			if !c.isInit {
				main.Go(func() { c.loop(p.living) })
			}
		}
		main.Wait()
	}
	endSidecars()
	beside.Wait()
}

// finish decides how the pod as a whole ended.
func (p *pod) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase = v1.PodSucceeded
	for _, c := range p.containers {
		if c.isSidecar() {
			continue
		}
		if ended := c.state.Terminated; ended == nil || ended.ExitCode != 0 {
			p.phase = v1.PodFailed
		}
	}
}

func (p *pod) notify() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func (p *pod) object() *v1.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.latest
}

func (p *pod) spec() *v1.PodSpec { return &p.object().Spec }

func (p *pod) network() *network.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.net
}

func (p *pod) address() string {
	if net := p.network(); net != nil {
		return net.Address
	}
	return ""
}

func (p *pod) hostname() string {
	if name := p.spec().Hostname; name != "" {
		return name
	}
	// A host name has at most 63 bytes in the domain name system.
	return p.name[:min(len(p.name), 63)]
}

func (p *pod) killTime() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.deadline
}

func (p *pod) grace() time.Duration {
	if s := p.spec().TerminationGracePeriodSeconds; s != nil {
		return time.Duration(*s) * time.Second
	}
	return v1.DefaultTerminationGracePeriodSeconds * time.Second
}

func (p *pod) event(kind, reason, message string) {
	p.kubelet.recorder.Event(p.object(), kind, reason, message)
}
