# shellcheck shell=bash
# An installed tree as bytes that come out the same each time: what make_overlay.sh and make_deb.sh share.

# source_epoch: print the one time that all files get, in seconds; the last commit's where nobody says another.
source_epoch() {
    local epoch=${SOURCE_DATE_EPOCH:-}
    [[ -n $epoch ]] || epoch=$(git -C "$HERE" log -1 --format=%ct 2>/dev/null || true)
    [[ $epoch =~ ^[0-9]+$ ]] || die "no time for the files: SOURCE_DATE_EPOCH is '$epoch'" \
        "seconds since 1970, or a git checkout" "set SOURCE_DATE_EPOCH=\$(date +%s)"
    printf '%s' "$epoch"
}

# tree_into FOLDER STAGING ARGUMENTS...: the tree that somebody made before, or a fresh one of install.sh's, as on a board.
tree_into() {
    local folder=$1 staging=$2
    shift 2
    if [[ -n $staging ]]; then
        [[ -d $staging ]] || die "there is no folder $staging" "a tree that install.sh --root made" \
            "run install.sh --root $staging --platform NAME first"
        cp -a "$staging/." "$folder"
    else
        "$HERE/install.sh" --root "$folder" --offline "$@" >&2
    fi
}

# strays FOLDER: print bytecode that came from no wheel, and half-made files: neither is the same twice.
strays() {
    local file
    find "$1" \( -name '*.pyc' -o -name '.partial-*' \) -print | while IFS= read -r file; do
        grep -qsF "${file##*/site-packages/}," "${file%%/site-packages/*}"/site-packages/*.dist-info/RECORD ||
            printf '%s ' "${file#"$1/"}"
    done
}

# settle FOLDER EPOCH: rights and times that depend on nobody's umask or clock; refuses what cannot repeat.
settle() {
    local stray
    stray=$(strays "$1")
    [[ -z $stray ]] || die "the tree holds $stray" "no bytecode and no half-made files" \
        "remove it, or make the tree anew by install.sh --root"
    [[ -L $1/opt/vultus/current ]] || die "there is no opt/vultus/current in $1" \
        "a tree that install.sh --root made" "run install.sh --root $1 --platform NAME first"
    find "$1" ! -type l -exec chmod u=rwX,go=rX {} +
    find "$1" -exec touch --no-dereference --date="@$2" {} +
}

# version_of FOLDER: print the version of vultus that a tree holds.
version_of() {
    local found
    found=$(find "$1"/opt/vultus/current/venv/lib -maxdepth 3 -type d -name 'vultus-*.dist-info' -print -quit)
    [[ -n $found ]] || die "there is no vultus in $1/opt/vultus/current/venv" \
        "site-packages/vultus-VERSION.dist-info" "make the tree anew by install.sh --root"
    found=${found##*/vultus-}
    printf '%s' "${found%.dist-info}"
}

# members FOLDER: print what belongs into an archive, sorted: every file and link, and of the folders only our own,
# so that unpacking never changes the rights or the time of /usr or /etc.
members() {
    (cd "$1" && {
        find opt/vultus etc/vultus -type d 2>/dev/null || true
        find . ! -type d -printf '%P\n'
    }) | LC_ALL=C sort
}

# manifest FOLDER: print "SHA-256  path" for every file, then "-> target  path" for every link, both sorted.
manifest() {
    (cd "$1" && {
        find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0r sha256sum
        find . -type l -printf '-> %l  %P\n' | LC_ALL=C sort
    })
}

# signed FILE KEY COMMENT: write FILE.minisig with a key of `vultus-export bundle-key`.
signed() {
    "${VULTUS_PYTHON:-python3}" "$HERE/lib/minisign.py" sign "$1" --key "$2" --comment "$3" ||
        die "$1 is not signed" "a Python with vultus and cryptography, and a secret key" \
            "pip install '.[bundle]', and name that Python: VULTUS_PYTHON=.venv/bin/python"
}
