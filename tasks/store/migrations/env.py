"""Run the migrations on the connection that was handed over, inside its transaction.

alembic executes this file each time it is asked for a migration; nothing imports it.
"""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # Not alembic's usual name: another program may keep its own migrations in the same database.
    version_table="schema_revision",
)
context.run_migrations()
