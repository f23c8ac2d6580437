#!/usr/bin/env bash
# Starts a test cluster by hand and keeps it until Ctrl-C. Arguments go to
# `weir-cluster up`; without --state the cluster's files lie in .cache/cluster.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ "$(id -u)" != 0 ] && ! unshare -rn true 2>/dev/null; then
    echo "cluster: missing: unprivileged user namespaces (\`unshare -rn true\` fails)." >&2
    echo "cluster: allow them, e.g. sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root" >&2
    exit 1
fi
bin=$("$here/build.sh")
state=$PWD/.cache/cluster
args=("$@")
for ((i = 0; i < ${#args[@]}; i++)); do
    case ${args[i]} in
    --state) state=${args[i + 1]} ;;
    --state=*) state=${args[i]#--state=} ;;
    esac
done
explain() {
    while read -r line; do
        echo "$line"
        api=$(python3 -c 'import json,sys; print(json.loads(sys.argv[1])["api"])' "$line")
        cat >&2 <<TEXT

The cluster is up. API server: $api

    export KUBECONFIG=$state/kubeconfig
    kubectl get nodes                          # any kubectl, or: weir up --kubeconfig \$KUBECONFIG

Logs of its parts: $state/logs. Ctrl-C stops it and leaves nothing running.
TEXT
    done
}
echo "cluster: starting; this takes about half a minute" >&2
trap '' INT # the cluster takes it, and ends; then so do we
(trap - INT; exec "$bin/weir-cluster" up --state "$state" "$@") | explain
exit "${PIPESTATUS[0]}"
