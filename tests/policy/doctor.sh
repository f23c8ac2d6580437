#!/usr/bin/env bash
# Says which prerequisite is missing on this machine, or too old, all of them at once.
#   doctor.sh          for `make test`
#   doctor.sh demo     for `make demo`
set -uo pipefail
missing=0

miss() {
    echo "missing: $1"
    missing=1
}

# need COMMAND WHAT_FOR: it is there.
need() { command -v "$1" >/dev/null || miss "$1 ($2)"; }

# newer COMMAND LEAST FOUND WHAT_FOR: it is there and not older. FOUND is what the command says of its version.
newer() {
    if ! command -v "$1" >/dev/null; then
        miss "$1 ($2 or newer; $4)"
    elif [ "$(printf '%s\n%s\n' "$2" "$3" | sort -V | head -1)" != "$2" ]; then
        miss "$1 $2 or newer ($4): found ${3:-no version}"
    fi
}

need cargo "Rust by rustup; the toolchain itself is pinned in rust-toolchain.toml"
newer go 1.26.3 "$(go env GOVERSION 2>/dev/null | sed 's/^go//')" "builds the test cluster"
newer python3 3.9 "$(python3 -c 'import platform; print(platform.python_version())' 2>/dev/null)" "commands of the sample pipeline"
need git "the sample repository"
need curl "the smoke test of the sample pipeline"
need cc "a C compiler and linker"
python3 -m pip --version >/dev/null 2>&1 || miss "pip (python3 -m pip; downloads Envoy)"
[ "$(id -u)" = 0 ] || unshare -rn true 2>/dev/null ||
    miss "unprivileged user namespaces (\`unshare -rn true\` must succeed; sysctl kernel.unprivileged_userns_clone, or AppArmor's restriction of them)"

if [ "${1:-}" != demo ]; then
    newer java 17 "$(java -version 2>&1 | sed -n 's/.*version "\([^"]*\)".*/\1/p')" "runs DynamoDB Local and ElasticMQ"
    need mvn "fetches them"
    python3 -c 'import venv, ensurepip' 2>/dev/null || miss "python3's venv (on Debian: python3-venv; runs cfn-lint)"
    [ "$missing" = 0 ] && echo "doctor: everything is there"
fi
exit "$missing"
