package services

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corev1 "k8s.io/client-go/listers/core/v1"
	discoveryv1 "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

const (
	// hostsSpace and hostsName name the config map with additional names.
	hostsSpace = "kube-system"
	hostsName  = "hosts"
)

// table is what the API server says about services.
type table struct {
	services corev1.ServiceLister
	slices   discoveryv1.EndpointSliceLister
	maps     corev1.ConfigMapLister
	changed  chan struct{}

	mu   sync.Mutex
	turn map[string]int
}

// watch fills a table and keeps it current.
func watch(ctx context.Context, client kubernetes.Interface) (*table, error) {
	factory := informers.NewSharedInformerFactory(client, 0)
	t := &table{
		services: factory.Core().V1().Services().Lister(),
		slices:   factory.Discovery().V1().EndpointSlices().Lister(),
		maps:     factory.Core().V1().ConfigMaps().Lister(),
		changed:  make(chan struct{}, 1),
		turn:     map[string]int{},
	}
	notify := func() {
		select {
		case t.changed <- struct{}{}:
		default:
		}
	}
	if _, err := factory.Core().V1().Services().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify() },
		UpdateFunc: func(_, _ any) { notify() },
		DeleteFunc: func(any) { notify() },
	}); err != nil {
		return nil, fmt.Errorf("cannot watch services: %w", err)
	}
	factory.Start(ctx.Done())
	for kind, ok := range factory.WaitForCacheSync(ctx.Done()) {
		if !ok {
			return nil, fmt.Errorf("cannot list %s", kind)
		}
	}
	return t, nil
}

// frontend is one port of one cluster IP.
type frontend struct {
	address         string // IP:port
	namespace, name string
	port            string // the port's name, which joins it to its endpoints
}

func (t *table) frontends() map[string]frontend {
	all := map[string]frontend{}
	services, err := t.services.List(labels.Everything())
	if err != nil {
		return all
	}
	for _, s := range services {
		for _, ip := range s.Spec.ClusterIPs {
			if ip == v1.ClusterIPNone {
				continue
			}
			for _, port := range s.Spec.Ports {
				if port.Protocol != v1.ProtocolTCP {
					continue
				}
				f := frontend{address: fmt.Sprintf("%s:%d", ip, port.Port), namespace: s.Namespace, name: s.Name, port: port.Name}
				all[f.address] = f
			}
		}
	}
	return all
}

// backends lists the ready endpoints of a port, the next one in turn first.
func (t *table) backends(f frontend) []string {
	var all []string
	t.endpoints(f.namespace, f.name, func(slice *discovery.EndpointSlice, e discovery.Endpoint) {
		for _, port := range slice.Ports {
			if port.Port == nil || port.Name != nil && *port.Name != f.port || port.Name == nil && f.port != "" {
				continue
			}
			for _, address := range e.Addresses {
				all = append(all, fmt.Sprintf("%s:%d", address, *port.Port))
			}
		}
	})
	if len(all) < 2 {
		return all
	}
	t.mu.Lock()
	t.turn[f.address]++
	first := t.turn[f.address] % len(all)
	t.mu.Unlock()
	return append(all[first:len(all):len(all)], all[:first]...)
}

func (t *table) endpoints(namespace, name string, visit func(*discovery.EndpointSlice, discovery.Endpoint)) {
	slices, err := t.slices.EndpointSlices(namespace).List(labels.SelectorFromSet(labels.Set{discovery.LabelServiceName: name}))
	if err != nil {
		return
	}
	for _, slice := range slices {
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				visit(slice, e)
			}
		}
	}
}

// lookup finds the addresses of a name without its final dot; known is false
// if there is no such name.
func (t *table) lookup(name string) (addresses []netip.Addr, known bool) {
	if hosts, err := t.maps.ConfigMaps(hostsSpace).Get(hostsName); err == nil {
		if value, ok := hosts.Data[name]; ok {
			return parse([]string{strings.TrimSpace(value)}), true
		}
	}
	prefix, ok := strings.CutSuffix(name, ".svc.cluster.local")
	if !ok {
		return nil, false
	}
	service, namespace, ok := strings.Cut(prefix, ".")
	if !ok {
		return nil, false
	}
	s, err := t.services.Services(namespace).Get(service)
	if err != nil {
		return nil, false
	}
	if s.Spec.ClusterIP != v1.ClusterIPNone {
		return parse(s.Spec.ClusterIPs), true
	}
	var all []string
	t.endpoints(namespace, service, func(_ *discovery.EndpointSlice, e discovery.Endpoint) { all = append(all, e.Addresses...) })
	return parse(all), true
}

func parse(texts []string) []netip.Addr {
	var all []netip.Addr
	for _, text := range texts {
		if address, err := netip.ParseAddr(text); err == nil && address.Is4() {
			all = append(all, address)
		}
	}
	return all
}
