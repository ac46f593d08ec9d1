"""Write a number with what it counts."""


def counted(number: int, thing: str) -> str:
    """Write ``1 tube``, ``2 tubes`` and ``1,200 cells``."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
