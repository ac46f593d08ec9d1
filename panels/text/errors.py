"""Name every fault the program can meet.

One tree, so that a caller can tell whose fault it is::

    ReconflowError
    ├── TubeFault            one tube's own fault: recorded against it, and the night goes on
    │   ├── UnreadableFile   not FCS, two readers disagree
    │   │   └── CutShort     ends before what it announces: damaged, or a copy that goes on
    │   ├── PanelMismatch    a marker is missing, or sits on another marker's detector
    │   └── CompensationFault  no spill where one is needed, or one that cannot be inverted
    ├── StoreFault           the store cannot be used: a full disk, a damaged file
    │   └── StoreBusy        the same, but it may pass: locked, or a server that does not answer
    ├── RunnerFault          the cluster that does the work is gone, or has no worker to be used
    ├── LeaseLost            another process took the study's lock over
    ├── StateConflict        another process changed what this one was about to change
    └── UsageFault           the call, the settings, a sheet or a strategy is wrong: exit code 2
        ├── FieldFault       one value that a person gave in a command or a form
        ├── SettingsFault    study.yaml
        ├── SheetFault       samples.csv, patients.csv, drugs.csv
        ├── PanelFault       a panel definition
        ├── StrategyFault    a strategy definition, its lock or an imported gating document
        ├── CalibrationFault  a calibration, its lock, or the tubes it was to be measured on
        └── MapFault         a map of cells, its lock or its files, or too few cells for one

A message says what is wrong, in which file, what was expected and what to do.
"""


class ReconflowError(Exception):
    """Root of every error reconflow raises on purpose."""


class TubeFault(ReconflowError):
    """One tube cannot be used; the others can."""


class UnreadableFile(TubeFault):
    """The bytes are not an FCS data set that can be trusted."""


class CutShort(UnreadableFile):
    """The file ends before what it announces; a copy that is under way looks the same."""


class PanelMismatch(TubeFault):
    """The tube's channels do not fit the panel it was stained for."""


class CompensationFault(TubeFault):
    """The tube cannot be compensated."""


class StoreFault(ReconflowError):
    """The store cannot be used now; it is not the study's fault, nor a tube's."""


class StoreBusy(StoreFault):
    """The store cannot be used now, and perhaps can in a while."""


class RunnerFault(ReconflowError):
    """The cluster that does the work cannot be reached, or none of its workers may be used."""


class LeaseLost(ReconflowError):
    """The lock that this process worked under is another's by now; it may change nothing more."""


class StateConflict(ReconflowError):
    """A file is no longer in the state that was read: to be read again, not to be overwritten."""


class UsageFault(ReconflowError):
    """What the user wrote (call, settings, sheet, strategy) is wrong."""


class FieldFault(UsageFault):
    """One value that a person gave is wrong; a command and a form each call it by its name there.

    ``field`` is which value it is ("reason", "threshold"), ``why`` the sentence after its name.
    Where there can be several, ``which`` is the one ("cd24_tr") and ``value`` what was given for
    it. ``allowed_by`` is the field that would let it pass.
    """

    def __init__(
        self, field: str, why: str, which: str = "", value: str = "", allowed_by: str = ""
    ) -> None:
        # All of them in `args`, by which an exception is made again in another process.
        super().__init__(field, why, which, value, allowed_by)
        self.field, self.why, self.which, self.value = field, why, which, value
        self.allowed_by = allowed_by

    def __str__(self) -> str:
        return self.sentence(self.field)

    def sentence(self, called: str, equals: str = "=") -> str:
        """Give the sentence with the name that the field has for its reader."""
        value = f"{equals}{self.value}" if self.value else ""
        return f"{called} {self.which}".rstrip() + f"{value}{self.why}"


class SettingsFault(UsageFault):
    """study.yaml is wrong."""


class SheetFault(UsageFault):
    """A CSV sheet of the study is wrong."""


class PanelFault(UsageFault):
    """A panel definition is wrong."""


class StrategyFault(UsageFault):
    """A strategy, its lock or an imported gating document is wrong."""


class CalibrationFault(UsageFault):
    """A calibration, its lock, or the choice of tubes to measure one on is wrong."""


class MapFault(UsageFault):
    """A map of cells, its lock or its files are not as they were made, or none can be made."""
