#!/usr/bin/env bash
# Pin the wheels of every platform, with their hashes. For maintainers; needs a network.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib/say.sh
source "$HERE/lib/say.sh"
# shellcheck source=lib/platform.sh
source "$HERE/lib/platform.sh"
# shellcheck source=lib/wheels.sh
source "$HERE/lib/wheels.sh"

# onnxruntime declares these and imports them only in tools that no board runs (onnxruntime.tools, .transformers,
# .quantization and .backend); together they would take 60 MB.
LEFT_OUT=(sympy mpmath coloredlogs humanfriendly flatbuffers protobuf packaging)

usage() {
    cat <<'END'
Usage: lock.sh [--platform NAME]...

Resolve requirements/CP.in with the dependencies of pyproject.toml (extras cpu, bundle, video) for each platform, or
the named ones, and write requirements/CP.txt: one line a wheel for aarch64, with its SHA-256.
END
}

# resolve IN: print name==version lines; uv, because pip evaluates markers for the Python that runs it.
resolve() {
    local option=() name
    for name in "${LEFT_OUT[@]}"; do
        option+=(--no-emit-package "$name")
    done
    "$WORK/venv/bin/uv" pip compile --quiet --no-header --no-annotate --only-binary ":all:" \
        --python-version "$PYTHON" --python-platform aarch64-manylinux_2_35 "${option[@]}" \
        --extra cpu --extra bundle --extra video --constraints "$HERE/requirements/constraints.txt" \
        "$1" "$HERE/../pyproject.toml"
}

# lock: write the requirements file of the platform that was read.
lock() {
    local out pin file
    out=$(requirements_file)
    resolve "${out%.txt}.in" >"$WORK/pins"
    mkdir "$WORK/$PYTAG"
    "$WORK/venv/bin/pip" download --quiet --no-deps --dest "$WORK/$PYTAG" "${TARGET[@]}" -r "$WORK/pins"
    {
        echo "# Made by jetson/lock.sh from ${REQUIREMENTS%.txt}.in and pyproject.toml: wheels for Python $PYTHON on aarch64."
        echo "# Left out, since only tools of onnxruntime that no board runs import them: ${LEFT_OUT[*]}"
        while IFS= read -r pin; do
            file=$(wheel_of "$WORK/$PYTAG" "${pin%%==*}" "${pin##*==}")
            [[ -n $file ]] || die "pip brought no wheel for $pin" "one file" "look into $WORK"
            echo "$pin --hash=sha256:$(sha256_of "$file")"
        done <"$WORK/pins"
    } >"$WORK/out"
    mv "$WORK/out" "$out"
    say "$out: $(pins "$out" | wc -l) wheels, $(du -sm "$WORK/$PYTAG" | cut -f 1) MB compressed"
}

main() {
    local names=() name done=" "
    while (($#)); do
        case $1 in
            --platform) names+=("${2:?--platform needs a name}"); shift 2 ;;
            --help | -h) usage; exit ;;
            *) usage_error "there is no option '$1'" ;;
        esac
    done
    ((${#names[@]})) || mapfile -t names < <(tail -n +2 "$PLATFORMS" | cut -f 1)
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
    python3 -m venv "$WORK/venv"
    "$WORK/venv/bin/pip" install --quiet --upgrade pip uv
    for name in "${names[@]}"; do
        platform_named "$name"
        [[ $done != *" $REQUIREMENTS "* ]] || continue
        done+="$REQUIREMENTS "
        target_options
        lock
    done
}

# On one line, so that a script that is changed while it runs is not read on.
main "$@"; exit
