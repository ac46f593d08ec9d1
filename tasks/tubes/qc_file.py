"""Write the quality figures of a tube, qc.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

QC = "qc.json"


DRAW = "draw"


def qc_bytes(numbers: Mapping[str, Any]) -> bytes:
    """Write the quality figures of a tube as qc.json has them."""
    return (json.dumps(numbers, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
