#!/bin/sh
# setup.sh LOCK: make .venv if there is none, install exactly what LOCK pins, and the project itself, editable.
# Needs Python 3.11 or newer and nothing else; PYTHON chooses the interpreter. Where packages come from is up to the
# settings of pip on this machine (pip.conf, PIP_INDEX_URL, …); nothing here overrides them.
set -eu
cd "$(dirname "$0")/.."
lock=$1
VENV=.venv

fail() {
    echo "setup: $*" >&2
    exit 1
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Print the path of the interpreter to use: PYTHON alone if it is set, else the first on the PATH that is new enough.
find_python() {
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if is_new_enough "$name"; then
            command -v "$name"
            return
        fi
    done
    if [ -n "${PYTHON:-}" ]; then
        fail "PYTHON=$PYTHON is not Python 3.11 or newer; name another one, such as PYTHON=python3.13"
    fi
    fail "Python 3.11 or newer is needed and none was found; install it, or name one with PYTHON=/path/to/python3"
}

# Print a command that installs into .venv: its own pip, else one from elsewhere that can work on another environment.
find_pip() {
    if "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        echo "$VENV/bin/python -m pip"
        return
    fi
    python=$(find_python) || exit 1
    if "$python" -m pip --python "$python" --version >/dev/null 2>&1; then
        echo "$python -m pip --python $VENV/bin/python"
    elif pip3 --python "$python" --version >/dev/null 2>&1; then
        echo "pip3 --python $VENV/bin/python"
    else
        fail "$python has neither ensurepip nor pip: install one (on Debian: apt-get install python3-venv) and run make again"
    fi
}

# Make the environment. Debian keeps ensurepip in a package of its own; without it a pip from elsewhere does the installing.
make_venv() {
    python=$(find_python) || exit 1
    rm -rf "$VENV"
    pip_option=
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        find_pip >/dev/null
        pip_option=--without-pip
    fi
    "$python" -m venv $pip_option "$VENV" || fail "could not create $VENV with $python; the reason stands above"
}

install() {
    # shellcheck disable=SC2086  # the command is several words
    $pip --disable-pip-version-check --no-input install --quiet "$@" ||
        fail "pip could not install ($*); the reason stands above. It uses the settings of pip on this machine (pip config list)"
}

is_new_enough "$VENV/bin/python" || make_venv
pip=$(find_pip) || exit 1
echo "setup: installing $lock into $VENV (about a minute the first time)" >&2
install --require-hashes --requirement "$lock"
install --no-deps --no-build-isolation --editable .
