#!/usr/bin/env bash
# Run the tests stage by stage and say how long each took: tools/test.sh [--full]
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
workers=${WORKERS:-2}
select="not full"
[[ ${1:-} == --full ]] && select="full or not full"

stage() { # stage NAME COMMAND...
    local name=$1 started=$SECONDS
    shift
    echo "== $name"
    "$@"
    times+=("$(printf '%-12s %4d s' "$name" $((SECONDS - started)))")
}

times=()
stage unit "$bin/pytest" -q -n "$workers" -m "$select" tests/unit
stage functional "$bin/pytest" -q -n "$workers" --dist worksteal -m "$select" tests/functional \
    --ignore-glob='*test_neutron_*'
# Nova and Neutron both register their options on oslo's one global object: each needs processes of its own.
stage network "$bin/pytest" -q -n "$workers" --dist worksteal -m "$select" tests/functional/test_neutron_*.py
stage lab "$bin/pytest" -q -p no:xdist -m "$select" tests/lab
echo "== how long each stage took"
printf '%s\n' "${times[@]}"
