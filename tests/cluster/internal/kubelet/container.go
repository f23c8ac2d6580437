package kubelet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weir/tests/cluster/internal/box"
)

// backoffReset is how long a container must have run for its next failure to
// count as the first.
const backoffReset = 10 * time.Minute

// container is one container of a pod through all its starts. The fields
// below started are guarded by the pod's lock.
type container struct {
	pod    *pod
	spec   *v1.Container
	isInit bool
	dir    string

	once  sync.Once
	first chan struct{} // closed when it has been started, as probes see it

	started, ready bool
	restarts       int32
	state, last    v1.ContainerState
	proc           *process
}

func newContainer(p *pod, spec *v1.Container, isInit bool) *container {
	return &container{
		pod: p, spec: spec, isInit: isInit,
		dir:   filepath.Join(p.dir, "containers", spec.Name),
		first: make(chan struct{}),
		state: v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: "PodInitializing"}},
	}
}

func (c *container) isSidecar() bool {
	return c.isInit && c.spec.RestartPolicy != nil && *c.spec.RestartPolicy == v1.ContainerRestartPolicyAlways
}

// restarts tells whether an end with this code is followed by a start.
func (c *container) restartsAfter(code int) bool {
	policy := c.pod.spec().RestartPolicy
	if c.isSidecar() {
		return true
	}
	if c.isInit && policy == v1.RestartPolicyAlways {
		policy = v1.RestartPolicyOnFailure
	}
	return policy == v1.RestartPolicyAlways || policy == v1.RestartPolicyOnFailure && code != 0
}

// loop starts the container until it need not be started again, or the
// context ends. It returns the last exit code.
func (c *container) loop(ctx context.Context) int {
	wait := c.pod.kubelet.backoff
	failures := 0
	for {
		begun := time.Now()
		code, ran := c.runOnce(ctx)
		if ctx.Err() != nil || !ran || !c.restartsAfter(code) {
			return code
		}
		if time.Since(begun) > backoffReset {
			wait, failures = c.pod.kubelet.backoff, 0
		}
		if failures++; failures > 1 {
			c.setWaiting("CrashLoopBackOff", fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
				wait, c.spec.Name, c.pod.name, c.pod.namespace, c.pod.uid))
			c.pod.event(v1.EventTypeWarning, "BackOff", "Back-off restarting failed container "+c.spec.Name)
			ended := pause(ctx, wait)
			c.restoreTerminated()
			if !ended {
				return code
			}
			wait = min(2*wait, c.pod.kubelet.maxWait)
		}
		c.change(func() { c.restarts++ })
	}
}

// runOnce starts the container and waits for its end. ran is false if it was
// stopped before it could start.
func (c *container) runOnce(ctx context.Context) (code int, ran bool) {
	if !c.pull(ctx) {
		return 0, false
	}
	config := c.configure(ctx)
	if config == nil {
		return 0, false
	}
	log, err := openLog(c.dir)
	if err != nil {
		return c.terminated(time.Now(), exit{code: 128, failed: true, message: err.Error(), at: time.Now()}), true
	}
	defer log.Close()
	begun := time.Now()
	proc, err := startProcess(c.pod.kubelet.init, c.dir, c.pod.network(), config, log)
	if err != nil {
		return c.terminated(begun, exit{code: 128, failed: true, message: err.Error(), at: time.Now()}), true
	}
	select {
	case <-proc.started:
	case <-proc.done:
		return c.terminated(begun, proc.exit()), true
	}
	c.running(proc, begun)
	c.attend(ctx, proc)
	// What a program wrote without a line's end belongs to its message.
	log.Close()
	return c.terminated(begun, proc.exit()), true
}

// pull waits for the image; only one that never comes takes time.
func (c *container) pull(ctx context.Context) bool {
	if !pullFails(c.spec.Image) {
		return ctx.Err() == nil
	}
	message := fmt.Sprintf("failed to pull and unpack image %q: dial tcp: lookup missing.invalid: no such host", c.spec.Image)
	c.pod.event(v1.EventTypeWarning, "Failed", "Failed to pull image "+c.spec.Image+": "+message)
	c.setWaiting("ErrImagePull", message)
	if pause(ctx, retryPause) {
		c.setWaiting("ImagePullBackOff", fmt.Sprintf("Back-off pulling image %q", c.spec.Image))
		<-ctx.Done()
	}
	return false
}

// configure resolves what the container needs, again and again until it is
// all there. nil means that it was stopped.
func (c *container) configure(ctx context.Context) *box.Config {
	for {
		config, err := c.config(ctx)
		if err == nil {
			return config
		}
		c.setWaiting("CreateContainerConfigError", err.Error())
		c.pod.event(v1.EventTypeWarning, "Failed", "Error: "+err.Error())
		if !pause(ctx, retryPause) {
			return nil
		}
	}
}

func (c *container) config(ctx context.Context) (*box.Config, error) {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, err
	}
	env, err := c.pod.environment(ctx, c.spec)
	if err != nil {
		return nil, err
	}
	mounts, err := c.pod.mounts(c.spec, c.dir, env)
	if err != nil {
		return nil, err
	}
	image := c.pod.kubelet.images.Executable(c.spec.Image)
	args := expandAll(c.spec.Command, env)
	if len(args) == 0 && image != "" {
		args = []string{filepath.Join(box.ImageDir, filepath.Base(image))}
	}
	if len(args) > 0 {
		args = append(args, expandAll(c.spec.Args, env)...)
	}
	dir := c.spec.WorkingDir
	if dir == "" {
		dir = "/"
	}
	return &box.Config{Hostname: c.pod.hostname(), Args: args, Env: environ(env), Dir: dir, Image: image, Mounts: mounts}, nil
}

// change alters the container under the pod's lock and reports it.
func (c *container) change(f func()) {
	c.pod.mu.Lock()
	f()
	c.pod.mu.Unlock()
	c.pod.notify()
}

func (c *container) setWaiting(reason, message string) {
	c.change(func() {
		if c.state.Terminated != nil {
			c.last = c.state
		}
		c.state = v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: reason, Message: message}}
	})
}

// restoreTerminated shows again how the container ended, after a back-off.
func (c *container) restoreTerminated() {
	c.change(func() {
		if c.state.Waiting != nil && c.last.Terminated != nil {
			c.state = c.last
		}
	})
}

func (c *container) running(proc *process, begun time.Time) {
	c.change(func() {
		if c.state.Terminated != nil {
			c.last = c.state
		}
		c.proc = proc
		c.state = v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: metav1.NewTime(begun)}}
		c.started = c.spec.StartupProbe == nil
		c.ready = c.started && c.spec.ReadinessProbe == nil
	})
	c.pod.event(v1.EventTypeNormal, "Started", "Started container "+c.spec.Name)
	if c.spec.StartupProbe == nil {
		c.once.Do(func() { close(c.first) })
	}
}

// terminated records an end and returns its code.
func (c *container) terminated(begun time.Time, e exit) int {
	reason := "Error"
	switch {
	case e.failed:
		reason = "StartError"
	case e.oom:
		reason = "OOMKilled"
	case e.code == 0:
		reason = "Completed"
	}
	message := e.message
	if !e.failed {
		message = c.lastWords(e.code)
	}
	c.change(func() {
		c.proc, c.started, c.ready = nil, false, false
		c.state = v1.ContainerState{Terminated: &v1.ContainerStateTerminated{
			ExitCode: int32(e.code), Reason: reason, Message: message,
			StartedAt: metav1.NewTime(begun), FinishedAt: metav1.NewTime(e.at),
			ContainerID: c.id(),
		}}
	})
	return e.code
}

// waitStarted waits until a sidecar counts as started.
func (c *container) waitStarted(ctx context.Context) bool {
	select {
	case <-c.first:
		return true
	case <-ctx.Done():
		return false
	}
}

// id names one start of the container.
func (c *container) id() string {
	return fmt.Sprintf("process://%s-%s-%d", c.pod.uid, c.spec.Name, c.restarts)
}

// status is the container's part of the pod's status; the caller holds the lock.
func (c *container) status() v1.ContainerStatus {
	started := c.started
	status := v1.ContainerStatus{
		Name: c.spec.Name, Image: c.spec.Image, ImageID: c.spec.Image,
		State: c.state, LastTerminationState: c.last, Ready: c.ready, Started: &started, RestartCount: c.restarts,
	}
	if c.isInit && !c.isSidecar() {
		status.Ready = c.state.Terminated != nil && c.state.Terminated.ExitCode == 0
	}
	if c.state.Running != nil || c.state.Terminated != nil {
		status.ContainerID = c.id()
	}
	return status
}
