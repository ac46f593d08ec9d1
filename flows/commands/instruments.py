"""Show how the instruments of a study stand: signals, rules that are broken, lots compared."""

from pathlib import Path

from flows.cli import Json, Outcome, Study
from panels.text.printable import printable_lines


def monitor(*, study: Study = Path(), json: Json = False) -> Outcome:
    """Judge every instrument by its tubes so far, write its control charts, and say what drifts."""
    from tasks.monitor.document import monitoring_document, monitoring_text
    from tasks.monitor.pages import judge_and_write
    from tasks.strategies.in_use import read_snapshot
    from tasks.study.folder import open_study

    monitoring = judge_and_write(read_snapshot(open_study(study)))
    return Outcome(
        document=monitoring_document(monitoring),
        text=printable_lines(monitoring_text(monitoring)),
        wrong=bool(monitoring.problems),
    )
