package setup

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// KwokAnnotation marks the nodes whose pods are pretended by kwok.
const KwokAnnotation = "kwok.x-k8s.io/node"

// kwokGPUs is what each pretended node has.
const kwokGPUs = 8

// Nodes makes the pretended nodes and waits until all nodes are ready, and
// until pods can be created in the default namespace.
func (s *Setup) Nodes(ctx context.Context, real, kwok int) error {
	for i := range kwok {
		if err := s.makeKwokNode(ctx, fmt.Sprintf("kwok-%d", i+1)); err != nil {
			return err
		}
	}
	err := wait(ctx, "all nodes are ready", func() (bool, string) {
		nodes, err := s.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err.Error()
		}
		ready := 0
		for _, n := range nodes.Items {
			for _, c := range n.Status.Conditions {
				if c.Type == v1.NodeReady && c.Status == v1.ConditionTrue && !unready(n.Spec.Taints) {
					ready++
				}
			}
		}
		return ready == real+kwok, fmt.Sprintf("%d of %d are", ready, real+kwok)
	})
	if err != nil {
		return err
	}
	return wait(ctx, "namespace default has its service account", func() (bool, string) {
		_, err := s.client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		return true, ""
	})
}

func unready(taints []v1.Taint) bool {
	for _, t := range taints {
		if t.Key == v1.TaintNodeNotReady {
			return true
		}
	}
	return false
}

func (s *Setup) makeKwokNode(ctx context.Context, name string) error {
	nodes := s.client.CoreV1().Nodes()
	node, err := nodes.Create(ctx, &v1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{KwokAnnotation: "fake"},
			Labels: map[string]string{
				"type": "kwok", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
				"nvidia.com/gpu.product": "SIM-L40S", "node.kubernetes.io/instance-type": "kwok.gpu", "karpenter.sh/capacity-type": "on-demand",
			},
		},
		Spec: v1.NodeSpec{Taints: []v1.Taint{{Key: KwokAnnotation, Value: "fake", Effect: v1.TaintEffectNoSchedule}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("cannot create node %s: %w", name, err)
	}
	has := v1.ResourceList{
		v1.ResourceCPU: resource.MustParse("96"), v1.ResourceMemory: resource.MustParse("1Ti"), v1.ResourcePods: resource.MustParse("250"),
		"nvidia.com/gpu": *resource.NewQuantity(kwokGPUs, resource.DecimalSI),
	}
	node.Status.Capacity, node.Status.Allocatable = has, has
	if _, err := nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("cannot give node %s its GPUs: %w", name, err)
	}
	return nil
}
