#!/bin/sh
# The main job on real text: two invented agents, two records, real training, a leaderboard and a head-to-head.
# Usage: demo.sh ARENA   (a new folder; an arena that is there already is used again)
set -eu
arena=${1:-demo-arena}
here=$(dirname "$0")
jobs=$(nproc)
[ "$jobs" -le 2 ] || jobs=2

say() { printf '\n$ %s\n' "$*"; "$@"; }

[ -d "$arena" ] || say patchrun init "$arena"
export PATCHRUN_ARENA="$arena"

# Rejected before anything is trained: exit code 1, and the attempt is kept.
say patchrun submit "$here/record-7-protected.diff" --record 7 --agent heron || true

for one in finch:7:most heron:7:partly finch:8:neutral heron:8:most; do
    agent=${one%%:*} rest=${one#*:} record=${rest%%:*}
    say patchrun submit "$here/record-$record-${rest#*:}.diff" --record "$record" --agent "$agent" --no-run
done

say patchrun run --pending --jobs "$jobs" || true
say patchrun leaderboard
say patchrun versus finch heron
