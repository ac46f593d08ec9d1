"""Find the real FCS files that lie beside the project, and say loudly when they are absent."""

import os
from pathlib import Path

import pytest

SHARED = Path(
    os.environ.get("RECONFLOW_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(),
    reason=(
        f"REAL DATA ABSENT: {SHARED} not found; set RECONFLOW_SHARED_DATA to test against real "
        f"FCS files"
    ),
)
