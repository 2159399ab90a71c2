#!/usr/bin/env bash
# Fill a folder with every wheel that one platform needs: the pinned ones, vultus itself, and pip to unpack them.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib/say.sh
source "$HERE/lib/say.sh"
# shellcheck source=lib/platform.sh
source "$HERE/lib/platform.sh"
# shellcheck source=lib/wheels.sh
source "$HERE/lib/wheels.sh"

usage() {
    cat <<'END'
Usage: wheelhouse.sh [--platform NAME] [--out DIR] [--vultus WHEEL]

Download the wheels of requirements/CP.txt, each checked against its hash, build the wheel of vultus, and write
SHA256SUMS. Needs a network and pip; runs on any machine. Wheels that are there with their hash are not fetched again.

  --platform NAME   one of the names in platforms.tsv (default: the newest)
  --out DIR         where to (default: dist/wheelhouse/CP beside this script, where install.sh looks)
  --vultus WHEEL    this wheel, instead of one built from the sources around this script
END
}

# build_vultus DIR: put the wheel of these sources into DIR; hatchling writes the same bytes each time.
build_vultus() {
    if [[ -n $VULTUS ]]; then
        cp "$VULTUS" "$1/"
        return
    fi
    [[ -f $HERE/../pyproject.toml ]] || die "there are no sources of vultus around $HERE" \
        "the repository, or a wheel" "give a wheel with --vultus"
    "$HOST_PYTHON" -m pip wheel --quiet --no-deps --wheel-dir "$1" "$HERE/.."
}

# fill DIR OLD: bring the pinned wheels into an empty folder, those of OLD without the network where they are right.
fill() {
    if (check_pins "$2") 2>/dev/null; then
        cp "$2"/*.whl "$1/"
        rm -f "$1"/vultus-*.whl
    else
        "$HOST_PYTHON" -m pip download --quiet --no-deps --require-hashes --dest "$1" "${TARGET[@]}" \
            -r "$(requirements_file)"
    fi
    build_vultus "$1"
    (cd "$1" && sha256sum -- *.whl >SHA256SUMS)
}

main() {
    local name out=
    VULTUS=
    name=$(tail -n 1 "$PLATFORMS" | cut -f 1)
    while (($#)); do
        case $1 in
            --platform | --out | --vultus) needs_value "$@" ;;
        esac
        case $1 in
            --platform) name=$2; shift 2 ;;
            --out) out=$2; shift 2 ;;
            --vultus) VULTUS=$2; shift 2 ;;
            --help | -h) usage; exit ;;
            *) usage_error "there is no option '$1'" ;;
        esac
    done
    platform_named "$name"
    target_options
    out=${out:-$HERE/dist/wheelhouse/$PYTAG}
    PARTIAL=$out.partial-$$
    trap 'rm -rf "$PARTIAL"' EXIT
    mkdir -p "$PARTIAL"
    fill "$PARTIAL" "$out"
    check_wheels "$PARTIAL"
    rm -rf "$out"
    mv -T "$PARTIAL" "$out"
    say "$out: vultus $VERSION and $(pins "$(requirements_file)" | wc -l) wheels, $(du -sm "$out" | cut -f 1) MB"
}

HOST_PYTHON=${VULTUS_PYTHON:-python3}
# On one line, so that a script that is changed while it runs is not read on.
main "$@"; exit
