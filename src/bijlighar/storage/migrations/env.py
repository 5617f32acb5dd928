"""How Alembic runs the scripts: on the connection it is given."""

from alembic import context

configuration = context.config
context.configure(
    connection=configuration.attributes["connection"],
    target_metadata=configuration.attributes["catalogue"],
    transactional_ddl=True,
    compare_type=False,
)
context.run_migrations()
