#!/usr/bin/env bash
# Unpack an overlay of make_overlay.sh over the root file system that will be flashed, after checking both.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib/say.sh
source "$HERE/lib/say.sh"
# shellcheck source=lib/platform.sh
source "$HERE/lib/platform.sh"

CONFIG=etc/vultus/vultus.toml

usage() {
    cat <<'END'
Usage: apply_overlay.sh OVERLAY.tar.zst ROOTFS [--key FILE]

Check the overlay against its .SHA256SUMS, and its signature where a public key is given; check that ROOTFS holds a
JetPack with the overlay's Python; unpack it there, and make the user of the service. Run it as root, after
apply_binaries.sh and l4t_create_default_user.sh and before flashing. A configuration that is there is kept; the
overlay's is then beside it as vultus.toml.new.

VULTUS_PYTHON names a Python with vultus, which checks the signature.
END
}

check_overlay() {
    local overlay=$1 key=$2 name=${1%.tar.zst}
    [[ -r $overlay && $name != "$overlay" ]] || die "there is no overlay $overlay" "a file NAME.tar.zst" "run make_overlay.sh"
    [[ -r $name.SHA256SUMS ]] || die "there is no $name.SHA256SUMS" \
        "the files that make_overlay.sh wrote beside the overlay" "copy them all"
    (cd "$(dirname "$overlay")" && sha256sum --check --quiet "$(basename "$name").SHA256SUMS") ||
        die "$overlay or its manifest was changed" "the checksums in $name.SHA256SUMS" "copy or make the overlay again"
    [[ -n $key ]] || { warn "no --key: the overlay is whole, but anybody may have made it" && return; }
    "${VULTUS_PYTHON:-python3}" "$HERE/lib/minisign.py" verify "$name.SHA256SUMS" --key "$key" ||
        die "the signature of $name.SHA256SUMS was not confirmed" "$name.SHA256SUMS.minisig by the key in $key" \
            "do not use this overlay, unless the line above says what was missing here"
}

check_root() {
    local overlay=$1 root=$2 wanted
    [[ -d $root/etc && -d $root/usr ]] || die "$root is no root file system" "folders etc and usr in it" \
        "unpack NVIDIA's sample root file system there first"
    [[ -w $root/etc && -w $root/usr ]] || die "$root cannot be written" "the rights of root, and a file system that is mounted rw" \
        "run this with sudo -E"
    ! is_packaged "$root" || die "vultus is installed in $root as a package" \
        "a root without it" "upgrade the package, or remove it: dpkg --root=$root --remove vultus"
    wanted=$(sed -nE '1s/.*Python ([0-9.]+)$/\1/p' "${overlay%.tar.zst}.manifest")
    local l4t
    l4t=$(l4t_version "$root")
    [[ -n $l4t ]] || die "$root holds no Jetson Linux" "etc/nv_tegra_release or the package nvidia-l4t-core" \
        "run NVIDIA's apply_binaries.sh first"
    platform_of_l4t "$l4t"
    [[ $PYTHON == "$wanted" ]] || die "$root is $PLATFORM with Python $PYTHON" "Python $wanted, which the overlay is for" \
        "make one for it: make_overlay.sh --platform $PLATFORM"
}

unpack() {
    local overlay=$1 root=$2 kept=() old
    if [[ -e $root/$CONFIG ]]; then
        kept=(--transform "flags=r;s|^$CONFIG\$|$CONFIG.new|")
    fi
    # Models of an older overlay would otherwise stay among the new ones.
    ! grep -q '  opt/vultus/models$' "${overlay%.tar.zst}.manifest" || rm -rf "$root/opt/vultus/models" "$root/opt/vultus/models.d"
    zstd -q -d -c "$overlay" | tar --extract --preserve-permissions --no-overwrite-dir --numeric-owner \
        --directory "$root" "${kept[@]}"
    for old in "$root"/opt/vultus/releases/*; do
        [[ $(readlink "$root/opt/vultus/current") == "releases/${old##*/}" ]] || rm -rf "$old"
    done
    keep_or_tell "$root/$CONFIG"
}

keep_or_tell() {
    [[ -e $1.new ]] || return 0
    if cmp -s "$1" "$1.new"; then
        rm "$1.new"
    else
        say "kept $1; the overlay's is beside it as ${1##*/}.new"
    fi
}

make_user() {
    if ! command -v systemd-sysusers >/dev/null; then
        warn "systemd-sysusers is not on this machine: the board makes the user at its first boot, which a read-only root cannot"
    elif [[ -e $1/etc/passwd ]]; then
        systemd-sysusers --root="$1" vultus.conf
        hide_configuration "$1"
    fi
}

# The address of a camera may hold a password: for root and the service alone.
hide_configuration() {
    local group
    group=$(awk -F : '$1 == "vultus" {print $3}' "$1/etc/group")
    chown "0:$group" "$1/$CONFIG"*
    chmod 640 "$1/$CONFIG"*
}

main() {
    local words=() key=''
    while (($#)); do
        case $1 in
            --help | -h) usage && exit 0 ;;
            --key) needs_value "$@" && key=$2 && shift ;;
            -*) usage_error "there is no option '$1'" ;;
            *) words+=("$1") ;;
        esac
        shift
    done
    ((${#words[@]} == 2)) || usage_error "expected an overlay and a root file system, got ${#words[@]} words"
    check_overlay "${words[0]}" "$key"
    check_root "${words[@]}"
    unpack "${words[@]}"
    make_user "${words[1]}"
    say "vultus is in ${words[1]}; flash it"
}

main "$@"; exit
