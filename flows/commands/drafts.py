"""Move numbers of drafts and compare them, where there is no browser."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from flows.cli import Json, Outcome, Study
from flows.commands.log_head import note_log_head
from panels.text.plural import counted

draft = App(
    name="draft",
    help=(
        "List the study's drafts of calibrations and strategies, move their numbers with name and "
        "reason, and compare what they would count with what counts now. In a browser: reconflow "
        "review."
    ),
    help_format="plaintext",
)

Pin = Annotated[str, Parameter(name="DRAFT", help="bcell/lyric-2@1.0.0, or bcell@3.1.0.")]


@draft.command(name="list")
def list_drafts(*, study: Study = Path(), json: Json = False) -> Outcome:
    """List the drafts of a study: what they were measured on, who edited them, what is wrong."""
    from tasks.drafts.draft_document import list_document
    from tasks.study.folder import open_study

    document = list_document(open_study(study))
    lines = []
    for each in document["drafts"]:
        edited = f" Edited by {', '.join(each['edited_by'])}." if each["edited_by"] else ""
        refused = each["refused"] and f"It cannot be released: {each['refused']}"
        wrong = each["fault"] or refused
        lines.append(f"{each['pin']:<34}{each['told']}{edited}{wrong and f' {wrong}'}".rstrip())
    return Outcome(document, "\n".join(lines) or "There is no draft in this study.")


@draft.command(name="set")
def set_numbers(  # noqa: PLR0913 - the options of a command
    pin: Pin,
    /,
    *,
    threshold: Annotated[
        tuple[str, ...],
        Parameter(negative="", help="NAME=VALUE on the scale to 262144; may be repeated."),
    ] = (),
    gate: Annotated[
        tuple[str, ...],
        Parameter(negative="", help="NAME=x1,y1;x2,y2;… of a strategy's polygon, on that scale."),
    ] = (),
    by: Annotated[str, Parameter(help="Who moves them.")] = "",
    reason: Annotated[str, Parameter(help="Why, for those who read it later.")] = "",
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """Move numbers of a draft: its file says by whom, the log of decisions has them all."""
    from tasks.corrections.boundaries import gates_given, thresholds_given
    from tasks.drafts.changes import Changes
    from tasks.drafts.draft_file import draft_of_pin, read_draft
    from tasks.drafts.edits import keep_edit, told
    from tasks.study.folder import open_study

    opened = open_study(study)
    now = read_draft(opened, draft_of_pin(opened, pin))
    changes = Changes(thresholds_given(threshold), gates_given(gate))
    kept = keep_edit(opened, now.name, changes, by=by, reason=reason, stamp=now.stamp)
    note_log_head(study)
    with opened.store() as store:
        words = told(store, kept).edits[-1].words
    return Outcome({"draft": pin, "set": list(words), "file": str(kept.path)}, "\n".join(words))


@draft.command
def compare(pin: Pin, /, *, study: Study = Path(), json: Json = False) -> Outcome:
    """Gate every tube that a draft would count, and compare with what counts now."""
    from tasks.drafts.candidate import candidate
    from tasks.drafts.concordance import compare_draft
    from tasks.drafts.draft_file import draft_of_pin, read_draft
    from tasks.strategies.in_use import read_snapshot
    from tasks.study.folder import open_study

    opened = open_study(study)
    now = read_draft(opened, draft_of_pin(opened, pin))
    result = compare_draft(candidate(read_snapshot(opened), now), lambda _done, _of: None)
    return Outcome(result, "\n".join(_compared_lines(result)))


def _compared_lines(result: dict[str, Any]) -> list[str]:
    """Write a comparison for people: a line a population, then what would read otherwise."""
    lines = [result["compared"], *result["missing"], ""]
    head = f"{'population':<34}{'pairs':>6}{'draft ÷ now':>13}{'limits of agreement':>24}"
    lines.append(head + f"{'Lin':>8}")
    for each in result["populations"]:
        ratio = "" if each["ratio"] is None else f"{each['ratio']:.3f}"
        low, high, lin = (each[name] for name in ("limit_low", "limit_high", "concordance"))
        limits = "" if low is None else f"{low:+.1f} to {high:+.1f} %"
        agreed = "" if lin is None else f"{lin:.3f}"
        label = each["population"]
        lines.append(f"{label:<34}{each['pairs']:>6}{ratio:>13}{limits:>24}{agreed:>8}")
    lines += ["", f"{counted(len(result['changed']), 'result')} would read otherwise:"]
    for each in result["changed"]:
        where = " ".join(filter(None, (each["patient"], each["visit"], each["population"])))
        lines.append(f"  {where} ({each['what']}): {each['today']} → {each['draft']}")
    return lines
