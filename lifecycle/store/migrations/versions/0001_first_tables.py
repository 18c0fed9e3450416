"""The first tables."""

import sqlalchemy as sa
from alembic import op

from lifecycle.store.types import Id, Instant, Json

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Enrollments and messages are queues: each row is updated a few times and then rests, so pages keep room for a new
# version of a row beside the old one (a HOT update where no index is touched), and dead versions are swept after one
# to two per cent of a table instead of twenty, without pauses, before the due indexes fill with them: a claim of 500
# stays as quick after a million updates as at first. Activity and customers change with every event.
_STORAGE = {
    "enrollment": "fillfactor = 85, {often}",
    "message": "fillfactor = 85, {often}",
    "activity": "fillfactor = 90, {often}",
    "customer": "fillfactor = 90, {often}",
    "event": "autovacuum_vacuum_insert_scale_factor = 0.1",
}
_OFTEN = (
    "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, "
    "autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0"
)


def upgrade() -> None:
    op.create_table(
        "activity",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", Instant(), nullable=False),
        sa.Column("last_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "event"),
        sqlite_with_rowid=False,
    )
    op.create_index("activity_by_event", "activity", ["event", "last_at"])
    op.create_table(
        "consent",
        sa.Column("id", Id, nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=True),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("text_version", sa.Text(), nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("consent_of_customer", "consent", ["customer_id"])
    op.create_table(
        "customer",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("birthday", sa.Date(), nullable=True),
        sa.Column("birthday_md", sa.Integer(), nullable=True),
        sa.Column("timezone", sa.Text(), nullable=True),
        sa.Column("locale", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("traits", Json, server_default="{}", nullable=False),
        sa.Column("identified_at", Instant(), nullable=True),
        sa.Column("consents", Json, server_default="{}", nullable=False),
        sa.Column("erased_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "customer_birthday", "customer", ["birthday_md"], postgresql_where=sa.text("birthday_md IS NOT NULL")
    )
    op.create_table(
        "dead_letter",
        sa.Column("id", Id, nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("retried_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("entry_id"),
    )
    op.create_table(
        "enrollment",
        sa.Column("id", Id, nullable=False),
        sa.Column("journey", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("entry", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("wake_at", Instant(), nullable=True),
        sa.Column("awaiting", sa.Text(), server_default="start", nullable=True),
        sa.Column("arrived", sa.Boolean(), nullable=False),
        sa.Column("trigger_id", sa.Text(), nullable=True),
        sa.Column("trigger", Json, nullable=False),
        sa.Column("entered_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("customer_id", "journey", "key", "entry", name="enrollment_once"),
    )
    op.create_index(
        "enrollment_held",
        "enrollment",
        ["journey", "step"],
        postgresql_where=sa.text("state = 'held'"),
        sqlite_where=sa.text("state = 'held'"),
    )
    op.create_index(
        "enrollment_wake",
        "enrollment",
        ["wake_at"],
        postgresql_where=sa.text("wake_at IS NOT NULL"),
        sqlite_where=sa.text("wake_at IS NOT NULL"),
    )
    op.create_table(
        "event",
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("traits", Json, nullable=True),
        sa.Column("timestamp", Instant(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("properties", Json, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_index("event_of_customer", "event", ["customer_id", "name", "timestamp"])
    op.create_table(
        "message",
        sa.Column("id", Id, nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("enrollment_id", Id, nullable=False),
        sa.Column("journey", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("on_capped", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("wake_at", Instant(), nullable=True),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("capped_until", Instant(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claim", sa.Text(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("lanes", sa.Integer(), nullable=True),
        sa.Column("counted_at", Instant(), nullable=True),
        sa.Column("sent_at", Instant(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("locale", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("enrollment_id", "step", name="message_once"),
    )
    op.create_index(
        "message_counted",
        "message",
        ["customer_id", "counted_at"],
        postgresql_where=sa.text("counted_at IS NOT NULL"),
        sqlite_where=sa.text("counted_at IS NOT NULL"),
    )
    op.create_index(
        "message_wake",
        "message",
        ["wake_at"],
        postgresql_where=sa.text("wake_at IS NOT NULL"),
        sqlite_where=sa.text("wake_at IS NOT NULL"),
    )
    op.create_table(
        "suppression",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("address"),
    )
    op.create_table(
        "sweep",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("next_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "tally",
        sa.Column("journey", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("journey", "what"),
    )

    if op.get_bind().dialect.name == "postgresql":
        for table, storage in _STORAGE.items():
            op.execute(f"ALTER TABLE {table} SET ({storage.format(often=_OFTEN)})")


def downgrade() -> None:
    op.drop_table("tally")
    op.drop_table("sweep")
    op.drop_table("suppression")
    op.drop_table("message")
    op.drop_table("event")
    op.drop_table("enrollment")
    op.drop_table("dead_letter")
    op.drop_table("customer")
    op.drop_table("consent")
    op.drop_table("activity")
