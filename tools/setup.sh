#!/usr/bin/env bash
# Make the virtual environment: tools/setup.sh DIR CONSTRAINTS. Says which package is missing when one is.
set -euo pipefail
venv=$1 constraints=$2

need() { # need COMMAND-THAT-MUST-WORK... -- MESSAGE
    local message=${*##*-- }
    local probe=("$@")
    for i in "${!probe[@]}"; do [[ ${probe[i]} == -- ]] && probe=("${probe[@]:0:i}") && break; done
    "${probe[@]}" >/dev/null 2>&1 || { echo "missing: $message" >&2; missing=1; }
}

python=
for candidate in "${PYTHON:-}" python3.12 python3.13 python3.11 python3; do
    [[ -n $candidate ]] || continue
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[[ -n $python ]] || {
    echo "missing: Python 3.11 to 3.13 (Debian 12 and Ubuntu 24.04: package python3); or name one with PYTHON=..." >&2
    exit 1
}

missing=0
need git --version -- "git (package git)"
need cc --version -- "a C compiler (package gcc, with libc6-dev)"
need "$python" -c 'import venv, ensurepip' -- "Python's venv module (package python3-venv)"
need "$python" -c 'import os, sysconfig; os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))' -- \
    "Python's headers (package python3-dev)"
((missing == 0)) || exit 1

started=$SECONDS
echo "setting up $venv with $("$python" --version)"
[[ -x $venv/bin/python ]] || "$python" -m venv "$venv"
extras='.[lab,ceilometer,charts,test,lint,docs]'
"$venv/bin/python" -m pip install -q --disable-pip-version-check -c "$constraints" uv 2>/dev/null || true
if [[ -x $venv/bin/uv ]]; then
    VIRTUAL_ENV=$venv "$venv/bin/uv" pip install -q -c "$constraints" -e "$extras"
else
    "$venv/bin/python" -m pip install -q --disable-pip-version-check -c "$constraints" -e "$extras"
fi
echo "set up in $((SECONDS - started)) s"
