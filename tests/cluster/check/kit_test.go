package check

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
)

// world is one namespace of the shared cluster, gone with its test.
type world struct {
	*cluster
	t   *testing.T
	ctx context.Context
	ns  string
}

func newWorld(t *testing.T) *world {
	w := &world{cluster: shared, t: t, ctx: limit(t)}
	created, err := w.client.CoreV1().Namespaces().Create(w.ctx, &v1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "check-"}}, metav1.CreateOptions{})
	w.must(err)
	w.ns = created.Name
	t.Cleanup(func() {
		_ = w.client.CoreV1().Namespaces().Delete(context.Background(), w.ns, metav1.DeleteOptions{})
	})
	eventually(t, "service account", func() string {
		_, err := w.client.CoreV1().ServiceAccounts(w.ns).Get(w.ctx, "default", metav1.GetOptions{})
		return reason(err)
	})
	return w
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// script is a container that runs a shell script with the host's own tools.
func script(name, text string) v1.Container {
	return v1.Container{Name: name, Image: "busybox:1.36", Command: []string{"sh", "-c", text}}
}

// server is a container that says its name on port 8080.
func server(name string) v1.Container {
	return v1.Container{
		Name: "server", Image: "check-server:v1", Env: []v1.EnvVar{{Name: "CHECK_SERVER", Value: name}},
		Ports:          []v1.ContainerPort{{Name: "http", ContainerPort: 8080}},
		ReadinessProbe: &v1.Probe{PeriodSeconds: 1, ProbeHandler: v1.ProbeHandler{HTTPGet: &v1.HTTPGetAction{Path: "/health", Port: intstr.FromString("http")}}},
	}
}

func onGPUs(c v1.Container, n int64) v1.Container {
	c.Resources.Limits = v1.ResourceList{"nvidia.com/gpu": *resource.NewQuantity(n, resource.DecimalSI)}
	return c
}

func (w *world) pod(name string, spec v1.PodSpec) {
	w.t.Helper()
	if spec.RestartPolicy == "" {
		spec.RestartPolicy = v1.RestartPolicyNever
	}
	_, err := w.client.CoreV1().Pods(w.ns).Create(w.ctx, &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{})
	w.must(err)
}

// see waits until a pod is as described.
func (w *world) see(name, what string, is func(*v1.Pod) bool) *v1.Pod {
	w.t.Helper()
	var pod *v1.Pod
	eventually(w.t, name+" "+what, func() string {
		var err error
		if pod, err = w.client.CoreV1().Pods(w.ns).Get(w.ctx, name, metav1.GetOptions{}); err != nil {
			return err.Error()
		}
		if is(pod) {
			return ""
		}
		return fmt.Sprintf("%s %+v", pod.Status.Phase, pod.Status.ContainerStatuses)
	})
	return pod
}

func (w *world) seeReady(name string) *v1.Pod {
	w.t.Helper()
	return w.see(name, "is ready", isReady)
}

func isReady(pod *v1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == v1.PodReady {
			return c.Status == v1.ConditionTrue
		}
	}
	return false
}

func (w *world) seePhase(name string, phase v1.PodPhase) *v1.Pod {
	w.t.Helper()
	return w.see(name, "is "+string(phase), func(p *v1.Pod) bool { return p.Status.Phase == phase })
}

func (w *world) deployment(name string, replicas int32, c v1.Container, tolerations ...v1.Toleration) {
	w.t.Helper()
	labels := map[string]string{"app": name}
	_, err := w.client.AppsV1().Deployments(w.ns).Create(w.ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: v1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: v1.PodSpec{Containers: []v1.Container{c}, Tolerations: tolerations}},
		},
	}, metav1.CreateOptions{})
	w.must(err)
	eventually(w.t, "deployment "+name+" is available", func() string {
		d, err := w.client.AppsV1().Deployments(w.ns).Get(w.ctx, name, metav1.GetOptions{})
		if err != nil || d.Status.AvailableReplicas != replicas {
			return fmt.Sprintf("%v %+v", err, d.Status)
		}
		return ""
	})
}

func (w *world) service(name string) string {
	w.t.Helper()
	s, err := w.client.CoreV1().Services(w.ns).Create(w.ctx, &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1.ServiceSpec{Selector: map[string]string{"app": name}, Ports: []v1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}}},
	}, metav1.CreateOptions{})
	w.must(err)
	return s.Spec.ClusterIP
}

func (w *world) job(name string, c v1.Container) {
	w.t.Helper()
	never := int32(0)
	_, err := w.client.BatchV1().Jobs(w.ns).Create(w.ctx, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: batchv1.JobSpec{BackoffLimit: &never, Template: v1.PodTemplateSpec{
			Spec: v1.PodSpec{RestartPolicy: v1.RestartPolicyNever, Containers: []v1.Container{c}}}},
	}, metav1.CreateOptions{})
	w.must(err)
}

func (w *world) pods(selector string) []v1.Pod {
	w.t.Helper()
	list, err := w.client.CoreV1().Pods(w.ns).List(w.ctx, metav1.ListOptions{LabelSelector: selector})
	w.must(err)
	return list.Items
}

func (w *world) logs(pod string, opts v1.PodLogOptions) string {
	w.t.Helper()
	body, err := w.client.CoreV1().Pods(w.ns).GetLogs(pod, &opts).DoRaw(w.ctx)
	w.must(err)
	return string(body)
}

// exec runs a command in a pod's first container.
func (w *world) exec(pod, container, input string, command ...string) (string, error) {
	request := w.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(w.ns).Name(pod).SubResource("exec").
		VersionedParams(&v1.PodExecOptions{Container: container, Command: command, Stdin: input != "", Stdout: true, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewSPDYExecutor(w.config, http.MethodPost, request.URL())
	if err != nil {
		return "", err
	}
	var out, errOut bytes.Buffer
	options := remotecommand.StreamOptions{Stdout: &out, Stderr: &errOut}
	if input != "" {
		options.Stdin = strings.NewReader(input)
	}
	err = executor.StreamWithContext(w.ctx, options)
	return out.String() + errOut.String(), err
}
