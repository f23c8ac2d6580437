#!/usr/bin/env bash
# Prints the path of a rustc that has a standard library for arm64: the pinned one if its target was added (`rustup
# target add aarch64-unknown-linux-gnu`), else Debian's, which is fetched from its archive and kept in
# ${WEIR_CACHE:-~/.cache/weir}/arm64; nothing is installed. Ends with 1 and says why if there is neither.
set -euo pipefail
triple=aarch64-unknown-linux-gnu
say() { echo "package: $*" >&2; }

if [ -d "$(rustc --print target-libdir --target "$triple")" ]; then
    rustc --print sysroot | sed 's#$#/bin/rustc#'
    exit
fi
if [ "$(uname -m)" != x86_64 ] || ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    say "the compiler has no standard library for arm64: rustup target add $triple"
    exit 1
fi
kept="${WEIR_CACHE:-$HOME/.cache/weir}/arm64"
if [ ! -x "$kept/rustc" ]; then
    mkdir -p "$kept"
    work=$(mktemp -d "$kept/.fetching-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work"/{state/lists/partial,cache/archives/partial,packages,root}
    # Lists and settings of its own, so that the machine's packages stay what they are.
    own=(-o "Dir::State=$work/state" -o Dir::State::status=/var/lib/dpkg/status -o "Dir::Cache=$work/cache"
        -o APT::Architectures::=amd64 -o APT::Architectures::=arm64 -o APT::Sandbox::User=root)
    apt=(apt-get -qq "${own[@]}")
    look=(apt-cache "${own[@]}")
    if ! "${apt[@]}" update >&2; then
        say "the archive does not answer; rustup target add $triple does it too"
        exit 1
    fi
    version=$("${look[@]}" policy rustc-web 2>/dev/null | sed -n 's/ *Candidate: //p') || true
    std=$("${look[@]}" depends "libstd-rust-web-dev=$version" 2>/dev/null | grep -oE 'libstd-rust-web-[0-9.]+' | head -1) || true
    llvm=$("${look[@]}" depends "$std" 2>/dev/null | grep -oE 'libllvm[0-9]+' | head -1) || true
    if [ -z "$version" ] || [ -z "$std" ] || [ -z "$llvm" ]; then
        say "Debian has no rustc-web here; rustup target add $triple"
        exit 1
    fi
    say "fetching Debian's rustc $version and its standard library for arm64 (kept in $kept)"
    (cd "$work/packages" && "${apt[@]}" download "rustc-web=$version" "$std=$version" "libstd-rust-web-dev:amd64=$version" \
        "libstd-rust-web-dev:arm64=$version" "$llvm") >&2
    for package in "$work"/packages/*.deb; do dpkg -x "$package" "$work/root"; done
    rm -rf "$kept/root"
    mv "$work/root" "$kept/root"
    cat >"$kept/rustc" <<SH
#!/bin/sh
LD_LIBRARY_PATH="$kept/root/usr/lib/x86_64-linux-gnu" exec "$kept/root/usr/bin/rustc" "\$@"
SH
    chmod 755 "$kept/rustc"
fi
echo "$kept/rustc"
