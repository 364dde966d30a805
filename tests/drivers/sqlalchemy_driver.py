"""SQLAlchemy 2 on psycopg, Core and ORM, against the URL given. What it reads is printed, and compared with one PostgreSQL."""

import sys
from decimal import Decimal

from sqlalchemy import (
    BigInteger, MetaData, Numeric, Table, Text, and_, bindparam, case, create_engine, delete, exists,
    func, insert, literal, or_, select, text, tuple_, union_all, update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import (
    DeclarativeBase, Mapped, Session, aliased, joinedload, mapped_column, relationship, selectinload, subqueryload,
)

FIRST, LAST = 71_000, 71_999


def show(name, value):
    print(f"{name}: {value!r}", flush=True)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    orders: Mapped[list["Order"]] = relationship(
        back_populates="user", order_by="Order.id", cascade="all, delete-orphan", passive_deletes=False,
        primaryjoin="User.id == foreign(Order.user_id)",
    )


class Order(Base):
    __tablename__ = "orders"
    user_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    amount: Mapped[Decimal] = mapped_column(Numeric)
    user: Mapped[User] = relationship(back_populates="orders", primaryjoin="User.id == foreign(Order.user_id)")


users, orders = User.__table__, Order.__table__
OURS = users.c.id.between(FIRST, LAST)
THEIRS = orders.c.user_id.between(FIRST, LAST)


def rows(result):
    return [tuple(row) for row in result]


def core(engine):
    with engine.begin() as conn:
        conn.execute(delete(orders).where(THEIRS))
        conn.execute(delete(users).where(OURS))
    with engine.begin() as conn:
        made = conn.execute(
            insert(users).returning(users.c.id, users.c.name),
            [{"id": FIRST + n, "name": f"user {n % 4}"} for n in range(12)],
        )
        show("insertmanyvalues", sorted(rows(made)))
        conn.execute(
            insert(orders),
            [{"user_id": FIRST + n % 12, "id": n, "amount": Decimal(n) / 4} for n in range(60)],
        )
    with engine.connect() as conn:
        def ask(name, statement, *parameters):
            show(name, rows(conn.execute(statement, *parameters)))

        ask("by key", select(users).where(users.c.id == FIRST + 3))
        ask("by several", select(users).where(users.c.id.in_([FIRST, FIRST + 5, FIRST + 7])).order_by(users.c.id))
        ask("bound", select(users.c.name).where(users.c.id == bindparam("key")), {"key": FIRST + 1})
        joined = users.join(orders, users.c.id == orders.c.user_id)
        ask("joined", select(users.c.name, orders.c.amount).select_from(joined).where(users.c.id == FIRST).order_by(orders.c.id))
        total = func.sum(orders.c.amount)
        ask("grouped by key", select(orders.c.user_id, total, func.count()).where(THEIRS).group_by(orders.c.user_id).having(total > 30).order_by(total.desc(), orders.c.user_id))
        ask("grouped", select(users.c.name, func.count(), func.max(orders.c.amount)).select_from(joined).where(OURS).group_by(users.c.name).order_by(users.c.name))
        ask("distinct", select(users.c.name).distinct().where(OURS).order_by(users.c.name))
        ask("page", select(orders.c.user_id, orders.c.id).where(THEIRS).order_by(orders.c.amount.desc(), orders.c.id).limit(5).offset(3))
        rank = func.row_number().over(partition_by=orders.c.user_id, order_by=orders.c.amount.desc()).label("rank")
        ranked = select(orders.c.user_id, orders.c.id, rank).where(THEIRS).subquery()
        ask("window", select(ranked).where(ranked.c.rank == 1).order_by(ranked.c.user_id))
        big = select(orders.c.user_id).where(and_(THEIRS, orders.c.amount > 13)).cte("big")
        ask("with", select(users.c.id).where(users.c.id.in_(select(big.c.user_id))).order_by(users.c.id))
        some = exists().where(and_(orders.c.user_id == users.c.id, orders.c.amount < 1))
        ask("exists", select(users.c.id).where(OURS, some).order_by(users.c.id))
        ask("case", select(users.c.id, case((users.c.name == "user 0", 1), else_=0)).where(OURS).order_by(users.c.id).limit(3))
        both = union_all(select(users.c.id).where(users.c.id == FIRST), select(orders.c.id).where(orders.c.user_id == FIRST))
        ask("union", both.order_by("id"))
        ask("tuples", select(orders.c.amount).where(tuple_(orders.c.user_id, orders.c.id).in_([(FIRST, 12), (FIRST + 1, 1)])).order_by(orders.c.amount))
        ask("or", select(users.c.id).where(or_(users.c.id == FIRST, and_(OURS, users.c.name == "user 3"))).order_by(users.c.id))
        ask("scalar subquery", select(users.c.id, select(func.count()).where(orders.c.user_id == users.c.id).scalar_subquery()).where(OURS).order_by(users.c.id))
        ask("literal", select(literal("x"), func.coalesce(None, 2)))
        stream = conn.execution_options(stream_results=True, yield_per=7).execute(select(orders.c.id).where(THEIRS).order_by(orders.c.id))
        show("stream", [len(part) for part in stream.partitions()])
    with engine.begin() as conn:
        show("update", rows(conn.execute(update(users).where(users.c.id == FIRST).values(name="Ada").returning(users.c.name))))
        show("update all", conn.execute(update(orders).where(THEIRS).values(amount=orders.c.amount + 1)).rowcount)
        statement = upsert(users).values(id=FIRST, name="again")
        statement = statement.on_conflict_do_update(index_elements=["id"], set_={"name": statement.excluded.name + "!"})
        show("upsert", rows(conn.execute(statement.returning(users.c.name))))
        show("ignored", conn.execute(upsert(users).values(id=FIRST, name="no").on_conflict_do_nothing()).rowcount)
        try:
            with conn.begin_nested():
                conn.execute(insert(users).values(id=FIRST + 1, name="twice"))
        except IntegrityError as error:
            show("error", (error.orig.sqlstate, error.orig.diag.constraint_name))
        show("behind the savepoint", conn.execute(select(func.count()).select_from(users).where(OURS)).scalar_one())
    with engine.connect() as conn:
        transaction = conn.begin()
        conn.execute(delete(orders).where(THEIRS))
        transaction.rollback()
        show("rolled back", conn.execute(select(func.count()).where(THEIRS)).scalar_one())
    reflected = Table("orders", MetaData(), autoload_with=engine)
    show("reflected", [(column.name, str(column.type), column.primary_key) for column in reflected.columns])


def orm(engine):
    with Session(engine) as session:
        for user in session.scalars(select(User).where(OURS)):
            session.delete(user)
        session.commit()
        show("nothing left", session.scalar(select(func.count()).where(THEIRS)))
        session.add_all(
            User(id=FIRST + n, name=f"n{n}", orders=[Order(id=m, amount=Decimal(n * m)) for m in range(n)]) for n in range(6)
        )
        session.commit()
        show("get", (session.get(User, FIRST + 2).name, session.get(Order, (FIRST + 2, 1)).amount))
        show("lazy", [order.id for order in session.get(User, FIRST + 3).orders])
    for how in (selectinload, joinedload, subqueryload):
        with Session(engine) as session:
            found = session.scalars(select(User).where(OURS).options(how(User.orders)).order_by(User.id)).unique().all()
            show(how.__name__, [(user.name, [order.amount for order in user.orders]) for user in found])
    with Session(engine) as session:
        user = session.get(User, FIRST + 1, with_for_update=True)
        user.name = "changed"
        user.orders.append(Order(id=50, amount=Decimal("0.50")))
        session.flush()
        session.refresh(user)
        show("refreshed", (user.name, len(user.orders)))
        with session.begin_nested() as nested:
            user.name = "forgotten"
            session.flush()
            nested.rollback()
        show("after the savepoint", user.name)
        session.commit()
    with Session(engine) as session:
        changed = session.execute(update(User).where(OURS, User.name.like("n%")).values(name="m"))
        show("bulk update", changed.rowcount)
        session.execute(update(User), [{"id": FIRST + n, "name": f"k{n}"} for n in range(6)])
        session.commit()
        show("by primary key", session.scalars(select(User.name).where(OURS).order_by(User.id)).all())
        other = aliased(Order)
        pairs = select(Order.id, other.id).join(other, and_(Order.user_id == other.user_id, Order.id < other.id))
        show("self join", rows(session.execute(pairs.where(Order.user_id == FIRST + 4).order_by(Order.id, other.id))))
        show("aggregate", rows(session.execute(select(User.name, func.sum(Order.amount)).join(User.orders).where(OURS).group_by(User.id, User.name).order_by(User.id))))
        user = session.get(User, FIRST + 5)
        del user.orders[0]
        session.commit()
        show("orphan", [order.id for order in user.orders])
        session.add(User(id=FIRST, name="there already"))
        try:
            session.commit()
        except IntegrityError as error:
            session.rollback()
            show("orm error", error.orig.sqlstate)
        show("goes on", session.scalar(text("SELECT count(*) FROM users WHERE id BETWEEN :a AND :b"), {"a": FIRST, "b": LAST}))
        for user in session.scalars(select(User).where(OURS)):
            session.delete(user)
        session.commit()


if __name__ == "__main__":
    engine = create_engine(sys.argv[1].replace("postgres://", "postgresql+psycopg://", 1), pool_size=2)
    core(engine)
    orm(engine)
