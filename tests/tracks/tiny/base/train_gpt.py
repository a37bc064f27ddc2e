"""Train a very small language model on one thread in about a second.

    PATCHRUN_DATA=folder-of-train.bin PATCHRUN_OUT=folder python train_gpt.py

Reads PATCHRUN_DATA/train.bin, writes PATCHRUN_OUT/model.safetensors. PATCHRUN_STEPS=K stops after K optimizer
steps; the schedule stays that of the full run.
"""

import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

VOCAB = 300
CONTEXT = 32  # tokens
WIDTH = 32
BATCH = 16  # sequences a step
STEPS = 600
LEARNING_RATE = 5e-4


class Block(nn.Module):
    """Causal attention with one head, then a feed-forward layer."""

    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.mix = nn.Linear(WIDTH, WIDTH, bias=False)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x):
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        x = x + self.mix(F.scaled_dot_product_attention(q, k, v, is_causal=True))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Model(nn.Module):
    """Token ids [B, T] to logits [B, T, VOCAB]."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(VOCAB, WIDTH)
        self.places = nn.Embedding(CONTEXT, WIDTH)
        self.block = Block()
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, VOCAB, bias=False)
        self.apply(self._init)

    @staticmethod
    def _init(module):
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)

    def forward(self, ids):
        x = self.tokens(ids) + self.places.weight[: ids.shape[1]]
        return self.head(self.norm(self.block(x)))


def build_model():
    """An untrained model."""
    return Model()


def load_tokens(folder):
    """The training tokens, int64 [n]: a header of 256 int32, then uint16."""
    with Path(folder, "train.bin").open("rb") as file:
        header = np.frombuffer(file.read(1024), dtype=np.int32)
        assert header[0] == 20240520 and header[1] == 1, "not a token shard"
        return torch.from_numpy(np.frombuffer(file.read(), dtype=np.uint16).astype(np.int64))


def draw_batch(tokens):
    """Inputs and targets [BATCH, CONTEXT] from random places."""
    starts = torch.randint(len(tokens) - CONTEXT - 1, (BATCH, 1))
    rows = tokens[starts + torch.arange(CONTEXT + 1)]
    return rows[:, :-1], rows[:, 1:]


def learning_rate(step):
    """Constant."""
    return LEARNING_RATE


def main():
    tokens = load_tokens(os.environ["PATCHRUN_DATA"])
    model = build_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    last = min(STEPS, int(os.environ.get("PATCHRUN_STEPS") or STEPS))
    start = time.perf_counter()
    for step in range(1, last + 1):
        inputs, targets = draw_batch(tokens)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = learning_rate(step)
        optimizer.step()
        if step % 10 == 0 or step == last:
            ms = 1000 * (time.perf_counter() - start)
            print(f"step:{step}/{STEPS} train_loss:{loss.item():.4f} train_time:{ms:.0f}ms", flush=True)
    save_file(model.state_dict(), Path(os.environ["PATCHRUN_OUT"], "model.safetensors"))


if __name__ == "__main__":
    main()
