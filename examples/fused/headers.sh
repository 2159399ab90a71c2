#!/bin/sh
# Fetches ONNX Runtime's C and C++ headers from Debian's package into DIR and installs nothing: headers.sh DIR
# For a Debian older than 13, which has no such package, they come from Debian 13 of the same mirror.
set -eu
mkdir -p "$1"
cd "$1"
suite=trixie keyring=/usr/share/keyrings/debian-archive-keyring.gpg
if ! apt-get download libonnxruntime-dev 2>/dev/null; then
    # shellcheck disable=SC2016 # apt-get puts these in itself
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | head -n 1)
    [ -n "$mirror" ] || { echo "apt knows no Debian mirror: run apt-get update first" >&2; exit 1; }
    mkdir -p lists/partial cache/archives/partial
    : > status
    echo "deb [signed-by=$keyring] $mirror $suite main" > sources.list
    set -- -o Dir::Etc::SourceList="$PWD/sources.list" -o Dir::Etc::SourceParts=/nonexistent \
        -o Dir::State::Lists="$PWD/lists" -o Dir::Cache="$PWD/cache" -o Dir::State::Status="$PWD/status"
    apt-get -qq "$@" update
    apt-get -qq "$@" download libonnxruntime-dev
fi
dpkg -x libonnxruntime-dev_*.deb .
rm -rf lists cache status sources.list libonnxruntime-dev_*.deb
echo "$PWD/usr/include/onnxruntime"
