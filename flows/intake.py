"""Take up what the laboratory dropped, without counting: some sites schedule the two apart."""

from prefect import flow

from flows.served_study import served_study
from panels.files.watchdog import watchdog
from tasks.intake.take_in import IntakeSummary
from tasks.steps.prefect_tasks import take_in_files


@flow(name="intake", flow_run_name="intake")
@watchdog()
def intake(study: str) -> IntakeSummary:
    """Bring every file of the inbox that is at rest into the ledger, and give the summary."""
    return take_in_files(served_study(study))
