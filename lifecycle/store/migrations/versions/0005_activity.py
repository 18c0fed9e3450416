"""Activity is found by a customer's first event of a name: the last one would write into the index each time."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_REACTIONS = sa.text("event = 'email.opened' OR event = 'email.clicked'")


def upgrade() -> None:
    op.drop_index("activity_by_event", "activity")
    op.create_index("activity_by_event", "activity", ["event", "first_at"])
    op.create_index(
        "activity_reacted",
        "activity",
        ["event", "last_at"],
        postgresql_where=_REACTIONS,
        sqlite_where=_REACTIONS,
    )


def downgrade() -> None:
    op.drop_index("activity_reacted", "activity")
    op.drop_index("activity_by_event", "activity")
    op.create_index("activity_by_event", "activity", ["event", "last_at"])
