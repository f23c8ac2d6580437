//go:build tools

// Package prometheus pins the server that the source is tested against.
package prometheus

import _ "github.com/prometheus/prometheus/cmd/prometheus"
