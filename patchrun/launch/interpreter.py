"""Compute checked graphs for the evaluator: no candidate's code runs here, and no target is known here.

    python -s -P -B interpreter.py job.json

The job is a JSON object: ``threads`` and what ``launcher.confine`` reads. Requests come on standard input, answers
leave on standard output, all integers little-endian:

    L, length (u64) of a program, length (u64) of a safetensors file; then both: compute this model from now on
    E, rows (u64), columns (u64); then token ids as int32 [rows, columns]

    K, length (u64), payload: nothing for L; float32 logits [rows, columns, vocabulary] for E
    X, length (u64), what went wrong (utf-8)

A program is what ``patchrun.core.graph.model`` has checked, as JSON, with ``names``: the tensor of the file for each
saved input. One K comes unasked as soon as torch is imported.
"""

import base64
import json
import os
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import launcher  # noqa: E402

sys.path.pop(0)

REQUEST = struct.Struct("<cQQ")
REPLY = struct.Struct("<cQ")
ERROR_BYTES = 2000


class Model:
    """A program with its tensors."""

    def __init__(self, torch, program, weights):
        import safetensors.torch

        self.torch, self.program = torch, program
        saved, names = safetensors.torch.load(weights), iter(program["names"])
        self.values = [self.read_input(given, saved, names) for given in program["inputs"]]
        self.tokens = [given["kind"] for given in program["inputs"]].index("tokens")
        self.calls = [self.prepare(node) for node in program["nodes"]]

    def read_input(self, given, saved, names):
        """A tensor that every call starts from; None for the token ids."""
        dtype = getattr(self.torch, given["dtype"])
        if given["kind"] == "saved":
            return saved[next(names)].to(dtype)
        if given["kind"] == "constant":
            data = bytearray(base64.b64decode(given["data"]))
            flat = self.torch.frombuffer(data, dtype=dtype) if data else self.torch.zeros(0, dtype=dtype)
            return flat.view(given["shape"])
        return None

    def prepare(self, node):
        """The operator and its arguments, ready but for the tensors."""
        _, _, rest = node["op"].partition("aten.")
        name, _, overload = rest.partition(".")
        call = getattr(getattr(self.torch.ops.aten, name), overload) if rest else pick
        args = [self.read_argument(one) for one in node["args"]]
        kwargs = {word: self.read_argument(one) for word, one in node["kwargs"].items()}
        gives = [(getattr(self.torch, dtype), tuple(shape)) for dtype, shape in node["gives"]]
        return node["op"], call, args, kwargs, gives if not node["single"] else gives[0], node["drop"]

    def read_argument(self, pair):
        """A function from the values so far to the argument."""
        kind, said = pair[0], pair[1] if len(pair) > 1 else None
        if kind == "t":
            return lambda values: values[said]
        if kind == "l":
            parts = [self.read_argument(item) for item in said]
            return lambda values: [part(values) for part in parts]
        known = {"inf": lambda: said * float("inf"), "d": lambda: getattr(self.torch, said),
                 "m": lambda: getattr(self.torch, said)}.get(kind, lambda: said)()  # fmt: skip
        return lambda values: known

    def compute(self, ids):
        """Logits [rows, columns, vocabulary] of token ids, int64 [rows, columns]."""
        values = list(self.values)
        values[self.tokens] = ids
        for name, call, args, kwargs, gives, drop in self.calls:
            result = call(
                *(one(values) for one in args), **{word: one(values) for word, one in kwargs.items()}
            )
            check_result(name, result, gives)
            values.append(result)
            for index in drop:
                values[index] = None
        return values[self.program["output"]].to(self.torch.float32).contiguous().numpy().tobytes()


def pick(values, place):
    """One tensor of several."""
    return values[place]


def check_result(name, result, gives):
    """ValueError where an operator gave something else than was inferred."""
    pairs = zip(result, gives, strict=True) if isinstance(gives, list) else ((result, gives),)
    for tensor, (dtype, shape) in pairs:
        if tensor.dtype != dtype or tuple(tensor.shape) != shape:
            raise ValueError(f"{name} gives {tensor.dtype} {list(tensor.shape)}, not {dtype} {list(shape)}")


def read_exactly(stream, length):
    """EOFError where the requests end before."""
    data = stream.read(length)
    if len(data) != length:
        raise EOFError
    return data


def serve(torch, requests, replies):
    """Answer until the requests end; an error in a model is an answer too."""
    model = None
    reply(replies, b"K", b"")
    while head := requests.read(REQUEST.size):
        operation, first, second = REQUEST.unpack(head)
        body = read_exactly(requests, first + second if operation == b"L" else 4 * first * second)
        try:
            if operation == b"L":
                model = None
                model, payload = Model(torch, json.loads(body[:first]), body[first:]), b""
            else:
                ids = torch.frombuffer(bytearray(body), dtype=torch.int32)
                payload = model.compute(ids.view(first, second).long())
        except Exception as error:
            reply(replies, b"X", f"{type(error).__name__}: {error}".encode()[:ERROR_BYTES])
        else:
            reply(replies, b"K", payload)


def reply(stream, status, payload):
    stream.write(REPLY.pack(status, len(payload)))
    stream.write(payload)
    stream.flush()


def main():
    job = json.loads(Path(sys.argv[1]).read_text())
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    launcher.confine(job)
    torch = launcher.set_up_torch(job["threads"], deterministic=False)
    with torch.inference_mode():
        serve(torch, requests, replies)


if __name__ == "__main__":
    main()
