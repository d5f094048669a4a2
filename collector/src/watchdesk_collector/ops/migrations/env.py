"""Where Alembic starts; it gets an open transaction from `ops.database.migrate` and leaves the commit to it."""

from alembic import context

from watchdesk_collector.ops.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
