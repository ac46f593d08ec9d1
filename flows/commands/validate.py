"""The command that qualifies an installation."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.cli import Json, Outcome


def validate(
    *,
    output: Annotated[Path, Parameter(help="The folder for the dated report.")],
    json: Json = False,
) -> Outcome:
    """Qualify this installation on this machine, and write a dated report to file.

    Takes some minutes. Ends with code 1 when a check fails.
    """
    from dataclasses import asdict

    from tasks.validate.qualification import qualify, write_qualification

    done = qualify()
    page, data = write_qualification(done, output)
    failed = [each for each in done.verdicts if not each.holds]
    lines = [f"FAILS: {each.part}: {each.asked}: {each.evidence}" for each in failed]
    lines.append(f"{len(done.verdicts) - len(failed)} of {len(done.verdicts)} checks hold.")
    lines.append(f"{page} (print it to PDF from the browser), {data}")
    document = asdict(done) | {"holds": done.holds, "report": str(page)}
    return Outcome(document=document, text="\n".join(lines), failed=not done.holds)
