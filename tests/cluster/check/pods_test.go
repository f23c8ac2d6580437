package check

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/util/exec"
)

func TestGPUDeploymentBecomesReadyOnItsOwnAddresses(t *testing.T) {
	w := newWorld(t)
	w.deployment("model", 2, onGPUs(server("model"), 2), v1.Toleration{Key: "nvidia.com/gpu", Operator: v1.TolerationOpExists})
	seen := map[string]bool{}
	for _, p := range w.pods("app=model") {
		if !strings.HasPrefix(p.Spec.NodeName, "gpu-") {
			t.Errorf("pod %s is on %s, expected a GPU node", p.Name, p.Spec.NodeName)
		}
		seen[p.Status.PodIP] = true
		body, err := w.client.CoreV1().RESTClient().Get().AbsPath("/api/v1/namespaces", w.ns, "pods", p.Name+":8080", "proxy", "/").DoRaw(w.ctx)
		if err != nil || string(body) != "model" {
			t.Errorf("through the API server pod %s says %q, %v", p.Name, body, err)
		}
	}
	if len(seen) != 2 || seen[""] {
		t.Errorf("addresses %v, expected two different ones", seen)
	}
}

func TestGPUsOfATerminatingPodStayTaken(t *testing.T) {
	w := newWorld(t)
	slow := onGPUs(script("slow", `trap 'sleep 3; exit 0' TERM; while :; do sleep 0.1; done`), 4)
	spec := v1.PodSpec{
		Containers: []v1.Container{slow}, NodeSelector: map[string]string{"kubernetes.io/hostname": "gpu-2"},
		Tolerations: []v1.Toleration{{Operator: v1.TolerationOpExists}},
	}
	w.pod("first", spec)
	w.seePhase("first", v1.PodRunning)
	w.pod("second", spec)
	w.must(w.client.CoreV1().Pods(w.ns).Delete(w.ctx, "first", metav1.DeleteOptions{}))
	second := w.seePhase("second", v1.PodRunning)
	// The scheduler gives the GPUs away once the phase says that nothing runs, which is before the object goes.
	first, err := w.client.CoreV1().Pods(w.ns).Get(w.ctx, "first", metav1.GetOptions{})
	if err == nil && first.Status.Phase != v1.PodSucceeded && first.Status.Phase != v1.PodFailed {
		t.Errorf("the first pod still is %s while the second runs on %s", first.Status.Phase, second.Spec.NodeName)
	} else if err != nil && !apierrors.IsNotFound(err) {
		t.Error(err)
	}
}

func TestJobExitCodeAndLogsAreKept(t *testing.T) {
	w := newWorld(t)
	w.job("three", script("main", "echo out; echo err >&2; printf unfinished; exit 3"))
	eventually(t, "job fails", func() string {
		job, err := w.client.BatchV1().Jobs(w.ns).Get(w.ctx, "three", metav1.GetOptions{})
		if err != nil || job.Status.Failed != 1 {
			return fmt.Sprintf("%v %+v", err, job.Status)
		}
		return ""
	})
	pod := w.pods("job-name=three")[0]
	ended := pod.Status.ContainerStatuses[0].State.Terminated
	if ended == nil || ended.ExitCode != 3 || ended.Reason != "Error" {
		t.Errorf("state %+v, expected exit code 3, reason Error", ended)
	}
	if logs := w.logs(pod.Name, v1.PodLogOptions{}); logs != "out\nerr\nunfinished\n" {
		t.Errorf("logs %q", logs)
	}
	one := int64(1)
	if logs := w.logs(pod.Name, v1.PodLogOptions{TailLines: &one}); logs != "unfinished\n" {
		t.Errorf("last line %q", logs)
	}
}

func TestInitContainerHandsOverThroughAVolume(t *testing.T) {
	w := newWorld(t)
	mounts := []v1.VolumeMount{{Name: "work", MountPath: "/workspace"}, {Name: "work", MountPath: "/usr/local/deep/er", SubPath: "sub"}}
	first := script("fetch", "mkdir -p sub; echo hello > file; echo deep > sub/file; touch /tmp/mine")
	first.WorkingDir, first.VolumeMounts = "/workspace", mounts
	main := script("main", "cat file /usr/local/deep/er/file > /out/message; test ! -e /tmp/mine && pwd >> /out/message")
	main.WorkingDir, main.VolumeMounts, main.TerminationMessagePath = "/workspace", mounts, "/out/message"
	w.pod("build", v1.PodSpec{
		InitContainers: []v1.Container{first}, Containers: []v1.Container{main},
		Volumes: []v1.Volume{{Name: "work", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{}}}},
	})
	pod := w.seePhase("build", v1.PodSucceeded)
	if message := pod.Status.ContainerStatuses[0].State.Terminated.Message; message != "hello\ndeep\n/workspace\n" {
		t.Errorf("termination message %q", message)
	}
}

func TestFailedInitContainerFailsThePod(t *testing.T) {
	w := newWorld(t)
	broken := script("broken", "echo no such model >&2; exit 4")
	broken.TerminationMessagePolicy = v1.TerminationMessageFallbackToLogsOnError
	w.pod("never", v1.PodSpec{InitContainers: []v1.Container{broken}, Containers: []v1.Container{script("main", "true")}})
	pod := w.seePhase("never", v1.PodFailed)
	ended := pod.Status.InitContainerStatuses[0].State.Terminated
	if ended == nil || ended.ExitCode != 4 || ended.Message != "no such model\n" {
		t.Errorf("state %+v", ended)
	}
	if pod.Status.ContainerStatuses[0].State.Waiting == nil {
		t.Errorf("main container %+v, expected waiting", pod.Status.ContainerStatuses[0].State)
	}
}

func TestConfigurationReachesFilesAndVariables(t *testing.T) {
	w := newWorld(t)
	_, err := w.client.CoreV1().ConfigMaps(w.ns).Create(w.ctx, &v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}, Data: map[string]string{"COLOUR": "blue"}}, metav1.CreateOptions{})
	w.must(err)
	main := script("main", `echo "$COLOUR $KEY $BOTH $IP $0" > /dev/termination-log; cat /settings/COLOUR /keys/renamed >> /dev/termination-log; grep -c extra.example /etc/hosts >> /dev/termination-log`)
	main.Args = []string{"arg-$(COLOUR)"}
	main.EnvFrom = []v1.EnvFromSource{{ConfigMapRef: &v1.ConfigMapEnvSource{LocalObjectReference: v1.LocalObjectReference{Name: "settings"}}}}
	main.Env = []v1.EnvVar{
		{Name: "KEY", ValueFrom: &v1.EnvVarSource{SecretKeyRef: &v1.SecretKeySelector{LocalObjectReference: v1.LocalObjectReference{Name: "keys"}, Key: "key"}}},
		{Name: "BOTH", Value: "$(COLOUR)-$(KEY)-$$(KEY)"},
		{Name: "IP", ValueFrom: &v1.EnvVarSource{FieldRef: &v1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
	}
	main.VolumeMounts = []v1.VolumeMount{{Name: "settings", MountPath: "/settings"}, {Name: "keys", MountPath: "/keys"}}
	w.pod("reader", v1.PodSpec{
		Containers:  []v1.Container{main},
		HostAliases: []v1.HostAlias{{IP: "10.64.0.9", Hostnames: []string{"extra.example"}}},
		Volumes: []v1.Volume{
			{Name: "settings", VolumeSource: v1.VolumeSource{ConfigMap: &v1.ConfigMapVolumeSource{LocalObjectReference: v1.LocalObjectReference{Name: "settings"}}}},
			{Name: "keys", VolumeSource: v1.VolumeSource{Secret: &v1.SecretVolumeSource{SecretName: "keys", Items: []v1.KeyToPath{{Key: "key", Path: "renamed"}}}}},
		},
	})
	// The secret comes late: the pod waits for it.
	_, err = w.client.CoreV1().Secrets(w.ns).Create(w.ctx, &v1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "keys"}, StringData: map[string]string{"key": "s3"}}, metav1.CreateOptions{})
	w.must(err)
	pod := w.seePhase("reader", v1.PodSucceeded)
	want := fmt.Sprintf("blue s3 blue-s3-$(KEY) %s arg-blue\nblues31\n", pod.Status.PodIP)
	if message := pod.Status.ContainerStatuses[0].State.Terminated.Message; message != want {
		t.Errorf("termination message %q, expected %q", message, want)
	}
}

func TestKilledServerIsRestarted(t *testing.T) {
	w := newWorld(t)
	w.pod("server", v1.PodSpec{RestartPolicy: v1.RestartPolicyAlways, Containers: []v1.Container{server("again")}})
	w.seeReady("server")
	// Everything in the container but its init process: the program is killed.
	_, _ = w.exec("server", "server", "", "sh", "-c", "kill -9 -1")
	pod := w.see("server", "restarts", func(p *v1.Pod) bool { return p.Status.ContainerStatuses[0].RestartCount == 1 && isReady(p) })
	last := pod.Status.ContainerStatuses[0].LastTerminationState.Terminated
	if last == nil || last.ExitCode != 137 {
		t.Errorf("last end %+v, expected exit code 137", last)
	}
	if logs := w.logs("server", v1.PodLogOptions{Previous: true}); logs != "serving again\n" {
		t.Errorf("previous logs %q", logs)
	}
}

func TestCrashLoopIsSaid(t *testing.T) {
	w := newWorld(t)
	w.pod("loop", v1.PodSpec{RestartPolicy: v1.RestartPolicyAlways, Containers: []v1.Container{script("main", "exit 7")}})
	pod := w.see("loop", "backs off", func(p *v1.Pod) bool {
		s := p.Status.ContainerStatuses
		return len(s) == 1 && s[0].State.Waiting != nil && s[0].State.Waiting.Reason == "CrashLoopBackOff"
	})
	if last := pod.Status.ContainerStatuses[0].LastTerminationState.Terminated; last == nil || last.ExitCode != 7 {
		t.Errorf("last end %+v, expected exit code 7", last)
	}
}

func TestImageThatCannotBePulledWaits(t *testing.T) {
	w := newWorld(t)
	w.pod("typo", v1.PodSpec{Containers: []v1.Container{{Name: "main", Image: "missing.invalid/model:v2"}}})
	w.see("typo", "backs off", func(p *v1.Pod) bool {
		s := p.Status.ContainerStatuses
		return p.Status.Phase == v1.PodPending && len(s) == 1 && s[0].State.Waiting != nil && s[0].State.Waiting.Reason == "ImagePullBackOff"
	})
}

func TestProbesDecideReadinessAndRestarts(t *testing.T) {
	w := newWorld(t)
	main := script("main", "touch /tmp/ready /tmp/alive; exec sleep 1000")
	file := func(name string) v1.ProbeHandler {
		return v1.ProbeHandler{Exec: &v1.ExecAction{Command: []string{"test", "-e", name}}}
	}
	main.StartupProbe = &v1.Probe{PeriodSeconds: 1, ProbeHandler: file("/tmp/ready")}
	main.ReadinessProbe = &v1.Probe{PeriodSeconds: 1, FailureThreshold: 1, ProbeHandler: file("/tmp/ready")}
	main.LivenessProbe = &v1.Probe{PeriodSeconds: 1, FailureThreshold: 2, ProbeHandler: file("/tmp/alive")}
	w.pod("probed", v1.PodSpec{RestartPolicy: v1.RestartPolicyAlways, Containers: []v1.Container{main}})
	w.seeReady("probed")
	_, err := w.exec("probed", "main", "", "rm", "/tmp/ready")
	w.must(err)
	w.see("probed", "is not ready", func(p *v1.Pod) bool { return !isReady(p) && p.Status.ContainerStatuses[0].RestartCount == 0 })
	_, err = w.exec("probed", "main", "", "rm", "/tmp/alive")
	w.must(err)
	w.see("probed", "was restarted", func(p *v1.Pod) bool { return isReady(p) && p.Status.ContainerStatuses[0].RestartCount == 1 })
}

func TestExecPassesInputOutputAndExitCode(t *testing.T) {
	w := newWorld(t)
	w.pod("server", v1.PodSpec{Containers: []v1.Container{server("x")}})
	w.seeReady("server")
	out, err := w.exec("server", "server", "some input", "sh", "-c", "cat; echo; echo to stderr >&2; exit 5")
	var code exec.CodeExitError
	if !errors.As(err, &code) || code.Code != 5 {
		t.Errorf("error %v, expected exit code 5", err)
	}
	if out != "some input\nto stderr\n" {
		t.Errorf("output %q", out)
	}
}

func TestDeletedPodEndsInOrder(t *testing.T) {
	w := newWorld(t)
	main := script("main", `trap 'echo term > /shared/term; exit 0' TERM; touch /tmp/up; while :; do sleep 0.1; done`)
	main.ReadinessProbe = &v1.Probe{PeriodSeconds: 1, ProbeHandler: v1.ProbeHandler{Exec: &v1.ExecAction{Command: []string{"test", "-e", "/tmp/up"}}}}
	main.Lifecycle = &v1.Lifecycle{PreStop: &v1.LifecycleHandler{Exec: &v1.ExecAction{Command: []string{"sh", "-c", "test ! -e /shared/term && echo hook > /shared/hook"}}}}
	watcher := script("watcher", `trap '' TERM; echo watching; while :; do test -s /shared/hook && test -s /shared/term && echo both && exit 0; sleep 0.1; done`)
	shared := []v1.VolumeMount{{Name: "shared", MountPath: "/shared"}}
	main.VolumeMounts, watcher.VolumeMounts = shared, shared
	w.pod("polite", v1.PodSpec{Containers: []v1.Container{main, watcher}, Volumes: []v1.Volume{{Name: "shared", VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{}}}}})
	w.seeReady("polite")
	follow, err := w.client.CoreV1().Pods(w.ns).GetLogs("polite", &v1.PodLogOptions{Container: "watcher", Follow: true}).Stream(w.ctx)
	w.must(err)
	defer follow.Close()
	lines := bufio.NewReader(follow)
	if line, _ := lines.ReadString('\n'); line != "watching\n" {
		t.Errorf("watcher first says %q", line)
	}
	w.must(w.client.CoreV1().Pods(w.ns).Delete(w.ctx, "polite", metav1.DeleteOptions{}))
	if line, _ := lines.ReadString('\n'); line != "both\n" {
		t.Errorf("watcher then says %q, expected that hook and signal came", line)
	}
	eventually(t, "pod is gone", func() string {
		_, err := w.client.CoreV1().Pods(w.ns).Get(w.ctx, "polite", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return ""
		}
		return fmt.Sprint("still there ", err)
	})
}

func TestLabelsAndAnnotationsOfOthersSurvive(t *testing.T) {
	w := newWorld(t)
	probe := &v1.Probe{PeriodSeconds: 1, ProbeHandler: v1.ProbeHandler{TCPSocket: &v1.TCPSocketAction{Port: intstr.FromInt32(8080)}}}
	c := server("x")
	c.ReadinessProbe = probe
	w.pod("noted", v1.PodSpec{RestartPolicy: v1.RestartPolicyAlways, Containers: []v1.Container{c}})
	w.seeReady("noted")
	_, err := w.client.CoreV1().Pods(w.ns).Patch(w.ctx, "noted", "application/merge-patch+json", []byte(`{"metadata":{"annotations":{"controller.kubernetes.io/pod-deletion-cost":"-5"}}}`), metav1.PatchOptions{})
	w.must(err)
	_, _ = w.exec("noted", "server", "", "sh", "-c", "kill -9 -1")
	pod := w.see("noted", "restarts", func(p *v1.Pod) bool { return p.Status.ContainerStatuses[0].RestartCount == 1 })
	if pod.Annotations["controller.kubernetes.io/pod-deletion-cost"] != "-5" {
		t.Errorf("annotations %v", pod.Annotations)
	}
}
