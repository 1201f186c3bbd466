#!/usr/bin/env bash
# Run the tests stage by stage, all of them even when one fails, and say how long each took.
usage="tools/test.sh [--full] [--release 2026.2|2026.1] [--only STAGE]... [--list]"
set -euo pipefail
cd "$(dirname "$0")/.."

full= release=2026.2 list= only=()
while (($#)); do
    case $1 in
    --full) full=yes ;;
    --release) release=${2:?$usage} && shift ;;
    --only) only+=("${2:?$usage}") && shift ;;
    --list) list=yes ;;
    *) echo "$usage" >&2 && exit 2 ;;
    esac
    shift
done
bin=.venv/bin
[[ $release == 2026.2 ]] || bin=.venv-$release/bin
select="not full"
[[ -z $full ]] || select="full or not full"
# More than twice the cores that we count on: a functional test waits for the platform half of its time and more.
parallel=("$bin/pytest" -q -n "${WORKERS:-5}" --dist worksteal --durations=10 -m "$select")
alone=("$bin/pytest" -q -p no:xdist -m "$select")
# Labs of two test files beside each other, as a lab waits for much; the long slices of Tempest need both cores.
labs=("$bin/pytest" -q -n 2 --dist loadfile --durations=10 -m "$select")
[[ -z $full ]] || labs=("${alone[@]}")
nova=(tests/functional --ignore-glob='*test_neutron_*' --ignore-glob='*test_ceilometer_*')
nova+=(--ignore-glob='*test_nova_powervm_soak*')

stages=() times=() failed=()
stage() { # stage NAME COMMAND...: run it, unless others were asked for
    local name=$1 started=$SECONDS state=ok
    shift
    stages+=("$name")
    [[ -z $list && (${#only[@]} == 0 || " ${only[*]} " == *" $name "*) ]] || return 0
    echo "== $name"
    "$@" || { state=FAILED && failed+=("$name"); }
    times+=("$(printf '%-12s %5d s  %s' "$name" $((SECONDS - started)) "$state")")
}

case $release in
2026.2)
    stage unit "${parallel[@]}" tests/unit
    stage functional "${parallel[@]}" "${nova[@]}"
    # Nova and Neutron both register their options on oslo's one global object: each needs processes of its own.
    stage network "${parallel[@]}" tests/functional/test_neutron_*.py
    stage telemetry "${parallel[@]}" tests/functional/test_ceilometer_*.py
    stage lab "${labs[@]}" tests/lab
    if [[ -n $full ]]; then
        stage soak "${alone[@]}" -s tests/functional/test_nova_powervm_soak.py
        stage 2026.1 make test-2026.1
    fi
    ;;
2026.1)
    # Nova 33 runs either way, and Neutron 28 on native threads only.
    mapfile -t files < <(find tests/functional -name 'test_*.py' ! -name 'test_neutron_*' ! -name 'test_ceilometer_*' ! -name '*_soak.py' | sort)
    stage eventlet env BIGIRON_CONCURRENCY=eventlet \
        tools/by-file.sh "$bin/pytest" "${WORKERS:-4}" "$select" "${files[@]}"
    stage threads env BIGIRON_CONCURRENCY=threading "${parallel[@]}" "${nova[@]}"
    stage network env BIGIRON_CONCURRENCY=threading "${parallel[@]}" tests/functional/test_neutron_*.py
    stage telemetry env BIGIRON_CONCURRENCY=threading "${parallel[@]}" tests/functional/test_ceilometer_*.py
    # The real nova-compute, either way.
    for way in eventlet threading; do
        stage "lab-$way" env BIGIRON_CONCURRENCY=threading BIGIRON_LAB_CONCURRENCY=$way "${alone[@]}" \
            tests/lab/test_server.py
    done
    ;;
*) echo "$usage" >&2 && exit 2 ;;
esac

if [[ -n $list ]]; then
    printf '%s\n' "${stages[@]}"
    exit 0
fi
for name in ${only[@]+"${only[@]}"}; do
    [[ " ${stages[*]} " == *" $name "* ]] || { echo "no stage $name; there are: ${stages[*]}" >&2 && exit 2; }
done
echo "== how long each stage of $release took"
printf '%s\n' "${times[@]}"
((${#failed[@]} == 0)) || { echo "failed: ${failed[*]}" >&2 && exit 1; }
