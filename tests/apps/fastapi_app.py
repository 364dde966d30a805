"""A FastAPI application on SQLAlchemy (async, asyncpg), asked by its own HTTP client. Usage: fastapi_app.py URL DIRECTORY.

Prints one line for each request, without ids and times: the same on one PostgreSQL and on several shards.
"""

import asyncio
import datetime
import decimal
import sys
from contextlib import asynccontextmanager

import httpx
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, ForeignKeyConstraint, Numeric, PrimaryKeyConstraint, String, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert as upsert
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, joinedload, mapped_column, relationship, selectinload

engine = create_async_engine(sys.argv[1].replace("postgres://", "postgresql+asyncpg://"), pool_size=4)
Session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Currency(Base):
    __tablename__ = "api_currency"
    code: Mapped[str] = mapped_column(String(3), primary_key=True)
    name: Mapped[str]


class Account(Base):
    __tablename__ = "api_account"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    currency_code: Mapped[str] = mapped_column(ForeignKey("api_currency.code"))
    settings: Mapped[dict] = mapped_column(JSONB, default=dict)
    currency: Mapped[Currency] = relationship()
    orders: Mapped[list["Order"]] = relationship(back_populates="account", cascade="all, delete-orphan")


class Order(Base):
    __tablename__ = "api_order"
    __table_args__ = (PrimaryKeyConstraint("account_id", "number"),)
    account_id: Mapped[int] = mapped_column(ForeignKey("api_account.id", ondelete="CASCADE"))
    number: Mapped[int]
    state: Mapped[str] = mapped_column(String(10), default="new")
    placed: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    account: Mapped[Account] = relationship(back_populates="orders")
    lines: Mapped[list["Line"]] = relationship(cascade="all, delete-orphan", order_by="Line.position")


class Line(Base):
    __tablename__ = "api_line"
    __table_args__ = (
        PrimaryKeyConstraint("account_id", "number", "position"),
        ForeignKeyConstraint(["account_id", "number"], ["api_order.account_id", "api_order.number"], ondelete="CASCADE"),
    )
    account_id: Mapped[int]
    number: Mapped[int]
    position: Mapped[int]
    what: Mapped[str]
    price: Mapped[decimal.Decimal] = mapped_column(Numeric(10, 2))


class AccountIn(BaseModel):
    name: str
    currency: str = "eur"


class OrderOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    number: int
    state: str


@asynccontextmanager
async def lifespan(app):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def session():
    async with Session() as one:
        yield one


@app.post("/accounts", status_code=201)
async def add(account: AccountIn, db: AsyncSession = Depends(session)):
    made = Account(name=account.name, currency_code=account.currency, settings={"theme": account.name[-1]})
    db.add(made)
    try:
        await db.commit()
    except IntegrityError as error:
        raise HTTPException(409, getattr(error.orig, "sqlstate", ""))
    ids[account.name] = made.id
    return {"name": made.name, "theme": made.settings["theme"]}


@app.post("/accounts/many")
async def add_many(names: list[str], db: AsyncSession = Depends(session)):
    rows = await db.execute(insert(Account).returning(Account.id, Account.name, sort_by_parameter_order=True),
                            [{"name": name, "currency_code": "usd", "settings": {}} for name in names])
    found = rows.all()
    await db.commit()
    ids.update({name: id for id, name in found})
    return [name for _, name in found]


@app.get("/accounts")
async def accounts(limit: int = 3, offset: int = 0, q: str = "", db: AsyncSession = Depends(session)):
    query = select(Account).where(Account.name.ilike(f"%{q}%")).options(joinedload(Account.currency))
    total = await db.scalar(select(func.count()).select_from(query.order_by(None).subquery()))
    page = await db.scalars(query.order_by(Account.name).limit(limit).offset(offset))
    return {"total": total, "page": [(one.name, one.currency.name) for one in page]}


@app.get("/accounts/{name}")
async def account(name: str, db: AsyncSession = Depends(session)):
    found = await db.get(Account, ids.get(name, 0), options=[selectinload(Account.orders).selectinload(Order.lines)])
    if not found:
        raise HTTPException(404)
    return {"name": found.name, "orders": [(o.number, o.state, [(l.what, str(l.price)) for l in o.lines]) for o in sorted(found.orders, key=lambda o: o.number)]}


@app.post("/accounts/{name}/orders", response_model=OrderOut)
async def order(name: str, lines: list[tuple[str, str]], db: AsyncSession = Depends(session)):
    async with db.begin():
        owner = await db.get(Account, ids[name], with_for_update=True)
        last = await db.scalar(select(func.coalesce(func.max(Order.number), 0)).where(Order.account_id == owner.id))
        made = Order(account_id=owner.id, number=last + 1)
        made.lines = [Line(position=n, what=what, price=price) for n, (what, price) in enumerate(lines)]
        db.add(made)
    return made


@app.put("/accounts/{name}/orders/{number}")
async def pay(name: str, number: int, db: AsyncSession = Depends(session)):
    done = await db.execute(update(Order).where(Order.account_id == ids[name], Order.number == number, Order.state == "new").values(state="paid").returning(Order.number))
    await db.commit()
    return done.scalars().all()


@app.get("/report")
async def report(db: AsyncSession = Depends(session)):
    by_currency = await db.execute(
        select(Currency.name, func.count(Line.price), func.sum(Line.price)).join(Account).join(Order).join(Line, (Line.account_id == Order.account_id) & (Line.number == Order.number))
        .group_by(Currency.name).having(func.sum(Line.price) > 1).order_by(Currency.name))
    top = await db.execute(
        select(Account.name, func.sum(Line.price).label("total")).join(Line, Line.account_id == Account.id).group_by(Account.id).order_by(text("total DESC"), Account.name).limit(2))
    without = await db.scalars(select(Account.name).where(~Account.orders.any()).order_by(Account.name))
    ranked = select(Order.account_id, Order.number, func.row_number().over(partition_by=Order.account_id, order_by=Order.number.desc()).label("n")).subquery()
    latest = await db.execute(select(Account.name, ranked.c.number).join(ranked, ranked.c.account_id == Account.id).where(ranked.c.n == 1).order_by(Account.name))
    return {"currencies": [(a, b, str(c)) for a, b, c in by_currency], "top": [(a, str(b)) for a, b in top], "without": list(without), "latest": [tuple(row) for row in latest]}


@app.post("/currencies")
async def currencies(db: AsyncSession = Depends(session)):
    statement = upsert(Currency).values([{"code": "eur", "name": "Euro"}, {"code": "usd", "name": "Dollar"}])
    await db.execute(statement.on_conflict_do_update(index_elements=["code"], set_={"name": statement.excluded.name}))
    await db.commit()
    return await db.scalar(select(func.count(Currency.code)))


@app.post("/transfer/{giver}/{taker}")
async def transfer(giver: str, taker: str, fail: bool = False, db: AsyncSession = Depends(session)):
    try:
        async with db.begin():
            for name in [giver, taker]:
                await db.execute(update(Account).where(Account.id == ids[name]).values(settings={"moved": name}))
            async with db.begin_nested() as nested:
                await db.execute(delete(Order).where(Order.account_id == ids[taker]))
                await nested.rollback()
            if fail:
                raise HTTPException(500)
    finally:
        found = await db.execute(select(Account.name, Account.settings["moved"].astext).where(Account.id.in_([ids[giver], ids[taker]])).order_by(Account.name))
        seen.append([tuple(row) for row in found])
    return seen[-1]


@app.get("/stream")
async def stream(db: AsyncSession = Depends(session)):
    names = []
    async for row in await db.stream(select(Line.what).order_by(Line.what).execution_options(yield_per=2)):
        names.append(row.what)
    return names


@app.delete("/accounts/{name}")
async def remove(name: str, db: AsyncSession = Depends(session)):
    found = await db.get(Account, ids[name])
    await db.delete(found)
    await db.commit()
    return await db.scalar(select(func.count()).select_from(Line))


@app.delete("/orders")
async def remove_new(db: AsyncSession = Depends(session)):
    done = await db.execute(delete(Order).where(Order.state == "new"))
    await db.commit()
    return done.rowcount


ids, seen = {}, []


async def main():
    async with lifespan(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
        async def asks(method, path, **more):
            try:
                answer = await client.request(method, path, **more)
                print(method, path, answer.status_code, answer.text)
            except DBAPIError as error:
                print(method, path, type(error).__name__, getattr(error.orig, "sqlstate", ""), str(error.orig).splitlines()[0])

        await asks("POST", "/currencies")
        await asks("POST", "/currencies")
        for name in ["ann", "bob", "cid"]:
            await asks("POST", "/accounts", json={"name": name})
        await asks("POST", "/accounts", json={"name": "nobody", "currency": "xxx"})
        await asks("POST", "/accounts/many", json=["dan", "eve", "flo", "gus"])
        await asks("GET", "/accounts")
        await asks("GET", "/accounts?limit=2&offset=4")
        await asks("GET", "/accounts?q=N")
        for name in ["ann", "bob", "eve", "gus"]:
            await asks("POST", f"/accounts/{name}/orders", json=[["pen", "1.50"], [f"book of {name}", "20.00"]])
        await asks("POST", "/accounts/ann/orders", json=[["ink", "3.25"]])
        # Several at once, on connections of their own.
        answers = await asyncio.gather(*[client.post(f"/accounts/{name}/orders", json=[["nib", "0.10"]]) for name in ["cid", "dan", "flo"]])
        print("together", [answer.json() for answer in answers])
        await asks("PUT", "/accounts/ann/orders/1")
        await asks("PUT", "/accounts/ann/orders/1")
        await asks("GET", "/accounts/ann")
        await asks("GET", "/accounts/zoe")
        await asks("GET", "/report")
        await asks("GET", "/stream")
        await asks("POST", "/transfer/ann/bob")
        await asks("POST", "/transfer/eve/gus?fail=true")
        print("seen", seen)
        await asks("DELETE", "/accounts/bob")
        await asks("DELETE", "/orders")
        await asks("GET", "/report")


asyncio.run(main())
