#!/bin/sh
# Start the slurmd of one node (n1 or n2), also again after it was killed: node.sh FOLDER NODE.
set -eu
export PATH="$PATH:/usr/sbin:/sbin"
SLURM_CONF="$1/slurm.conf" exec slurmd -f "$1/slurm.conf" -N "$2"
