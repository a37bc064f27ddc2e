#!/bin/sh
# Stop the cluster that up.sh started in FOLDER, with whatever its jobs left running: down.sh FOLDER.
set -u
folder=$(cd "$1" && pwd) || exit 1
export PATH="$PATH:/usr/sbin:/sbin" SLURM_CONF="$folder/slurm.conf"

alive() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }
pid_of() { cat "$folder/$1" 2>/dev/null; }

squeue --noheader --format=%A 2>/dev/null | sort -u | xargs -r scancel --signal=KILL --full 2>/dev/null
scancel --user="$(id -un)" 2>/dev/null
# a step outlives its slurmd: it is known by the folder's name in its words
for step in $(pgrep -f "slurmstepd: \[" 2>/dev/null); do
    if tr '\0' '\n' <"/proc/$step/environ" 2>/dev/null | grep -q "^SLURM_CONF=$SLURM_CONF$"; then
        pkill -KILL -P "$step" 2>/dev/null
        kill -KILL "$step" 2>/dev/null
    fi
done
for name in slurmd.n1.pid slurmd.n2.pid slurmctld.pid munge/pid; do
    pid=$(pid_of "$name")
    tries=0
    if alive "$pid"; then kill "$pid"; fi
    while alive "$pid" && [ $tries -lt 50 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    if alive "$pid"; then kill -KILL "$pid"; fi
done
exit 0
