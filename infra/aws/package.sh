#!/usr/bin/env bash
# Builds the functions for Lambda and zips them: target/package/ARCHITECTURE/FUNCTION/bootstrap.zip for x86_64, and for
# arm64 where a compiler for it can be had. Those of ARCHITECTURE (arm64 if it was built) go to where infra/aws/template.yaml
# looks for them. Ends with 1 if a program is too large or needs a newer C library than Lambda
# has, and with CI=true if one of the two could not be built. With ONLY=x86_64 or ONLY=arm64 there is no other.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
say() { echo "package: $*"; }

# build TRIPLE CARGO-COMMAND...
build() {
    local triple=$1
    shift
    nice -n 10 cargo "$@" --quiet --profile lambda --package weir-functions --bins --target "$triple"
}

# Zig links for another machine, and against the C library that Lambda has.
cross() {
    local venv="${WEIR_CACHE:-$HOME/.cache/weir}/cross"
    if [ ! -x "$venv/bin/cargo-zigbuild" ]; then
        python3 -m venv "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: --require-hashes -r infra/aws/cross.txt
    fi
    echo "$venv/bin"
}

wanted() { [ "${ONLY:-$1}" = "$1" ]; }

built=()
if wanted x86_64 && [ "$(uname -m)" = x86_64 ]; then
    build x86_64-unknown-linux-gnu build
    infra/aws/package.py x86_64 target/x86_64-unknown-linux-gnu/lambda target/package/x86_64
    built+=(x86_64)
fi
if ! wanted arm64; then
    :
elif compiler=$(infra/aws/arm64.sh); then
    say "arm64: by $("$compiler" --version)"
    PATH="$(cross):$PATH" RUSTC=$compiler build aarch64-unknown-linux-gnu.2.34 zigbuild
    infra/aws/package.py arm64 target/aarch64-unknown-linux-gnu/lambda target/package/arm64
    built+=(arm64)
else
    say "arm64 WAS NOT BUILT: see above for what is missing"
    [ "${CI:-}" != true ] || exit 1
fi

[ "${#built[@]}" -gt 0 ] || { say "nothing was built: ONLY is ${ONLY:-not set}, expected x86_64 or arm64; this machine is $(uname -m)"; exit 1; }
chosen=${ARCHITECTURE:-${built[-1]}}
for function in target/package/"$chosen"/*/; do
    name=$(basename "$function")
    mkdir -p "target/lambda/$name"
    cp "$function/bootstrap.zip" "target/lambda/$name/bootstrap.zip"
done
say "the template takes those for $chosen: deploy with Architecture=$chosen"
