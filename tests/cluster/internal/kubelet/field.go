package kubelet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// field reads one field of the pod by its path, as the downward API does.
func (p *pod) field(path string) (string, error) {
	object := p.object()
	if key, ok := subscript(path, "metadata.annotations"); ok {
		return object.Annotations[key], nil
	}
	if key, ok := subscript(path, "metadata.labels"); ok {
		return object.Labels[key], nil
	}
	switch path {
	case "metadata.name":
		return object.Name, nil
	case "metadata.namespace":
		return object.Namespace, nil
	case "metadata.uid":
		return string(object.UID), nil
	case "metadata.labels":
		return quoted(object.Labels), nil
	case "metadata.annotations":
		return quoted(object.Annotations), nil
	case "spec.nodeName":
		return object.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return object.Spec.ServiceAccountName, nil
	case "status.podIP", "status.podIPs":
		return p.address(), nil
	case "status.hostIP", "status.hostIPs":
		return p.node.Address, nil
	}
	return "", fmt.Errorf("field path %q is not supported", path)
}

func subscript(path, field string) (string, bool) {
	rest, ok := strings.CutPrefix(path, field+"['")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, "']")
}

func quoted(values map[string]string) string {
	lines := make([]string, 0, len(values))
	for key, value := range values {
		lines = append(lines, key+"="+strconv.Quote(value)+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// resourceField reads a request or limit, divided and rounded up.
func resourceField(spec *v1.PodSpec, c *v1.Container, ref *v1.ResourceFieldSelector) (string, error) {
	if ref.ContainerName != "" {
		found := false
		for i := range spec.Containers {
			if spec.Containers[i].Name == ref.ContainerName {
				c, found = &spec.Containers[i], true
			}
		}
		if !found {
			return "", fmt.Errorf("no container %q", ref.ContainerName)
		}
	}
	kind, name, _ := strings.Cut(ref.Resource, ".")
	list := map[string]v1.ResourceList{"limits": c.Resources.Limits, "requests": c.Resources.Requests}[kind]
	if kind != "limits" && kind != "requests" {
		return "", fmt.Errorf("resource %q: expected limits.NAME or requests.NAME", ref.Resource)
	}
	quantity, divisor := list[v1.ResourceName(name)], ref.Divisor
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	q, d := quantity.MilliValue(), divisor.MilliValue()
	return strconv.FormatInt((q+d-1)/d, 10), nil
}
