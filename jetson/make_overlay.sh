#!/usr/bin/env bash
# Pack vultus as an overlay of a Jetson's root file system: the same input gives the same bytes.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib/say.sh
source "$HERE/lib/say.sh"
# shellcheck source=lib/platform.sh
source "$HERE/lib/platform.sh"
# shellcheck source=lib/pack.sh
source "$HERE/lib/pack.sh"

usage() {
    cat <<'END'
Usage: make_overlay.sh --platform NAME [--wheelhouse DIR] [--models DIR] [--out DIR] [--key FILE] [--staging DIR]

Write OUT/vultus-VERSION-NAME.tar.zst, to be unpacked by apply_overlay.sh over Linux_for_Tegra/rootfs, with
.manifest (every file's checksum), .SHA256SUMS (of these two) and, where a key is given, .SHA256SUMS.minisig.

  --platform NAME   the JetPack it is for; one of the names in platforms.tsv
  --wheelhouse DIR  the wheels, as wheelhouse.sh makes them (default: install.sh's)
  --models DIR      an installed models bundle (vultus models install) to put at /opt/vultus/models
  --out DIR         where to write (default: dist beside this script)
  --key FILE        a secret key of `vultus-export bundle-key` that signs the checksums
  --staging DIR     pack this tree, which install.sh --root made, in place of making one

SOURCE_DATE_EPOCH is the time of all files (default: the last commit's). VULTUS_PYTHON names a Python
with vultus, which signs.
END
}

make_overlay() {
    local tree=$1 out=$2 platform=$3 key=$4 version name
    settle "$tree" "$SOURCE_DATE_EPOCH"
    version=$(version_of "$tree")
    name=vultus-$version-$platform
    mkdir -p "$out"
    members "$tree" | tar --create --directory "$tree" --no-recursion --files-from=- --format=gnu \
        --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" | zstd -q -T1 -9 -f -o "$out/.$name.tar.zst"
    mv "$out/.$name.tar.zst" "$out/$name.tar.zst"
    {
        printf '# vultus %s for %s, Python %s\n' "$version" "$platform" "$PYTHON"
        manifest "$tree"
    } >"$out/$name.manifest"
    (cd "$out" && sha256sum "$name.tar.zst" "$name.manifest" >"$name.SHA256SUMS")
    rm -f "$out/$name.SHA256SUMS.minisig"
    [[ -z $key ]] || signed "$out/$name.SHA256SUMS" "$key" "vultus $version overlay for $platform" >&2
    say "$out/$name.tar.zst: $(stat -c %s "$out/$name.tar.zst") bytes, $(grep -vc '^#' "$out/$name.manifest") files"
}

main() {
    local platform='' out=$HERE/dist key='' staging='' install=()
    while (($#)); do
        case $1 in
            --platform | --wheelhouse | --models | --out | --key | --staging) needs_value "$@" ;;
        esac
        case $1 in
            --help | -h) usage && exit 0 ;;
            --platform) platform=$2 ;;
            --wheelhouse | --models) install+=("$1" "$2") ;;
            --out) out=$2 ;;
            --key) key=$2 ;;
            --staging) staging=$2 ;;
            *) usage_error "there is no option '$1'" ;;
        esac
        shift 2
    done
    [[ -n $platform ]] || usage_error "no --platform: one of $(supported)"
    [[ -z $key || -r $key ]] || die "the key $key cannot be read" "a secret key file" "vultus-export bundle-key --out factory"
    platform_named "$platform"
    SOURCE_DATE_EPOCH=$(source_epoch)
    export SOURCE_DATE_EPOCH
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
    tree_into "$WORK" "$staging" --platform "$platform" "${install[@]}"
    make_overlay "$WORK" "$out" "$platform" "$key"
}

main "$@"; exit
