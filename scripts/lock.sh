#!/bin/sh
# Resolve the dependencies of pyproject.toml into two lock files with hashes, for every Python from 3.11 on.
# Pins stay as they are where they still fit; pass --upgrade to move them. Needs uv: on the PATH or in .venv.
set -eu
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9
uv=$(command -v uv || true)
[ -n "$uv" ] || uv=.venv/bin/uv
[ -x "$uv" ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION"

# No registry address and no path of this machine may end up in a lock: where packages come from is the installer's business.
compile() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" "$@"
}

compile pyproject.toml --extra postgres --extra traces --group build --output-file requirements.lock "${@}"
compile pyproject.toml --all-extras --group build --group dev --constraint requirements.lock --output-file requirements-dev.lock "${@}"
echo "requirements.lock: $(grep -c '^[a-z]' requirements.lock) packages; requirements-dev.lock: $(grep -c '^[a-z]' requirements-dev.lock)"
