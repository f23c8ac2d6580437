package kubelet

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weir/tests/cluster/internal/box"
)

// environment resolves a container's env and envFrom, later names over
// earlier ones, with $(NAME) replaced as Kubernetes does.
func (p *pod) environment(ctx context.Context, c *v1.Container) (map[string]string, error) {
	env := map[string]string{
		"PATH":                    box.ImageDir + ":" + os.Getenv("PATH"),
		"HOME":                    "/tmp",
		"HOSTNAME":                p.hostname(),
		"KUBERNETES_SERVICE_HOST": p.kubelet.apiHost,
		"KUBERNETES_SERVICE_PORT": p.kubelet.apiPort,
	}
	for _, from := range c.EnvFrom {
		values, err := p.envFrom(ctx, from)
		if err != nil {
			return nil, err
		}
		maps.Copy(env, values)
	}
	for _, e := range c.Env {
		value := expand(e.Value, env)
		if e.ValueFrom != nil {
			found, ok, err := p.envValue(ctx, c, e.ValueFrom)
			if err != nil {
				return nil, fmt.Errorf("variable %s: %w", e.Name, err)
			}
			if !ok {
				continue
			}
			value = found
		}
		env[e.Name] = value
	}
	return env, nil
}

func (p *pod) envFrom(ctx context.Context, from v1.EnvFromSource) (map[string]string, error) {
	var data map[string]string
	var err error
	switch {
	case from.ConfigMapRef != nil:
		data, err = p.configMap(ctx, from.ConfigMapRef.Name, from.ConfigMapRef.Optional)
	case from.SecretRef != nil:
		data, err = p.secret(ctx, from.SecretRef.Name, from.SecretRef.Optional)
	}
	if err != nil {
		return nil, err
	}
	prefixed := make(map[string]string, len(data))
	for name, value := range data {
		prefixed[from.Prefix+name] = value
	}
	return prefixed, nil
}

// envValue resolves one reference; false means an optional one that is not there.
func (p *pod) envValue(ctx context.Context, c *v1.Container, from *v1.EnvVarSource) (string, bool, error) {
	switch {
	case from.FieldRef != nil:
		value, err := p.field(from.FieldRef.FieldPath)
		return value, err == nil, err
	case from.ResourceFieldRef != nil:
		value, err := resourceField(p.spec(), c, from.ResourceFieldRef)
		return value, err == nil, err
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		data, err := p.configMap(ctx, ref.Name, ref.Optional)
		return pick(data, err, "config map", ref.Name, ref.Key, ref.Optional)
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		data, err := p.secret(ctx, ref.Name, ref.Optional)
		return pick(data, err, "secret", ref.Name, ref.Key, ref.Optional)
	}
	return "", false, fmt.Errorf("unknown kind of reference; known are fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef")
}

func pick(data map[string]string, err error, kind, name, key string, optional *bool) (string, bool, error) {
	if err != nil {
		return "", false, err
	}
	value, ok := data[key]
	if !ok && (optional == nil || !*optional) {
		return "", false, fmt.Errorf("couldn't find key %s in %s %s", key, kind, name)
	}
	return value, ok, nil
}

// configMap reads all entries; an optional one that is missing has none.
func (p *pod) configMap(ctx context.Context, name string, optional *bool) (map[string]string, error) {
	found, err := p.kubelet.client.CoreV1().ConfigMaps(p.namespace).Get(ctx, name, metav1.GetOptions{})
	if errors.IsNotFound(err) && optional != nil && *optional {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	data := map[string]string{}
	maps.Copy(data, found.Data)
	for key, value := range found.BinaryData {
		data[key] = string(value)
	}
	return data, nil
}

// secret reads all entries; an optional one that is missing has none.
func (p *pod) secret(ctx context.Context, name string, optional *bool) (map[string]string, error) {
	found, err := p.kubelet.client.CoreV1().Secrets(p.namespace).Get(ctx, name, metav1.GetOptions{})
	if errors.IsNotFound(err) && optional != nil && *optional {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	data := make(map[string]string, len(found.Data))
	for key, value := range found.Data {
		data[key] = string(value)
	}
	return data, nil
}

// expand replaces $(NAME) by its value; $$ stands for one $, and a name that
// is not known stays as it is.
func expand(text string, env map[string]string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '$' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		switch text[i+1] {
		case '$':
			out.WriteByte('$')
			i++
		case '(':
			end := strings.IndexByte(text[i:], ')')
			if end < 0 {
				out.WriteByte('$')
				continue
			}
			name := text[i+2 : i+end]
			if value, ok := env[name]; ok {
				out.WriteString(value)
			} else {
				out.WriteString(text[i : i+end+1])
			}
			i += end
		default:
			out.WriteByte('$')
		}
	}
	return out.String()
}

func expandAll(words []string, env map[string]string) []string {
	out := make([]string, len(words))
	for i, word := range words {
		out[i] = expand(word, env)
	}
	return out
}

func environ(env map[string]string) []string {
	names := slices.Sorted(maps.Keys(env))
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = name + "=" + env[name]
	}
	return out
}
