// Package gateway pins Envoy Gateway; build.sh builds its command from the
// tool line of go.mod.
package gateway
