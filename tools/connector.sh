#!/usr/bin/env bash
# Make the z/VM Cloud Connector's own virtual environment: tools/connector.sh PYTHON DIR CONSTRAINTS.
# It cannot share bigiron's: the server needs PyJWT 1, and its package names what it needs only in part.
set -euo pipefail
python=$1 venv=$2 constraints=$3
# jinja2 is missing from the package's requirements, PyJWT 2 breaks its tokens, and cheroot serves its WSGI application.
wanted=(zVMCloudConnector jinja2 'PyJWT<2' cheroot)

started=$SECONDS
[[ -x $venv/bin/python ]] || "$python" -m venv "$venv"
uv=$(dirname "$python")/uv
if [[ -x $uv ]]; then
    # The simulator's server writes no bytecode: without any, each start would compile the package anew.
    VIRTUAL_ENV=$venv "$uv" pip install -q --compile-bytecode -c "$constraints" "${wanted[@]}"
else
    "$venv/bin/python" -m pip install -q --disable-pip-version-check -c "$constraints" "${wanted[@]}"
fi
echo "set up the z/VM Cloud Connector in $((SECONDS - started)) s"
