#!/usr/bin/env bash
# Power modes of a Jetson: what is set, set another one for a while, and back to what was.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib/say.sh
source "$HERE/lib/say.sh"

NEEDS_REBOOT=3

usage() {
    cat <<'END'
Usage: power.sh show [--root DIR]
       power.sh save [--state DIR]
       power.sh set MODE [--clocks] [--reboot] [--state DIR]
       power.sh restore [--state DIR]
       power.sh run MODE [--clocks] [--state DIR] -- COMMAND...

Set the power mode of a Jetson by nvpmodel, its clocks by jetson_clocks, and go back to what was. Needs root.

  MODE          a name or a number of /etc/nvpmodel.conf, such as 15W, MAXN_SUPER or 2; numbers differ between boards
  show          the mode, the modes there are, whether the CPU's clocks are locked, and what is saved
  save          keep mode and clocks for `restore`; what is saved already stays
  set           save where nothing is saved, then set the mode; --clocks also locks the clocks at their highest
  restore       go back to what was saved; tries all of it even when a part fails
  run           set, run a command, restore whatever becomes of the command; its exit code is returned

  --reboot      let nvpmodel reboot at once where a mode takes effect in no other way
  --state DIR   where to keep what was (default: /run/vultus-power, gone after a reboot)
  --root DIR    read the board's files below DIR (for tests)

Exit codes: 0 done, 1 refused or failed, 2 usage, 3 the mode takes a reboot and was not set.
END
}

read_options() {
    ACTION=${1:-} MODE='' STATE=/run/vultus-power ROOT='' CLOCKS=0 REBOOT=0 COMMAND=()
    case $ACTION in
        --help | -h) usage; exit 0 ;;
        show | save | restore) shift ;;
        set | run)
            [[ -n ${2:-} && ${2:0:1} != - ]] || usage_error "$ACTION needs a MODE"
            MODE=$2
            shift 2
            ;;
        '') usage_error "it needs to be told what to do" ;;
        *) usage_error "there is no action '$ACTION'" ;;
    esac
    while (($#)); do
        case $1 in
            --state | --root) [[ -n ${2:-} ]] || usage_error "$1 needs a value" ;;
        esac
        case $1 in
            --state) STATE=$2; shift 2 ;;
            --root) ROOT=${2%/}; shift 2 ;;
            --clocks) CLOCKS=1; shift ;;
            --reboot) REBOOT=1; shift ;;
            --) shift; COMMAND=("$@"); break ;;
            --help | -h) usage; exit 0 ;;
            *) usage_error "there is no option '$1'" ;;
        esac
    done
    [[ $ACTION != run ]] || ((${#COMMAND[@]})) || usage_error "run needs -- COMMAND"
    [[ $ACTION != run ]] || ((!REBOOT)) || usage_error "run cannot go on after a reboot; leave --reboot out"
}

require_jetson() {
    local tree="$ROOT/proc/device-tree/compatible"
    [[ -e $ROOT/etc/nv_tegra_release ]] || { [[ -r $tree ]] && tr '\0' '\n' <"$tree" | grep -q '^nvidia,tegra'; } ||
        die "this is no Jetson: there is no $ROOT/etc/nv_tegra_release and no Tegra in the device tree" \
            "a Jetson, whose power modes nvpmodel sets" "run it on the board"
    [[ -r $ROOT/etc/nvpmodel.conf ]] ||
        die "there is no $ROOT/etc/nvpmodel.conf" "the power modes of this board" "apt install nvidia-l4t-nvpmodel, then reboot"
    local tool
    for tool in nvpmodel jetson_clocks; do
        [[ $ACTION == show ]] || command -v "$tool" >/dev/null ||
            die "$tool is not installed" "the tools of L4T" "apt install nvidia-l4t-nvpmodel nvidia-l4t-tools"
    done
}

# Each mode as NUMBER NAME.
modes() {
    sed -n 's/^[[:space:]]*<[[:space:]]*POWER_MODEL[[:space:]]\{1,\}ID=\([0-9]*\)[[:space:]]\{1,\}NAME=\([^[:space:]>]*\).*/\1 \2/p' \
        "$ROOT/etc/nvpmodel.conf"
}

listed() { modes | awk '{ printf "%s%s (%s)", sep, $2, $1; sep = ", " }'; }

name_of() { modes | awk -v number="$1" '$1 == number { print $2 }'; }

# "MAXN SUPER", maxn-super and MAXN_SUPER are one mode; so are 15W and MODE_15W.
plain() { tr '[:lower:] -' '[:upper:]__' <<<"$1" | sed 's/^MODE_//'; }

number_of() {
    local number name
    while read -r number name; do
        if [[ $1 == "$number" || $(plain "$1") == "$(plain "$name")" ]]; then
            echo "$number"
            return
        fi
    done < <(modes)
    die "there is no power mode '$1'" "one of $(listed)" "choose one by its name"
}

# The mode that is set: nvpmodel's own answer, else the file in which it keeps it, since asking wants root.
current() {
    local answer
    answer=$(nvpmodel -q 2>/dev/null </dev/null | grep -xE '[0-9]+' | tail -n 1) || true
    [[ -n $answer ]] ||
        answer=$(sed -n 's/^pmode:0*\([0-9]\{1,\}\).*/\1/p' "$ROOT/var/lib/nvpmodel/status" 2>/dev/null) || true
    [[ -n $answer ]] ||
        die "nvpmodel does not tell which mode is set" "a number at the end of nvpmodel -q" "run it as root"
    echo "$answer"
}

show() {
    local number cpu="$ROOT/sys/devices/system/cpu/cpu0/cpufreq" least most
    number=$(current)
    say "mode: $(name_of "$number") ($number)"
    say "modes: $(listed)"
    if [[ -r $cpu/scaling_min_freq ]]; then
        read -r least <"$cpu/scaling_min_freq"
        read -r most <"$cpu/scaling_max_freq"
        say "CPU clocks: $([[ $least == "$most" ]] && echo locked at || echo "from $((least / 1000)) to") $((most / 1000)) MHz"
    fi
    if [[ -e $STATE/mode ]]; then
        number=$(<"$STATE/mode")
        say "saved in $STATE: $(name_of "$number") ($number)"
    else
        say "saved in $STATE: nothing"
    fi
}

save() {
    local number fresh="$STATE.new"
    if [[ -e $STATE/mode ]]; then
        say "saved before in $STATE: $(name_of "$(<"$STATE/mode")"); restore goes back to it"
        return
    fi
    number=$(current)
    rm -rf "$fresh" "$STATE"
    mkdir -p "$fresh"
    jetson_clocks --store "$fresh/clocks" </dev/null >/dev/null ||
        die "jetson_clocks cannot store the clocks" "its --store to succeed" "run it as root"
    echo "$number" >"$fresh/mode"
    mv -T "$fresh" "$STATE"
    say "saved in $STATE: $(name_of "$number") ($number) and its clocks"
}

# set_mode NUMBER: nvpmodel asks on its input whether it may reboot at once.
set_mode() {
    local name said answer=no
    name=$(name_of "$1")
    [[ $(current) != "$1" ]] || return 0
    ((!REBOOT)) || answer=YES
    said=$(nvpmodel -m "$1" <<<"$answer" 2>&1) || true
    if grep -qi 'reboot required' <<<"$said" && [[ $(current) != "$1" ]]; then
        ((!REBOOT)) || { say "mode $name ($1): the board reboots into it now; what is saved below /run goes"; exit 0; }
        warn "mode $name ($1) takes a reboot and was not set; to set it and reboot at once: ${0##*/} set $name --reboot"
        return "$NEEDS_REBOOT"
    fi
    if [[ $(current) != "$1" ]]; then
        warn "nvpmodel did not set mode $name ($1): ${said:-it gives no reason}"
        return 1
    fi
    say "mode: $name ($1)"
}

restore() {
    [[ -e $STATE/mode ]] ||
        die "nothing is saved in $STATE" "what set or save has kept there" "set the mode that you want: ${0##*/} set MODE"
    local status=0
    set_mode "$(<"$STATE/mode")" || status=$?
    # After the mode, whose own limits would overwrite them.
    if ! jetson_clocks --restore "$STATE/clocks" </dev/null >/dev/null; then
        warn "jetson_clocks did not restore the clocks from $STATE/clocks; a reboot does"
        ((status)) || status=1
    fi
    ((status)) && return "$status"
    rm -rf "$STATE"
    say "restored"
}

# Set what was asked for; when a part of it fails, what was set before comes back.
change() {
    local number before status=0
    number=$(number_of "$MODE")
    before=$(current)
    save
    set_mode "$number" || status=$?
    if ((!status && CLOCKS)); then
        if jetson_clocks </dev/null >/dev/null; then
            say "clocks: locked at the highest of this mode"
        else
            warn "jetson_clocks did not lock the clocks"
            status=1
        fi
    fi
    ((!status)) || { set_mode "$before" || true; exit "$status"; }
}

run_within() {
    local status=0
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'finish' EXIT
    change
    "${COMMAND[@]}" <&0 &
    CHILD=$!
    wait "$CHILD" || status=$?
    CHILD=
    exit "$status"
}

finish() {
    local status=$?
    trap '' HUP INT TERM
    trap - EXIT
    if [[ -n ${CHILD:-} ]]; then
        kill "$CHILD" 2>/dev/null || true
        wait "$CHILD" || true
    fi
    # set -e does not hold in a condition, so all of it is tried.
    if [[ -e $STATE/mode ]] && ! restore; then
        ((status)) || status=1
    fi
    exit "$status"
}

read_options "$@"
require_jetson
case $ACTION in
    show) show ;;
    save) save ;;
    set) change ;;
    restore) restore ;;
    run) run_within ;;
esac
