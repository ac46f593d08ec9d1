"""Write the script and the style sheet that all pages of a study share."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from tasks.publish.tables import write_atomically

SOURCES = Path(__file__).with_name("app")
SCRIPTS = (
    "core.js",
    "session.js",
    "number_words.js",
    "named_files.js",
    "logicle_fit.js",
    "axis_reading.js",
    "colour_scale.js",
    "contours.js",
    "tube_data.js",
    "tube_visits.js",
    "page_address.js",
    "plot_scene.js",
    "plot_frame.js",
    "plot_labels.js",
    "plot.js",
    "plot_hover.js",
    "plot_figure.js",
    "plot_dialog.js",
    "severity_mark.js",
    "gate_words.js",
    "gate_captions.js",
    "plot_picture.js",
    "tube_head.js",
    "population_tree.js",
    "gating_bar.js",
    "gating_keys.js",
    "other_versions.js",
    "laid_over.js",
    "mini_curve.js",
    "gate_handles.js",
    "gate_editor.js",
    "review_panel.js",
    "gating_page.js",
    "filmstrip.js",
    "map_data.js",
    "map_since.js",
    "map_cells.js",
    "map_colouring.js",
    "map_plot.js",
    "map_lasso.js",
    "map_hover.js",
    "map_on_gates.js",
    "map_legend.js",
    "map_figures.js",
    "map_chosen.js",
    "map_clusters.js",
    "map_head.js",
    "map_controls.js",
    "map_page.js",
    "front.js",
    "grid.js",
    "search.js",
    "report.js",
    "sign_panel.js",
    "difference_plot.js",
    "draft_moves.js",
    "draft_plots.js",
    "draft_tubes.js",
    "draft_numbers.js",
    "draft_head.js",
    "draft_bar.js",
    "draft_effect.js",
    "draft_keep.js",
    "draft_concordance.js",
    "draft_release.js",
    "draft_keys.js",
    "draft_list.js",
    "draft_page.js",
)
"""The parts of app.js in the order in which they are put together."""
STYLES = (
    "base.css",
    "session.css",
    "plot.css",
    "gating.css",
    "front.css",
    "draft.css",
    "map.css",
)


@lru_cache(maxsize=1)
def app_script() -> bytes:
    """Put the parts of app.js together as one function, so that none of their names leaks.

    It is no ES module: browsers refuse to load those into a page that was opened by double click.
    """
    parts = "\n".join(f"// {name}\n{_source(name)}" for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();\n'.encode()


@lru_cache(maxsize=1)
def app_style() -> bytes:
    """Put the parts of app.css together."""
    return "\n".join(map(_source, STYLES)).encode()


def write_app(results: Path) -> None:
    """Write app.js and app.css where they are missing or of another release."""
    for name, content in (("app.js", app_script()), ("app.css", app_style())):
        path = results / name
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)


def _source(name: str) -> str:
    return (SOURCES / name).read_text(encoding="utf-8")
