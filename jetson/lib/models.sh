# shellcheck shell=bash
# An installed models bundle at /opt/vultus/models.

# check_models DIR: leave unless it is a bundle as `vultus models install` writes it, unchanged.
check_models() {
    [[ -f $1/SHA256SUMS && -f $1/bundle.json ]] || die "$1 is no installed models bundle" \
        "a folder with SHA256SUMS and bundle.json" "make it with: vultus models install FILE.tar.zst $1 --key KEY.pub"
    (cd "$1" && sha256sum --check --quiet --strict SHA256SUMS >&2) || die "$1 is not what its SHA256SUMS says" \
        "the files named above, unchanged" "install the bundle again"
}

# check_models_link: what somebody put at /opt/vultus/models by hand is not ours to replace.
check_models_link() {
    [[ ! -e $BASE/models || -L $BASE/models ]] || die "$BASE/models is a folder that install.sh did not make" \
        "nothing there, or the link that it makes" "move it away, then run this again; or leave --models out"
}

# place_models DIR: copy it aside, check the copy, then switch the link.
place_models() {
    local name old
    name=$(sha256_of "$1/SHA256SUMS" | cut -c 1-8)
    if [[ ! -d $BASE/models.d/$name ]]; then
        rm -rf "$BASE/.partial-models"
        mkdir -p "$BASE/.partial-models" "$BASE/models.d"
        cp -RL "$1/." "$BASE/.partial-models/"
        chmod -R u=rwX,go=rX "$BASE/.partial-models"
        check_models "$BASE/.partial-models"
        sync -f "$BASE/.partial-models"
        mv -T "$BASE/.partial-models" "$BASE/models.d/$name"
    fi
    [[ $(readlink "$BASE/models") == "models.d/$name" ]] || switch_link models "models.d/$name"
    for old in "$BASE/models.d"/*; do
        [[ $old == "$BASE/models.d/$name" ]] || rm -rf "$old"
    done
}
