#!/bin/bash
#SBATCH --job-name=patchrun-be843c1b-2185b846d81a14c028a0
#SBATCH --array=0-4%4
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --gpus-per-node=8
#SBATCH --time=285
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=/shared/logs/%A_%a.out
#SBATCH --chdir=/
#SBATCH --export=NIL
#SBATCH --partition=h100
#SBATCH --account=speedruns
#SBATCH --constraint=nvlink
#SBATCH --mail-type=FAIL
set -e
export DATA_PATH='/data/it'"'"'s here'
export HOME=/home/ada
export PATH=/usr/bin
module load cuda/12.8
exec /opt/patchrun/bin/python -m patchrun block - <<'PATCHRUN_ORDER'
{
 "arena": "/shared/arena/.git",
 "race": false,
 "rejects": false,
 "remote": "",
 "sandbox": "default",
 "study": "2185b846d81a14c028a0",
 "version": 1
}
PATCHRUN_ORDER
