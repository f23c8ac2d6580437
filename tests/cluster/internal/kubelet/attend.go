package kubelet

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
)

const (
	// maxMessage bounds a termination message in bytes.
	maxMessage = 4096
	// killCheck is how often a stopping container is compared with the
	// deadline, which can move closer while it stops.
	killCheck = 50 * time.Millisecond
	// minTerm is what a program has left to end after a preStop hook took
	// all the grace.
	minTerm = 2 * time.Second
)

// attend probes a running container until it ends, and makes it end when the
// context does or a probe gives it up.
func (c *container) attend(ctx context.Context, proc *process) {
	watching, endWatch := context.WithCancel(ctx)
	defer endWatch()
	unhealthy := make(chan time.Duration, 1)
	giveUp := func(probe *v1.Probe) {
		grace := c.pod.grace()
		if s := probe.TerminationGracePeriodSeconds; s != nil {
			grace = time.Duration(*s) * time.Second
		}
		select {
		case unhealthy <- grace:
		default:
		}
	}
	go c.watch(watching, proc, giveUp)
	if hook := c.spec.Lifecycle; hook != nil && hook.PostStart != nil {
		if err := c.hook(watching, proc, hook.PostStart); err != nil && watching.Err() == nil {
			c.pod.event(v1.EventTypeWarning, "FailedPostStartHook", err.Error())
			proc.kill()
		}
	}
	select {
	case <-proc.done:
	case grace := <-unhealthy:
		c.change(func() { c.ready = false })
		c.pod.event(v1.EventTypeNormal, "Killing", "Container "+c.spec.Name+" failed a probe, will be restarted")
		deadline := time.Now().Add(grace)
		c.end(proc, func() time.Time { return deadline })
	case <-ctx.Done():
		c.pod.event(v1.EventTypeNormal, "Killing", "Stopping container "+c.spec.Name)
		deadline := time.Now().Add(c.pod.grace())
		c.end(proc, func() time.Time {
			if at := c.pod.killTime(); !at.IsZero() && at.Before(deadline) {
				return at
			}
			return deadline
		})
	}
}

// watch runs the startup probe to its success, then the others side by side.
func (c *container) watch(ctx context.Context, proc *process, giveUp func(*v1.Probe)) {
	if probe := c.spec.StartupProbe; probe != nil {
		started := false
		c.pod.watchProbe(ctx, c.spec, probe, proc, true, func(ok bool, _ string) {
			if started = ok; !ok {
				giveUp(probe)
			}
		})
		if !started {
			return
		}
		c.change(func() {
			c.started = true
			c.ready = c.spec.ReadinessProbe == nil
		})
		c.once.Do(func() { close(c.first) })
	}
	if probe := c.spec.LivenessProbe; probe != nil {
		go c.pod.watchProbe(ctx, c.spec, probe, proc, false, func(ok bool, why string) {
			if !ok {
				c.pod.event(v1.EventTypeWarning, "Unhealthy", "Liveness probe failed: "+why)
				giveUp(probe)
			}
		})
	}
	if probe := c.spec.ReadinessProbe; probe != nil {
		c.pod.watchProbe(ctx, c.spec, probe, proc, false, func(ok bool, why string) {
			c.setReady(ctx, proc, ok)
			if !ok {
				c.pod.event(v1.EventTypeWarning, "Unhealthy", "Readiness probe failed: "+why)
			}
		})
	}
}

// setReady takes a readiness result, unless it is about an earlier start.
func (c *container) setReady(ctx context.Context, proc *process, ready bool) {
	c.pod.mu.Lock()
	changed := ctx.Err() == nil && c.proc == proc && c.ready != ready
	if changed {
		c.ready = ready
	}
	c.pod.mu.Unlock()
	if changed {
		c.pod.notify()
	}
}

// end runs the preStop hook, asks the program to end, and kills what is left
// at the deadline.
func (c *container) end(proc *process, deadline func() time.Time) {
	begun := time.Now()
	if hook := c.spec.Lifecycle; hook != nil && hook.PreStop != nil && deadline().After(begun) {
		ctx, cancel := context.WithDeadline(context.Background(), deadline())
		if err := c.hook(ctx, proc, hook.PreStop); err != nil {
			c.pod.event(v1.EventTypeWarning, "FailedPreStopHook", err.Error())
		}
		if ctx.Err() != nil {
			late := time.Now().Add(minTerm)
			deadline = func() time.Time { return late }
		}
		cancel()
	}
	proc.signal(syscall.SIGTERM)
	check := time.NewTicker(killCheck)
	defer check.Stop()
	for {
		select {
		case <-proc.done:
			return
		case <-check.C:
			if time.Now().After(deadline()) {
				proc.kill()
				<-proc.done
				return
			}
		}
	}
}

// hook runs one lifecycle hook.
func (c *container) hook(ctx context.Context, proc *process, hook *v1.LifecycleHandler) error {
	switch {
	case hook.Exec != nil:
		_, err := proc.exec(ctx, hook.Exec.Command, streams{})
		return err
	case hook.HTTPGet != nil:
		return c.pod.httpGet(ctx, c.spec, hook.HTTPGet)
	case hook.Sleep != nil:
		done := time.NewTimer(time.Duration(hook.Sleep.Seconds) * time.Second)
		defer done.Stop()
		select {
		case <-done.C:
		case <-proc.done:
		case <-ctx.Done():
		}
	}
	return nil
}

// lastWords is the termination message: what the program wrote into the file
// for it, or the end of the log of one that failed, if it is asked for.
func (c *container) lastWords(code int) string {
	body, err := os.ReadFile(filepath.Join(c.dir, "termination-log"))
	if err == nil && len(body) > 0 {
		body = body[:min(len(body), maxMessage)]
		return strings.ToValidUTF8(string(body), "")
	}
	if code != 0 && c.spec.TerminationMessagePolicy == v1.TerminationMessageFallbackToLogsOnError {
		return logTail(c.dir)
	}
	return ""
}
