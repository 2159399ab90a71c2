#!/usr/bin/env bash
# Install vultus on a Jetson, or into the root file system of one on another machine.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib/say.sh
source "$HERE/lib/say.sh"
# shellcheck source=lib/platform.sh
source "$HERE/lib/platform.sh"

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
END
}
