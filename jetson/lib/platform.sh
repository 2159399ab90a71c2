# shellcheck shell=bash
# Which JetPack a root file system holds, and the row of platforms.tsv for it.

# The table that is read; another one may be named, as the tests do for a Debian.
PLATFORMS=${VULTUS_PLATFORMS:-$HERE/platforms.tsv}

# l4t_version ROOT: print 36.4.3, or nothing where the root is not Jetson Linux.
l4t_version() {
    local file=$1/etc/nv_tegra_release version=
    if [[ -r $file ]]; then
        version=$(sed -nE 's/^# *R([0-9]+).*REVISION: *([0-9.]+).*/\1.\2/p' "$file" | head -n 1)
    fi
    if [[ -z $version && -r $1/var/lib/dpkg/status ]]; then
        version=$(awk '/^Package: nvidia-l4t-core$/ {found = 1} /^$/ {found = 0}
            found && /^Status:/ && !/ installed$/ {found = 0}
            found && /^Version:/ {sub(/-.*/, "", $2); print $2; exit}' "$1/var/lib/dpkg/status")
    fi
    printf '%s' "$version"
}

# is_packaged ROOT: whether dpkg holds vultus there; of a removed package only its configuration is listed.
is_packaged() { grep --quiet --no-messages '^/opt/vultus/' "$1/var/lib/dpkg/info/vultus.list"; }

# version_in RANGE VERSION: whether LOW <= VERSION <= HIGH, where HIGH takes in all that begins with it.
version_in() {
    local low=${1%%-*} high=${1##*-}
    [[ $2 == "$high" || $2 == "$high".* ]] && high=$2
    printf '%s\n%s\n%s\n' "$low" "$2" "$high" | sort --version-sort --check=quiet
}

# supported: one line that names all platforms of the table.
supported() {
    awk -F '\t' 'NR > 1 {printf "%s%s (L4T %s)", sep, $1, $2; sep = ", "}' "$PLATFORMS"
}

# jetpack_of L4T: the everyday name of a release, for messages.
jetpack_of() {
    case $1 in
        32.*) echo "JetPack 4 (L4T $1)" ;;
        34.* | 35.*) echo "JetPack 5 (L4T $1)" ;;
        36.[0-3] | 36.[0-3].*) echo "JetPack 6.0 (L4T $1)" ;;
        *) echo "Jetson Linux (L4T) $1" ;;
    esac
}

# read_row LINE: set PLATFORM, L4T_RANGE, UBUNTU, PYTHON, CUDA, TENSORRT and REQUIREMENTS.
read_row() {
    # shellcheck disable=SC2034  # read by the scripts that include this file
    IFS=$'\t' read -r PLATFORM L4T_RANGE UBUNTU PYTHON CUDA TENSORRT REQUIREMENTS <<<"$1"
    # shellcheck disable=SC2034
    PYTAG=cp${PYTHON/./}
}

# platform_named NAME: read its row, or leave with the names there are.
platform_named() {
    local line
    line=$(awk -F '\t' -v name="$1" 'NR > 1 && $1 == name' "$PLATFORMS")
    [[ -n $line ]] || die "there is no platform '$1'" "one of: $(supported)" "give one of these to --platform"
    read_row "$line"
}

# platform_of_l4t VERSION: read the row whose range holds it, or leave saying why it cannot be.
platform_of_l4t() {
    local line range
    while IFS= read -r line; do
        range=$(cut -f 2 <<<"$line")
        if version_in "$range" "$1"; then
            read_row "$line"
            return
        fi
    done < <(tail -n +2 "$PLATFORMS")
    refuse_l4t "$1"
}

refuse_l4t() {
    local what
    what=$(jetpack_of "$1")
    case $what in
        JetPack*) die "found $what, whose TensorRT 8 is too old: vultus needs TensorRT 10" \
            "$(supported)" "flash the board with a JetPack of this list, then run this again" ;;
        *) die "found $what, which is not known here" "$(supported)" \
            "flash a JetPack of this list, or take a newer vultus" ;;
    esac
}
