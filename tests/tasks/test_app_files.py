"""The one script and the one style sheet of a study, put together from their parts."""

import re
from collections import Counter

from tasks.publish.app_files import SCRIPTS, SOURCES, STYLES, app_script, app_style, write_app

TOP_LEVEL = re.compile(r"^(?:async )?(?:const|let|function\*?|class) (\w+)", re.MULTILINE)


def test_every_part_is_put_in_once():
    parts = {path.name for path in SOURCES.iterdir()}
    assert sorted([*SCRIPTS, *STYLES]) == sorted(parts)


def test_no_part_declares_a_name_of_another():
    """All parts share one scope, where a second function of a name silently replaces the first."""
    names = Counter(
        name for part in SCRIPTS for name in TOP_LEVEL.findall((SOURCES / part).read_text("utf-8"))
    )
    assert len(names) > len(SCRIPTS)
    assert [name for name, times in names.items() if times > 1] == []


def test_the_files_are_written_where_they_are_missing_or_old(tmp_path):
    write_app(tmp_path)
    (tmp_path / "app.css").write_text("old", encoding="utf-8")
    write_app(tmp_path)
    assert (tmp_path / "app.js").read_bytes() == app_script()
    assert (tmp_path / "app.css").read_bytes() == app_style()
