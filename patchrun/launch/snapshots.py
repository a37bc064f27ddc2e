"""Keep copies of a model on its way through a training, at moments that the parent chooses.

Before forward number m of an outermost module (1: untrained, 2: after at most one update) its tensors are copied when
m is wanted. Of the first forwards only those count that find other weights than the last one did: idle calls use up no
number. Copying draws no random number and calls no method that the script may have replaced. When the script has
ended, the copies of the module that was saved are written as safetensors: the one that has the saved file's names and
shapes, but for what wrappers (torch.compile, data parallel, a module with the loss) put before them, and has become it.

The script shares this process, so a copy is evidence against a script that does not look for them: what looks is for
the static rules.
"""

import json
from pathlib import Path

MOST_ROOTS = 8  # outermost modules that are followed; scripts have one, or few
MOST_PARTS = 100_000
STATES = 20  # so many first numbers are of different weights; to compare them takes a fifth of a millisecond a call
KINDS = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip


class Root:
    """An outermost module, how often it was called, and copies of its tensors: number of the call -> name -> tensor."""

    def __init__(self, module):
        self.module, self.calls, self.copies = module, 0, {}
        self.last = None  # the copy of the last number, while states are compared


class Recorder:
    """Counts the forwards of outermost modules and copies their tensors before those whose number is wanted.

    ``most_bytes``: a module that is larger is not copied.
    """

    def __init__(self, torch, most_bytes):
        import safetensors.torch

        self.load_file = safetensors.torch.load_file
        self.torch, self.most_bytes = torch, most_bytes
        self.wanted = frozenset()
        self.roots = []
        self.known = {}  # id -> (the module, held so that its id stays its own; its Root, None for a part of one)
        self.hook = torch.nn.modules.module.register_module_forward_pre_hook(self.see)

    def see(self, module, arguments):
        """A module is about to be called; what fails here must not reach the script."""
        root = known[1] if (known := self.known.get(id(module))) else self.follow(module)
        if root is not None and not self.is_traced() and self.has_changed(root):
            root.calls += 1
            if root.calls in self.wanted or root.calls < STATES:
                self.copy(root)

    def is_traced(self):
        """Whether torch writes down what is computed now: ours must not be in it."""
        return self.torch.compiler.is_compiling() or self.torch.jit.is_tracing()

    def follow(self, module):
        """Take a module that was not seen before as outermost, where it holds tensors and there is room for it."""
        if len(self.roots) >= MOST_ROOTS or self.is_traced() or not has_tensors(module):
            return None
        root = Root(module)
        self.roots.append(root)
        for _, part in walk(module):
            self.known.setdefault(id(part), (part, None))
        self.known[id(module)] = (module, root)
        return root

    def has_changed(self, root):
        """Whether this call counts: its weights are not those of the last one that did, or there were enough."""
        last = root.last
        if last is None or root.calls >= STATES:
            return True
        try:
            now = tensors(walk(root.module))
            return any(name not in last or not self.torch.equal(tensor, last[name]) for name, tensor in now)
        except Exception:  # as in copy
            return True

    def copy(self, root):
        """Copy all that a state_dict would hold."""
        try:
            found = dict(tensors(walk(root.module)))
            if sum(tensor.nbytes for tensor in found.values()) > self.most_bytes:
                return
            root.last = {name: tensor.detach().clone() for name, tensor in found.items()}
        except (
            Exception
        ):  # a tensor without memory of its own (meta, lazy, inside a transform): there is nothing to keep
            return
        if root.calls in self.wanted:
            root.copies[root.calls] = root.last

    def write(self, folder, model):
        """Write the copies of the module whose weights lie in the file ``model``: NUMBER.safetensors in ``folder``."""
        try:
            saved = self.load_file(model)
        except Exception:  # there is no model, or none that can be read: the parent says so
            return
        root, prefix = self.find_saved(saved)
        for number, copies in root.copies.items() if root else ():
            try:
                named = {name: copies[prefix + name].cpu().contiguous() for name in saved}
                write_file(Path(folder, f"{number}.safetensors"), named, self.torch.uint8)
            except Exception:  # as in copy, or a full disk: the parent sees that it is not there
                continue

    def find_saved(self, saved):
        """The module that became what was saved, the most called of several; what wrappers put before its names."""
        first = next(iter(saved), "")
        for root in sorted(self.roots if saved else (), key=lambda root: -root.calls):
            copies = next(iter(root.copies.values()), {})
            for full in copies:
                prefix = full.removesuffix(first)
                shapes = {name: getattr(copies.get(prefix + name), "shape", None) for name in saved}
                if all(value.shape == shapes[name] for name, value in saved.items()):
                    if self.has_become(root, prefix, saved):
                        return root, prefix
                    break
        return None, ""

    def has_become(self, root, prefix, saved):
        """Whether a module is nearer to what was saved than it was at first, as it is to an average."""
        try:
            before, now = next(iter(root.copies.values())), dict(tensors(walk(root.module)))
            first, last = (distance(side, prefix, saved) for side in (before, now))
        except Exception:  # tensors without memory of their own, or gone by now: it is not this one
            return False
        return last < first or last == 0


def has_tensors(module):
    """Whether a module holds any; not where it does not keep them as modules do."""
    try:
        return any(tensors(walk(module)))
    except Exception:  # it is the script's own class
        return False


def write_file(path, named, byte):
    """Write name -> tensor as safetensors; its own library takes three times as long, on the run's clock."""
    header, end = {}, 0
    for name, tensor in named.items():
        kind = KINDS[str(tensor.dtype).removeprefix("torch.")]
        header[name] = {
            "dtype": kind,
            "shape": list(tensor.shape),
            "data_offsets": [end, end + tensor.nbytes],
        }
        end += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in named.values():
            file.write(tensor.reshape(-1).view(byte).numpy())


def distance(tensors, prefix, saved):
    """The sum of squared differences between named tensors and those that were saved."""
    pairs = [(tensors[prefix + name].detach().cpu().float(), value.float()) for name, value in saved.items()]
    return sum((one - other).square().sum().item() for one, other in pairs)


def walk(module):
    """(its name with a final point, module) for ``module`` and all in it, shared ones under each of their names."""
    left, count = [("", module)], 0
    while left and count < MOST_PARTS:
        prefix, part = left.pop()
        yield prefix, part
        left += [(f"{prefix}{name}.", child) for name, child in part._modules.items() if child is not None]
        count += 1


def tensors(parts):
    """(name, tensor) of every parameter and every buffer that is saved."""
    for prefix, part in parts:
        buffers = part._buffers.items()
        kept = [(name, value) for name, value in buffers if name not in part._non_persistent_buffers_set]
        for name, value in (*part._parameters.items(), *kept):
            if value is not None:
                yield prefix + name, value
