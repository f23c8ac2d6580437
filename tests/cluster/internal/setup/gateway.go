package setup

import (
	"context"
	"fmt"
	"path/filepath"

	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// gatewaySystem is the namespace of Envoy Gateway and its Envoys.
const gatewaySystem = "envoy-gateway-system"

var (
	gateways = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
	crds     = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
)

// Gateway installs everything up to a Gateway that is programmed, and returns
// its address. share has the definitions; certificates makes the secrets of
// the given namespace.
func (s *Setup) Gateway(ctx context.Context, share string, certificates func(context.Context, string) error) (string, error) {
	for _, dir := range []string{"gateway-api", "envoy-gateway"} {
		if err := s.applyDir(ctx, filepath.Join(share, dir)); err != nil {
			return "", err
		}
	}
	if err := s.waitDefinitions(ctx); err != nil {
		return "", err
	}
	if err := s.applyEmbedded(ctx, "envoy-gateway.yaml"); err != nil {
		return "", err
	}
	if err := certificates(ctx, gatewaySystem); err != nil {
		return "", err
	}
	if err := s.applyEmbedded(ctx, "gateway.yaml"); err != nil {
		return "", err
	}
	address, err := s.waitProgrammed(ctx)
	if err != nil {
		return "", err
	}
	return address, s.applyHosts(ctx, address)
}

func (s *Setup) waitDefinitions(ctx context.Context) error {
	return wait(ctx, "all resource definitions are established", func() (bool, string) {
		all, err := s.dynamic.Resource(crds).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err.Error()
		}
		for i := range all.Items {
			if !condition(&all.Items[i], "Established") {
				return false, all.Items[i].GetName() + " is not"
			}
		}
		return true, ""
	})
}

func (s *Setup) waitProgrammed(ctx context.Context) (string, error) {
	address := ""
	err := wait(ctx, "Gateway gateway/public is programmed", func() (bool, string) {
		gateway, err := s.dynamic.Resource(gateways).Namespace("gateway").Get(ctx, "public", metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		all, _, _ := unstructured.NestedSlice(gateway.Object, "status", "addresses")
		if len(all) > 0 {
			first, _ := all[0].(map[string]any)
			address, _ = first["value"].(string)
		}
		status, _, _ := unstructured.NestedSlice(gateway.Object, "status", "conditions")
		return condition(gateway, "Programmed") && address != "", fmt.Sprintf("status %v", status)
	})
	return address, err
}

func condition(object *unstructured.Unstructured, kind string) bool {
	all, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, one := range all {
		if c, ok := one.(map[string]any); ok && c["type"] == kind {
			return c["status"] == "True"
		}
	}
	return false
}

// applyHosts makes the names that pods know beside those of services. Tests
// may add to it; nothing that is there already is changed.
func (s *Setup) applyHosts(ctx context.Context, gateway string) error {
	hosts := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "hosts", "namespace": "kube-system"},
		"data":     map[string]any{"gateway": gateway, "host": s.hostAddress},
	}}
	resource, err := s.resource(hosts)
	if err != nil {
		return err
	}
	if _, err := resource.Create(ctx, hosts, metav1.CreateOptions{}); err != nil && !errors.IsAlreadyExists(err) {
		return fmt.Errorf("cannot create config map kube-system/hosts: %w", err)
	}
	return nil
}
