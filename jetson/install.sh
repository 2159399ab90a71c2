#!/usr/bin/env bash
# Install vultus on a Jetson, or into the root file system of one on another machine.
set -euo pipefail
umask 022

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib/say.sh
source "$HERE/lib/say.sh"
# shellcheck source=lib/platform.sh
source "$HERE/lib/platform.sh"
# shellcheck source=lib/wheels.sh
source "$HERE/lib/wheels.sh"
# shellcheck source=lib/release.sh
source "$HERE/lib/release.sh"
# shellcheck source=lib/system.sh
source "$HERE/lib/system.sh"
# shellcheck source=lib/models.sh
source "$HERE/lib/models.sh"
# shellcheck source=lib/uninstall.sh
source "$HERE/lib/uninstall.sh"

usage() {
    cat <<'END'
Usage: install.sh [--root DIR] [--platform NAME] [--wheelhouse DIR] [--models DIR] [--offline] [--dry-run]
       install.sh --uninstall [--purge] [--root DIR] [--dry-run]

Install vultus below /opt/vultus, with its units, user and first boot; run again, it mends or upgrades.

  --root DIR        the root file system to install into, of any architecture; nothing of it is run
  --platform NAME   what DIR is, where it does not say so itself; one of the names in platforms.tsv
  --wheelhouse DIR  the wheels, as wheelhouse.sh makes them (default: dist/wheelhouse beside this script)
  --models DIR      an installed models bundle (vultus models install) to put at /opt/vultus/models
  --offline         never touch the network; without it a wheelhouse that is not there is made
  --dry-run         check everything, say what would be done, change nothing
  --uninstall       remove what was installed; configuration, engines and the user stay
  --purge           with --uninstall: remove these too

The last lines of platforms.tsv name the JetPacks that are supported. Exit codes: 0 done, 1 refused, 2 usage.
END
}

read_options() {
    ROOT='' NAME='' WHEELHOUSE='' MODELS='' OFFLINE=0 DRY_RUN=0 UNINSTALL=0 PURGE=0
    while (($#)); do
        case $1 in
            --root | --platform | --wheelhouse | --models) needs_value "$@" ;;
        esac
        case $1 in
            --root) ROOT=$2; shift 2 ;;
            --platform) NAME=$2; shift 2 ;;
            --wheelhouse) WHEELHOUSE=$2; shift 2 ;;
            --models) MODELS=$2; shift 2 ;;
            --offline) OFFLINE=1; shift ;;
            --dry-run) DRY_RUN=1; shift ;;
            --uninstall) UNINSTALL=1; shift ;;
            --purge) PURGE=1; shift ;;
            --help | -h) usage; exit 0 ;;
            *) usage_error "there is no option '$1'" ;;
        esac
    done
    ((UNINSTALL || !PURGE)) || usage_error "--purge goes with --uninstall"
}

# find_root: make the root absolute, "" for the running system.
find_root() {
    [[ -z $ROOT || -d $ROOT ]] || die "there is no folder $ROOT" "the root file system of a board" "see --root"
    ROOT=${ROOT:+$(realpath "$ROOT")}
    ROOT=${ROOT%/}
    BASE=$ROOT/opt/vultus
    [[ -w $ROOT/ ]] || die "$ROOT/ cannot be written" "the rights of root, and a file system that is mounted rw" \
        "run this with sudo; a read-only root takes an overlay, or mount -o remount,rw"
}

# find_platform: what the root says of itself, or what the user says of it, and no contradiction.
find_platform() {
    local found
    found=$(l4t_version "$ROOT")
    if [[ -n $NAME ]]; then
        platform_named "$NAME"
        [[ -z $found ]] || version_in "$L4T_RANGE" "$found" || die "${ROOT:-this board} holds $(jetpack_of "$found")" \
            "$PLATFORM (L4T $L4T_RANGE), as --platform says" "leave --platform out, or name another root"
    elif [[ -n $found ]]; then
        platform_of_l4t "$found"
    else
        die "${ROOT:-this machine} is no Jetson: it has neither /etc/nv_tegra_release nor the package nvidia-l4t-core" \
            "$(supported)" "run this on a board, give --root DIR, or say what it is with --platform NAME"
    fi
    [[ -n $ROOT || $(uname -m) == aarch64 ]] || die "this machine is $(uname -m)" "aarch64" \
        "give the root file system of the board with --root DIR"
}

# find_python: one that can unpack wheels here, and the board's own in its place.
find_python() {
    if [[ ! -x $ROOT/usr/bin/python$PYTHON && (-z $ROOT || -e $ROOT/etc/os-release) ]]; then
        die "${ROOT:-this board} has no /usr/bin/python$PYTHON" "Ubuntu $UBUNTU with its Python, as $PLATFORM brings it" \
            "apt-get install python$PYTHON"
    fi
    HOST_PYTHON=${VULTUS_PYTHON:-python3}
    [[ -n $ROOT ]] || HOST_PYTHON=/usr/bin/python$PYTHON
    "$HOST_PYTHON" -I -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null ||
        die "$HOST_PYTHON is missing or too old" "Python 3.9 or later on this machine" "name one with VULTUS_PYTHON"
}

# find_wheels: the wheelhouse, made first when it is not there and the network may be used.
find_wheels() {
    WHEELHOUSE=${WHEELHOUSE:-$HERE/dist/wheelhouse}
    [[ ! -d $WHEELHOUSE/$PYTAG ]] || WHEELHOUSE=$WHEELHOUSE/$PYTAG
    if [[ ! -d $WHEELHOUSE ]]; then
        ((!OFFLINE && !DRY_RUN)) || die "there is no wheelhouse $WHEELHOUSE" "the wheels of $PLATFORM" \
            "run wheelhouse.sh --platform $PLATFORM where there is a network, and copy its folder here"
        WHEELHOUSE=$HERE/dist/wheelhouse/$PYTAG
        "$HERE/wheelhouse.sh" --platform "$PLATFORM" --out "$WHEELHOUSE"
    fi
    WHEELHOUSE=$(realpath "$WHEELHOUSE")
    check_wheels "$WHEELHOUSE"
    target_options
}

# find_models: a bundle that is whole, and a place for it.
find_models() {
    MODELS=$(realpath "$MODELS")
    check_models "$MODELS"
    check_models_link
}

# check_package: what dpkg installed is dpkg's to change and to remove.
check_package() {
    ! is_packaged "$ROOT" || die "vultus is installed here as a Debian package" \
        "a root without it" "upgrade it with apt, or remove it: apt-get remove vultus"
}

# check_room: the unpacked wheels and the models fit.
check_room() {
    local need free below=$ROOT/
    [[ ! -d $ROOT/opt ]] || below=$ROOT/opt
    [[ ! -d $BASE ]] || below=$BASE
    need=$(unpacked_kib "$WHEELHOUSE")
    [[ -z $MODELS ]] || need=$((need + $(du -skL "$MODELS" | cut -f 1)))
    need=$((need + need / 20))
    free=$(df -k --output=avail "$below" | tail -n 1)
    ((free >= need)) || die "$((free / 1024)) MB are free below $below" "$((need / 1024)) MB" "make room, then run this again"
}

# lock: one at a time; the lock is on the root's own folder, so it leaves nothing and ends with its holder.
lock() {
    exec {LOCK}<"$ROOT/"
    flock --nonblock "$LOCK" || die "another install.sh works on $ROOT/" "one at a time" "wait until it ends, then run this again"
}

# current_release: print the folder that `current` points to, or nothing.
current_release() {
    local name
    name=$(readlink "$BASE/current" || true)
    [[ -z $name || ! -d $BASE/$name ]] || printf '%s' "$BASE/$name"
}

# clear_remains: what an interrupted run left; releases that were never switched to, with what they placed.
clear_remains() {
    local release
    rm -rf "$BASE"/.partial-* "$BASE"/.new-*
    for release in "$BASE"/releases/*; do
        [[ -d $release && $release != "$1" && $release != "${2:-}" ]] || continue
        remove_system "$release" "$1"
        rm -rf "$release"
    done
}

# engines_again: first boot looks again at what the release before built, and keeps the engines that still fit.
engines_again() { rm -f "$ROOT/var/lib/vultus/ready"; }

# give_up: on the way out of an install that failed; a power cut leaves the same to the next run.
# shellcheck disable=SC2329  # called by the trap
# shellcheck disable=SC2317  # called by the trap
give_up() {
    local status=$?
    ((status)) || return 0
    rm -rf "$BASE"/.partial-* "$BASE"/.new-*
    warn "stopped before the end: $(readlink "$BASE/current" || echo 'no release') is in use; run this again to finish"
}

plan() {
    say "would install vultus $VERSION for $PLATFORM (Python $PYTHON, CUDA $CUDA, TensorRT $TENSORRT) into ${ROOT:-/}"
    say "  wheels: $(pins "$(requirements_file)" | wc -l) and vultus from $WHEELHOUSE, $(($(unpacked_kib "$WHEELHOUSE") / 1024)) MB unpacked"
    say "  release: /opt/vultus/releases/$1$([[ $BASE/releases/$1 != "$2" ]] || echo ' (there, whole, in use)')"
    [[ -z $2 || $BASE/releases/$1 == "$2" ]] || say "  replaces: /opt/vultus/${2#"$BASE/"}"
    [[ -z $MODELS ]] || say "  models: $MODELS -> /opt/vultus/models"
    (cd "$HERE/tree" && find . \( -type f -o -type l \) -printf '  file: /%P\n' | LC_ALL=C sort)
    say "nothing was changed"
}

install() {
    local name old new
    old=$(current_release)
    name=$(release_name)
    if ((DRY_RUN)); then
        plan "$name" "$old"
        return
    fi
    lock
    make_base
    trap give_up EXIT
    new=$BASE/releases/$name
    clear_remains "${old:-$new}" "$new"
    if [[ ! -d $new ]]; then
        say "1/4 unpacking into /opt/vultus/releases/$name"
        build_release "$name"
    fi
    say "2/4 placing units, commands and configuration"
    place_configuration "$new" "$old"
    place_system "$new" "$old"
    apply_system
    if [[ -n $MODELS ]]; then
        say "3/4 placing models"
        place_models "$MODELS"
    fi
    say "4/4 switching to vultus $VERSION"
    # The marker goes first: a power cut between the two then costs a look at the engines, and never leaves old ones.
    [[ $new == "$old" && -z $MODELS ]] || engines_again
    [[ $new == "$old" ]] || switch_link current "releases/$name"
    [[ $new == "$old" && -z $MODELS ]] || restart_services "$old"
    clear_remains "$new"
    trap - EXIT
    say "vultus $VERSION is installed for $PLATFORM in ${ROOT:-/}"
}

remove() {
    check_package
    [[ -d $BASE ]] || warn "nothing is installed at $BASE"
    if ((DRY_RUN)); then
        cat "$BASE"/releases/*/system.files 2>/dev/null | LC_ALL=C sort -u | sed 's#^#would remove /#' || true
        say "would remove /opt/vultus$( ((!PURGE)) || echo ', /etc/vultus, /var/lib/vultus and the user vultus')"
        say "nothing was changed"
        return
    fi
    lock
    uninstall
}

main() {
    read_options "$@"
    find_root
    if ((UNINSTALL)); then
        remove
        return
    fi
    [[ -d $HERE/tree ]] || die "there is no folder $HERE/tree" "the files of jetson/ as they lie in the repository" \
        "copy the whole folder"
    find_platform
    find_python
    find_wheels
    [[ -z $MODELS ]] || find_models
    check_package
    check_room
    install
}

# On one line, so that a script that is changed while it runs is not read on.
main "$@"; exit
