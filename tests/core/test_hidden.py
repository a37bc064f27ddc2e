"""Hidden characters, and the texts in which they are ordinary."""

from __future__ import annotations

import pytest

from patchrun.core.hidden import find_hidden

ORDINARY = [
    "# \U0001f468\u200d\U0001f4bb me",  # man technologist
    "# \U0001f469\U0001f3fd\u200d\U0001f52c",  # with a skin tone
    "# \U0001f9d1\u200d\u2696\ufe0f",  # judge: the last part with its emoji look
    "# \u2764\ufe0f\u200d\U0001f525",  # heart on fire: the first part with its emoji look
    "# \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",  # a family
    "# \U0001f3f3\ufe0f\u200d\U0001f308",  # rainbow flag
    "# \U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # Scotland
    "# 1\ufe0f\u20e3 first, #\ufe0f\u20e3",  # keycaps
    "# \u26a0\ufe0f careful \u2705 \u2b06\ufe0f",
    "# \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian, non-joiner in a verb
    "# \u0915\u094d\u200d\u0937",  # Devanagari, half form
    "# \u0dc1\u0dca\u200d\u0dbb\u0dd3",  # Sinhala
    "# \u0d28\u0d4d\u200d \u0d05",  # Malayalam chillu at a word's end
    "# gr\u00f6\u00dfer \u2603 \U0001f680\t\x0c \u4e2d\u6587 \u05e9\u05dc\u05d5\u05dd \u2192 \u00b5",
    'print("\U0001f937\u200d\u2642\ufe0f")',
]
WRONG = [
    "x\u200d = 1",
    "X\u200b = 1",
    "# a\u200db",
    "# \U0001f468\u200dme",
    "# me\u200d\U0001f468",
    "# \u200d\u200d\U0001f468",
    "batches\ufe0f = 1",  # an identifier that looks like another
    "x\U000e0100 = 1",
    "batches\u3164 = 1",
    "# \U0001f600\ufe0f\ufe01\ufe02",  # bytes in variation selectors
    "# \U0001f600" + "".join(chr(0xE0100 + at) for at in range(8)),
    "# \U0001f600\U000e0041\U000e0042\U000e007f",  # tags behind a face
    "# \U0001f3f4\U000e0041",
    "# \u202e safe",
    "# \u2066x\u2069",
    "# \u061c",
    "# a\ufeffb",
    "# a\u00adb \u200b",
    "\u00adx",
    "# \u2800\u2800",
    "# \u0627\u200da",
    "# \u034f",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_what_a_writer_has_to_type_is_ordinary(text: str) -> None:
    assert list(find_hidden(text)) == []


@pytest.mark.parametrize("text", WRONG)
def test_what_hides_reorders_or_carries_data_is_an_error(text: str) -> None:
    assert "error" in {severity for _, severity in find_hidden(text)}


def test_a_soft_hyphen_inside_a_word_only_warns() -> None:
    assert list(find_hidden("# natu\u00adral")) == [("\u00ad", "warning")]
