#!/bin/sh
# Installs what packages.txt lists and this machine lacks. Asks for root only when something is missing.
set -eu
cd "$(dirname "$0")"
missing=
for package in $(grep -v '^#' packages.txt); do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "installing Debian packages:$missing"
root=
[ "$(id -u)" = 0 ] || root=sudo
$root apt-get update -qq
# shellcheck disable=SC2086  # a list of package names
DEBIAN_FRONTEND=noninteractive $root apt-get install --yes --quiet --no-install-recommends $missing
