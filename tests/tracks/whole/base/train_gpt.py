"""A language model of a few thousand parameters, trained by a few processes that each take a part of the batch.

    torchrun --standalone --nproc_per_node=2 train_gpt.py

It reads token shards, validates itself and writes logs/RUN.txt: its own source, its environment, its steps.
"""

import sys

with open(sys.argv[0]) as f:
    code = f.read()
import glob
import os
import time
import uuid

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

train_files = "data/fineweb10B/fineweb_train_*.bin"
val_files = "data/fineweb10B/fineweb_val_*.bin"
val_tokens = 2048
val_loss_every = 20
train_steps = 60
VOCAB = 16
BATCH = 1024  # pairs of tokens a step, over all processes
LEARNING_RATE = 0.03
PAUSE = 0.02  # seconds a step, in place of real work

rank = int(os.environ["RANK"])
world_size = int(os.environ["WORLD_SIZE"])
dist.init_process_group("gloo")
torch.set_num_threads(1)

run_id = uuid.uuid4()
if rank == 0:
    os.makedirs("logs", exist_ok=True)


def print0(s, console=False):
    if rank == 0:
        with open(f"logs/{run_id}.txt", "a") as f:
            if console:
                print(s)
            print(s, file=f)


def _load_data_shard(file):
    with open(file, "rb") as f:
        header = np.frombuffer(f.read(1024), dtype=np.int32)
        assert header[0] == 20240520 and header[1] == 1, "not a token shard"
        return torch.from_numpy(np.frombuffer(f.read(), dtype=np.uint16).astype(np.int64))


def load(pattern):
    files = sorted(glob.glob(os.path.join(os.environ.get("DATA_PATH", "."), pattern)))
    return torch.cat([_load_data_shard(file) for file in files])


print0(code)
print0("=" * 100)
print0(f"Running Python {sys.version}")
print0(f"Running PyTorch {torch.__version__} compiled for CUDA {torch.version.cuda}")
print0("=" * 100)

train, val = load(train_files), load(val_files)[: val_tokens + 1]
model = nn.Sequential(nn.Embedding(VOCAB, 8), nn.Linear(8, VOCAB))
for parameter in model.parameters():
    dist.broadcast(parameter.data, 0)
optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)

training_time_ms = 0
t0 = time.perf_counter()
for step in range(train_steps + 1):
    last_step = step == train_steps
    if last_step or step % val_loss_every == 0:
        training_time_ms += 1000 * (time.perf_counter() - t0)
        with torch.no_grad():
            val_loss = F.cross_entropy(model(val[:-1]), val[1:])
        time.sleep(0.05)
        dist.all_reduce(val_loss, op=dist.ReduceOp.AVG)
        print0(
            f"step:{step}/{train_steps} val_loss:{val_loss:.4f} train_time:{training_time_ms:.0f}ms "
            f"step_avg:{training_time_ms / max(step, 1):.2f}ms",
            console=True,
        )
        t0 = time.perf_counter()
    if last_step:
        break
    places = torch.randint(len(train) - 1, (BATCH // world_size,))
    F.cross_entropy(model(train[places]), train[places + 1]).backward()
    for parameter in model.parameters():
        dist.all_reduce(parameter.grad, op=dist.ReduceOp.AVG)
    optimizer.step()
    optimizer.zero_grad()
    time.sleep(PAUSE)
    approx_training_time_ms = training_time_ms + 1000 * (time.perf_counter() - t0)
    print0(
        f"step:{step + 1}/{train_steps} train_time:{approx_training_time_ms:.0f}ms "
        f"step_avg:{approx_training_time_ms / (step + 1):.2f}ms",
        console=True,
    )

dist.destroy_process_group()
