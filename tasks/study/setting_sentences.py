"""Put what is wrong with a study's settings into words."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from panels.files.yaml_document import repeated
from panels.text.printable import LONGEST_SENTENCE, shown
from panels.text.spelling import nearest

EXPECTED: Mapping[str, str] = MappingProxyType(
    {
        "tuple_type": "a list in square brackets is expected, such as [one, two]",
        "string_pattern_mismatch": "the name of a population is expected, such as b_cells",
    }
)


def setting_sentence(
    path: Path, error: ErrorDetails, lines: Mapping[str, int], settings: type[BaseModel]
) -> str:
    """Put one of pydantic's findings into words: file, line, dotted key, what was expected.

    ``lines`` holds the line of each dotted key that is written; ``settings`` is the model of all.
    """
    parts = [str(part) for part in error["loc"]]
    key = next(
        (name for n in range(len(parts), 0, -1) if (name := ".".join(parts[:n])) in lines),
        ".".join(parts),
    )
    where = f"{path}, line {lines[key]}" if key in lines else f"{path}"
    key = shown(key)
    if error["type"] == "extra_forbidden":
        known = list(_model_at(parts[:-1], settings).model_fields)
        hint = nearest(parts[-1], known) or f"; known are: {', '.join(known)}"
        return f"{where}: there is no setting '{key}'{hint}"
    if error["type"] == "missing":
        return f"{where}: the setting '{key}' is missing: write '{parts[-1]}: …'"
    if error["type"] == "string_pattern_mismatch" and parts[0] == "strategies":
        return (
            f"{where}: {key}: a strategy and its version are expected, such as bcell@1.0.0, not "
            f"{repeated(error['input'])}"
        )
    if error["type"] == "string_pattern_mismatch" and parts[0] == "store":
        return f"{where}: {key}: sqlite:///file or postgresql+psycopg://… is expected"
    message = EXPECTED.get(error["type"], error["msg"]).removeprefix("Value error, ")
    # The value of `store` may hold a password and is never repeated.
    given = "" if parts[0] == "store" else f" (it is {repeated(error['input'])})"
    return (
        f"{where}: {key}: {shown(f'{message[:1].lower()}{message[1:]}{given}', LONGEST_SENTENCE)}"
    )


def _model_at(parts: list[str], model: type[BaseModel]) -> type[BaseModel]:
    for part in parts:
        kind = model.model_fields[part].annotation if part in model.model_fields else None
        kinds = [
            each
            for each in (kind, *get_args(kind))
            if isinstance(each, type) and issubclass(each, BaseModel)
        ]
        model = kinds[0] if kinds else model
    return model
