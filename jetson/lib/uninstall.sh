# shellcheck shell=bash
# Taking it all away again. What lists the files goes last, so an interrupted removal is finished by the next.

stop_services() {
    running_systemd || return 0
    systemctl stop vultus.service vultus-firstboot.service 2>/dev/null || true
}

# remove_user: from the running system by its own tool, from another root by its four files.
remove_user() {
    local file
    if [[ -z $ROOT ]]; then
        ! getent passwd vultus >/dev/null || userdel vultus || warn "the user vultus could not be removed"
        ! getent group vultus >/dev/null || groupdel vultus || true
        return
    fi
    for file in passwd shadow group gshadow; do
        [[ -f $ROOT/etc/$file ]] || continue
        grep --quiet -E '(^|[:,])vultus([:,]|$)' "$ROOT/etc/$file" || continue
        cp -p "$ROOT/etc/$file" "$ROOT/etc/$file.vultus-new"
        sed -E -e '/^vultus:/d' -e 's/([:,])vultus(,|$)/\1\2/' -e 's/,,/,/; s/:,/:/; s/,$//' \
            "$ROOT/etc/$file" >"$ROOT/etc/$file.vultus-new"
        mv -T "$ROOT/etc/$file.vultus-new" "$ROOT/etc/$file"
    done
}

# purge: what a board gathered; the user goes with its files.
purge() {
    rm -rf "$ROOT/etc/vultus" "$ROOT/var/lib/vultus" "$ROOT/run/vultus"
    remove_user
}

# remove_created: the folders made for our files, the newest first, where they are empty.
remove_created() {
    local path created=()
    [[ ! -f $BASE/.created ]] || mapfile -t created < <(tac "$BASE/.created")
    rm -rf "$BASE"
    for path in "${created[@]}"; do
        rmdir "$ROOT/$path" 2>/dev/null || true
    done
}

uninstall() {
    local release
    stop_services
    for release in "$BASE"/releases/*; do
        remove_system "$release"
    done
    ((!PURGE)) || purge
    rm -f "$ROOT"/etc/vultus/*.vultus-new
    ! running_systemd || systemctl daemon-reload
    remove_created
    say "vultus is removed$( ((PURGE)) || echo '; /etc/vultus, /var/lib/vultus and the user stay (--purge removes them)')"
}
