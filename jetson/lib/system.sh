# shellcheck shell=bash
# What lies outside /opt/vultus: units and their links, commands, configuration, the user, and the folders made for them.

UNITS=usr/lib/systemd/system

# list_system_files RELEASE: print the path, below the root, of everything but configuration that this release places.
list_system_files() {
    (cd "$1/tree" && find . -path ./etc -prune -o \( -type f -o -type l \) -printf '%P\n' | LC_ALL=C sort)
    printf 'usr/local/bin/%s\n' vultus vultus-export
    wants "$1" | cut -f 1
}

# wants RELEASE: print "link TAB target" for each unit with WantedBy= in it.
wants() {
    local unit target
    for unit in "$1/tree/$UNITS"/*; do
        [[ -f $unit ]] || continue
        while read -r target; do
            printf 'etc/systemd/system/%s.wants/%s\t/%s/%s\n' "$target" "${unit##*/}" "$UNITS" "${unit##*/}"
        done < <(sed -n 's/^WantedBy=//p' "$unit" | tr ' ' '\n')
    done
}

# make_folder PATH: with its parents below the root; each new one is written down first, for uninstall.
make_folder() {
    [[ -d $ROOT/$1 ]] && return
    case $1 in */*) make_folder "${1%/*}" ;; esac
    [[ ! -d $BASE ]] || printf '%s\n' "$1" >>"$BASE/.created"
    mkdir -p "$ROOT/$1"
}

# make_base: /opt/vultus itself, whose list of new folders begins with its own parents.
make_base() {
    local new=()
    [[ -d $ROOT/opt ]] || new+=(opt)
    [[ -d $BASE ]] || new+=(opt/vultus)
    mkdir -p "$BASE"
    ((${#new[@]} == 0)) || printf '%s\n' "${new[@]}" >>"$BASE/.created"
}

# place FROM PATH: copy a file or link to its place below the root, whole or not at all.
place() {
    local to=$ROOT/$2
    if [[ -L $1 ]]; then
        place_link "$2" "$(readlink "$1")"
        return
    fi
    [[ -f $to && ! -L $to ]] && cmp --quiet "$1" "$to" && return
    make_folder "${2%/*}"
    cp -T "$1" "$to.vultus-new"
    chmod u=rw,go=r "$to.vultus-new"
    [[ ! -x $1 ]] || chmod a+x "$to.vultus-new"
    mv -T "$to.vultus-new" "$to"
}

place_link() {
    [[ $(readlink "$ROOT/$1") == "$2" ]] && return
    make_folder "${1%/*}"
    ln -sfn "$2" "$ROOT/$1.vultus-new"
    mv -T "$ROOT/$1.vultus-new" "$ROOT/$1"
}

# place_system RELEASE OLD: everything that the release lists; a unit that somebody disabled since OLD stays so.
place_system() {
    local path link target
    while IFS= read -r path; do
        place "$1/tree/$path" "$path"
    done < <(cd "$1/tree" && find . -path ./etc -prune -o \( -type f -o -type l \) -printf '%P\n')
    place_link usr/local/bin/vultus /opt/vultus/current/venv/bin/vultus
    place_link usr/local/bin/vultus-export /opt/vultus/current/venv/bin/vultus-export
    while IFS=$'\t' read -r link target; do
        if [[ -n $2 && ! -L $ROOT/$link ]] && grep --quiet --line-regexp --fixed-strings "$link" "$2/system.files"; then
            say "  ${link##*/} was disabled and stays so"
        else
            place_link "$link" "$target"
        fi
    done < <(wants "$1")
}

# place_configuration RELEASE OLD: a file that is there is never touched; one that differs from it and was not shipped
# before is put beside it.
place_configuration() {
    local path
    while IFS= read -r path; do
        if [[ ! -e $ROOT/$path ]]; then
            place "$1/tree/$path" "$path"
        elif cmp --quiet "$1/tree/$path" "$ROOT/$path"; then
            rm -f "$ROOT/$path.new"
        elif [[ -n $2 ]] && cmp --quiet "$1/tree/$path" "$2/tree/$path"; then
            :
        else
            place "$1/tree/$path" "$path.new"
            say "  /$path is yours and stays; this version's is beside it: /$path.new"
        fi
    done < <(cd "$1/tree" && find etc -type f 2>/dev/null)
}

# apply_system: the user, its folders and rules; what cannot be done for a root that is not running waits for its boot.
apply_system() {
    if [[ -n $ROOT ]]; then
        [[ ! -f $ROOT/etc/passwd ]] || ! command -v systemd-sysusers >/dev/null ||
            systemd-sysusers --root="$ROOT" vultus.conf || warn "the user will be made at the first boot"
        # A newer /usr is what makes systemd apply sysusers.d and tmpfiles.d at boot.
        [[ ! -d $ROOT/usr ]] || touch "$ROOT/usr"
        return
    fi
    ! command -v systemd-sysusers >/dev/null || systemd-sysusers vultus.conf
    ! command -v systemd-tmpfiles >/dev/null || systemd-tmpfiles --create vultus.conf || true
    ! running_systemd || { systemctl daemon-reload && { udevadm control --reload || true; }; }
}

# running_systemd: whether this is the running system, under systemd.
running_systemd() { [[ -z $ROOT && -d /run/systemd/system ]]; }

# restart_services OLD: start them, or bring the new release into those that run.
restart_services() {
    running_systemd || return 0
    if [[ -n $1 ]]; then
        systemctl try-restart vultus.service || warn "vultus.service did not start again: see journalctl -u vultus"
    fi
    # One that is at work already reads what was before: it is started anew, which costs one engine at most.
    { systemctl --no-block restart vultus-firstboot.service && systemctl --no-block start vultus.service; } ||
        warn "the services did not start: see journalctl -u vultus -u vultus-firstboot"
}

# remove_system RELEASE [NEW]: take away what RELEASE placed and NEW does not place.
remove_system() {
    local path
    [[ -f $1/system.files ]] || return 0
    while IFS= read -r path; do
        [[ -f ${2:-}/system.files ]] && grep --quiet --line-regexp --fixed-strings "$path" "$2/system.files" && continue
        rm -f "$ROOT/$path" "$ROOT/$path.vultus-new"
    done <"$1/system.files"
}
