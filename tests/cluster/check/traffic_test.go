package check

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

var routes = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}

// ask sends one request through the gateway.
func (w *world) ask(host string) (string, error) {
	request, err := http.NewRequestWithContext(w.ctx, http.MethodGet, w.gateway+"/", nil)
	if err != nil {
		return "", err
	}
	request.Host = host
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return string(body), err
}

// askMany counts the answers to n requests, none of which may fail.
func (w *world) askMany(host string, n int) map[string]int {
	w.t.Helper()
	counts := map[string]int{}
	for range n {
		body, err := w.ask(host)
		w.must(err)
		counts[body]++
	}
	return counts
}

func (w *world) route(host string, filters []any, backends ...any) {
	w.t.Helper()
	rule := map[string]any{"backendRefs": backends}
	if filters != nil {
		rule["filters"] = filters
	}
	_, err := w.dynamic.Resource(routes).Namespace(w.ns).Create(w.ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": map[string]any{"name": "route"},
		"spec": map[string]any{
			"parentRefs": []any{map[string]any{"name": "public", "namespace": "gateway"}},
			"hostnames":  []any{host}, "rules": []any{rule},
		},
	}}, metav1.CreateOptions{})
	w.must(err)
	// The gateway may hear of the route before it hears of a Service in it; until it knows them all, some of the
	// answers are its own.
	eventually(w.t, "route answers", func() string {
		seen, err := w.dynamic.Resource(routes).Namespace(w.ns).Get(w.ctx, "route", metav1.GetOptions{})
		if err != nil || !resolved(seen) {
			return fmt.Sprintf("its backends are not resolved (%v)", err)
		}
		_, err = w.ask(host)
		return reason(err)
	})
}

// resolved says whether every gateway of a route knows all its backends.
func resolved(route *unstructured.Unstructured) bool {
	parents, _, _ := unstructured.NestedSlice(route.Object, "status", "parents")
	for _, parent := range parents {
		conditions, _, _ := unstructured.NestedSlice(parent.(map[string]any), "conditions")
		for _, c := range conditions {
			if c := c.(map[string]any); c["type"] == "ResolvedRefs" && c["status"] != "True" {
				return false
			}
		}
	}
	return len(parents) > 0
}

func backend(name string, weight int64) any {
	return map[string]any{"name": name, "port": int64(80), "weight": weight}
}

func (w *world) counted(app string) int {
	w.t.Helper()
	total := 0
	for _, p := range w.pods("app=" + app) {
		body, err := w.client.CoreV1().RESTClient().Get().AbsPath("/api/v1/namespaces", w.ns, "pods", p.Name+":8080", "proxy", "count").DoRaw(w.ctx)
		w.must(err)
		n, err := strconv.Atoi(string(body))
		w.must(err)
		total += n
	}
	return total
}

func TestGatewaySplitsByWeightAndFollowsAPatch(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"old", "new"} {
		w.deployment(name, 1, server(name))
		w.service(name)
	}
	host := w.ns + ".example"
	w.route(host, nil, backend("old", 90), backend("new", 10))
	// Envoy draws at random: at 90:10 of 400, fewer than 15 or more than 75
	// for the smaller share would come once in a million runs.
	if counts := w.askMany(host, 400); counts["new"] < 15 || counts["new"] > 75 {
		t.Errorf("at 90:10 the answers are %v", counts)
	}
	_, err := w.dynamic.Resource(routes).Namespace(w.ns).Patch(w.ctx, "route", types.JSONPatchType,
		[]byte(`[{"op":"replace","path":"/spec/rules/0/backendRefs/0/weight","value":0},{"op":"replace","path":"/spec/rules/0/backendRefs/1/weight","value":100}]`), metav1.PatchOptions{})
	w.must(err)
	eventually(t, "the patch is effective", func() string {
		if counts := w.askMany(host, 20); counts["old"] > 0 {
			return fmt.Sprint(counts)
		}
		return ""
	})
}

func TestGatewayMirrors(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"live", "shadow"} {
		w.deployment(name, 1, server(name))
		w.service(name)
	}
	host := w.ns + ".example"
	w.route(host, []any{map[string]any{"type": "RequestMirror", "requestMirror": map[string]any{
		"backendRef": map[string]any{"name": "shadow", "port": int64(80)}}}}, backend("live", 1))
	before := w.counted("shadow")
	if counts := w.askMany(host, 50); counts["live"] != 50 {
		t.Errorf("answers %v, expected all from live", counts)
	}
	eventually(t, "all requests are mirrored", func() string {
		if n := w.counted("shadow") - before; n != 50 {
			return fmt.Sprintf("%d of 50", n)
		}
		return ""
	})
}

func TestStatisticsPerEndpointComeThroughTheAPIServer(t *testing.T) {
	w := newWorld(t)
	w.deployment("counted", 1, server("counted"))
	w.service("counted")
	host := w.ns + ".example"
	w.route(host, nil, backend("counted", 1))
	w.askMany(host, 7)
	address := w.pods("app=counted")[0].Status.PodIP
	envoys, err := w.client.CoreV1().Pods("envoy-gateway-system").List(w.ctx, metav1.ListOptions{LabelSelector: "gateway.envoyproxy.io/owning-gateway-name=public"})
	w.must(err)
	if len(envoys.Items) != 1 {
		t.Fatalf("%d Envoy pods, expected 1", len(envoys.Items))
	}
	eventually(t, "Envoy counts the endpoint's requests", func() string {
		body, err := w.client.CoreV1().RESTClient().Get().AbsPath("/api/v1/namespaces/envoy-gateway-system/pods", envoys.Items[0].Name+":19001", "proxy/stats/prometheus").DoRaw(w.ctx)
		if err != nil {
			return err.Error()
		}
		var about []string
		for line := range strings.Lines(string(body)) {
			if strings.Contains(line, address+":8080") || strings.Contains(line, w.ns) {
				about = append(about, line)
			}
		}
		for _, line := range about {
			if strings.HasPrefix(line, "envoy_cluster_endpoint_rq_total{") && strings.Contains(line, `envoy_endpoint_address="`+address+`:8080"`) {
				if path := os.Getenv("CHECK_STATISTICS"); path != "" {
					w.must(os.WriteFile(path, []byte(strings.Join(about, "")), 0o644))
				}
				return ""
			}
		}
		return strings.Join(about, "")
	})
}

func TestServicesAnswerByAddressAndName(t *testing.T) {
	w := newWorld(t)
	w.deployment("named", 1, server("by name"))
	ip := w.service("named")
	w.pod("caller", v1.PodSpec{Containers: []v1.Container{script("main", fmt.Sprintf(
		`for u in %s named named.%s named.%s.svc.cluster.local; do curl -sS --retry 5 --retry-connrefused http://$u/ >> /dev/termination-log || exit 1; done
		curl -sS -o /dev/null -w '%%{http_code}' http://gateway/ >> /dev/termination-log; curl -sS http://unknown.example/; test $? = 6`, ip, w.ns, w.ns))}})
	pod := w.see("caller", "ended", func(p *v1.Pod) bool { return p.Status.Phase == v1.PodSucceeded || p.Status.Phase == v1.PodFailed })
	if ended := pod.Status.ContainerStatuses[0].State.Terminated; ended.ExitCode != 0 || ended.Message != strings.Repeat("by name", 4)+"404" {
		t.Errorf("state %+v, logs %s", ended, w.logs("caller", v1.PodLogOptions{}))
	}
}

// A pod that must ask anew where the API server is loses its connections to it for up to 45 s.
func TestPodsFindTheAPIServerAtOneHardwareAddressWhoeverComesAndGoes(t *testing.T) {
	w := newWorld(t)
	w.pod("witness", v1.PodSpec{Containers: []v1.Container{server("x")}})
	w.seeReady("witness")
	api := `curl -sk "https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/livez" >/dev/null
		awk -v ip="$KUBERNETES_SERVICE_HOST" '$1 == ip {print $4}' /proc/net/arp`
	before, err := w.exec("witness", "server", "", "sh", "-c", api)
	w.must(err)
	// Each has a hardware address drawn at random: the lowest of twenty is hardly ever the witness's.
	w.deployment("passing", 20, server("y"))
	_, err = w.exec("witness", "server", "", "ip", "neigh", "flush", "all")
	w.must(err)
	after, err := w.exec("witness", "server", "", "sh", "-c", api)
	w.must(err)
	if before == "" || before != after {
		t.Errorf("the API server was at %q, and is at %q now", before, after)
	}
}

func TestExposedPortOfTheHostIsReachable(t *testing.T) {
	w := newWorld(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "from the host") })}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	output, err := exec.Command(filepath.Join(os.Getenv(binVariable), "weir-cluster"), "expose", "--state", w.state, port).CombinedOutput()
	if err != nil {
		t.Fatalf("expose: %v: %s", err, output)
	}
	w.pod("caller", v1.PodSpec{Containers: []v1.Container{script("main", "curl -sS http://"+w.host+":"+port+"/ http://host:"+port+"/ > /dev/termination-log")}})
	pod := w.seePhase("caller", v1.PodSucceeded)
	if message := pod.Status.ContainerStatuses[0].State.Terminated.Message; message != "from the hostfrom the host" {
		t.Errorf("the pod got %q", message)
	}
}
