#!/usr/bin/env bash
# Builds a Prometheus server from its Go module and prints where it is. It is kept in
# ${WEIR_CACHE:-~/.cache/weir}/prometheus under the hash of its pins; the first build takes about 10 minutes on 2 cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
command -v go >/dev/null || { echo "prometheus: missing: go (1.26 or newer)" >&2; exit 1; }
hash=$(cat go.mod go.sum | sha256sum | cut -c1-32)
dir="${WEIR_CACHE:-$HOME/.cache/weir}/prometheus/$hash"
if [ ! -x "$dir/prometheus" ]; then
    echo "prometheus: building (kept in $dir)" >&2
    mkdir -p "$dir"
    # Discovery of clouds is half of the build, and nothing here discovers anything.
    CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -tags remove_all_sd -o "$dir/.building" \
        github.com/prometheus/prometheus/cmd/prometheus >&2
    mv "$dir/.building" "$dir/prometheus"
fi
echo "$dir/prometheus"
