"""Ask the files of tubes that an earlier program took in which cytometer acquired them."""

from gating.fcs.header import read_header
from panels.text.errors import UnreadableFile
from tasks.store.opening import Store
from tasks.store.tubes import name_cytometer, without_cytometer
from tasks.study.folder import Study


def ask_for_cytometers(study: Study, store: Store) -> None:
    """Write down which cytometer each tube's file names, where that is not known yet.

    A file that is gone or cannot be read is asked again by the next pass: counting its tube tells
    what is wrong with it.
    """
    for tube in without_cytometer(store):
        if tube.file.place is None:
            continue
        try:
            header = read_header(study.path_of(tube.file.place))
        except (UnreadableFile, OSError):
            continue
        name_cytometer(store, tube.identity.tube_sha256, header.cytometer, header.serial)
