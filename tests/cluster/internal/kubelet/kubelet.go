package kubelet

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"weir/tests/cluster/internal/network"
)

// Options is what a Kubelet needs to know.
type Options struct {
	Client kubernetes.Interface
	// Dir keeps volumes and logs.
	Dir string
	// Init is the path of the container-init executable.
	Init   string
	Images Images
	// APIHost and APIPort are where pods find the API server.
	APIHost, APIPort string
	// RestartBackoff is the pause before the second restart of a container;
	// it doubles with each one up to MaxRestartBackoff.
	RestartBackoff, MaxRestartBackoff time.Duration
	Log                               *slog.Logger
}

// Kubelet runs the pods of its nodes.
type Kubelet struct {
	client   kubernetes.Interface
	dir      string
	init     string
	images   Images
	apiHost  string
	apiPort  string
	backoff  time.Duration
	maxWait  time.Duration
	log      *slog.Logger
	pool     *network.Pool
	nodes    map[string]*Node
	recorder record.EventRecorder

	mu   sync.Mutex
	pods map[types.UID]*pod
}

// New makes a Kubelet for the nodes.
func New(o Options, nodes []*Node) *Kubelet {
	k := &Kubelet{
		client: o.Client, dir: o.Dir, init: o.Init, images: o.Images, apiHost: o.APIHost, apiPort: o.APIPort,
		backoff: o.RestartBackoff, maxWait: o.MaxRestartBackoff, log: o.Log,
		pool: network.NewPool(), nodes: map[string]*Node{}, pods: map[types.UID]*pod{},
	}
	for _, n := range nodes {
		k.nodes[n.Name] = n
	}
	return k
}

// Run registers the nodes and serves them until the context ends.
func (k *Kubelet) Run(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(k.dir, "pods"), 0o755); err != nil {
		return fmt.Errorf("cannot make the pods' directory: %w", err)
	}
	events := record.NewBroadcaster(record.WithContext(ctx))
	events.StartRecordingToSink(&corev1.EventSinkImpl{Interface: k.client.CoreV1().Events("")})
	defer events.Shutdown()
	k.recorder = events.NewRecorder(scheme.Scheme, v1.EventSource{Component: "kubelet"})

	factory := informers.NewSharedInformerFactoryWithOptions(k.client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermNotEqualSelector("spec.nodeName", "").String()
	}))
	pods := factory.Core().V1().Pods().Informer()
	if _, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { k.seen(ctx, o.(*v1.Pod)) },
		UpdateFunc: func(_, o any) { k.seen(ctx, o.(*v1.Pod)) },
		DeleteFunc: k.vanished,
	}); err != nil {
		return fmt.Errorf("cannot watch pods: %w", err)
	}
	all := informers.NewSharedInformerFactory(k.client, 0)
	if _, err := all.Core().V1().Nodes().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { k.follow(o.(*v1.Node)) },
		UpdateFunc: func(_, o any) { k.follow(o.(*v1.Node)) },
	}); err != nil {
		return fmt.Errorf("cannot watch nodes: %w", err)
	}
	errs := make(chan error, len(k.nodes))
	for _, n := range k.nodes {
		go func() { errs <- n.run(ctx, k) }()
	}
	factory.Start(ctx.Done())
	all.Start(ctx.Done())
	select {
	case err := <-errs:
		return err
	case <-ctx.Done():
		return nil
	}
}

// seen starts a pod that is new, and tells one that is known what changed.
func (k *Kubelet) seen(ctx context.Context, object *v1.Pod) {
	node := k.nodes[object.Spec.NodeName]
	if node == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.pods[object.UID]; p != nil {
		p.update(object)
		return
	}
	if finished(object) && object.DeletionTimestamp == nil {
		return
	}
	p := newPod(ctx, k, node, object)
	k.pods[object.UID] = p
	go func() {
		p.run()
		k.mu.Lock()
		delete(k.pods, object.UID)
		k.mu.Unlock()
	}()
}

// vanished ends a pod whose object is gone, as after a forced deletion.
func (k *Kubelet) vanished(o any) {
	if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	object, ok := o.(*v1.Pod)
	if !ok {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.pods[object.UID]; p != nil {
		p.doom(0)
	}
}

func finished(object *v1.Pod) bool {
	return object.Status.Phase == v1.PodSucceeded || object.Status.Phase == v1.PodFailed
}

// find looks up a running pod by name.
func (k *Kubelet) find(namespace, name string) (*pod, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.pods {
		if p.namespace == namespace && p.name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("pod %s/%s is not running here", namespace, name)
}
