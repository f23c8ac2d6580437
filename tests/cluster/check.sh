#!/usr/bin/env bash
# Builds the test cluster, starts it, and proves what the other tests rely on.
# Arguments go to `go test`, e.g. -run TestGateway.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
WEIR_CLUSTER_BIN=$("$here/build.sh")
export WEIR_CLUSTER_BIN
(cd "$here/authenticator" && CGO_ENABLED=0 go test -count=1 .)
cd "$here"
CGO_ENABLED=0 exec go test -count=1 -timeout 20m ./check ./internal/... "$@"
