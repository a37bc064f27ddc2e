"""A script of our own in the shape of the real ladder's late records: a model that returns its loss, a warm-up."""

SPEEDRUN = """\
import copy
import glob
import os
import time
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn


def norm(x):
    return F.rms_norm(x, (x.size(-1),))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x):
        return x + self.down(F.relu(self.up(norm(x))).square())


class GPT(nn.Module):
    def __init__(self, vocab_size, num_layers, width):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(num_layers))
        self.lm_head = nn.Linear(width, vocab_size)

    def forward(self, inputs, targets, window):
        x = norm(self.embed(inputs))
        for block in self.blocks:
            x = block(x)
        x = norm(x)
        logits = self.lm_head(x)
        logits = 30 * torch.sigmoid(logits / 7.5)
        logits_for_loss = logits.float() if not self.training else logits
        if self.training:
            loss = F.cross_entropy(logits_for_loss, targets, reduction="sum")
        else:
            loss = F.cross_entropy(logits_for_loss, targets, reduction="mean")
        return loss


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr=0.02, momentum=0.95):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.add_(p.grad, alpha=-group["lr"])

    def reset(self):
        self.state.clear()


def _load_data_shard(file):
    header = torch.from_file(file, False, 256, dtype=torch.int32)
    return torch.from_file(file, False, int(header[2]), dtype=torch.int32)


def distributed_data_generator(filename_pattern, num_tokens, rank, world_size):
    files = iter(sorted(glob.glob(filename_pattern)))
    tokens, pos = _load_data_shard(next(files)), 0
    while True:
        if pos + world_size * num_tokens + 1 >= len(tokens):
            tokens, pos = _load_data_shard(next(files)), 0
        part = tokens[pos + rank * num_tokens :][: num_tokens + 1]
        yield part[:-1], part[1:]
        pos += world_size * num_tokens


@dataclass
class Hyperparameters:
    train_files: str = "data/fineweb10B/fineweb_train_*.bin"
    val_files: str = "data/fineweb10B/fineweb_val_*.bin"
    val_tokens: int = 10485760
    train_batch_size: int = 2048 * 16
    val_batch_size: int = 65536
    num_iterations: int = 1000
    val_loss_every: int = 125


args = Hyperparameters()
rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
master_process = rank == 0
logfile = "logs/run.txt"


def print0(s, console=False):
    if master_process:
        with open(logfile, "a") as f:
            if console:
                print(s)
            print(s, file=f)


def get_window(step):
    return 128 * (1 + step // 100)


model = GPT(50304, 12, 768).cuda()
for param in model.parameters():
    dist.broadcast(param.detach(), 0)
model = torch.compile(model, dynamic=False, fullgraph=True)
optimizer1 = torch.optim.AdamW(model.embed.parameters(), lr=0.01)
optimizer2 = Muon(model.blocks.parameters(), lr=0.02)
optimizers = [optimizer1, optimizer2]

warmup_steps = 10
initial_state = dict(
    model=copy.deepcopy(model.state_dict()), optimizers=[copy.deepcopy(opt.state_dict()) for opt in optimizers]
)
train_loader = distributed_data_generator(args.train_files, args.train_batch_size, rank, world_size)
for step in range(warmup_steps):
    inputs, targets = next(train_loader)
    model(inputs, targets, get_window(step)).backward()
    for opt in optimizers:
        opt.step()
    model.zero_grad(set_to_none=True)
model.load_state_dict(initial_state["model"])
for opt, opt_state in zip(optimizers, initial_state["optimizers"]):
    opt.load_state_dict(opt_state)
optimizer2.reset()
del train_loader, initial_state

train_loader = distributed_data_generator(args.train_files, args.train_batch_size, rank, world_size)
training_time_ms = 0
torch.cuda.synchronize()
t0 = time.perf_counter()
train_steps = args.num_iterations
for step in range(train_steps + 1):
    last_step = step == train_steps
    if last_step or (args.val_loss_every > 0 and step % args.val_loss_every == 0):
        torch.cuda.synchronize()
        training_time_ms += 1000 * (time.perf_counter() - t0)
        model.eval()
        val_steps = args.val_tokens // args.val_batch_size
        val_loader = distributed_data_generator(args.val_files, args.val_batch_size // world_size, rank, world_size)
        val_loss = 0
        with torch.no_grad():
            for _ in range(val_steps):
                inputs, targets = next(val_loader)
                val_loss += model(inputs, targets, get_window(step))
        val_loss /= val_steps
        del val_loader
        dist.all_reduce(val_loss, op=dist.ReduceOp.AVG)
        print0(f"step:{step}/{train_steps} val_loss:{val_loss:.4f} train_time:{training_time_ms:.0f}ms", console=True)
        model.train()
        torch.cuda.synchronize()
        t0 = time.perf_counter()
    if last_step:
        break
    inputs, targets = next(train_loader)
    model(inputs, targets, get_window(step)).backward()
    for opt in optimizers:
        opt.step()
    model.zero_grad(set_to_none=True)
    approx_training_time_ms = training_time_ms + 1000 * (time.perf_counter() - t0)
    print0(f"step:{step + 1}/{train_steps} train_time:{approx_training_time_ms:.0f}ms", console=True)
"""
