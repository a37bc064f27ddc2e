"""Answer the evaluator: load a candidate's code and weights, map token ids to logits.

    python -s -P -B worker.py job.json

The job is a JSON object: ``script`` and ``code`` (its folder), ``threads``, ``vocab_size``, and what
``launcher.confine`` reads. This process has no training data, no targets and no tokens but those it is sent.

Requests come on standard input, answers leave by what was standard output, all integers little-endian:

    L, length (u32), seed (u32), path of a safetensors file (utf-8; empty: leave the weights as they are)
    E, rows (u32), columns (u32), token ids as int32 [rows, columns]

    K, length (u64), payload: nothing for L; float32 logits [rows, columns, vocab_size] for E
    X, length (u64), what went wrong (utf-8)

One K comes unasked as soon as torch is imported.
"""

import importlib.util
import json
import os
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import launcher  # noqa: E402

sys.path.pop(0)

REQUEST = struct.Struct("<cII")
REPLY = struct.Struct("<cQ")
ERROR_BYTES = 2000


class Candidate:
    """The candidate's module and model."""

    def __init__(self, job, torch):
        self.job, self.torch = job, torch
        self.model = None

    def load(self, weights, seed):
        """Build the model on first use, from ``seed``; fill it from ``weights`` where a path is given."""
        import safetensors.torch

        if self.model is None:
            self.torch.manual_seed(seed)
            self.model = import_script(self.job["code"], self.job["script"]).build_model()
        if weights:
            safetensors.torch.load_model(self.model, weights, strict=True)
        self.model.eval()

    def logits(self, ids):
        """float32 bytes of the logits [rows, columns, vocab_size] of ``ids``, int64 [rows, columns]."""
        with self.torch.inference_mode():
            logits = self.model(ids)
        expected = (*ids.shape, self.job["vocab_size"])
        if tuple(logits.shape) != expected:
            raise ValueError(f"the model returned {tuple(logits.shape)} for logits {expected}")
        return logits.to("cpu", self.torch.float32).contiguous().numpy().tobytes()


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


def answer(candidate, operation, first, second, stream):
    """The payload for one request whose body is read from ``stream``."""
    if operation == b"L":
        candidate.load(stream.read(first).decode(), second)
        return b""
    body = bytearray(stream.read(4 * first * second))
    ids = candidate.torch.frombuffer(body, dtype=candidate.torch.int32)
    return candidate.logits(ids.view(first, second).long())


def serve(candidate, requests, replies):
    """Answer until the requests end; an error of the candidate's is an answer too."""
    reply(replies, b"K", b"")
    while head := requests.read(REQUEST.size):
        try:
            payload = answer(candidate, *REQUEST.unpack(head), requests)
        except BaseException as error:
            reply(replies, b"X", f"{type(error).__name__}: {error}".encode()[:ERROR_BYTES])
        else:
            reply(replies, b"K", payload)


def reply(stream, status, payload):
    stream.write(REPLY.pack(status, len(payload)))
    stream.write(payload)
    stream.flush()


def private_streams():
    """Standard input and output as binary streams; what the candidate prints then goes to standard error."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return requests, replies


def main():
    job = json.loads(Path(sys.argv[1]).read_text())
    requests, replies = private_streams()
    launcher.confine(job)
    torch = launcher.set_up_torch(job["threads"], deterministic=False)
    serve(Candidate(job, torch), requests, replies)


if __name__ == "__main__":
    main()
