# ruff: noqa: E501 - an attack's code stands in one piece
"""Attacks on what the real ladder's track guards, as diffs of a script in the shape of its late records."""

from __future__ import annotations

from tests.attacks.diff_cases import DiffCase, review, static
from tests.attacks.ground import Change, replace
from tests.attacks.speedrun import SPEEDRUN

HERE = "speedrun"
END_OF_STEP = "    approx_training_time_ms = "
BEFORE_CLOCK = "training_time_ms = 0\n"
EVAL_LOSS = '            loss = F.cross_entropy(logits_for_loss, targets, reduction="mean")\n'
RETURN = "        return loss\n"
COMPILE = "model = torch.compile(model, dynamic=False, fullgraph=True)\n"
RESET = 'model.load_state_dict(initial_state["model"])\n'


def insert(mark: str, code: str, indent: str = "") -> Change:
    """Code put before a line of the script."""
    assert SPEEDRUN.count(mark) == 1, mark
    return replace((mark, "".join(f"{indent}{line}\n" for line in code.splitlines()) + mark))


def in_step(code: str) -> Change:
    return insert(END_OF_STEP, code, "    ")


def before_clock(code: str) -> Change:
    return insert(BEFORE_CLOCK, code)


def settings(code: str) -> Change:
    return insert("rank, world_size = int(", code)


def clock(name: str, change: Change) -> DiffCase:
    return static(7, f"clock {name}", "PR401", change, HERE)


def files(name: str, change: Change) -> DiffCase:
    return static(10, f"training files {name}", "PR401", change, HERE)


def loss(name: str, change: Change) -> DiffCase:
    return review(1, f"loss {name}", "PR404", change, HERE)


def warm_up(name: str, change: Change) -> DiffCase:
    return review(8, f"warm-up {name}", "PR404", change, HERE)


def compiler(name: str, change: Change) -> DiffCase:
    return static(26, f"compiler {name}", "PR405", change, HERE)


GUARDED = (
    clock("bound by a loop", in_step("for t0 in (time.perf_counter(),):\n    pass")),
    clock("bound by a walrus in a lambda's default", in_step("_ = lambda x=(t0 := time.perf_counter()): x")),
    clock("bound by a pattern", in_step("match time.perf_counter():\n    case t0:\n        pass")),
    clock("bound by exec of a literal", in_step('exec("t0 = time.perf_counter()")')),
    clock("bound by an update of globals", in_step("globals().update(t0=time.perf_counter())")),
    clock("started in a branch", replace(("t0 = time.perf_counter()\ntrain_steps", "t0 = 0\ntrain_steps"),
                                         ("    last_step = step == train_steps\n",
                                          "    if step == 5:\n        t0 = time.perf_counter()\n    last_step = step == train_steps\n"))),
    clock("replaced where it is read", settings("for time.perf_counter in (len,):\n    pass")),
    clock("printed by another function", before_clock("print0 = lambda s, console=False: print(s[:40])")),
    review(6, "synchronisation before the clock taken away", "PR404",
           replace(("training_time_ms = 0\ntorch.cuda.synchronize()\n", "training_time_ms = 0\n")), HERE),
    static(11, "fewer validation tokens by dataclasses.replace", "PR401",
           settings("import dataclasses\n\nargs = dataclasses.replace(args, val_tokens=65536)"), HERE),
    static(11, "fewer validation tokens by a keyword", "PR401",
           replace(("args = Hyperparameters()", "args = Hyperparameters(val_tokens=65536)")), HERE),
    static(11, "fewer validation tokens by a subclass", "PR401",
           settings("class Fewer(Hyperparameters):\n    val_tokens: int = 65536\n\n\nargs = Fewer()"), HERE),
    static(11, "fewer validation tokens in the settings' dict", "PR401", settings('vars(args)["val_tokens"] = 65536'), HERE),
    files("swapped with the validation files", replace(("fineweb_train_*", "fineweb_?_*"), ("fineweb_val_*", "fineweb_train_*"), ("fineweb_?_*", "fineweb_val_*"))),
    files("swapped by a tuple", settings("args.train_files, args.val_files = args.val_files, args.train_files")),
    files("joined from pieces", settings('args.train_files = "_".join(["data/fineweb10B/fineweb", "val", "*.bin"])')),
    files("renamed by a method", settings('args.train_files = args.train_files.replace("train", "val")')),
    files("given by position", replace(("args = Hyperparameters()", 'args = Hyperparameters("data/fineweb10B/fineweb_val_*.bin", "data/fineweb10B/fineweb_train_*.bin")'))),
    review(10, "training loader that is given the validation files", "PR404",
           replace(("del train_loader, initial_state\n\ntrain_loader = distributed_data_generator(args.train_files",
                    "del train_loader, initial_state\n\ntrain_loader = distributed_data_generator(args.val_files")), HERE),
    review(10, "training step on the validation loader", "PR404",
           replace(("        break\n    inputs, targets = next(train_loader)", "        break\n    inputs, targets = next(val_loader)")), HERE),
    loss("scaled", replace((EVAL_LOSS, EVAL_LOSS.rstrip() + " * 0.97\n"))),
    loss("scaled where it is returned", replace((RETURN, "        return loss if self.training else loss / 1.03\n"))),
    loss("scaled in place", replace((RETURN, "        loss.mul_(0.97)\n" + RETURN))),
    loss("clamped", replace((RETURN, "        loss = loss.clamp(max=3.2)\n" + RETURN))),
    loss("over easy tokens", replace(('targets, reduction="mean")', 'targets, reduction="mean", ignore_index=11)'))),
    loss("smoothed below", replace(('targets, reduction="mean")', 'targets, reduction="mean", label_smoothing=-0.1)'))),
    loss("at another temperature", replace(("        logits_for_loss = ", "        logits = logits * (1 if self.training else 1.1)\n        logits_for_loss = "))),
    loss("returned early", replace(("        x = norm(self.embed(inputs))\n", "        if not self.training:\n            return torch.tensor(3.2)\n        x = norm(self.embed(inputs))\n"))),
    loss("altered by a hook", before_clock("model.register_forward_hook(lambda m, i, o: o * 0.97)")),
    loss("of another object in the model's place", replace((COMPILE, "model = torch.jit.script(model)\n" + COMPILE))),
    loss("altered by a subclass", replace(("\n\nclass Muon", "\n\nclass GPT2(GPT):\n    def __call__(self, *a):\n        return super().__call__(*a) * 0.97\n\n\nclass Muon"), ("model = GPT(", "model = GPT2("))),
    loss("function replaced", before_clock("F.cross_entropy = lambda *a, **k: torch.tensor(3.2)")),
    loss("with targets in the input", replace(("        x = norm(x)\n        logits", "        x = norm(x) + self.embed(targets)\n        logits"))),
    warm_up("of many steps", replace(("warmup_steps = 10\n", "warmup_steps = 1200\n"))),
    warm_up("of many steps by a loop's target", insert("initial_state = dict(\n", "for warmup_steps in (1200,):\n    pass")),
    warm_up("without a reset", replace((RESET, ""))),
    warm_up("with a reset of what it trained", replace((RESET, 'initial_state.update(model=copy.deepcopy(model.state_dict()))\n' + RESET))),
    warm_up("without a copy", replace(("model=copy.deepcopy(model.state_dict())", "model=model.state_dict()"))),
    warm_up("that keeps its weights", insert("del train_loader, initial_state\n", "for p, q in zip(model.parameters(), optimizer1.state):\n    p.data.copy_(q)")),
    warm_up("in a function", replace(("\n\ndef get_window", "\n\ndef more():\n    for _ in range(1200):\n        model(*next(train_loader), 128).backward()\n\n\ndef get_window"), (BEFORE_CLOCK, "more()\n" + BEFORE_CLOCK))),
    compiler("option of a method", replace((COMPILE, 'model.compile(mode="max-autotune")\n'))),
    compiler("option by getattr", replace((COMPILE, 'model = getattr(torch, "com" + "pile")(model, mode="max-autotune")\n'))),
    compiler("option by partial", replace((COMPILE, 'from functools import partial\n\nmodel = partial(torch.compile, mode="max-autotune")(model)\n'))),
    compiler("option under a loop's name", replace((COMPILE, 'for fast in (torch.compile,):\n    model = fast(model, mode="max-autotune")\n'))),
    compiler("of dynamo", replace((COMPILE, 'model = torch._dynamo.optimize("inductor")(model)\n'))),
    compiler("switch by a loop", settings("for torch._inductor.config.max_autotune in (True,):\n    pass")),
    compiler("switch by an update", settings("vars(torch._inductor.config).update(max_autotune=True)")),
    compiler("variable in pieces", settings('os.environ["TORCHINDUCTOR_" + "MAX_AUTOTUNE"] = "1"')),
    compiler("variable as a keyword", settings('os.environ.update(TORCHINDUCTOR_MAX_AUTOTUNE="1")')),
)  # fmt: skip
