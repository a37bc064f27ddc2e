#!/bin/sh
# Start a Slurm cluster of two nodes on this host, without systemd: up.sh FOLDER. Then SLURM_CONF=FOLDER/slurm.conf is it.
# Everything lies in FOLDER, which must be short (socket names) and empty; down.sh FOLDER stops it. Needs munged,
# slurmctld, slurmd and root (or a user that slurmd may run as). Each node has two CPUs and eight made-up GPUs.
set -eu

die() { echo "up.sh: $*" >&2; exit 1; }

[ $# -eq 1 ] || die "usage: up.sh FOLDER"
export PATH="$PATH:/usr/sbin:/sbin"
for program in munged slurmctld slurmd sbatch squeue scontrol scancel; do
    command -v "$program" >/dev/null || die "$program is not installed (apt-get install slurmctld slurmd slurm-client munge)"
done
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
[ ${#folder} -lt 60 ] || die "$folder: too long a name for the sockets in it"
cd "$folder"
mkdir -p state spool.n1 spool.n2 log munge
chmod 755 . munge
chmod 711 munge

# five free ports, looked up once: the daemons want them by number
ports=$(python3 - <<'PYTHON'
import socket
held = [socket.socket() for _ in range(3)]
for each in held:
    each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in held))
PYTHON
)
set -- $ports
user=$(id -un)
host=$(hostname -s)
memory=$(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo)

# a GPU is a device node; clones of /dev/null do, and then CUDA_VISIBLE_DEVICES is set
gpus=""
for number in 0 1 2 3 4 5 6 7; do
    [ -e "gpu$number" ] || mknod "gpu$number" c 1 3 2>/dev/null || ln -s /dev/null "gpu$number"
    gpus="$gpus gpu$number"
done
echo "Name=gpu File=$folder/gpu[0-7]" >gres.conf

# cred_expire is also what a requeued job waits before it starts again: two minutes otherwise
cat >slurm.conf <<CONF
ClusterName=patchrun
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$1
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$folder/munge/socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool.%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/log/slurmctld
SlurmdLogFile=$folder/log/slurmd.%n
SlurmctldDebug=info
SlurmdDebug=info
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
SlurmctldTimeout=10
SlurmdTimeout=10
KillWait=2
MinJobAge=${PATCHRUN_SLURM_MIN_JOB_AGE:-300}
OverTimeLimit=0
InactiveLimit=0
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/log/jobcomp
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$2 CPUs=2 RealMemory=$memory Gres=gpu:8 State=UNKNOWN
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$3 CPUs=2 RealMemory=$memory Gres=gpu:8 State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
PartitionName=closed Nodes=n1,n2 State=DOWN
CONF
touch log/jobcomp

trap 'sh "$here/down.sh" "$folder"' EXIT
[ -e munge/key ] || { head -c 128 /dev/urandom >munge/key && chmod 400 munge/key; }
munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/munge/pid" \
    --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"
export SLURM_CONF="$folder/slurm.conf"
slurmctld -f "$SLURM_CONF"
sh "$here/node.sh" "$folder" n1
sh "$here/node.sh" "$folder" n2

tries=0
until [ "$(sinfo --noheader --format='%t %D' --partition=main 2>/dev/null)" = "idle 2" ]; do
    tries=$((tries + 1))
    [ $tries -lt 150 ] || { tail -n 20 log/*; die "the nodes do not become idle"; }
    sleep 0.2
done
trap - EXIT
echo "SLURM_CONF=$SLURM_CONF"
