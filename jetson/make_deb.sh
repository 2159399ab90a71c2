#!/usr/bin/env bash
# Pack vultus as Debian packages: the same input gives the same bytes.
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
Usage: make_deb.sh --platform NAME [--wheelhouse DIR] [--models DIR] [--models-version VERSION] [--out DIR]
                   [--staging DIR]

Write OUT/vultus_VERSION+cpXY_arm64.deb and, where models are given, OUT/vultus-models_VERSION_all.deb.

  --platform NAME   the JetPack it is for; one of the names in platforms.tsv
  --wheelhouse DIR  the wheels, as wheelhouse.sh makes them (default: install.sh's)
  --models DIR      an installed models bundle (vultus models install), to be /opt/vultus/models
  --models-version VERSION
                    of the package of models (default: that of vultus); a bundle has none of its own, so models
                    that are new between two versions of vultus need one that is higher, such as 1.2.0+1
  --out DIR         where to write (default: dist beside this script)
  --staging DIR     pack this tree, which install.sh --root made, in place of making one

SOURCE_DATE_EPOCH is the time of all files (default: the last commit's).
END
}

# control NAME VERSION ARCHITECTURE DEPENDS SIZE: print the control file of a package.
control() {
    local summary='face analysis for Jetson: runtime, service and first boot'
    [[ $1 == vultus ]] || summary='face analysis for Jetson: models'
    cat <<END
Package: $1
Version: $2
Architecture: $3
Maintainer: The vultus authors <vultus@localhost>
Section: misc
Priority: optional
Installed-Size: $5
$4
Description: $summary
 From frames of a camera to records of faces, on TensorRT and on the CPU.
END
}

# pack_deb TREE OUT NAME VERSION ARCHITECTURE DEPENDS: write one package of what is in TREE.
pack_deb() {
    local tree=$1 out=$2 name=$3 version=$4 architecture=$5 depends=$6 file=$2/$3_$4_$5.deb
    mkdir -p "$tree/DEBIAN" "$out"
    control "$name" "$version" "$architecture" "$depends" "$(installed_size "$tree")" >"$tree/DEBIAN/control"
    (cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | LC_ALL=C sort -z |
        xargs -0r md5sum >DEBIAN/md5sums)
    find "$tree" ! -type l -exec chmod u=rwX,go=rX {} +
    find "$tree" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    # One thread: the number of threads would be seen in the bytes.
    dpkg-deb --root-owner-group -Zzstd -z9 --threads-max=1 --build "$tree" "$file" >/dev/null
    say "$file: $(stat -c %s "$file") bytes"
}

# installed_size TREE: print kilobytes from the files' own sizes, since those on the disk depend on the disk.
installed_size() {
    find "$1" -type f -printf '%s\n' | awk '{sum += int(($1 + 1023) / 1024)} END {print sum + 0}'
}

# to_policy TREE: move what a package may not hold as it lies: links of units are the postinst's, /usr/local the user's.
to_policy() {
    rm -rf "$1"/etc/systemd/system/*.wants
    find "$1/etc" -depth -type d -empty -delete
    if [[ -d $1/usr/local/bin ]]; then
        mkdir -p "$1/usr/bin"
        mv "$1"/usr/local/bin/* "$1/usr/bin/"
        rmdir "$1/usr/local/bin" "$1/usr/local"
    fi
}

pack_models() {
    local tree=$1 out=$2 version=$3 models=$WORK/models
    mkdir -p "$models/opt/vultus"
    # install.sh leaves a link into models.d; a package, which dpkg switches, holds the folder itself.
    cp -a "$(realpath "$tree/opt/vultus/models")" "$models/opt/vultus/models"
    rm -rf "$tree/opt/vultus/models" "$tree/opt/vultus/models.d"
    mkdir "$models/DEBIAN"
    install -m 755 "$HERE/deb/models" "$models/DEBIAN/postinst"
    install -m 755 "$HERE/deb/models" "$models/DEBIAN/postrm"
    pack_deb "$models" "$out" vultus-models "$version" all 'Enhances: vultus'
}

pack_vultus() {
    local tree=$1 out=$2 version=$3 minor=${PYTHON#*.}
    to_policy "$tree"
    mkdir -p "$tree/DEBIAN"
    install -m 755 "$HERE"/deb/{preinst,postinst,prerm,postrm} "$tree/DEBIAN/"
    (cd "$tree" && find etc -type f -printf '/%p\n' | LC_ALL=C sort) >"$tree/DEBIAN/conffiles"
    pack_deb "$tree" "$out" vultus "$version+$PYTAG" arm64 "Depends: python3 (>= $PYTHON), python3 (<< 3.$((minor + 1)))
Recommends: vultus-models, python3-libnvinfer
Suggests: gstreamer1.0-tools"
}

main() {
    local platform='' out=$HERE/dist staging='' install=() tree version models_version=''
    while (($#)); do
        case $1 in
            --platform | --wheelhouse | --models | --models-version | --out | --staging) needs_value "$@" ;;
        esac
        case $1 in
            --help | -h) usage && exit 0 ;;
            --platform) platform=$2 ;;
            --wheelhouse | --models) install+=("$1" "$2") ;;
            --models-version) models_version=$2 ;;
            --out) out=$2 ;;
            --staging) staging=$2 ;;
            *) usage_error "there is no option '$1'" ;;
        esac
        shift 2
    done
    [[ -n $platform ]] || usage_error "no --platform: one of $(supported)"
    [[ -z $models_version || $models_version =~ ^[0-9][A-Za-z0-9.+~]*$ ]] ||
        usage_error "--models-version '$models_version' is none: a digit, then letters, digits, '.', '+' and '~'"
    platform_named "$platform"
    SOURCE_DATE_EPOCH=$(source_epoch)
    export SOURCE_DATE_EPOCH
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
    tree=$WORK/tree && mkdir "$tree"
    tree_into "$tree" "$staging" --platform "$platform" "${install[@]}"
    settle "$tree" "$SOURCE_DATE_EPOCH"
    version=$(version_of "$tree")
    if [[ -d $tree/opt/vultus/models ]]; then
        pack_models "$tree" "$out" "${models_version:-$version}"
    else
        warn "no --models: no package vultus-models; the models inside vultus serve"
    fi
    pack_vultus "$tree" "$out" "$version"
}

main "$@"; exit
