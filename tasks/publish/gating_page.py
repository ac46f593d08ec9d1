"""Write the page of one tube, a shell around its data file, and draw its gates as a figure."""

import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from gating.display.gate_view import GateView
from tasks.publish.gating_picture import draw_gating_page
from tasks.publish.tube_data import TubeHead

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BODY = re.compile(r'(<body(?: (?!data-versions)[a-z-]+="[^"]*")*)(?: data-versions="[^"]*")?>')


def gating_figure(head: TubeHead, flags: Sequence[str], views: Sequence[GateView]) -> "Figure":
    """Draw the gates of a tube under its usual title; ``flags`` are those of the tube."""
    title = f"{head.patient}  ·  {head.visit}  ·  {head.panel}"
    facts = [
        head.specimen,
        "1 event" if head.events == 1 else f"{head.events:,} events",
        f"strategy {head.strategy} ({head.strategy_sha256[:12]})",
        f"tube {head.tube_sha256[:12]}",
    ]
    if flags:
        facts.append(f"flags: {', '.join(flags)}")
    return draw_gating_page(title, "   ·   ".join(facts), views)


def render_gating_page(head: TubeHead, versions: Sequence[str] = ()) -> str:
    """Write the HTML page of a tube; its gates are in the data file beside it, ``gating.js``.

    ``versions`` names the versions of which a data file lies beside it.
    """
    from tasks.publish.pages import render

    shell = {"page": "gating", "root": "../../", "key": head.tube_sha256[:12]}
    page = render("gating.html", shell | {"data": ["gating.js"], "head": head})
    return with_versions(page, versions)


def with_versions(page: str, versions: Sequence[str]) -> str:
    """Let the page of a tube name the versions that can be laid over it, and no others."""
    named = f' data-versions="{escape(" ".join(versions))}"' if versions else ""
    return _BODY.sub(lambda body: f"{body[1]}{named}>", page, count=1)
