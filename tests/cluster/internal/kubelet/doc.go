// Package kubelet runs the pods of several nodes as real processes. It does
// the work of a kubelet and of a container runtime: each pod has its own
// address, each container its own mounts and process namespace, and what
// happens to the processes becomes the pod's status.
//
//	informer ─▶ Kubelet ─▶ pod (one goroutine) ─▶ container loop ─▶ process
//	                        │                      ├ probes           │
//	                        ▼                      ▼                  ▼
//	                   status patches ◀──── state of containers   container-init
//
// Not done: users and groups (everything runs as the one user there is),
// resource limits, persistent volume claims, gRPC probes, ttys.
package kubelet
