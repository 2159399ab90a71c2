# shellcheck shell=bash
# The wheels of a platform: which are wanted, and whether a folder holds exactly these.

# Wheels for any of these C libraries run on Ubuntu 22.04 (2.35) and later.
MANYLINUX=(manylinux2014 manylinux_2_17 manylinux_2_24 manylinux_2_26 manylinux_2_27 manylinux_2_28
    manylinux_2_31 manylinux_2_34 manylinux_2_35)

# target_options: set TARGET to what makes pip choose wheels for the board, whatever machine it runs on.
target_options() {
    local tag
    TARGET=(--python-version "$PYTHON" --implementation cp --only-binary ":all:")
    for tag in "${MANYLINUX[@]}"; do
        TARGET+=(--platform "${tag}_aarch64")
    done
}

# requirements_file: print where the pins of the platform are.
requirements_file() { printf '%s/requirements/%s' "$(dirname "$PLATFORMS")" "$REQUIREMENTS"; }

# pins FILE: print "name version hash" for each line of a requirements file.
pins() { sed -nE 's/^([A-Za-z0-9._-]+)==([^ ]+) --hash=sha256:([0-9a-f]{64}).*/\1 \2 \3/p' "$1"; }

# wheel_of FOLDER NAME [VERSION]: print the one file that holds it, or nothing.
wheel_of() {
    local name=${2//[-.]/_} file
    for file in "$1/${name,,}-${3:+$3-}"*.whl "$1/$2-${3:+$3-}"*.whl; do
        if [[ -f $file ]]; then
            printf '%s' "$file"
            return
        fi
    done
}

sha256_of() { sha256sum "$1" | cut -d ' ' -f 1; }

# check_wheels FOLDER: leave unless every pinned wheel, and vultus, is there with its hash.
check_wheels() {
    [[ -f $1/SHA256SUMS ]] || die "$1 has no SHA256SUMS" "a wheelhouse for $PLATFORM" \
        "run wheelhouse.sh --platform $PLATFORM --out $1 where there is a network, and copy the folder here"
    check_pins "$1"
    check_vultus "$1"
}

check_pins() {
    local name version want file missing=()
    while read -r name version want; do
        file=$(wheel_of "$1" "$name" "$version")
        if [[ -z $file ]]; then
            missing+=("$name==$version")
        elif [[ $(sha256_of "$file") != "$want" ]]; then
            refuse_hash "$file" "$want" "$(requirements_file)"
        fi
    done < <(pins "$(requirements_file)")
    ((${#missing[@]} == 0)) || die "$1 lacks ${missing[*]}" "every wheel that $(requirements_file) names" \
        "run wheelhouse.sh --platform $PLATFORM --out $1 again"
}

check_vultus() {
    local want
    WHEEL=$(wheel_of "$1" vultus)
    [[ -n $WHEEL ]] || die "$1 holds no wheel of vultus" "vultus-VERSION-py3-none-any.whl" \
        "run wheelhouse.sh --platform $PLATFORM --out $1 again"
    want=$(awk -v name="${WHEEL##*/}" '$2 == name {print $1}' "$1/SHA256SUMS")
    [[ $(sha256_of "$WHEEL") == "$want" ]] || refuse_hash "$WHEEL" "${want:-nothing}" "$1/SHA256SUMS"
    # shellcheck disable=SC2034  # read by the scripts that include this file
    VERSION=$(basename "$WHEEL" | cut -d - -f 2)
}

refuse_hash() {
    die "${1##*/} has the SHA-256 $(sha256_of "$1")" "$2, as $3 says" \
        "take no file from this folder; make the wheelhouse again where you trust the network"
}

# unpacked_kib FOLDER: how much the wheels take when they are unpacked.
unpacked_kib() {
    "$HOST_PYTHON" -I - "$1" <<'END'
import pathlib, sys, zipfile
files = pathlib.Path(sys.argv[1]).glob("*.whl")
print(sum(entry.file_size for file in files for entry in zipfile.ZipFile(file).infolist()) // 1024)
END
}
