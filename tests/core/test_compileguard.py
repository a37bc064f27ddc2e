# ruff: noqa: E501 - a change stands in one piece
"""Options of the compiler and its settings, under any name."""

from __future__ import annotations

import pytest

from tests.core.speedrun_changes import Change, at_top, check, guards_named

MODEL = "model = torch.compile(model, dynamic=False, fullgraph=True)\n"
GUARDS = guards_named("inductor settings", "compile options", "compile variables")
SPELLINGS = [
    ("method", [(MODEL, 'model.compile(mode="max-autotune")\n')]),
    ("getattr", [(MODEL, 'model = getattr(torch, "compile")(model, mode="max-autotune")\n')]),
    ("getattr folded", [(MODEL, 'model = getattr(torch, "com" + "pile")(model, mode="max-autotune")\n')]),
    (
        "partial",
        [
            (
                MODEL,
                'from functools import partial\nmodel = partial(torch.compile, mode="max-autotune")(model)\n',
            )
        ],
    ),
    (
        "partial2",
        [
            (
                MODEL,
                'import functools\nc = functools.partial(torch.compile, dynamic=False)\nmodel = c(model, mode="max-autotune")\n',
            )
        ],
    ),
    ("alias", [(MODEL, 'c = torch.compile\nmodel = c(model, mode="max-autotune")\n')]),
    ("alias for", [(MODEL, 'for c in (torch.compile,):\n    model = c(model, mode="max-autotune")\n')]),
    ("alias dict", [(MODEL, 'd = {"c": torch.compile}\nmodel = d["c"](model, mode="max-autotune")\n')]),
    ("alias lambda", [(MODEL, 'model = (lambda f=torch.compile: f(model, mode="max-autotune"))()\n')]),
    (
        "alias ifexp",
        [(MODEL, 'model = (torch.compile if rank else torch.compile)(model, mode="max-autotune")\n')],
    ),
    (
        "import",
        [(MODEL, 'from torch import compile as c\nmodel = c(model, options={"max_autotune": True})\n')],
    ),
    ("torch alias", [(MODEL, 't = torch\nmodel = t.compile(model, backend="x")\n')]),
    ("decorator", [("def norm(x)", '@torch.compile(mode="max-autotune")\ndef norm(x)')]),
    (
        "decorator method",
        [("    def forward(self, x):", "    @torch.compile(options={})\n    def forward(self, x):")],
    ),
    ("dynamo.optimize", [(MODEL, 'model = torch._dynamo.optimize("inductor")(model)\n')]),
    ("dynamo import", [(MODEL, 'from torch._dynamo import optimize\nmodel = optimize("inductor")(model)\n')]),
    (
        "dynamo alias",
        [(MODEL, 'import torch._dynamo as dyn\no = dyn.optimize\nmodel = o("inductor")(model)\n')],
    ),
    (
        "apply",
        [
            (
                MODEL,
                'def apply(f, *a, **k):\n    return f(*a, **k)\nmodel = apply(torch.compile, model, mode="x")\n',
            )
        ],
    ),
    ("splat", [(MODEL, 'model = torch.compile(model, **dict(mode="x"))\n')]),
    ("inductor for", at_top("for torch._inductor.config.max_autotune in (True,):\n    pass")),
    ("inductor setattr", at_top('import torch._inductor.config as c\nsetattr(c, "max_autotune", True)')),
    ("inductor vars", at_top('import torch._inductor.config as c\nvars(c)["max_autotune"] = True')),
    ("inductor dict", at_top("torch._inductor.config.__dict__.update(max_autotune=True)")),
    (
        "inductor patch",
        at_top("import torch._inductor as i\nwith i.config.patch(max_autotune=True):\n    pass"),
    ),
    ("inductor load", at_top('torch._inductor.config.load_config(b"")')),
    ("inductor modules", at_top('import sys\nsys.modules["torch._inductor.config"].max_autotune = True')),
    (
        "inductor importlib",
        at_top('import importlib\nimportlib.import_module("torch._inductor.config").max_autotune = True'),
    ),
    ("inductor alias", at_top("i = torch._inductor\ni.config.max_autotune = True")),
    ("inductor getattr", at_top('getattr(torch, "_inductor").config.max_autotune = True')),
    (
        "inductor walrus",
        at_top("(c := torch._inductor.config).max_autotune = True")
        if 0
        else at_top("print(c := torch._inductor.config)\nc.max_autotune = True"),
    ),
    ("inductor for alias", at_top("for c in (torch._inductor.config,):\n    c.max_autotune = True")),
    ("inductor tuple alias", at_top("c, _ = torch._inductor.config, 0\nc.max_autotune = True")),
    (
        "inductor with alias",
        at_top(
            "from contextlib import nullcontext\nwith nullcontext(torch._inductor.config) as c:\n    c.max_autotune = True"
        ),
    ),
    ("env", at_top('os.environ["TORCHINDUCTOR_" + "MAX_AUTOTUNE"] = "1"')),
    ("env fstring", at_top('os.environ[f"{\'TORCH\'}INDUCTOR_MAX_AUTOTUNE"] = "1"')),
    ("env join", at_top('os.environ["_".join(["TORCHINDUCTOR", "MAX_AUTOTUNE"])] = "1"')),
    ("env update kw", at_top('os.environ.update(TORCHINDUCTOR_MAX_AUTOTUNE="1")')),
    ("env dict kw", at_top('os.environ |= dict(TORCHINDUCTOR_MAX_AUTOTUNE="1")')),
    ("compile __call__", [(MODEL, 'model = torch.compile.__call__(model, mode="x")\n')]),
    ("_inductor import", at_top("from torch import _inductor as i\ni.config.max_autotune = True")),
    ("dict torch", at_top("torch.__dict__['_inductor'].config.max_autotune = True")),
    ("environb", at_top("os.environb[b'TORCHINDUCTOR_MAX_AUTOTUNE'] = b'1'")),
    ("upper", at_top("os.environ['torchinductor_x'.upper()] = '1'")),
]


@pytest.mark.parametrize("change", [one for _, one in SPELLINGS], ids=[name for name, _ in SPELLINGS])
def test_every_way_to_set_the_compiler_is_an_error(change: Change) -> None:
    assert set(check(change, GUARDS).values()) == {"error"}
