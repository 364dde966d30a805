"""An Alembic project of its own: two revisions, one of them by autogenerate, and the ORM on what they made.

Usage: alembic_project.py URL DIRECTORY.
"""

import decimal
import pathlib
import sys

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import orm

URL = sys.argv[1].replace("postgres://", "postgresql+psycopg://", 1)
DIRECTORY = pathlib.Path(sys.argv[2])

ENV = """
from alembic import context
from sqlalchemy import create_engine
config = context.config
engine = create_engine(config.get_main_option("sqlalchemy.url"))
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=config.attributes.get("metadata"), compare_type=True)
    with context.begin_transaction():
        context.run_migrations()
"""

FIRST = '''
"""first"""
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0001", None
branch_labels = depends_on = None

def upgrade():
    op.execute("CREATE TYPE account_kind AS ENUM ('asset', 'debt')")
    op.create_table("currencies", sa.Column("code", sa.String(3), primary_key=True), sa.Column("name", sa.Text, nullable=False))
    op.create_table("accounts",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("name", sa.String(80), sa.CheckConstraint("name <> ''", name="named"), nullable=False, index=True),
        sa.Column("currency", sa.String(3), sa.ForeignKey("currencies.code")))
    op.create_table("postings",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("account_id", sa.BigInteger, sa.ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
        sa.Column("amount", sa.Numeric(12, 2), nullable=False))
    op.create_table("audit", sa.Column("id", sa.Integer, primary_key=True), sa.Column("what", sa.Text))

def downgrade():
    op.drop_table("audit")
    op.drop_table("postings")
    op.drop_table("accounts")
    op.drop_table("currencies")
    op.execute("DROP TYPE account_kind")
'''


class Base(orm.DeclarativeBase):
    pass


class Currency(Base):
    __tablename__ = "currencies"
    code: orm.Mapped[str] = orm.mapped_column(sa.String(3), primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.Text)


class Account(Base):
    __tablename__ = "accounts"
    id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(120), index=True)
    currency: orm.Mapped[str | None] = orm.mapped_column(sa.ForeignKey("currencies.code"))
    limit_: orm.Mapped[int] = orm.mapped_column(server_default="0")
    postings: orm.Mapped[list["Posting"]] = orm.relationship(passive_deletes=True)


class Posting(Base):
    __tablename__ = "postings"
    __table_args__ = (sa.Index("postings_amount", "amount"),)
    id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    account_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("accounts.id", ondelete="CASCADE"))
    amount: orm.Mapped[decimal.Decimal] = orm.mapped_column(sa.Numeric(12, 2))


class Audit(Base):
    __tablename__ = "audit"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    what: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    at: orm.Mapped[str | None] = orm.mapped_column(sa.Text)


(DIRECTORY / "versions").mkdir(parents=True)
(DIRECTORY / "env.py").write_text(ENV)
(DIRECTORY / "script.py.mako").write_text(
    '"""${message}"""\nfrom alembic import op\nimport sqlalchemy as sa\n${imports if imports else ""}\n'
    "revision = ${repr(up_revision)}\ndown_revision = ${repr(down_revision)}\n"
    "branch_labels = depends_on = None\n\ndef upgrade():\n    ${upgrades if upgrades else 'pass'}\n\n"
    "def downgrade():\n    ${downgrades if downgrades else 'pass'}\n"
)
(DIRECTORY / "versions" / "0001_first.py").write_text(FIRST)
config = Config()
config.set_main_option("script_location", str(DIRECTORY))
config.set_main_option("sqlalchemy.url", URL)
config.attributes["metadata"] = Base.metadata
command.upgrade(config, "head")
command.revision(config, "second", autogenerate=True)
command.upgrade(config, "head")
command.check(config)

engine = sa.create_engine(URL)
with orm.Session(engine) as session:
    with session.begin():
        for number in range(10):
            session.add(Account(name=f"account {number}"))
            session.flush()
    ids = session.scalars(sa.select(Account.id)).all()
    assert len(set(ids)) == 10, ids
    seen = set()
    for key in ids:
        with session.begin_nested() if session.in_transaction() else session.begin():
            postings = [Posting(account_id=key, amount=n) for n in range(3)]
            session.add_all(postings)
            session.flush()
            seen.update(posting.id for posting in postings)
    session.commit()
    assert len(seen) == 30, seen
    account = session.get(Account, ids[0])
    assert [posting.amount for posting in account.postings] == [0, 1, 2]
    account.limit_ = 5
    session.add(Audit(what="limit"))
    session.commit()
    assert session.get(Account, ids[0]).limit_ == 5
    try:
        session.get(Account, ids[1]).name = ''
        session.commit()
        raise AssertionError("the check constraint is missing")
    except sa.exc.IntegrityError:
        session.rollback()
    session.delete(session.get(Account, ids[0]))
    session.commit()
    assert session.scalars(sa.select(Posting).where(Posting.account_id == ids[0])).all() == []
command.downgrade(config, "-1")
assert not any(column["name"] == "limit_" for column in sa.inspect(engine).get_columns("accounts"))
command.upgrade(config, "head")
print("ok")
