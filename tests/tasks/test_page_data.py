import json

import numpy as np
import pytest

from tasks.publish.page_data import data_script, packed
from tests.tasks.page_files import arguments, unpacked

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "\u2028\u2029",
    "\u202egnp.fcs",
    "=cmd|' /C calc'!A0",
    '"\\\n\r\t\x00',
    "undecodable \udcff",
    "a" * 255,
    "&lt;&#x3c;",
    "Ångström µ 🧬",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_is_only_a_text(text: str) -> None:
    script = data_script("tube", text, {text: [text, None, 1.5, True]})
    assert arguments(script) == ("tube", text, {text: [text, None, 1.5, True]})
    written = script.decode("ascii")
    assert not set("<>&") & set(written)
    assert written.count("\n") == 1
    assert not [letter for letter in written[:-1] if ord(letter) < 32]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_cannot_hold_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        data_script("study", "", {"value": number})


@pytest.mark.parametrize("kind", ["<u4", ">u4", "u1", "<u2"])
@pytest.mark.parametrize("shape", [(0,), (7,), (96, 96), (3, 0)])
def test_packed_numbers_are_little_endian_whatever_they_were(
    kind: str, shape: tuple[int, ...]
) -> None:
    numbers = np.random.default_rng(4).integers(0, 200, shape).astype(kind)
    stored = "<" + np.dtype(kind).str[1:]
    assert np.array_equal(unpacked(packed(numbers), stored).reshape(shape), numbers)


def test_a_transposed_array_is_packed_as_it_reads() -> None:
    numbers = np.arange(6, dtype=np.uint8).reshape(2, 3).T
    assert unpacked(packed(numbers), "u1").tolist() == [0, 3, 1, 4, 2, 5]


def test_a_value_is_one_call() -> None:
    script = data_script("patient", "P01", {"a": "<"})
    assert script == b'reconflow.add("patient","P01",{"a":"\\u003c"});\n'
    assert json.loads(b'{"a":"\\u003c"}') == {"a": "<"}
