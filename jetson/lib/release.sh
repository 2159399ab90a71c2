# shellcheck shell=bash
# shellcheck disable=SC2153  # BASE, ROOT, VERSION and WHEELHOUSE are set by install.sh
# A release: one folder with a virtual environment and all that was shipped, built aside and renamed when it is whole.

# fingerprint: eight letters that tell one set of inputs from another.
fingerprint() {
    {
        pins "$(requirements_file)"
        sha256_of "$WHEEL"
        (cd "$HERE" && find tree firstboot lib install.sh power.sh -type f ! -path '*/__pycache__/*' ! -name '*.pyc' -print0 2>/dev/null |
            LC_ALL=C sort -z | xargs -0 sha256sum)
    } | sha256sum | cut -c 1-8
}

# release_whole DIR: whether a release is all there, byte for byte.
release_whole() { [[ -f $1/manifest.sha256 ]] && (cd "$1" && sha256sum --check --status manifest.sha256); }

# release_name: print VERSION-HASH, with a number when a damaged folder holds that name, since it may be in use.
release_name() {
    local name base number=1
    base=$VERSION-$(fingerprint)
    name=$base
    while [[ -e $BASE/releases/$name ]] && ! release_whole "$BASE/releases/$name"; do
        number=$((number + 1))
        name=$base.$number
    done
    printf '%s' "$name"
}

# unpack_wheels SITE: what `pip install` would do on the board, without running anything of it.
unpack_wheels() {
    local want=$PARTIAL/wanted.txt pip
    pip=$(wheel_of "$WHEELHOUSE" pip)
    {
        grep -v '^pip==' "$(requirements_file)"
        printf 'vultus==%s --hash=sha256:%s\n' "$VERSION" "$(sha256_of "$WHEEL")"
    } >"$want"
    mkdir -p "$PARTIAL/tmp"
    TMPDIR=$PARTIAL/tmp "$HOST_PYTHON" -I "$pip/pip" --isolated --disable-pip-version-check --no-input --quiet \
        --no-cache-dir install --no-index --find-links "$WHEELHOUSE" --no-deps --require-hashes --no-compile \
        --root-user-action ignore "${TARGET[@]}" --target "$1" -r "$want" ||
        die "pip could not unpack the wheels (see above)" "room below $BASE, and wheels for Python $PYTHON on aarch64" \
            "mend that, then run this again"
    rm -rf "$PARTIAL/tmp" "$want"
}

# write_program FILE MODULE: a command of the venv; -s keeps packages in somebody's ~/.local out.
write_program() {
    cat >"$1" <<END
#!/opt/vultus/current/venv/bin/python -s
import sys
from $2 import main
sys.exit(main())
END
    chmod 755 "$1"
}

# make_venv DIR: the folder that python3 -m venv would make; written by hand, so the board needs no python3-venv.
make_venv() {
    local site=$1/lib/python$PYTHON/site-packages
    mkdir -p "$1/bin" "$site"
    printf 'home = /usr/bin\ninclude-system-site-packages = false\nversion = %s\n' "$PYTHON" >"$1/pyvenv.cfg"
    ln -s "/usr/bin/python$PYTHON" "$1/bin/python"
    ln -s python "$1/bin/python3"
    unpack_wheels "$site"
    "$HOST_PYTHON" -I "$HERE/lib/slim.py" "$site" >/dev/null
    write_program "$1/bin/vultus" vultus.cli
    write_program "$1/bin/vultus-export" vultus_export.cli
    # TensorRT is the system's, of the one JetPack that runs; nothing else of the system's packages is let in.
    ln -s "/usr/lib/python$PYTHON/dist-packages/tensorrt" "$site/tensorrt"
    echo ../../../../lib >"$site/vultus_firstboot.pth"
}

# copy_tree FROM TO: files and links, without what Python leaves behind.
copy_tree() {
    mkdir -p "$2"
    [[ ! -d $1 ]] || tar -C "$1" --exclude=__pycache__ --exclude='*.pyc' -cf - . | tar -C "$2" --no-same-owner -xf -
}

# copy_setup DIR: this script itself, so that a board can uninstall what it has, and what else is run on a board.
copy_setup() {
    mkdir -p "$1/requirements"
    cp "$HERE/install.sh" "$PLATFORMS" "$1/"
    [[ ! -f $HERE/power.sh ]] || cp "$HERE/power.sh" "$1/"
    cp "$(requirements_file)" "$1/requirements/"
    copy_tree "$HERE/lib" "$1/lib"
}

# compile_bytecode DIR: on a running board only; its own Python must do it, and images are the same bytes without.
compile_bytecode() {
    [[ -z $ROOT ]] || return 0
    "$1/venv/bin/python" -s -m compileall -q --invalidation-mode unchecked-hash \
        "$1/venv/lib/python$PYTHON/site-packages" "$1/lib" || warn "some files could not be compiled; they run all the same"
}

# set_rights DIR: of what came from this folder too, whose own are lost on a stick or through another umask.
set_rights() {
    find "$1/tree" "$1/lib" "$1/setup" -type f -exec chmod a-x {} +
    chmod a+x "$1"/setup/*.sh
    chmod -R u=rwX,go=rX "$1"
}

# build_release NAME: make it aside, flush it to the disk, and give it its name.
build_release() {
    PARTIAL=$BASE/.partial-$1
    mkdir -p "$PARTIAL" "$BASE/releases"
    make_venv "$PARTIAL/venv"
    copy_tree "$HERE/firstboot/vultus_firstboot" "$PARTIAL/lib/vultus_firstboot"
    copy_tree "$HERE/tree" "$PARTIAL/tree"
    copy_setup "$PARTIAL/setup"
    compile_bytecode "$PARTIAL"
    list_system_files "$PARTIAL" >"$PARTIAL/system.files"
    set_rights "$PARTIAL"
    (cd "$PARTIAL" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) >"$BASE/.new-manifest"
    mv "$BASE/.new-manifest" "$PARTIAL/manifest.sha256"
    sync -f "$PARTIAL"
    mv -T "$PARTIAL" "$BASE/releases/$1"
    sync -f "$BASE/releases"
}

# switch_link NAME TARGET: point a link below /opt/vultus elsewhere, at once or not at all.
switch_link() {
    ln -sfn "$2" "$BASE/.new-$1"
    mv -T "$BASE/.new-$1" "$BASE/$1"
    sync -f "$BASE"
}
