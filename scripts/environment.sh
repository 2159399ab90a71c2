# shellcheck shell=bash
# Sourced by the other scripts: `environment EXTRAS` makes .venv when absent and installs vultus with EXTRAS into
# it. A stamp of what was installed makes a second call free.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

environment() {
    local extras=$1 stamp=.venv/vultus-$1.stamp key
    key="$(sha256sum pyproject.toml | cut -d' ' -f1) $(pwd)"
    if [ ! -x .venv/bin/python ]; then
        echo "Making .venv with $("${PYTHON:-python3}" --version)" >&2
        "${PYTHON:-python3}" -m venv .venv
    fi
    if [ "$(cat "$stamp" 2>/dev/null)" != "$key" ]; then
        echo "Installing vultus[$extras] into .venv" >&2
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$extras]"
        echo "$key" >"$stamp"
    fi
}
