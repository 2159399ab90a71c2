# shellcheck shell=bash
# What the scripts say: progress on standard output, complaints on standard error.

say() { printf '%s\n' "$*"; }

warn() { printf 'warning: %s\n' "$*" >&2; }

# die CAME EXPECTED TODO: one sentence each, then leave with 1.
die() {
    {
        printf '%s: %s\n' "${0##*/}" "$1"
        [[ -z ${2:-} ]] || printf '  expected: %s\n' "$2"
        [[ -z ${3:-} ]] || printf '  do: %s\n' "$3"
    } >&2
    exit 1
}

# needs_value OPTION [VALUE]...: leave with 2 unless a value follows; an empty one is a variable that was never set.
needs_value() { [[ -n ${2:-} ]] || usage_error "$1 needs a value"; }

# usage_error WHAT: a wrong command line, leave with 2.
usage_error() {
    printf '%s: %s\n  do: %s --help\n' "${0##*/}" "$1" "${0##*/}" >&2
    exit 2
}
