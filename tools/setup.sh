#!/usr/bin/env bash
# Install what is missing, and nothing else: tools/setup.sh [system] [engine] [engine-tests] [qgis-tests]
#
#   system        QGIS, its Python bindings and venv, from the distribution's packages (Debian, Ubuntu)
#   engine        .venv, the engine's own environment, from engine/requirements.txt
#   engine-tests  the same, and what the engine's tests and the linters need, from tests/requirements-engine.txt
#   qgis-tests    .venv-qgis, beside QGIS's own Python packages, from tests/requirements-qgis.txt
#
# PYTHON=<path> chooses the Python of .venv. What pip takes from where is pip's own configuration.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

# The programs and modules that the packages below bring.
packages=(qgis python3-qgis python3-matplotlib qgis-providers python3 python3-venv xvfb xauth ca-certificates libgomp1)

qgis_python() {
    # Not the first python3 on PATH: that may be a version manager's, which does not see the distribution's packages.
    local candidate
    for candidate in /usr/bin/python3 /usr/local/bin/python3 python3; do
        if "$candidate" -c 'import qgis.core' >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

system_complete() {
    command -v qgis_process >/dev/null && command -v xvfb-run >/dev/null && qgis_python >/dev/null &&
        /usr/bin/python3 -c 'import ensurepip, venv' >/dev/null 2>&1
}

ensure_system() {
    if system_complete; then
        return
    fi
    local as_root=()
    command -v apt-get >/dev/null || fail \
        "QGIS (3.22 or later) with qgis_process and its Python bindings is missing, and this system has no apt-get." \
        "Install QGIS and Python 3.10 to 3.13 the way your system does it, then try again."
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail \
            "Some packages are missing, and neither are you root nor is there sudo. Ask an administrator to run:" \
            "  apt-get update && apt-get install ${packages[*]}"
        as_root=(sudo)
    fi
    say "installing ${packages[*]} (some minutes)"
    "${as_root[@]}" apt-get update -qq || fail "apt-get update failed: see above."
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${packages[@]}" </dev/null >/dev/null ||
        fail "apt-get could not install the packages: see above."
    system_complete || fail "The packages are installed, but qgis_process, xvfb-run or QGIS's Python bindings do not work."
}

engine_python() {
    local candidate
    for candidate in ${PYTHON:-/usr/bin/python3 python3 python3.13 python3.12 python3.11 python3.10}; do
        if "$candidate" - >/dev/null 2>&1 <<<'
import ensurepip, sys, venv
sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))'; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# ensure_environment FOLDER PYTHON "VENV OPTIONS" REQUIREMENTS…
# Does nothing where FOLDER already holds what the requirements say.
ensure_environment() {
    local folder=$1 python=$2 options=$3
    shift 3
    local wanted stamp="$folder/.requirements"
    wanted=$(cat "$@")
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && "$folder/bin/python" -c '' 2>/dev/null; then
        return
    fi
    if ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
        say "making $folder with $python"
        # shellcheck disable=SC2086 # options are words
        "$python" -m venv --clear $options "$folder"
    fi
    say "installing the packages of $* into $folder (some minutes the first time)"
    "$folder/bin/python" -m pip install --quiet --no-input --disable-pip-version-check "${@/#/--requirement=}" ||
        fail "pip could not install the packages of $*: see above. What is there already is kept; try again."
    printf '%s\n' "$wanted" >"$stamp"
}

ensure_engine() {
    local python requirements=(engine/requirements.txt)
    # What the tests need stays: taking it out again because someone ran the demo would only cost time.
    if [ "${1:-}" = tests ] || [ -f .venv/.requirements-tests ]; then
        requirements+=(tests/requirements-engine.txt)
    fi
    python=$(engine_python) || fail \
        "The engine needs Python 3.10 to 3.13 with its venv module; none was found (${PYTHON:-on PATH})." \
        "Install one (on Debian and Ubuntu: python3 and python3-venv) and name it: make setup PYTHON=/path/to/python3"
    ensure_environment .venv "$python" "" "${requirements[@]}"
    if [ "${1:-}" = tests ]; then
        touch .venv/.requirements-tests
    fi
}

ensure_qgis_tests() {
    local python
    python=$(qgis_python) || fail "QGIS's Python bindings were not found: python3 -c 'import qgis.core' fails."
    ensure_environment .venv-qgis "$python" --system-site-packages tests/requirements-qgis.txt
}

[ $# -gt 0 ] || fail "Say what: system, engine, engine-tests, qgis-tests."
for part in "$@"; do
    case $part in
        system) ensure_system ;;
        engine) ensure_engine ;;
        engine-tests) ensure_engine tests ;;
        qgis-tests) ensure_qgis_tests ;;
        *) fail "There is no part '$part': use system, engine, engine-tests or qgis-tests." ;;
    esac
done
