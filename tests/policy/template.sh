#!/usr/bin/env bash
# Checks the templates with cfn-lint, which knows what CloudFormation and the
# serverless transform accept. It is kept in ${WEIR_CACHE:-~/.cache/weir}/cfn-lint
# under the hash of its versions: the first call takes half a minute, later ones seconds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
cache="${WEIR_CACHE:-$HOME/.cache/weir}/cfn-lint"

say() { echo "cfn-lint: $*" >&2; }

if ! command -v python3 >/dev/null || ! python3 -m venv --help >/dev/null 2>&1; then
    say "missing: python3 with venv (3.9 or newer; runs cfn-lint)"
    exit 1
fi
dir="$cache/$({ python3 --version; cat cfn-lint.txt; } | sha256sum | cut -c1-32)"
if [ ! -d "$dir" ]; then
    say "fetching (kept in $dir)"
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/.fetching-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    python3 -m venv "$work"
    "$work/bin/python3" -m pip install --quiet --disable-pip-version-check --no-deps -r cfn-lint.txt >&2
    chmod 755 "$work"
    # Another call may have come first; then ours is not needed.
    mv -T "$work" "$dir" 2>/dev/null || rm -rf "$work"
    trap - EXIT
fi
# Through its interpreter: the first line of the program names the folder that it was made in.
"$dir/bin/python3" "$dir/bin/cfn-lint" -- ../../infra/aws/template.yaml ../../infra/aws/cluster.yaml
say "the templates are clean"
