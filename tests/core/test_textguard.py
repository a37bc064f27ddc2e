# ruff: noqa: E501 - a change stands in one piece
"""Texts that name the data stay with the names that hold them, and these are read where they were."""

from __future__ import annotations

import pytest

from tests.core.speedrun_changes import Change, at_top, before_clock, check, guards_named

GUARDS = guards_named("file patterns", "use of validation files", "data loader")
SPELLINGS = [
    (
        "swap",
        [
            ("fineweb_train_*", "fineweb_X_*"),
            ("fineweb_val_*", "fineweb_train_*"),
            ("fineweb_X_*", "fineweb_val_*"),
        ],
    ),
    ("swap tuple", at_top("args.train_files, args.val_files = args.val_files, args.train_files")),
    (
        "swap kw",
        [
            (
                "args = Hyperparameters()",
                'args = Hyperparameters(train_files="data/fineweb10B/fineweb_val_*.bin", val_files="data/fineweb10B/fineweb_train_*.bin")',
            )
        ],
    ),
    (
        "swap dict",
        at_top(
            'vars(args).update({"train_files": "data/fineweb10B/fineweb_val_*.bin", "val_files": "data/fineweb10B/fineweb_train_*.bin"})'
        ),
    ),
    (
        "swap field order",
        [
            (
                '    train_files: str = "data/fineweb10B/fineweb_train_*.bin"\n    val_files: str = "data/fineweb10B/fineweb_val_*.bin"\n',
                "    val_files: str\n    train_files: str\n",
            ),
            (
                "args = Hyperparameters()",
                'args = Hyperparameters("data/fineweb10B/fineweb_train_*.bin", "data/fineweb10B/fineweb_val_*.bin")',
            ),
        ],
    ),
    ("later", at_top('args.train_files = "data/fineweb10B/fineweb_val_*.bin"')),
    ("fstring", at_top("args.train_files = f\"data/fineweb10B/fineweb_{'val'}_*.bin\"")),
    ("join", at_top('args.train_files = "_".join(["data/fineweb10B/fineweb", "val", "*.bin"])')),
    (
        "replace method",
        [
            (
                'train_files: str = "data/fineweb10B/fineweb_train_*.bin"',
                'train_files: str = "data/fineweb10B/fineweb_train_*.bin".replace("train", "val")',
            )
        ],
    ),
    ("replace var", at_top('args.train_files = args.train_files.replace("train", "val")')),
    ("percent", at_top('args.train_files = "data/fineweb10B/fineweb_%s_*.bin" % "val"')),
    ("format", at_top('args.train_files = "data/fineweb10B/fineweb_{}_*.bin".format("val")')),
    ("reversed", at_top('args.train_files = "nib.*_lav_bewenif/B01bewenif/atad"[::-1]')),
    ("setattr", at_top('setattr(args, "train_files", args.val_files)')),
    ("for", at_top("for args.train_files in (args.val_files,):\n    pass")),
    (
        "rename swap",
        [
            ("train_files: str", "a_files: str"),
            ("val_files: str", "b_files: str"),
            ("fineweb_train_*", "fineweb_X_*"),
            ("fineweb_val_*", "fineweb_train_*"),
            ("fineweb_X_*", "fineweb_val_*"),
        ]
        + [("args.train_files", "args.a_files")] * 2
        + [("args.val_files", "args.b_files")],
    ),
    (
        "loader name",
        [
            (
                "del train_loader, initial_state\n\ntrain_loader = distributed_data_generator(args.train_files",
                "del train_loader, initial_state\n\ntrain_loader = distributed_data_generator(args.val_files",
            )
        ],
    ),
    (
        "loader literal",
        [
            (
                "del train_loader, initial_state\n\ntrain_loader = distributed_data_generator(args.train_files",
                'del train_loader, initial_state\n\ntrain_loader = distributed_data_generator("data/fineweb10B/fineweb_val_*.bin"',
            )
        ],
    ),
    (
        "loader getattr",
        [
            (
                "del train_loader, initial_state\n\ntrain_loader = distributed_data_generator(args.train_files",
                'del train_loader, initial_state\n\ntrain_loader = distributed_data_generator(getattr(args, "val_files")',
            )
        ],
    ),
    (
        "loader ifexp",
        [
            (
                "del train_loader, initial_state\n\ntrain_loader = distributed_data_generator(args.train_files",
                "del train_loader, initial_state\n\ntrain_loader = distributed_data_generator(args.val_files if rank else args.train_files",
            )
        ],
    ),
    (
        "train on val loader",
        [
            (
                "    if last_step:\n        break\n    inputs, targets = next(train_loader)",
                "    if last_step:\n        break\n    inputs, targets = next(train_loader if step % 2 else val_loader)",
            )
        ],
    ),
    (
        "alias of files",
        [("del train_loader, initial_state\n", "del train_loader, initial_state\nfiles = args.val_files\n")],
    ),
    ("glob literal", before_clock('extra = glob.glob("data/fineweb10B/fineweb_val_*")')),
    ("split var", at_top("split = 'val'\nargs.train_files = f'data/fineweb10B/fineweb_{split}_*.bin'")),
    ("glob.glob", at_top("real = glob.glob\nglob.glob = lambda p: real(p.replace('train', 'val'))")),
    ("shard literal", before_clock("tokens = _load_data_shard('data/fineweb10B/fineweb_val_000000.bin')")),
]


@pytest.mark.parametrize("change", [one for _, one in SPELLINGS], ids=[name for name, _ in SPELLINGS])
def test_every_way_to_train_on_other_files_is_seen(change: Change) -> None:
    assert check(change, GUARDS)
