"""What caps, digests, pauses, the customer's pace and fatigue need."""

import sqlalchemy as sa
from alembic import op

from lifecycle.store.types import Id, Instant, Json

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_OF_MESSAGES = ("capped_at", "capped_by", "lost_to", "digest_id", "sections")


def upgrade() -> None:
    op.add_column("customer", sa.Column("pace", Json, nullable=False, server_default="{}"))
    op.add_column("message", sa.Column("capped_at", Instant(), nullable=True))
    op.add_column("message", sa.Column("capped_by", sa.Text(), nullable=True))
    op.add_column("message", sa.Column("lost_to", Json, nullable=True))
    op.add_column("message", sa.Column("digest_id", Id, nullable=True))
    op.add_column("message", sa.Column("sections", Json, nullable=True))
    op.create_index(
        "message_capped",
        "message",
        ["capped_at"],
        postgresql_where=sa.text("capped_at IS NOT NULL"),
        sqlite_where=sa.text("capped_at IS NOT NULL"),
    )
    digest = sa.text("journey = 'digest' AND wake_at IS NOT NULL")
    op.create_index("message_digest", "message", ["customer_id"], postgresql_where=digest, sqlite_where=digest)
    counted = sa.text("counted_at IS NOT NULL")
    op.drop_index("message_counted", table_name="message")
    op.create_index(
        "message_counted",
        "message",
        ["customer_id", "kind", "counted_at", "topic", "journey"],  # all that counting asks for
        postgresql_where=counted,
        sqlite_where=counted,
    )
    # Whoever has gone through hundreds of journeys is in a few: those are found without looking at the others.
    still = sa.text("ended_at IS NULL")
    op.create_index("enrollment_open", "enrollment", ["customer_id"], postgresql_where=still, sqlite_where=still)
    op.create_table(
        "fatigue",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("opened", sa.Integer(), nullable=False),
        sa.Column("clicked", sa.Integer(), nullable=False),
        sa.Column("bought", sa.Integer(), nullable=False),
        sa.Column("complained", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sunset_at", Instant(), nullable=True),
        sa.Column("computed_at", Instant(), nullable=False),
        sa.Column("wake_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("customer_id"),
    )
    op.create_index(
        "fatigue_wake",
        "fatigue",
        ["wake_at"],
        postgresql_where=sa.text("wake_at IS NOT NULL"),
        sqlite_where=sa.text("wake_at IS NOT NULL"),
    )
    op.create_table(
        "pause",
        sa.Column("id", Id, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("paused_at", Instant(), nullable=False),
        sa.Column("resumed_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "fingerprint",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def downgrade() -> None:
    op.drop_table("fingerprint")
    op.drop_table("pause")
    op.drop_table("fatigue")
    op.drop_index("enrollment_open", table_name="enrollment")
    counted = sa.text("counted_at IS NOT NULL")
    op.drop_index("message_counted", table_name="message")
    op.create_index(
        "message_counted", "message", ["customer_id", "counted_at"], postgresql_where=counted, sqlite_where=counted
    )
    op.drop_index("message_digest", table_name="message")
    op.drop_index("message_capped", table_name="message")
    for column in reversed(_OF_MESSAGES):
        op.drop_column("message", column)
    op.drop_column("customer", "pace")
