#!/usr/bin/env bash
# Everything about Jetson that can be tested without one: the scripts linted, then tests/jetson, and what was skipped.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib/say.sh
source "$HERE/lib/say.sh"

# What the tests use beside Python; each test says what it lacks and is skipped then.
PACKAGES=(shellcheck mmdebstrap qemu-user-static gcc g++ libc6-dev g++-aarch64-linux-gnu zstd dpkg-dev systemd)

usage() {
    cat <<'END'
Usage: test.sh [--apt] [PYTEST OPTIONS]

Lint every script of this folder with shellcheck, then run tests/jetson. Makes .venv when there is none.

  --apt   first install what the tests need, as far as it can be had (Debian or Ubuntu, root)
END
}

# install_packages: those that are missing; what cannot be had makes tests skip, not fail.
install_packages() {
    ((EUID == 0)) || die "--apt was given, but not by root" "root" "run this with sudo, or leave --apt out"
    apt-get update -qq || warn "the package lists could not be brought"
    DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends "${PACKAGES[@]}" >/dev/null ||
        warn "not all of ${PACKAGES[*]} could be installed"
}

# lint: every shell script here, whatever its name.
lint() {
    local scripts=() path
    if ! command -v shellcheck >/dev/null; then
        say "SKIPPED the lint: there is no shellcheck (apt-get install shellcheck)"
        return
    fi
    while IFS= read -r path; do
        [[ $path != *.sh ]] && ! head -n 1 "$path" | grep --quiet -E '^#!.*\b(ba|da)?sh\b' || scripts+=("$path")
    done < <(find "$HERE" -path "$HERE/dist" -prune -o -type f -print | LC_ALL=C sort)
    shellcheck --external-sources --source-path=SCRIPTDIR "${scripts[@]}"
    say "shellcheck: ${#scripts[@]} scripts, nothing to say"
}

main() {
    case ${1:-} in
        --help | -h) usage; exit ;;
        --apt) install_packages; shift ;;
    esac
    lint
    # shellcheck source=../scripts/environment.sh
    source "$HERE/../scripts/environment.sh"
    environment dev
    say "pytest tests/jetson; each line SKIPPED tells what was left out and why"
    (($#)) || set -- --numprocesses=2 --dist=loadfile
    SECONDS=0
    .venv/bin/python -m pytest -ra tests/jetson "$@"
    say "done in $SECONDS s"
}

# On one line, so that a script that is changed while it runs is not read on.
main "$@"; exit
