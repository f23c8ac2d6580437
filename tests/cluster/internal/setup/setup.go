// Package setup brings a fresh API server into the state that tests expect:
// nodes that are ready, the Gateway API, Envoy Gateway, and one Gateway that
// takes routes of all namespaces.
package setup

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

const (
	// waitLimit bounds each wait; a cold start on a busy machine is slow.
	waitLimit = 3 * time.Minute
	// pollPause is the pause between looks.
	pollPause = 100 * time.Millisecond
	// fieldOwner is who applies.
	fieldOwner = "weir-cluster"
)

//go:embed manifests/*.yaml
var manifests embed.FS

// Setup applies objects to one API server.
type Setup struct {
	client      kubernetes.Interface
	dynamic     dynamic.Interface
	mapper      *restmapper.DeferredDiscoveryRESTMapper
	hostAddress string
}

// New makes a Setup. hostAddress is told to pods under the name "host".
func New(config *rest.Config, hostAddress string) (*Setup, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	return &Setup{client: client, dynamic: dyn, mapper: mapper, hostAddress: hostAddress}, nil
}

// apply applies every object of a YAML stream.
func (s *Setup) apply(ctx context.Context, stream []byte) error {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(stream), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot decode a manifest: %w", err)
		}
		if len(object.Object) == 0 {
			continue
		}
		if err := s.applyOne(ctx, object); err != nil {
			return fmt.Errorf("cannot apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
}

func (s *Setup) applyOne(ctx context.Context, object *unstructured.Unstructured) error {
	resource, err := s.resource(object)
	if err != nil {
		return err
	}
	_, err = resource.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: fieldOwner, Force: true})
	return err
}

// resource finds where an object's kind is served.
func (s *Setup) resource(object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := object.GroupVersionKind()
	mapping, err := s.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		s.mapper.Reset()
		mapping, err = s.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	}
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return s.dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace()), nil
	}
	return s.dynamic.Resource(mapping.Resource), nil
}

func (s *Setup) applyEmbedded(ctx context.Context, name string) error {
	body, err := manifests.ReadFile("manifests/" + name)
	if err != nil {
		return err
	}
	return s.apply(ctx, body)
}

// applyDir applies all files of a directory, leaving out template lines.
func (s *Setup) applyDir(ctx context.Context, dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return fmt.Errorf("no manifests in %s; build again with tests/cluster/build.sh", dir)
	}
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var kept [][]byte
		for _, line := range bytes.Split(body, []byte("\n")) {
			if !bytes.HasPrefix(line, []byte("{{")) {
				kept = append(kept, line)
			}
		}
		if err := s.apply(ctx, bytes.Join(kept, []byte("\n"))); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
	}
	return nil
}

// wait looks until done says so; the last reason why not is in the error.
func wait(ctx context.Context, what string, done func() (bool, string)) error {
	deadline := time.Now().Add(waitLimit)
	for {
		ok, why := done()
		if ok {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not so after %s: %s", what, waitLimit, why)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollPause):
		}
	}
}
