#!/bin/sh
# Is the worker alive, and is the GPU it was promised still there? A card that fell off the bus fails every job, while
# the process goes on.
set -eu

# Running, sleeping or waiting for a disk; not stopped, not dead.
grep -Eq '^State:[[:space:]]+[RSD]' "${1:-/proc/1/status}" || {
  echo 'process 1 does not run'
  exit 1
}
case "${REQUIRE_GPU:-0}" in
1 | true) nvidia-smi -L || exit 1 ;;
esac
