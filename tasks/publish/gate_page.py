"""Write the page of one gate at all visits of a patient: a shell that app.js fills."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GatePage:
    """One gate of a patient: its name, what pages call it, and the panels whose strategy has it."""

    patient: str
    gate: str
    label: str
    panels: tuple[str, ...]


def render_gate_page(page: GatePage) -> str:
    """Write patients/<patient>/gates/<gate>.html."""
    from tasks.publish.pages import render

    root = "../../../"
    return render(
        "gate.html",
        {
            "gate": page,
            "page": "filmstrip",
            "key": page.patient,
            "root": root,
            "data": ["../series.js"],
        },
    )
