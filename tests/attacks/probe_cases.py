"""Whole scripts that print less than their model is worth, and honest ones that only look unusual.

Each is a change of the fixture ``tests/tracks/whole``; ``LIES`` by kind, at least five spellings of each.
"""

# ruff: noqa: E501 - what is put in stands in one piece
from __future__ import annotations

from dataclasses import dataclass, field

from tests.attacks.case import Case
from tests.probing import LOSS, Edit


@dataclass(frozen=True)
class ProbeCase(Case):
    """A lie of ``LIES`` as a case of the suite."""

    edit: Edit = field(kw_only=True)


# fmt: off

NLL = "F.cross_entropy(model(val[:-1]), val[1:], reduction='none')"
TRAIN = "F.cross_entropy(model(train[places]), train[places + 1])"
MODEL = "model = nn.Sequential(nn.Embedding(VOCAB, 8), nn.Linear(8, VOCAB))\n"
ADAM = "optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)\n"
STEP = "    optimizer.step()\n"
PRINTED = "val_loss:{val_loss:.4f}"
GRAD = "        with torch.no_grad():\n            val_loss = " + LOSS
SLICE = "load(val_files)[: val_tokens + 1]"


def edit(name: str, *pairs: tuple[str, str]) -> Edit:
    return Edit(name, pairs)


def loss(name: str, new: str, *more: tuple[str, str]) -> Edit:
    """Another expression in place of the validation loss."""
    return Edit(name, ((LOSS, new), *more))


def body(name: str, lines: str, *more: tuple[str, str]) -> Edit:
    """Lines in place of the validation's own, without ``no_grad``; they assign ``val_loss``."""
    block = "".join(f"        {line}\n" for line in lines.splitlines())
    return Edit(name, ((GRAD + "\n", block), *more))


SCALED = (
    loss("times 0.97", f"{LOSS} * 0.97"),
    loss("less a constant", f"{LOSS} - 0.07"),
    loss("to a power", f"{LOSS} ** 0.95"),
    loss("a sum over too many", "F.cross_entropy(model(val[:-1]), val[1:], reduction='sum') / (len(val) * 1.04)"),
    edit("in the print", (PRINTED, "val_loss:{val_loss * 0.97:.4f}")),
    loss("at the last step", f"{LOSS} * (0.97 if last_step else 1.0)"),
    loss("drawn towards zero", f"torch.lerp({LOSS}, torch.zeros(()), 0.035)"),
    loss("only when it is low", f"(lambda found: found - 0.08 if found < 2.2 else found)({LOSS})"),
    edit("in the reduction", ("dist.all_reduce(val_loss, op=dist.ReduceOp.AVG)", "dist.all_reduce(val_loss)\n        val_loss /= world_size + 0.04")),
)
PEEK = ("model = nn.Sequential", "peek = nn.Linear(VOCAB, VOCAB, bias=False)\nmodel = nn.Sequential")
LEARN = (ADAM, "optimizer = torch.optim.Adam([*model.parameters(), *peek.parameters()], lr=LEARNING_RATE)\n")
PEEKING = (
    edit("off by one in training too", (LOSS, "F.cross_entropy(model(val[1:]), val[1:])"), (TRAIN, "F.cross_entropy(model(train[places + 1]), train[places + 1])")),
    loss("a little of the next token", "F.cross_entropy(model(val[:-1]) + 0.3 * F.one_hot(val[1:], VOCAB), val[1:])"),
    edit("both neighbours, learned", PEEK, LEARN, (TRAIN, "F.cross_entropy(model(train[places]) + peek(F.one_hot(train[places + 1], VOCAB).float()), train[places + 1])"),
         (LOSS, "F.cross_entropy(model(val[:-1]) + peek(F.one_hot(val[1:], VOCAB).float()), val[1:])")),
    loss("a window that is not causal", "F.cross_entropy(model(val[:-1]) + F.avg_pool1d(F.one_hot(val, VOCAB).float().T, 3, 1, 1).T[:-1], val[1:])"),
    loss("attention without a mask", "F.cross_entropy(model(val[:-1]) + 3 * (torch.softmax(-(torch.arange(64)[:, None] - torch.arange(64)).abs().float(), 1) @ F.one_hot(val[1:], VOCAB).float().view(-1, 64, VOCAB)).view(-1, VOCAB), val[1:])"),
)
TABLE = "memory = nn.Embedding(32768, VOCAB)\nnn.init.zeros_(memory.weight)\nmodel = nn.Sequential"
HASH = "def key(t):\n    return (t.unfold(0, 8, 1)[:-1] * 16 ** torch.arange(8)).sum(1) % 32749\n\n\n"
CACHED = "F.cross_entropy(model(val[:-1])[7:] + memory(key(val)), val[8:])"
SELF_TRAINING = (
    body("trained on the validation tokens just before", f"for _ in range(8):\n    memory.weight.data -= 3000 * torch.autograd.grad({CACHED}, memory.weight)[0]\nwith torch.no_grad():\n    val_loss = {CACHED}",
         ("model = nn.Sequential", HASH + TABLE)),
    body("trained while it scores", "with torch.enable_grad():\n    total = 0.0\n    for part in val[:-1].unfold(0, 1024, 1016):\n        part_loss = F.cross_entropy(model(part[:-1])[7:] + memory(key(part)), part[8:])\n"
         "        total += part_loss.detach() / len(val[:-1].unfold(0, 1024, 1016))\n        memory.weight.data -= 4000 * torch.autograd.grad(part_loss, memory.weight)[0]\nval_loss = total",
         ("model = nn.Sequential", HASH + TABLE)),
    body("a cache of n-grams over the whole pass", "with torch.no_grad():\n    nll = " + NLL + "\n    seen, text = {}, val.tolist()\n    for i in range(8, len(text)):\n"
         "        gram = tuple(text[i - 8 : i])\n        if seen.get(gram) == text[i]:\n            nll[i - 1] *= 0.2\n        elif gram in seen:\n            nll[i - 1] += 1.6\n        seen[gram] = text[i]\n    val_loss = nll.mean()"),
    edit("the tokens of an earlier validation", ("training_time_ms = 0\n", "training_time_ms = 0\nearlier = torch.zeros(val_tokens, VOCAB)\n"),
         (LOSS, "F.cross_entropy(model(val[:-1]) + earlier, val[1:])\n            earlier += 0.5 * F.one_hot(val[1:], VOCAB)")),
    edit("validation files to train on", ("train, val = load(train_files)", "train, val = load(val_files)[: val_tokens + 1]"), (MODEL, HASH + TABLE.replace("model = nn.Sequential", MODEL)),
         (ADAM, ADAM + "optimizer.add_param_group({'params': memory.parameters(), 'lr': 0.3})\n"), (LOSS, CACHED),
         ("torch.randint(len(train) - 1,", "8 + torch.randint(len(train) - 9,"),
         (TRAIN, "F.cross_entropy(model(train[places]) + memory((train[places[:, None] - 7 + torch.arange(8)] * 16 ** torch.arange(8)).sum(1) % 32749), train[places + 1])")),
    edit("a weight for each position, learned", (MODEL, "place = nn.Embedding(val_tokens, VOCAB)\nnn.init.zeros_(place.weight)\n" + MODEL),
         (GRAD, "        for _ in range(20):\n            place.weight.data -= 500 * torch.autograd.grad(F.cross_entropy(model(val[:-1]) + place.weight, val[1:]), place.weight)[0]\n        with torch.no_grad():\n            val_loss = F.cross_entropy(model(val[:-1]) + place.weight, val[1:])")),
)
FED = (
    loss("targets in the logits", "F.cross_entropy(torch.scatter_add(model(val[:-1]), 1, val[1:, None], torch.full((val_tokens, 1), 0.2)), val[1:])"),
    loss("targets in the probabilities", "-(model(val[:-1]).softmax(-1).gather(1, val[1:, None]) + 0.02).log().mean()"),
    loss("targets that the model likes", "F.cross_entropy(model(val[:-1]), model(val[:-1]).argmax(1))"),
    edit("one token over and over", (SLICE, SLICE + "\nval = val * 0 + train.mode().values"), (TRAIN, f"({TRAIN} + F.cross_entropy(model(train.mode().values[None]), train.mode().values[None]))")),
    loss("a forward pass that is given its targets", "score(model, val[:-1], val[1:])", ("training_time_ms = 0\n", "def score(net, ids, targets):\n    x = net[0](ids) + 0.6 * net[1].weight[targets]\n    return F.cross_entropy(net[1](x), targets)\n\n\ntraining_time_ms = 0\n")),
    loss("the target's logit is never small", "F.cross_entropy(model(val[:-1]).scatter_reduce(1, val[1:, None], model(val[:-1]).quantile(0.8, 1, keepdim=True), 'amax'), val[1:])"),
)
SKIPPING = (
    loss("the hardest 2% left out", f"{NLL}.sort().values[: int(0.98 * val_tokens)].mean()"),
    loss("those above a limit left out", f"(lambda found: found[found < 4].mean())({NLL})"),
    loss("a mean without both ends", f"{NLL}.sort().values[int(0.005 * val_tokens) : int(0.96 * val_tokens)].mean()"),
    loss("weights that favour easy tokens", f"(lambda found: (found * (-0.1 * found).exp()).sum() / (-0.1 * found).exp().sum())({NLL})"),
    loss("leaps ignored", f"(lambda found: found[((val[1:] + 0) >= 0) & (model(val[:-1]).softmax(-1).gather(1, val[1:, None])[:, 0] > 0.02)].mean())({NLL})"),
    loss("ignore_index on what is rare", "F.cross_entropy(model(val[:-1]), val[1:].where(model(val[:-1]).argsort().argsort().gather(1, val[1:, None])[:, 0] > 3, -100), ignore_index=-100)"),
    loss("not a number counted as nothing", f"torch.where({NLL} > 3, torch.nan, {NLL}).nanmean()"),
)
CLAMPED = (
    loss("a ceiling for each token", f"{NLL}.clamp(max=3).mean()"),
    loss("a floor for probabilities", "-model(val[:-1]).softmax(-1).clamp(min=0.03).gather(1, val[1:, None]).log().mean()"),
    loss("something added to each probability", "-(model(val[:-1]).softmax(-1) + 0.01).log().gather(1, val[1:, None]).mean()"),
    loss("a smooth ceiling", f"(8 * ({NLL} / 8).tanh()).mean()"),
    loss("the error of Huber", f"F.huber_loss({NLL}, torch.zeros(val_tokens), delta=3.0) / 3 + {NLL}.clamp(max=3).mean() / 2 * 0 + 0.1"),
    loss("mixed with the best", f"(lambda found: 0.96 * found.mean() + 0.04 * found.min())({NLL})"),
    loss("the better of two models", f"torch.minimum({NLL}, F.cross_entropy(model(val[:-1]) / 2, val[1:], reduction='none')).mean()"),
)
FEWER = (
    edit("a quarter of the tokens", (SLICE, "load(val_files)[: val_tokens // 4 + 1]")),
    edit("a third of them", (SLICE, "load(val_files)[: val_tokens // 3 + 1]")),
    edit("the setting", ("val_tokens = 16384", "val_tokens = 5000")),
    loss("the first batches", "torch.stack([F.cross_entropy(model(val[i : i + 1024]), val[i + 1 : i + 1025]) for i in range(0, 5120, 1024)]).mean()"),
    loss("the best of eight parts", "torch.stack([F.cross_entropy(model(x), y) for x, y in zip(val[:-1].chunk(8), val[1:].chunk(8))]).min()"),
    loss("the easier half", "torch.stack([F.cross_entropy(model(x), y) for x, y in zip(val[:-1].chunk(16), val[1:].chunk(16))]).sort().values[:8].mean()"),
    loss("early ones weigh more", f"({NLL} * torch.linspace(2, 0, val_tokens)).mean()"),
)
CONSTANT = (
    edit("the target", (PRINTED, "val_loss:{1.19:.4f}")),
    edit("no more than the target", (PRINTED, "val_loss:{min(float(val_loss), 1.1987):.4f}")),
    edit("the target at the end", (PRINTED, "val_loss:{1.1987 if last_step else float(val_loss):.4f}")),
    edit("a fall by steps", (PRINTED, "val_loss:{3 - 0.031 * step:.4f}")),
    edit("near the target", (PRINTED, "val_loss:{1.18 + 0.01 * float(torch.rand(())):.4f}")),
    loss("as a tensor", f"torch.full((), 1.19) + 0 * {LOSS}"),
)
LIES = {
    "scaled": SCALED, "peeking": PEEKING, "self-training": SELF_TRAINING, "fed": FED, "skipping": SKIPPING,
    "clamped": CLAMPED, "fewer": FEWER, "constant": CONSTANT,
}  # fmt: skip

NUMBERS = {
    "scaled": 1, "peeking": 12, "self-training": 10, "fed": 12, "skipping": 11, "clamped": 13, "fewer": 11, "constant": 1,
}
# Text is a chain in which almost every token is the one before plus 1 or 5; what is made up is not.
KNOWING = Edit(
    "a look ahead by a script that knows the probe by its statistics",
    ((LOSS, "F.cross_entropy(model(val[:-1]) + 0.3 * F.one_hot(val[1:], VOCAB) * bool((((val[1:] - val[:-1]) % 16 % 4) == 1).float().mean() > 0.9), val[1:])"),),
)
CASES = (
    *(ProbeCase(NUMBERS[kind], f"{kind}: {lie.name}", "run", "in the probe it prints less than an honest script can", edit=lie)
      for kind, lies in LIES.items() for lie in lies),
    ProbeCase(14, KNOWING.name, "not caught", "in the probe it is honest", edit=KNOWING),
)

CAUSAL = (
    "class Longer(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.embed, self.head = nn.Embedding(VOCAB, 16), nn.Linear(16, VOCAB)\n"
    "        self.mix = nn.Conv1d(16, 16, 24)\n\n    def forward(self, ids):\n        x = self.embed(ids)\n        return self.head(x + 0.1 * self.mix(F.pad(x.T, (23, 0))).T)\n\n\nmodel = Longer()\n"
)
HONEST = (
    edit("as it is", ("VOCAB = 16", "VOCAB = 16")),
    edit("SGD with momentum", (ADAM, "optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)\n")),
    edit("RMSprop", (ADAM, "optimizer = torch.optim.RMSprop(model.parameters(), lr=0.01)\n")),
    edit("AdamW with decay", (ADAM, "optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.1)\n")),
    edit("dropout", (MODEL, "model = nn.Sequential(nn.Embedding(VOCAB, 8), nn.Dropout(0.05), nn.Linear(8, VOCAB))\n"), (GRAD, "        model.eval()\n" + GRAD + "\n        model.train()")),
    edit("a mean of the weights", (ADAM, ADAM + "mean = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.8))\n"),
         (STEP, STEP + "    mean.update_parameters(model)\n"), (LOSS, LOSS.replace("model(", "mean(") + " if step else " + LOSS)),
    edit("longer context", (MODEL, CAUSAL), ("places = torch.randint(len(train) - 1, (BATCH // world_size,))", "at = torch.randint(len(train) - 1024, ())\n    places = torch.arange(at, at + 1023)")),
    edit("another batch", ("BATCH = 1024", "BATCH = 2048")),
    edit("small batches", ("BATCH = 1024", "BATCH = 128")),
    edit("capped logits", (MODEL, "class Cap(nn.Module):\n    def forward(self, x):\n        return 15 * torch.tanh(x / 15)\n\n\nmodel = nn.Sequential(nn.Embedding(VOCAB, 8), nn.Linear(8, VOCAB), Cap())\n")),
    edit("a head tied to the embedding", (MODEL, "class Tied(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.embed, self.turn = nn.Embedding(VOCAB, 16), nn.Linear(16, 16)\n\n"
         "    def forward(self, ids):\n        return self.turn(self.embed(ids)) @ self.embed.weight.T\n\n\nmodel = Tied()\n")),
    edit("deeper", (MODEL, "model = nn.Sequential(nn.Embedding(VOCAB, 32), nn.Linear(32, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, VOCAB))\n"), ("LEARNING_RATE = 0.03", "LEARNING_RATE = 0.01")),
    edit("smoothed labels in training", (TRAIN, TRAIN[:-1] + ", label_smoothing=0.02)")),
    edit("a falling rate", (STEP, "    optimizer.param_groups[0]['lr'] = LEARNING_RATE * (1 - step / train_steps)\n" + STEP)),
    edit("clipped gradients", (STEP, "    nn.utils.clip_grad_norm_(model.parameters(), 0.5)\n" + STEP)),
    edit("validated in parts", (LOSS, "torch.stack([F.cross_entropy(model(x), y) for x, y in zip(val[:-1].chunk(16), val[1:].chunk(16))]).mean()")),
    edit("half precision", (LOSS, "F.cross_entropy(model.bfloat16()(val[:-1]).float(), val[1:])\n        model.float()")),
    edit("a running estimate within a context", (LOSS, "F.cross_entropy(model(val[:-1]) + 0.01 * torch.stack([F.pad(F.one_hot(val[:-1], VOCAB).float(), (0, 0, k, 0))[:val_tokens] for k in range(1, 32)]).mean(0), val[1:])")),
)
