#!/bin/sh
# The browser tests drive Debian's Chromium. Install it when missing and permitted; under CI its absence is a failure.
set -u
if command -v chromium >/dev/null 2>&1; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Chromium is missing: installing Debian's package ..."
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null && exit 0
fi
echo "Chromium is missing and could not be installed. Run: apt-get install chromium" >&2
if [ "${CI:-}" = "true" ]; then exit 1; fi
echo "The browser tests will be skipped." >&2
