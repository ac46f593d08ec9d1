"""Bring the tables of a store to the present version with alembic.

Importing alembic takes longer than opening a store that is up to date: import this module only
where a store has to be migrated.
"""

import threading

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

_ONE_AT_A_TIME = threading.Lock()
"""alembic keeps the migration that runs in its modules: two threads would mix theirs up."""


def upgrade_to_head(connection: Connection, version: int | None) -> None:
    """Migrate a store from a version to the newest, in the transaction of the connection.

    The version (None: the store has no tables yet) is the store's own record, ``schema_version``.
    alembic's record is set to it first.
    """
    config = Config()
    config.set_main_option("script_location", "tasks.store:migrations")
    config.attributes["connection"] = connection
    with _ONE_AT_A_TIME:
        if version is not None:
            command.stamp(config, str(version), purge=True)
        command.upgrade(config, "head")
