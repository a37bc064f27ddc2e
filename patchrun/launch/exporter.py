"""Write the graph of a candidate's model as plain data: no training data, no weights, no tokens are in reach.

    python -s -P -B exporter.py job.json

The job is a JSON object: ``script`` and ``code`` (its folder), ``threads``, ``seed``, ``batch``, ``context``, ``graph``
(the file to write) and what ``launcher.confine`` reads. The candidate's code runs in this process, so what is written
is read as a stranger's: its form is that of ``patchrun.core.graph.document``.
"""

import base64
import importlib.util
import json
import math
import operator
import os
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import launcher  # noqa: E402

sys.path.pop(0)

ZEROS_FOR = {"aten.empty_like.default": "aten.zeros_like.default", "aten.empty.memory_format": "aten.zeros.default",
             "aten.new_empty.default": "aten.new_zeros.default"}  # fmt: skip
LEFT_OUT = ("device", "layout", "pin_memory", "non_blocking")


class CannotExport(Exception):
    """The model is none that can be written down; the message says why."""


def import_script(code, script):
    """The script as a module; its folder comes first on the module path only now."""
    os.chdir(code)
    sys.path.insert(0, code)
    path = Path(code, script)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def describe_model(torch, model, batch, context):
    """The graph of ``model`` on token ids [batch, context] as a document."""
    model.eval()
    ids = torch.zeros(batch, context, dtype=torch.long)
    with torch.no_grad():
        program = torch.export.export(model, (ids,), strict=False).run_decompositions({})
    return Writer(torch, model, program).write()


class Writer:
    """An exported program on its way to a document."""

    def __init__(self, torch, model, program):
        self.torch, self.program = torch, program
        self.graph, self.signature = program.graph, program.graph_signature
        self.saved = model.state_dict(keep_vars=True)
        self.numbers = {}

    def write(self):
        kinds = {spec.arg.name: spec for spec in self.signature.input_specs}
        inputs = []
        for node in self.graph.nodes:
            if node.op == "placeholder":
                self.numbers[node] = len(self.numbers)
                inputs.append(self.describe_input(kinds[node.name], node))
        output = self.find_output()
        nodes = [self.describe_node(node) for node in self.live_nodes(output)]
        return {"version": 1, "inputs": inputs, "nodes": nodes, "output": self.numbers[output]}

    def find_output(self):
        """The one result."""
        kinds = [spec.kind.name for spec in self.signature.output_specs]
        if kinds != ["USER_OUTPUT"]:
            changed = [str(spec.target) for spec in self.signature.output_specs if spec.target]
            words = (
                f"it changes {', '.join(changed[:3])} in forward()" if changed else f"it gives {kinds[:4]}"
            )
            raise CannotExport(f"a scored model returns logits and changes nothing: {words}")
        (results,) = next(node for node in self.graph.nodes if node.op == "output").args
        return results[0]

    def live_nodes(self, output):
        """The calls that the output needs, in order."""
        needed, stack = set(), [output]
        while stack:
            node = stack.pop()
            if node not in needed:
                needed.add(node)
                stack.extend(node.all_input_nodes)
        return [node for node in self.graph.nodes if node in needed and node.op != "placeholder"]

    def describe_input(self, spec, node):
        kind = spec.kind.name
        if kind == "USER_INPUT":
            return self.describe_tensor("tokens", node.meta["val"])
        if kind == "PARAMETER" or (kind == "BUFFER" and spec.persistent is not False):
            tensor = self.program.state_dict[spec.target]
            return {**self.describe_tensor("saved", tensor), "names": self.find_names(spec.target, tensor)}
        if kind in ("BUFFER", "CONSTANT_TENSOR"):
            tensor = self.program.constants[spec.target]
            return {**self.describe_tensor("constant", tensor), "data": self.read_bytes(tensor)}
        raise CannotExport(f"it reads {spec.target or node.name}, which is no tensor ({kind.lower()})")

    def describe_tensor(self, kind, tensor):
        return {
            "kind": kind,
            "dtype": self.name_dtype(tensor.dtype),
            "shape": [int(size) for size in tensor.shape],
        }

    def find_names(self, target, tensor):
        """All names under which the saved model may hold ``tensor``: tied parameters have several."""
        place = (tensor.data_ptr(), tensor.shape, tensor.stride())
        same = [
            name
            for name, other in self.saved.items()
            if other is tensor or (other.data_ptr(), other.shape, other.stride()) == place and tensor.numel()
        ]
        first = [target] if target in self.saved or not same else []
        return [*first, *(name for name in same if name != target)]

    def read_bytes(self, tensor):
        plain = tensor.detach().cpu().contiguous()
        data = (
            plain.view(self.torch.uint8).numpy()
            if plain.dim()
            else plain.view(1).view(self.torch.uint8).numpy()
        )
        return base64.b64encode(data.tobytes()).decode()

    def describe_node(self, node):
        """The call as ``op``, ``args``, ``kwargs``; it gets the next number."""
        name = self.name_operator(node)
        args = [self.describe_argument(one, name) for one in node.args]
        kwargs = {
            word: self.describe_argument(one, name)
            for word, one in node.kwargs.items()
            if word not in LEFT_OUT
        }
        if name in ZEROS_FOR:  # what was never written reads as zero, the same each time
            name = ZEROS_FOR[name]
        self.numbers[node] = len(self.numbers)
        return {"op": name, "args": args, "kwargs": kwargs}

    def name_operator(self, node):
        if node.target is operator.getitem:
            return "getitem"
        if node.op != "call_function" or not isinstance(node.target, self.torch._ops.OpOverload):
            user = next(iter(node.users), node) if node.op == "get_attr" else node
            raise CannotExport(f"it needs {user.target}, which is no tensor operator")
        return str(node.target)

    def describe_argument(self, value, name):
        if isinstance(value, (list, tuple)):
            return ["l", [self.describe_argument(item, name) for item in value]]
        torch = self.torch
        if isinstance(value, torch.fx.Node):
            return ["t", self.numbers[value]]
        if value is None or isinstance(value, (torch.device, torch.layout)):
            return ["n"]
        if isinstance(value, bool):
            return ["b", value]
        if isinstance(value, int):
            return ["i", value]
        if isinstance(value, float):
            return self.describe_float(value, name)
        if isinstance(value, str):
            return ["s", value]
        if isinstance(value, torch.dtype):
            return ["d", self.name_dtype(value)]
        if isinstance(value, torch.memory_format):
            return ["m", str(value).removeprefix("torch.")]
        raise CannotExport(
            f"{name} gets {type(value).__name__} {str(value)[:60]}: sizes and numbers must be fixed"
        )

    def describe_float(self, value, name):
        if math.isnan(value):
            raise CannotExport(f"{name} gets a NaN")
        return ["inf", 1 if value > 0 else -1] if math.isinf(value) else ["f", value]

    def name_dtype(self, dtype):
        return str(dtype).removeprefix("torch.")


ADVICE = (
    (("flex_attention", "block_mask", "BlockMask"),
     "FlexAttention is not exported: use scaled_dot_product_attention with attn_mask"),
    (("data-dependent", "DataDependent", "GuardOnDataDependent", "_local_scalar_dense", ".item()"),
     "what is computed depends on a tensor's value: compute both and choose with torch.where"),
    (("Dynamo", "dynamo"), "this part is not traced: leave it out of forward() when the model is in eval()"),
    (("fake tensor", "FakeTensor"),
     "a tensor made in an earlier call is kept: make it in forward() each time, or in __init__ as a buffer"),
)  # fmt: skip


def explain(error, code):
    """The error, the candidate's line where it rose, and what to write instead."""
    kind = "" if isinstance(error, CannotExport) else f"{type(error).__name__}: "
    words = f"{kind}{error}".strip()
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    parts = ["the model cannot be exported as a graph", find_line(error, code), " ".join(lines)[:400]]
    advice = next((hint for signs, hint in ADVICE if any(sign in words for sign in signs)), "")
    return "; ".join(part for part in (*parts, advice) if part)


def find_line(error, code):
    """The innermost line of the candidate's own that the error passed."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(code)]
    if not own:
        return ""
    return f"at {Path(own[-1].filename).name}:{own[-1].lineno}: {own[-1].line}"


def export(job, torch):
    """The document: a graph, or why there is none."""
    torch.manual_seed(job["seed"])
    try:
        model = import_script(job["code"], job["script"]).build_model()
    except BaseException as error:
        where = find_line(error, job["code"])
        return {"version": 1, "error": f"build_model() failed: {where} {type(error).__name__}: {error}"}
    try:
        return describe_model(torch, model, job["batch"], job["context"])
    except BaseException as error:
        return {"version": 1, "error": explain(error, job["code"])}


def main():
    job = json.loads(Path(sys.argv[1]).read_text())
    launcher.confine(job)
    torch = launcher.set_up_torch(job["threads"], deterministic=False)
    document = export(job, torch)
    document["error"] = document.get("error", "")[:4000]
    Path(job["graph"]).write_text(json.dumps(document, allow_nan=False))
    launcher.leave(0)


if __name__ == "__main__":
    main()
