#!/usr/bin/env bash
# Fetches the emulators that the adapters for AWS are tested on, and prints the
# directory they are in: one folder of jars each, `dynamodb` and `elasticmq`.
# It is kept in ${WEIR_CACHE:-~/.cache/weir}/emulators under the hash of the
# versions in pom.xml: the first call takes about a minute, later ones none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
cache="${WEIR_CACHE:-$HOME/.cache/weir}/emulators"

say() { echo "emulators: $*" >&2; }

dir="$cache/$(sha256sum pom.xml | cut -c1-32)"
if [ ! -d "$dir" ]; then
    for tool in java mvn; do
        if ! command -v "$tool" >/dev/null; then
            say "missing: $tool (Java 17 or newer and Maven run the emulators)"
            exit 1
        fi
    done
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/.fetching-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    for emulator in dynamodb elasticmq; do
        say "fetching $emulator (kept in $dir)"
        mvn -B -q -P "$emulator" dependency:copy-dependencies -DincludeScope=runtime \
            -Dstyle.color=never -DoutputDirectory="$work/$emulator" >&2
    done
    chmod 755 "$work"
    # Another call may have come first; then ours is not needed.
    mv -T "$work" "$dir" 2>/dev/null || rm -rf "$work"
    trap - EXIT
fi
echo "$dir"
