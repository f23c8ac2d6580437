// Package services makes Services reachable: it listens on every cluster IP
// and forwards connections to ready endpoints, and it answers DNS queries for
// Services and for the names in the config map kube-system/hosts. Everything
// is in user space; a connection's source address is therefore the cluster's.
package services
