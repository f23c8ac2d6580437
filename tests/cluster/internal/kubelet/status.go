package kubelet

import (
	"context"
	"encoding/json"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// statusRetry is the pause after a status patch that failed.
	statusRetry = 200 * time.Millisecond
	// callLimit bounds one call to the API server.
	callLimit = 10 * time.Second
)

// transition is the last change of one condition.
type transition struct {
	status v1.ConditionStatus
	at     metav1.Time
}

// keepStatus writes the pod's status whenever it changed, and once more when
// the pod is over. Only the status is patched: labels and annotations belong
// to others.
func (p *pod) keepStatus(over <-chan struct{}) {
	sent := ""
	last := false
	for {
		body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.uid}, "status": p.status()})
		if err != nil {
			p.kubelet.log.Error("cannot encode a pod's status", "pod", p.name, "error", err)
			return
		}
		if p.anew.Swap(false) || string(body) != sent {
			gone, err := p.patchStatus(body)
			if gone {
				return
			}
			if err != nil {
				p.kubelet.log.Warn("cannot write a pod's status", "pod", p.name, "error", err)
				sent = ""
				time.Sleep(statusRetry)
				continue
			}
			sent = string(body)
		}
		if last {
			return
		}
		select {
		case <-p.changed:
		case <-over:
			last = true
		}
	}
}

// patchStatus tells whether the object is gone, or another pod has its name.
func (p *pod) patchStatus(body []byte) (gone bool, err error) {
	p.node.power.wait()
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	_, err = p.kubelet.client.CoreV1().Pods(p.namespace).Patch(ctx, p.name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status")
	return errors.IsNotFound(err) || errors.IsConflict(err) || errors.IsInvalid(err), err
}

// remove deletes the object of a pod that has ended.
func (p *pod) remove() {
	now := int64(0)
	p.node.power.wait()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), callLimit)
		err := p.kubelet.client.CoreV1().Pods(p.namespace).Delete(ctx, p.name, metav1.DeleteOptions{
			GracePeriodSeconds: &now,
			Preconditions:      &metav1.Preconditions{UID: &p.uid},
		})
		cancel()
		if err == nil || errors.IsNotFound(err) || errors.IsConflict(err) {
			return
		}
		p.kubelet.log.Warn("cannot delete an ended pod", "pod", p.name, "error", err)
		time.Sleep(statusRetry)
	}
}

func (p *pod) status() v1.PodStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	status := v1.PodStatus{
		Phase:     p.phase,
		HostIP:    p.node.Address,
		HostIPs:   []v1.HostIP{{IP: p.node.Address}},
		StartTime: &p.startTime,
		QOSClass:  p.latest.Status.QOSClass,
	}
	if p.net != nil {
		status.PodIP = p.net.Address
		status.PodIPs = []v1.PodIP{{IP: p.net.Address}}
	}
	if p.phase == v1.PodRunning && p.anyUnstarted() {
		status.Phase = v1.PodPending
	}
	ready := p.phase == v1.PodRunning
	for _, c := range p.containers {
		if c.isInit {
			status.InitContainerStatuses = append(status.InitContainerStatuses, c.status())
		} else {
			status.ContainerStatuses = append(status.ContainerStatuses, c.status())
		}
		if (!c.isInit || c.isSidecar()) && !c.ready {
			ready = false
		}
	}
	status.Conditions = p.conditions(ready)
	return status
}

// anyUnstarted tells whether a container has never run yet: such a pod counts
// as pending, whatever its other containers do.
func (p *pod) anyUnstarted() bool {
	for _, c := range p.containers {
		if !c.isInit && c.state.Waiting != nil && c.last.Terminated == nil {
			return true
		}
	}
	return false
}

// conditions lists what the pod has reached. The caller holds the lock.
func (p *pod) conditions(ready bool) []v1.PodCondition {
	ended := p.phase == v1.PodSucceeded || p.phase == v1.PodFailed
	reason := ""
	if !ready {
		reason = "ContainersNotReady"
		if ended {
			reason = "PodCompleted"
		}
	}
	podReady, podReason := ready, reason
	if gate := p.closedGate(); ready && gate != "" {
		podReady, podReason = false, "ReadinessGatesNotReady"
	}
	return []v1.PodCondition{
		p.condition(v1.PodReadyToStartContainers, p.net != nil && !ended, ""),
		p.condition(v1.PodInitialized, p.initDone || p.phase == v1.PodSucceeded, ""),
		p.condition(v1.ContainersReady, ready, reason),
		p.condition(v1.PodReady, podReady, podReason),
		p.condition(v1.PodScheduled, true, ""),
	}
}

// closedGate is a readiness gate that nobody has opened yet.
func (p *pod) closedGate() v1.PodConditionType {
	for _, gate := range p.latest.Spec.ReadinessGates {
		open := false
		for _, c := range p.latest.Status.Conditions {
			open = open || c.Type == gate.ConditionType && c.Status == v1.ConditionTrue
		}
		if !open {
			return gate.ConditionType
		}
	}
	return ""
}

func (p *pod) condition(kind v1.PodConditionType, holds bool, reason string) v1.PodCondition {
	status := v1.ConditionFalse
	if holds {
		status = v1.ConditionTrue
	}
	if p.since[kind].status != status {
		p.since[kind] = transition{status: status, at: metav1.Now()}
	}
	return v1.PodCondition{Type: kind, Status: status, Reason: reason, LastTransitionTime: p.since[kind].at}
}
