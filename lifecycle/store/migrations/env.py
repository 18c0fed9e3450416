"""Runs migrations on the connection that `lifecycle.store.schema` hands over, in its transaction."""

from alembic import context
from sqlmodel import SQLModel

from lifecycle.store import tables as _tables  # noqa: F401 - defines the metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
)
context.run_migrations()
