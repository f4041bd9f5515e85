#!/bin/sh
# The tests of `make firefox` drive Debian's Firefox. Install it when missing and permitted.
set -u
if command -v firefox-esr >/dev/null 2>&1 || command -v firefox >/dev/null 2>&1; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Firefox is missing: installing Debian's package ..."
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends firefox-esr >/dev/null && exit 0
fi
echo "Firefox is missing and could not be installed. Run: apt-get install firefox-esr" >&2
exit 1
