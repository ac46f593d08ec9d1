"""Hand out the pages and tables of a study's results, and nothing else of the machine."""

from __future__ import annotations

from pathlib import Path

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".xml": "application/xml",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".pdf": "application/pdf",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".parquet": "application/vnd.apache.parquet",
}
"""What results hold, by ending, as the browser is told it."""


def find_result(results: Path, address: str) -> Path | None:
    """Find the file of an address below the results folder.

    None where there is none, and for folders, hidden files, other endings and whatever a link leads
    out of the folder: they are answered alike.
    """
    parts = [part for part in address.split("/") if part] or ["index.html"]
    if any(part.startswith(".") or "\\" in part or "\0" in part for part in parts):
        return None
    try:
        path = results.joinpath(*parts).resolve(strict=True)
    except (OSError, ValueError):
        return None
    if not path.is_relative_to(results.resolve()) or not path.is_file():
        return None
    return path if path.suffix in KINDS else None
