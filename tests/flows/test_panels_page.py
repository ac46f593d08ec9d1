"""What docs/panels.md shows is what the commands say, and it explains every key of a panel."""

import re
from pathlib import Path

import pytest

from panels.panel import Panel, Stain
from tests.flows.command import reconflow_here
from tests.shared_data import SHARED, needs_shared

PAGE = Path(__file__).resolve().parents[2] / "docs" / "panels.md"


def shown() -> list[tuple[str, str]]:
    """Give each command of the page with what the page shows of it."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\n(\$ .+?)^```$", text, re.MULTILINE | re.DOTALL)
    parts = [re.split(r"^\$ reconflow ", block, flags=re.MULTILINE)[1:] for block in blocks]
    commands = [each.partition("\n") for part in parts for each in part]
    return [(command, output.strip()) for command, _, output in commands]


def test_every_key_of_a_panel_is_explained() -> None:
    keys = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(keys) == {*Panel.model_fields, *Stain.model_fields}


@needs_shared
def test_the_page_shows_what_the_commands_say(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "data").symlink_to(SHARED.resolve())
    (tmp_path / "work" / "lab").mkdir(parents=True)
    (tmp_path / "work" / "lab" / "study.yaml").write_text("study: lab\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "work")
    commands = shown()
    assert len(commands) >= 7
    for command, output in commands:
        said = reconflow_here(capfd, *command.split())
        assert (command, f"{said.out}{said.err}".strip()) == (command, output)
