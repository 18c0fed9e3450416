"""What is sold, what was bought, and what goes with what."""

import sqlalchemy as sa
from alembic import op

from lifecycle.store.types import Instant, Key

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "product",
        sa.Column("id", Key, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("image", sa.Text(), nullable=True),
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("in_stock", sa.Boolean(), nullable=False),
        sa.Column("imported_at", Instant(), nullable=False),
        sa.Column("buyers", sa.Integer(), nullable=False),
        sa.Column("lately", sa.Integer(), nullable=False),
        sa.Column("popularity", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    popular = sa.text("popularity IS NOT NULL")
    op.create_index("product_popular", "product", ["popularity"], postgresql_where=popular, sqlite_where=popular)
    op.create_table(
        "purchase",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("product_id", Key, nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("last_at", Instant(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "product_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("purchase_of_product", "purchase", ["product_id", "customer_id"])
    op.create_table(
        "related",
        sa.Column("product_id", Key, nullable=False),
        sa.Column("other_id", Key, nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("together", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("product_id", "other_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "shopper",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id"),
    )


def downgrade() -> None:
    op.drop_table("shopper")
    op.drop_table("related")
    op.drop_table("purchase")
    op.drop_table("product")
