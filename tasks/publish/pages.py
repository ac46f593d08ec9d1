"""Fill the templates of the pages."""

from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.publish.named_files import linked

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, values: Mapping[str, object]) -> str:
    """Fill one of the page templates; everything put in is escaped."""
    return _environment().get_template(template).render(values)


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    here = Path(__file__).parent
    styles = {"base": here / "app" / "base.css", "report": here / "styles" / "report.css"}
    for name, path in styles.items():
        style = Markup(path.read_text(encoding="utf-8"))  # noqa: S704 - a file of ours
        environment.globals[f"{name}_style"] = style
    environment.filters["linked"] = linked
    environment.filters["picture"] = lambda png: f"data:image/png;base64,{b64encode(png).decode()}"
    return environment
