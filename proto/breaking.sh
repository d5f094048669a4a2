#!/usr/bin/env bash
# breaking.sh BUF: can programs built from an earlier commit still talk to this one? Earlier is where this branch left main; on main, the commit before.
set -euo pipefail
cd "$(dirname "$0")/.."

earlier() {
  local fork
  for main in origin/main main; do
    fork=$(git merge-base HEAD "$main" 2>/dev/null) || continue
    [ "$fork" != "$(git rev-parse HEAD)" ] && { echo "$fork"; return; }
  done
  git rev-parse --verify --quiet HEAD~1 || true
}

base=$(earlier)
if [ -z "$base" ] || ! git cat-file -e "$base:proto/watchdesk" 2>/dev/null; then
  echo "no earlier wire to compare with"
  exit 0
fi
before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
git archive "$base" proto/buf.yaml proto/watchdesk | tar -x -C "$before"
"$1" breaking proto --against "$before/proto"
echo "compatible with $(git rev-parse --short "$base")"
