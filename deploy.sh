#!/usr/bin/env bash
# Builds, pushes and deploys the images to RunPod: docs/deploying.md, or ./deploy.sh --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

fail() {
  echo "deploy: $1" >&2
  exit 2
}

[[ -d node_modules ]] || fail 'the dependencies are not installed: run npm ci'
command -v git >/dev/null || fail 'git is not installed'
# The Node that comes with the dependencies, else the machine's.
PATH="$PWD/node_modules/.bin:$PATH"
node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 22 || (a == 22 && b >= 19) ? 0 : 1)' ||
  fail 'Node 22.19 or later is needed'
exec node scripts/deploy.ts "$@"
