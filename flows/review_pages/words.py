"""Say on a page what the program says on a command line: forms have fields, no options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tasks.corrections.boundaries import LEAST_VERTICES, MOST_VERTICES

UNREADABLE = "What was sent to the review server cannot be read: nothing was saved."
UNFORESEEN = "The review server failed at this; what it was at is in its own log."
_FIELDS = [
    (r"reconflow review accept .+ (\S+) --by NAME", r"accept the tubes of \1."),
    (r"give --threshold NAME=VALUE or --gate NAME=\S+", "move a threshold or an outline first."),
    (r":? --second NAME\b", ""),
    (r": --threshold(?=\.)", ""),
    (r"--threshold (\S+?)=(\S+)", r"The threshold \1 at \2"),
    (r"--threshold\b", "The threshold"),
    (r"--gate\b", "The outline of"),
    (r"--tube\b", "The tube"),
    (r"--by\b", "Your name"),
    (r"--second\b", "The second person"),
    (r"--comment\b", "The comment"),
    (r"--reason\b", "The reason"),
    (r"--meaning\b", "What the signature means"),
    (r"(?<=\. )`?reconflow run`?(?= )", "The next run"),
    (r"`?reconflow run`?(?= )", "the next run"),
]
_KINDS = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "float_type": "is no number",
    "finite_number": "is no number",
    "too_short": f"an outline has {LEAST_VERTICES} to {MOST_VERTICES} vertices",
    "too_long": f"an outline has {LEAST_VERTICES} to {MOST_VERTICES} vertices",
}


def on_page(sentence: str) -> str:
    """Call the options of a command what the form calls them."""
    for option, field in _FIELDS:
        sentence = re.sub(option, field, sentence)
    return sentence[:1].upper() + sentence[1:]


def why_malformed(error: Mapping[str, Any]) -> str:
    """Say what is wrong with a body, given the first error that its model finds."""
    place = ".".join(map(str, error["loc"][1:]))
    if error["type"] == "json_invalid" or not place:
        return UNREADABLE
    return f"{place}: {_KINDS.get(error['type'], error['msg'])}."
