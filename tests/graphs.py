"""Graphs for tests: models exported in this process, and one interpreter for many of them."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save
from tiny import tiny_track

from patchrun.adapters.interpreter import Interpreter
from patchrun.adapters.modelfile import ModelFile, read_model
from patchrun.core.graph.document import read_document
from patchrun.core.graph.model import ModelGraph, check_graph
from patchrun.services.graphs import EXPORTER
from patchrun.services.training import base_job


@cache
def exporter() -> ModuleType:
    """The exporter as a module."""
    spec = importlib.util.spec_from_file_location("exporter", EXPORTER)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def export_module(
    model: torch.nn.Module, batch: int, context: int, vocab_size: int, constants_kb: float = 64
) -> ModelGraph:
    """The checked graph of a module."""
    document = exporter().describe_model(torch, model, batch, context)
    return check_graph(read_document(json.dumps(document).encode()), batch, context, vocab_size, constants_kb)


def export_text(text: str, batch: int, context: int, vocab_size: int, constants_kb: float = 64) -> ModelGraph:
    """The checked graph of the model in a script, as the exporter makes it, but in this process."""
    with _kept_process(), tempfile.TemporaryDirectory() as folder:
        Path(folder, "train_gpt.py").write_text(text)
        job = {"code": folder, "script": "train_gpt.py", "seed": 1, "batch": batch, "context": context}
        document = exporter().export(job, torch)
        return check_graph(
            read_document(json.dumps(document).encode()), batch, context, vocab_size, constants_kb
        )


@contextmanager
def _kept_process() -> Iterator[None]:
    """What an exporter changes in its process is put back."""
    folder, path, modules = Path.cwd(), list(sys.path), dict(sys.modules)
    try:
        yield
    finally:
        os.chdir(folder)
        sys.path[:] = path
        sys.modules.pop("train_gpt", None)
        sys.modules.update(modules)


def as_model(tensors: dict[str, Any], folder: Path) -> ModelFile:
    """Arrays (or tensors of torch) as a saved model that was read back."""
    arrays = {
        name: np.asarray(tensor.detach() if isinstance(tensor, torch.Tensor) else tensor)
        for name, tensor in tensors.items()
    }
    path = folder / "model.safetensors"
    path.write_bytes(save({name: np.array(array, order="C") for name, array in arrays.items()}))
    return read_model(path, 64, None)


@contextmanager
def open_interpreter(wrapper: str = "none", **tables: dict[str, Any]) -> Iterator[Interpreter]:
    """A process that computes, ready."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "interpreter")
        Path(folder).chmod(0o755)
        with Interpreter(
            place, base_job(tiny_track(**tables), place, wrapper), wrapper=wrapper
        ) as interpreter:
            interpreter.await_ready()
            yield interpreter
