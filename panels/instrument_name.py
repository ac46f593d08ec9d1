"""Name an instrument, in the same way on every page and in every table."""

from panels.panel import plain


def instrument_name(named: str | None, cytometer: str | None, serial: str | None) -> str:
    """Name an instrument: ``BD FACSLyric R659180000000``, ``Lyric 2 (FACSLyric R659)``.

    ``named`` is what the sample sheet calls it, ``cytometer`` and ``serial`` are what its files
    say. The laboratory's name comes first where it is another than the files'. Empty where nobody
    names it.
    """
    by_file = name_by_files(cytometer, serial)
    if not named or plain(named) in {plain(cytometer or ""), plain(serial or ""), plain(by_file)}:
        return by_file or named or ""
    return f"{named} ({by_file})" if by_file else named


def name_by_files(cytometer: str | None, serial: str | None) -> str:
    """Name an instrument as its files do: model and serial number, as far as they give them."""
    return " ".join(filter(None, (cytometer, serial)))
