"""Small language models as good engineers write them: every one must pass from its module to logits.

Each maps token ids [B, T] to logits [B, T, V]; ``HONEST`` lists them by name.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

B, T, V, W, H = 4, 16, 32, 16, 2


class Mixer(nn.Module):
    """Embedding, ``mix`` on the stream [B, T, W], norm and head."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(V, W)
        self.norm = nn.LayerNorm(W)
        self.head = nn.Linear(W, V)
        self.build()

    def build(self):
        self.inner = nn.Linear(W, W)

    def mix(self, x):
        return self.inner(x)

    def forward(self, ids):
        x = self.embedding(ids)
        return self.head(self.norm(x + self.mix(x)))


class Heads(Mixer):
    """Causal attention; ``attend`` gets q, k, v [B, H, T, W / H]."""

    def build(self):
        self.qkv, self.out = nn.Linear(W, 3 * W), nn.Linear(W, W)

    def mix(self, x):
        q, k, v = self.qkv(x).view(*x.shape[:2], 3, H, -1).permute(2, 0, 3, 1, 4)
        return self.out(self.attend(q, k, v).transpose(1, 2).flatten(2))

    def attend(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)


class MaskBuffer(Heads):
    """The mask of nanoGPT: a saved buffer."""

    def build(self):
        super().build()
        self.register_buffer("bias", torch.tril(torch.ones(T, T)).view(1, 1, T, T))

    def attend(self, q, k, v):
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, : q.size(2), : q.size(2)] == 0, float("-inf"))
        return F.softmax(att, dim=-1) @ v


class MaskUnsaved(MaskBuffer):
    """The same mask outside the saved model."""

    def build(self):
        Heads.build(self)
        self.register_buffer("bias", torch.tril(torch.ones(T, T)).view(1, 1, T, T), persistent=False)


class RotaryBuffer(Heads):
    """Tables of cos and sin made once, not saved, rotated as in Llama."""

    def build(self):
        super().build()
        angles = torch.outer(torch.arange(T).float(), 1e4 ** (-torch.arange(0, W // H, 2) / (W // H)))
        self.register_buffer("cos", angles.cos().repeat(1, 2), persistent=False)
        self.register_buffer("sin", angles.sin().repeat(1, 2), persistent=False)

    def rotate(self, x):
        half = x.shape[-1] // 2
        turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
        return x * self.cos[: x.shape[-2]] + turned * self.sin[: x.shape[-2]]

    def attend(self, q, k, v):
        return super().attend(self.rotate(q), self.rotate(k), v)


@lru_cache
def rotary_tables(length, width):
    angles = torch.arange(length)[:, None] * 1e4 ** (-torch.arange(0, width, 2) / width)
    return angles.cos(), angles.sin()


class RotaryCached(Heads):
    """Tables from a cache, even and odd channels turned in place."""

    def attend(self, q, k, v):
        cos, sin = rotary_tables(q.shape[-2], q.shape[-1])
        turned = []
        for x in (q, k):
            y = torch.empty_like(x)
            y[..., ::2] = x[..., ::2] * cos - x[..., 1::2] * sin
            y[..., 1::2] = x[..., ::2] * sin + x[..., 1::2] * cos
            turned.append(y)
        return super().attend(*turned, v)


class RotaryStacked(Heads):
    """Even and odd channels by stack and flatten."""

    def attend(self, q, k, v):
        cos, sin = rotary_tables(q.shape[-2], q.shape[-1])

        def rotate(x):
            even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
            return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)

        return super().attend(rotate(q), rotate(k), v)


class LazyMask(Heads):
    """A mask that is made when it is first needed."""

    mask = None

    def attend(self, q, k, v):
        if self.mask is None:
            self.mask = torch.full((T, T), float("-inf")).triu(1)
        return torch.softmax(torch.matmul(q, k.mT) / q.shape[-1] ** 0.5 + self.mask, -1).matmul(v)


class Alibi(Heads):
    """Scores fall with distance; einsum for the products."""

    def attend(self, q, k, v):
        place = torch.arange(q.shape[-2])
        slopes = torch.tensor([2.0 ** -(h + 1) for h in range(H)])
        bias = -(place[:, None] - place[None]).abs() * slopes[:, None, None]
        scores = torch.einsum("bhid,bhjd->bhij", q, k) * q.shape[-1] ** -0.5 + bias
        scores = torch.where(place[:, None] >= place[None], scores, torch.finfo(scores.dtype).min)
        return torch.einsum("bhij,bhjd->bhid", scores.softmax(-1), v)


class RelativeBias(Heads):
    """A learned bias by clipped distance, looked up by an index."""

    def build(self):
        super().build()
        self.relative = nn.Parameter(torch.zeros(2 * T - 1, H))

    def attend(self, q, k, v):
        place = torch.arange(q.shape[-2])
        bias = self.relative[(place[:, None] - place[None]) + T - 1].permute(2, 0, 1)
        mask = torch.ones(T, T, dtype=torch.bool).tril()
        bias = bias.masked_fill(~mask, float("-inf"))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


class SharedKeys(Heads):
    """One key and value head for all query heads, QK-norm, a soft cap."""

    def attend(self, q, k, v):
        q, k = F.normalize(q, dim=-1), F.normalize(k[:, :1], dim=-1)
        scores = 8.0 * torch.tanh((q @ k.expand_as(q).transpose(-2, -1)) / 0.3)
        scores = scores + torch.full((T, T), -1e9).triu(1)
        return F.softmax(scores, -1, dtype=torch.float32).type_as(v) @ v[:, :1].repeat_interleave(H, 1)


class SlidingWindow(Heads):
    """Attention to the last four positions."""

    def attend(self, q, k, v):
        distance = torch.arange(T)[:, None] - torch.arange(T)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=(distance >= 0) & (distance < 4))


class Gates(Mixer):
    """SwiGLU, RMS norm by hand, learned scales."""

    def build(self):
        self.up, self.gate, self.down = (
            nn.Linear(W, 2 * W),
            nn.Linear(W, 2 * W, bias=False),
            nn.Linear(2 * W, W),
        )
        self.scale = nn.Parameter(torch.ones(W))

    def mix(self, x):
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.scale
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Experts(Mixer):
    """A dense mixture: all experts computed, weighted by a softmax."""

    def build(self):
        self.router = nn.Linear(W, 3)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(W, W), nn.ReLU(), nn.Linear(W, W)) for _ in range(3)
        )

    def mix(self, x):
        shares = self.router(x).softmax(-1).unsqueeze(-2)
        return (torch.stack([expert(x) for expert in self.experts], -1) * shares).sum(-1)


class TopExpert(Experts):
    """The best expert by a comparison with the largest score."""

    def mix(self, x):
        scores = self.router(x)
        best = scores == scores.amax(-1, keepdim=True)
        outputs = torch.stack([expert(x) for expert in self.experts], -1)
        return (outputs * (best * scores.sigmoid()).unsqueeze(-2)).sum(-1)


class Convolution(Mixer):
    """A causal depthwise convolution in front of a pointwise one."""

    def build(self):
        self.depth = nn.Conv1d(W, W, 4, groups=W, padding=3)
        self.point = nn.Conv1d(W, W, 1)

    def mix(self, x):
        y = self.depth(x.transpose(1, 2))[..., : x.shape[1]]
        return self.point(F.gelu(y, approximate="tanh")).transpose(1, 2)


class Recurrent(Mixer):
    """nn.GRU."""

    def build(self):
        self.rnn = nn.GRU(W, W, batch_first=True)

    def mix(self, x):
        return self.rnn(x)[0]


class LongShort(Mixer):
    """nn.LSTM."""

    def build(self):
        self.rnn = nn.LSTM(W, W, num_layers=2, batch_first=True)

    def mix(self, x):
        return self.rnn(x)[0]


class Scan(Mixer):
    """A gated recurrence, step by step."""

    def build(self):
        self.decay, self.value = nn.Linear(W, W), nn.Linear(W, W)

    def mix(self, x):
        decay, value = torch.sigmoid(self.decay(x)), self.value(x)
        state, states = torch.zeros_like(value[:, 0]), []
        for t in range(x.shape[1]):
            state = decay[:, t] * state + (1 - decay[:, t]) * value[:, t]
            states.append(state)
        return torch.stack(states, dim=1)


class Average(Mixer):
    """A running mean by cumsum, and the position before by roll and pad."""

    def mix(self, x):
        count = torch.arange(1, x.shape[1] + 1).view(1, -1, 1)
        before = F.pad(x, (0, 0, 1, 0))[:, :-1]
        return self.inner(torch.cumsum(x, 1) / count) + before.lerp(x, 0.3)


class Tied(Mixer):
    """The head is the embedding."""

    def build(self):
        super().build()
        self.head.weight = self.embedding.weight


class WeightNorm(Mixer):
    def build(self):
        self.inner = nn.utils.parametrizations.weight_norm(nn.Linear(W, W))


class Dropped(Mixer):
    """Dropout and a branch on ``self.training``."""

    def build(self):
        self.inner, self.drop = nn.Linear(W, W), nn.Dropout(0.1)

    def mix(self, x):
        y = self.drop(self.inner(x))
        if self.training:
            y = y + 0.01 * torch.randn_like(y)
        return F.dropout(y, 0.1, self.training)


class InPlace(Mixer):
    """In-place arithmetic and slice assignment."""

    def mix(self, x):
        y = self.inner(x).clone()
        y += 1
        y.mul_(0.5).clamp_(-3, 3)
        y[:, 0] = 0
        y[..., : W // 2] *= 2
        return y


class Checkpointed(Mixer):
    def mix(self, x):
        return checkpoint(self.inner, x, use_reentrant=False)


class Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.relu() ** 2

    @staticmethod
    def backward(ctx, grad):
        return 2 * grad * ctx.saved_tensors[0].relu()


class OwnGradient(Mixer):
    """A custom autograd Function."""

    def mix(self, x):
        return self.inner(Squared.apply(x))


@torch.compile
def compiled_gelu(x):
    return F.gelu(x) * 1.1


class Compiled(Mixer):
    """A compiled function and a compiled submodule."""

    def build(self):
        self.inner = torch.compile(nn.Linear(W, W))

    def mix(self, x):
        return compiled_gelu(self.inner(x))


class Autocast(Mixer):
    """bfloat16 in the middle."""

    def mix(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self.inner(x)
        return y.float()


class HalfWeights(Mixer):
    """Weights kept in bfloat16, logits in float32."""

    def build(self):
        super().build()
        self.bfloat16()

    def forward(self, ids):
        return super().forward(ids).float()


class Mapped(Mixer):
    """vmap over the batch."""

    def mix(self, x):
        return torch.vmap(lambda row: self.inner(row) + row.mean(-1, keepdim=True))(x)


class ByteShares(Mixer):
    """Features of the token ids themselves: bits, parity, the token before."""

    def build(self):
        self.bits, self.inner = nn.Linear(5, W), nn.Linear(W, W)
        self.before = nn.Embedding(V, W)

    def forward(self, ids):
        bits = ((ids[..., None] >> torch.arange(5)) & 1).float()
        before = torch.cat((torch.zeros_like(ids[:, :1]), ids[:, :-1]), 1)
        x = self.embedding(ids) + self.bits(bits) + self.before(before) * (ids % 2 == 0)[..., None]
        return self.head(self.norm(x + self.inner(x)))


class OneHotHead(Mixer):
    """A bigram bias added to the logits by a lookup."""

    def build(self):
        super().build()
        self.bigram = nn.Parameter(torch.zeros(V, V))

    def forward(self, ids):
        logits = super().forward(ids) + self.bigram[ids]
        return 15 * torch.tanh(logits / 15)


class ValueEmbeddings(Heads):
    """Embeddings mixed into the values, a learned skip, as in the speedrun."""

    def build(self):
        super().build()
        self.values, self.mixing = nn.Embedding(V, W), nn.Parameter(torch.tensor([1.0, 0.0]))
        self.skip = nn.Parameter(torch.tensor(0.5))

    def forward(self, ids):
        x = F.rms_norm(self.embedding(ids), (W,))
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        v = self.mixing[0] * v + self.mixing[1] * self.values(ids)
        q, k, v = (part.view(*ids.shape, H, -1).transpose(1, 2) for part in (q, k, v))
        y = self.out(self.attend(q, k, v).transpose(1, 2).contiguous().view_as(x))
        return self.head(self.norm(x + self.skip * y)).float()


class GroupedNorm(Mixer):
    def build(self):
        self.inner, self.group = nn.Linear(W, W), nn.GroupNorm(4, W)

    def mix(self, x):
        return self.group(self.inner(x).flatten(0, 1)).view_as(x)


class StockAttention(Mixer):
    """nn.MultiheadAttention under a mask."""

    def build(self):
        self.attention = nn.MultiheadAttention(W, H, batch_first=True)

    def mix(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.attention(x, x, x, attn_mask=mask, need_weights=False, is_causal=True)[0]


class StockEncoder(Mixer):
    """nn.TransformerEncoderLayer under a mask."""

    def build(self):
        self.layer = nn.TransformerEncoderLayer(W, H, 2 * W, 0.0, batch_first=True, norm_first=True)

    def mix(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.layer(x, src_mask=mask, is_causal=True)


class StepSizes(Mixer):
    """Statistics of the stream: var, std, max, logsumexp, argmax as a feature."""

    def build(self):
        self.inner = nn.Linear(W + 5, W)

    def mix(self, x):
        parts = (x.var(-1, keepdim=True), x.std(-1, keepdim=True), x.max(-1, keepdim=True).values)
        more = (x.logsumexp(-1, keepdim=True), x.argmax(-1, keepdim=True).float() / W)
        return self.inner(torch.cat((x, *parts, *more), -1))


HONEST = {
    kind.__name__: kind for kind in globals().values() if isinstance(kind, type) and issubclass(kind, Mixer)
}
