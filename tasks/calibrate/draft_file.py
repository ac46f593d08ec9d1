"""Write the calibration.yaml of a draft, sealed so that a change by a person is seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gating.calibration.catalogue import read_calibration
from panels.files.lock import canonical_sha256
from panels.files.user_file import NotReadable, read_user_file
from panels.files.yaml_document import parse_yaml
from panels.files.yaml_nodes import MOST_BYTES
from panels.files.yaml_scalars import block, flow
from panels.text.errors import CalibrationFault
from panels.text.plural import counted

if TYPE_CHECKING:
    from tasks.calibrate.instrument_calibration import Measured
    from tasks.calibrate.threshold_proposals import Proposal

HEAD = ("panel", "instrument", "version", "title", "strategy", "relative_to", "known_as")
HEADER = """\
# A draft. Look at evidence.html, take out what you do not believe, then release it:
#   reconflow calibrate release {panel} {instrument} {version} --by NAME --reason TEXT
# Linear, compensated intensities on a scale that ends at 262144. Each number was measured; what
# no tube could tell stands under 'unmeasured'. docs/calibration.md explains every key.
"""


def sealed_yaml(measured: Measured, path: Path) -> str:
    """Write a draft whose last line holds the hash of its content; ``path`` is where it will lie.

    Raises CalibrationFault when the text cannot be read again.
    """
    text = calibration_yaml(measured)
    content = parse_yaml(text, path, CalibrationFault, days=[("since",)]).content
    return f"{text}{_seal(canonical_sha256(content))}\n"


def is_as_drafted(path: Path) -> bool:
    """Tell whether a calibration is as the draft command wrote it: its last line holds its hash.

    Raises CalibrationFault when the file cannot be read.
    """
    try:
        text = read_user_file(path, MOST_BYTES).decode("utf-8", errors="replace")
    except NotReadable as error:
        raise CalibrationFault(f"{path}: {error}") from error
    last = text.rstrip("\n").rpartition("\n")[2]
    return last == _seal(read_calibration(path).sha256)


def calibration_yaml(measured: Measured) -> str:
    """Write a draft with one number a line, each with the source it rests on."""
    value = measured.calibration
    document = _whole_numbers(
        value.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    )
    head: dict[str, object] = {key: document[key] for key in HEAD if key in document}
    header = HEADER.format(panel=value.panel, instrument=value.instrument, version=value.version)
    lines = [header + block(head).rstrip("\n")]
    lines += _section("cytometers", document.get("cytometers"))
    sources = {each.threshold: _source(each) for each in measured.proposals if each.source}
    lines.append("thresholds:" if document["thresholds"] else "thresholds: {}")
    for name, numbers in document["thresholds"].items():
        lines.append(f"  {name}: {flow(numbers)}  # {sources[name]}")
    for key in ("landmarks", "unmeasured", "targets"):
        lines += _section(key, document.get(key))
    if "beads" in document:
        lines.append(f"beads: {flow(document['beads'])}")
    return "\n".join(lines) + "\n"


def _seal(sha256: str) -> str:
    return f"# drafted {sha256}"


def _whole_numbers(value: Any) -> Any:
    """Write 1500.0 as 1500."""
    if isinstance(value, dict):
        return {key: _whole_numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _section(key: str, value: object) -> list[str]:
    if not value:
        return []
    if isinstance(value, dict):
        return [f"{key}:", *(f"  {flow(name)}: {flow(each)}" for name, each in value.items())]
    return block({key: value}).rstrip("\n").splitlines()


def _source(proposal: Proposal) -> str:
    """Name the source that a value was taken from, and on how many tubes it rests."""
    taken = next(each for each in proposal.sources if each.source == proposal.source)
    return f"{taken.source}, {counted(taken.tubes, 'tube')}"
