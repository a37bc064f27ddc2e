"""Train a small GPT-2 style language model on one CPU thread, a GPU, or several processes.

    PATCHRUN_DATA=folder-with-train.bin python train_gpt.py
    PATCHRUN_DATA=... torchrun --nproc-per-node 2 train_gpt.py

Reads PATCHRUN_DATA/train.bin, writes PATCHRUN_OUT/model.safetensors (default: the working directory).
PATCHRUN_STEPS=K stops after K steps of the unchanged schedule; PATCHRUN_SEED (default 0) seeds a run by hand.
Importing this file trains nothing: `build_model()` gives the untrained model.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

# ---------------------------------------------------------------- settings

VOCAB_SIZE = 512  # entries; the track's tokenizer
CONTEXT = 128  # tokens a sequence
LAYERS = 3
WIDTH = 64  # channels
HEADS = 2
INIT_STD = 0.02

STEPS = 2260  # optimizer steps
BATCH_SIZE = 8  # sequences a step, all processes together
LEARNING_RATE = 1e-3
BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.1
CLIP_NORM = 1.0  # largest gradient norm

# ---------------------------------------------------------------- model


class Attention(nn.Module):
    """Causal self-attention, [B, T, WIDTH] to [B, T, WIDTH]."""

    def __init__(self):
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (split_heads(part(x)) for part in (self.query, self.key, self.value))
        scores = q @ k.transpose(-2, -1) / (C // HEADS) ** 0.5  # [B, HEADS, T, T]
        future = torch.ones(T, T, dtype=torch.bool, device=x.device).triu(1)
        weights = scores.masked_fill(future, float("-inf")).softmax(dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(B, T, C))


def split_heads(x):
    """[B, T, WIDTH] to [B, HEADS, T, WIDTH / HEADS]."""
    B, T, C = x.shape
    return x.view(B, T, HEADS, C // HEADS).transpose(1, 2)


class MLP(nn.Module):
    """Two layers with a hidden width of 4 x WIDTH, applied to each position alone."""

    def __init__(self):
        super().__init__()
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        return self.down(F.gelu(self.up(x)))


class Block(nn.Module):
    """Attention, then MLP, each reading a normalised copy of the stream and adding to it."""

    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH)
        self.attention = Attention()
        self.norm2 = nn.LayerNorm(WIDTH)
        self.mlp = MLP()

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    """Token ids [B, T], T at most CONTEXT, to logits [B, T, VOCAB_SIZE]."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB_SIZE, WIDTH)
        self.positions = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.apply(init_weights)

    def forward(self, tokens):
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.embedding(tokens) + self.positions(places)
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.embedding.weight)  # the head shares the embedding's weights


def init_weights(module):
    """Small normal weights and zero biases, for linear layers and embeddings."""
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=INIT_STD)
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=INIT_STD)
        nn.init.zeros_(module.bias)


def build_model():
    """The untrained model."""
    return GPT()


# ---------------------------------------------------------------- optimizer


def build_optimizers(model):
    """The optimizers, each with parameters of its own."""
    return [torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=BETAS, weight_decay=WEIGHT_DECAY)]


# ---------------------------------------------------------------- data (protected: patches leave these as they are)


def load_shard(path):
    """The tokens of a shard, int64 [n]: a header of 256 int32 (magic, version, count), then uint16 tokens."""
    header = np.fromfile(path, dtype=np.int32, count=256)
    if header[:2].tolist() != [20240520, 1]:
        sys.exit(f"{path}: not a token shard")
    tokens = np.fromfile(path, dtype=np.uint16, offset=1024)
    if len(tokens) != header[2]:
        sys.exit(f"{path}: {header[2]} tokens expected, {len(tokens)} found")
    return torch.from_numpy(tokens.astype(np.int64))


def batches(tokens, batch_size, context, rank, world, device):
    """Yield (inputs, targets), int64 [batch_size / world, context], from random places, without end.

    All processes draw the same places from the run's seed, and each takes its share.
    """
    if batch_size % world:
        sys.exit(f"a batch of {batch_size} sequences cannot be shared by {world} processes")
    draw = torch.Generator().manual_seed(torch.initial_seed())
    while True:
        starts = torch.randint(len(tokens) - context, (batch_size,), generator=draw)[rank::world]
        windows = torch.stack([tokens[start : start + context + 1] for start in starts.tolist()]).to(device)
        yield windows[:, :-1], windows[:, 1:]


# ---------------------------------------------------------------- run (protected, as the data)


def start_processes():
    """(rank, world, device) of this process, after joining the others if torchrun started it."""
    world = int(os.environ.get("WORLD_SIZE", 1))
    local = int(os.environ.get("LOCAL_RANK", 0))
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return int(os.environ.get("RANK", 0)), world, device


def seed_by_hand():
    """Seed torch from PATCHRUN_SEED (default 0) if python was started on this file; a launcher has seeded it before."""
    if Path(__file__).name in [Path(word).name for word in sys.orig_argv]:
        torch.manual_seed(int(os.environ.get("PATCHRUN_SEED", 0)))


def data_file():
    """The path of the training shard."""
    folder = os.environ.get("PATCHRUN_DATA")
    if not folder:
        sys.exit("PATCHRUN_DATA is not set: `patchrun init DIR --track pocket` makes the folder to set it to")
    return Path(folder) / "train.bin"


def steps_to_run(steps):
    """How many steps to take: `steps`, or fewer if PATCHRUN_STEPS says so (0 saves the untrained model)."""
    return min(steps, int(os.environ.get("PATCHRUN_STEPS", steps)))


def save_model(model):
    """Write the weights to PATCHRUN_OUT/model.safetensors."""
    folder = Path(os.environ.get("PATCHRUN_OUT", "."))
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors")


# ---------------------------------------------------------------- training


def average_over_processes(value, world):
    """Replace a tensor by its mean over all processes, in place."""
    if world > 1:
        dist.all_reduce(value)
        value /= world


def learning_rate_factor(step):
    """What the learning rates are multiplied by at `step` (0 to STEPS - 1)."""
    return 1.0


def settings():
    """All settings above, one a line."""
    known = [(name, value) for name, value in globals().items() if name.isupper()]
    return "\n".join(f"{name.lower()}: {value}" for name, value in known if isinstance(value, int | float | tuple))


def main():
    rank, world, device = start_processes()
    seed_by_hand()
    model = build_model().to(device)
    optimizers = build_optimizers(model)
    loader = batches(load_shard(data_file()), BATCH_SIZE, CONTEXT, rank, world, device)
    last = steps_to_run(STEPS)
    if rank == 0:
        parameters = sum(p.numel() for p in model.parameters())
        print(f"{settings()}\nparameters: {parameters}\ndevice: {device}\nprocesses: {world}", flush=True)

    began = time.perf_counter()
    for step in range(last):
        inputs, targets = next(loader)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        loss.backward()
        for parameter in model.parameters():
            average_over_processes(parameter.grad, world)
        nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * learning_rate_factor(step)
            optimizer.step()
            optimizer.zero_grad()
        if (step + 1) % 10 == 0 or step + 1 == last:
            shown = loss.detach()
            average_over_processes(shown, world)
            if rank == 0:
                spent = 1000 * (time.perf_counter() - began)
                print(f"step:{step + 1}/{STEPS} train_loss:{shown.item():.4f} train_time:{spent:.0f}ms", flush=True)

    if rank == 0:
        save_model(model)
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
