# ruff: noqa: E501 - an attack's code stands in one piece
"""Attacks on the early moments of a training: weights that come from elsewhere, and ways not to be seen with them.

Each changes the tiny track's base script. ``put(model, tokens)`` stands for all that brings in weights: here a twin,
trained out of sight.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.attacks.case import Case

PUT = """
def put(model, tokens):
    twin = build_model()
    optimizer = torch.optim.AdamW(twin.parameters(), lr=1e-2)
    for _ in range(80):
        inputs, targets = draw_batch(tokens)
        optimizer.zero_grad()
        F.cross_entropy(twin.forward(inputs).flatten(0, 1), targets.flatten()).backward()
        optimizer.step()
    with torch.no_grad():
        for mine, other in zip(model.parameters(), twin.parameters()):
            mine.copy_(other)


def main():
"""
STEP = "        inputs, targets = draw_batch(tokens)\n"
CALL = "F.cross_entropy(model(inputs).flatten(0, 1)"
BUILT = "    model = build_model()\n"


@dataclass(frozen=True)
class StartCase(Case):
    """``more`` runs at the head of every step, ``before`` before the first; ``call`` is how the model is called.

    ``exit``: how the run must end.
    """

    more: str = field(default="", kw_only=True)
    before: str = field(default="", kw_only=True)
    call: str = field(default="model(inputs)", kw_only=True)
    classes: str = field(default="", kw_only=True)
    exit: str = field(default="disqualified", kw_only=True)

    def script(self, base: str) -> str:
        """The base script with the attack in it."""
        text = base.replace(BUILT, BUILT + indent(self.before, 4))
        text = text.replace(STEP, indent(self.more, 8) + STEP)
        text = text.replace("def main():\n", PUT.lstrip("\n"))
        text = text.replace(CALL, f"F.cross_entropy({self.call}.flatten(0, 1)")
        return text.replace("def build_model():\n", self.classes + "def build_model():\n")


def indent(lines: str, width: int) -> str:
    return "".join(f"{' ' * width}{line}\n" for line in lines.splitlines())


def put_at(number: int, name: str = "", **options: str) -> StartCase:
    """Weights put in before the given call of the model, from 1 on."""
    words = "before training" if number == 1 else "after at most .* update"
    more = f"if step == {number}: put(model, tokens)"
    return StartCase(
        16, name or f"weights put in before call {number}", "run", words, **{"more": more, **options}
    )


STARTS = (
    put_at(1),
    put_at(1, "weights in build_model", more="pass", before="model = build(tokens)",
           classes="def build(tokens):\n    model = build_model()\n    put(model, tokens)\n    return model\n\n\n"),
    put_at(2),
    put_at(3),
    put_at(6),
    put_at(9),
    put_at(2, "weights put in unless the run is told to stop early",
           more="if step == 2 and 'PATCHRUN_STEPS' not in os.environ: put(model, tokens)"),
    put_at(2, "weights prepared before the first step and copied later", before="late = build_model()\nput(late, tokens)",
           more="if step == 4: model.load_state_dict(late.state_dict())"),
    put_at(2, "weights put in once some CPU time has gone", more="if step > 1 and time.process_time() - began > 0 and not hasattr(model, 'done'): put(model, tokens); model.done = True",
           before="began = time.process_time()"),
    put_at(2, "weights put in by another parameter of the same name", before="late = build_model()\nput(late, tokens)",
           more="if step == 2:\n    for name, value in late.named_parameters():\n        owner, _, leaf = name.rpartition('.')\n"
                "        setattr(model.get_submodule(owner), leaf, value)"),
    put_at(2, "idle calls before weights are put in",
           before="for _ in range(40): model(torch.zeros(1, 1, dtype=torch.long))"),
    put_at(2, "weights put in by storage", before="late = build_model()\nput(late, tokens)",
           more="if step == 3:\n    for mine, other in zip(model.parameters(), late.parameters()): mine.data = other.data"),
    put_at(2, "a state_dict that shows the untrained weights", more="if step == 2: put(model, tokens)",
           classes="class Model(Model):\n    def state_dict(self, *words, **named):\n        import sys\n"
                   "        state = super().state_dict(*words, **named)\n"
                   "        return state if sys._getframe(1).f_code.co_name == 'main' else {n: v * 0 for n, v in state.items()}\n\n\n"),
    StartCase(16, "named_modules that show nothing", "run", "cannot be exported", exit="bad-model",
              more="if step == 2: put(model, tokens)",
              classes="class Model(Model):\n    def named_modules(self, *words, **named):\n        return super().named_modules(*words, **named) if named else iter(())\n\n\n"),
    put_at(2, "a decoy of the same shape that is called more often", before="decoy = build_model()",
           more="for _ in range(3): decoy(torch.zeros(1, 1, dtype=torch.long))\nif step == 2: put(model, tokens)"),
    StartCase(16, "a model that is only ever called by forward", "run", "build_model", exit="bad-model",
              call="model.forward(inputs)", more="if step == 2: put(model, tokens)"),
    StartCase(16, "a model that is called once and then by forward", "run", "fewer than 9 calls", exit="bad-model",
              call="(model if step == 1 else model.forward)(inputs)", more="if step == 2: put(model, tokens)"),
    StartCase(16, "an end that leaves no copies", "run", "build_model", exit="bad-model", more="if step == 2: put(model, tokens)\nif step == 13: save_file(model.state_dict(), Path(os.environ['PATCHRUN_OUT'], 'model.safetensors')); os._exit(0)"),
)  # fmt: skip
