package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	coordination "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// leaseSeconds is how long a node counts as alive after a renewal.
	leaseSeconds = 40
	// leaseRenewal is the pause between renewals, a quarter of that.
	leaseRenewal = 10 * time.Second
	leaseSpace   = "kube-node-lease"
)

// Node is one node and what it has to offer.
type Node struct {
	Name    string
	Address string
	Labels  map[string]string
	Taints  []v1.Taint
	// GPUs is the number of nvidia.com/gpu; 0 for a node without.
	GPUs int

	power power
}

// NewCPUNode is a node for everything that needs no GPU.
func NewCPUNode(name, address string) *Node {
	return &Node{Name: name, Address: address, Labels: labels(name, "sim.cpu")}
}

// NewGPUNode is a node with simulated GPUs, tainted as clouds do.
func NewGPUNode(name, address string, gpus int) *Node {
	all := labels(name, "sim.gpu")
	all["nvidia.com/gpu.present"] = "true"
	all["nvidia.com/gpu.product"] = "SIM-L40S"
	all["nvidia.com/gpu.memory"] = "46068" // MiB, as an L40S reports
	all["nvidia.com/gpu.count"] = fmt.Sprint(gpus)
	all["karpenter.sh/capacity-type"] = "on-demand"
	return &Node{
		Name: name, Address: address, Labels: all, GPUs: gpus,
		Taints: []v1.Taint{{Key: "nvidia.com/gpu", Value: "present", Effect: v1.TaintEffectNoSchedule}},
	}
}

func labels(name, instance string) map[string]string {
	return map[string]string{
		"kubernetes.io/hostname":           name,
		"kubernetes.io/os":                 "linux",
		"kubernetes.io/arch":               "amd64",
		"node.kubernetes.io/instance-type": instance,
		"topology.kubernetes.io/region":    "local",
		"topology.kubernetes.io/zone":      "local-a",
	}
}

// run registers the node and keeps it alive until the context ends.
func (n *Node) run(ctx context.Context, k *Kubelet) error {
	if err := n.serve(ctx, k); err != nil {
		return err
	}
	if err := n.register(ctx, k); err != nil {
		return fmt.Errorf("cannot register node %s: %w", n.Name, err)
	}
	renewed := time.Now()
	for {
		next := leaseRenewal
		if err := n.renewAnew(ctx, k, renewed); err == nil {
			renewed = time.Now()
		} else if ctx.Err() == nil {
			k.log.Warn("cannot renew a node's lease", "node", n.Name, "error", err)
			next = retryPause
		}
		if !pause(ctx, next) {
			return nil
		}
	}
}

// renewAnew renews the lease. A node that could not for longer than it counts
// as alive may have been given up, and its pods with it: it says anew how they
// all stand.
func (n *Node) renewAnew(ctx context.Context, k *Kubelet, renewed time.Time) error {
	n.power.wait()
	if err := n.renew(ctx, k); err != nil {
		return err
	}
	if time.Since(renewed) < leaseSeconds*time.Second {
		return nil
	}
	if err := n.register(ctx, k); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.pods {
		if p.node == n {
			p.anew.Store(true)
			p.notify()
		}
	}
	return nil
}

func (n *Node) register(ctx context.Context, k *Kubelet) error {
	node := &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: n.Labels},
		Spec:       v1.NodeSpec{Taints: n.Taints},
	}
	if _, err := k.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil && !errors.IsAlreadyExists(err) {
		return err
	}
	body, err := json.Marshal(map[string]any{"status": n.status()})
	if err != nil {
		return err
	}
	_, err = k.client.CoreV1().Nodes().Patch(ctx, n.Name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status")
	return err
}

func (n *Node) status() v1.NodeStatus {
	now := metav1.Now()
	resources := v1.ResourceList{
		// Generous, so that only GPUs are ever scarce.
		v1.ResourceCPU:              resource.MustParse("256"),
		v1.ResourceMemory:           resource.MustParse("2Ti"),
		v1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		v1.ResourcePods:             resource.MustParse("500"),
	}
	if n.GPUs > 0 {
		resources["nvidia.com/gpu"] = *resource.NewQuantity(int64(n.GPUs), resource.DecimalSI)
	}
	status := v1.NodeStatus{
		Capacity: resources, Allocatable: resources,
		// Only an address: a host name would make the API server ask for it.
		Addresses:       []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: n.Address}},
		DaemonEndpoints: v1.NodeDaemonEndpoints{KubeletEndpoint: v1.DaemonEndpoint{Port: kubeletPort}},
		NodeInfo:        v1.NodeSystemInfo{KubeletVersion: "v1.35.4", OperatingSystem: "linux", Architecture: "amd64", ContainerRuntimeVersion: "process://1"},
	}
	for _, c := range []struct {
		kind   v1.NodeConditionType
		status v1.ConditionStatus
		reason string
	}{
		{v1.NodeReady, v1.ConditionTrue, "KubeletReady"},
		{v1.NodeMemoryPressure, v1.ConditionFalse, "KubeletHasSufficientMemory"},
		{v1.NodeDiskPressure, v1.ConditionFalse, "KubeletHasNoDiskPressure"},
		{v1.NodePIDPressure, v1.ConditionFalse, "KubeletHasSufficientPID"},
	} {
		status.Conditions = append(status.Conditions, v1.NodeCondition{
			Type: c.kind, Status: c.status, Reason: c.reason, LastHeartbeatTime: now, LastTransitionTime: now,
		})
	}
	return status
}

// renew says that the node is alive.
func (n *Node) renew(ctx context.Context, k *Kubelet) error {
	leases := k.client.CoordinationV1().Leases(leaseSpace)
	now, seconds := metav1.NowMicro(), int32(leaseSeconds)
	lease, err := leases.Get(ctx, n.Name, metav1.GetOptions{})
	if errors.IsNotFound(err) {
		_, err = leases.Create(ctx, &coordination.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: n.Name},
			Spec:       coordination.LeaseSpec{HolderIdentity: &n.Name, LeaseDurationSeconds: &seconds, RenewTime: &now},
		}, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	lease.Spec.RenewTime = &now
	_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	return err
}
