#!/usr/bin/env bash
# Run each test file in a process of its own, several at once: tools/by-file.sh PYTEST WORKERS SELECT FILE...
# For tests under eventlet, where xdist's workers stop: the thread that brings their next test cannot wake them.
set -euo pipefail
export pytest=$1 select=$3
workers=$2
shift 3

run() { # run FILE: says in one line how it went, or all of it where it failed
    local said status=0
    said=$("$pytest" -q -p no:xdist -m "$select" "$1" 2>&1) || status=$?
    # 5: no test of the file is selected.
    if ((status == 0 || status == 5)); then
        printf '%-60s %s\n' "$1" "$(tail -n 1 <<<"$said")"
    else
        printf '%s\n' "$said"
        return 1
    fi
}
export -f run
printf '%s\n' "$@" | xargs -P "$workers" -I{} bash -c 'run "$1"' _ {}
