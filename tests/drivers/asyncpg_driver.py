"""asyncpg against the URL given: always extended, binary, prepared by name."""

import asyncio
import sys
from decimal import Decimal

import asyncpg

from checks import done, equal, failed

URL = sys.argv[1]
USER = 701


async def simple_query(conn):
    equal(await conn.execute("SELECT 1"), "SELECT 1")
    equal(await conn.execute(f"INSERT INTO users VALUES ({USER}, 'Eva')"), "INSERT 0 1")


async def extended_query(conn):
    row = await conn.fetchrow("SELECT id, name FROM users WHERE id = $1", USER)
    equal(dict(row), {"id": USER, "name": "Eva"})
    equal(await conn.fetchval("SELECT name FROM countries WHERE code = $1", "is"), "Island")


async def prepared(conn):
    statement = await conn.prepare("SELECT name FROM users WHERE id = $1")
    equal([str(parameter.name) for parameter in statement.get_parameters()], ["int8"])
    for _ in range(20):
        equal(await statement.fetchval(USER), "Eva")
    equal(await statement.fetchval(-1), None)


async def many_statements(conn):
    # More than asyncpg keeps prepared: it closes the oldest.
    for number in range(150):
        equal(await conn.fetchval(f"SELECT $1::int + {number}", 1), number + 1)


async def transactions(conn):
    async with conn.transaction():
        await conn.execute("INSERT INTO orders VALUES ($1, $2, $3)", USER, 1, Decimal("1.10"))
        try:
            async with conn.transaction():
                await conn.execute("INSERT INTO orders VALUES ($1, $2, $3)", USER, 1, Decimal("2"))
        except asyncpg.UniqueViolationError as error:
            equal(error.sqlstate, "23505")
            equal(error.constraint_name, "orders_pkey")
        await conn.execute("INSERT INTO orders VALUES ($1, $2, $3)", USER, 2, Decimal("2.20"))
    equal(await conn.fetchval("SELECT sum(amount) FROM orders WHERE user_id = $1", USER), Decimal("3.30"))


async def sqlstates(conn):
    for statement, error in [
        ("SELEC 1", asyncpg.PostgresSyntaxError),
        ("SELECT 1 / 0", asyncpg.DivisionByZeroError),
        ("SELECT * FROM no_such_table", asyncpg.UndefinedTableError),
    ]:
        try:
            await conn.fetch(statement)
        except error:
            continue
        raise AssertionError(f"{statement} did not fail")


async def executemany(conn):
    rows = [(USER, number, Decimal(number)) for number in range(1000, 2000)]
    async with conn.transaction():
        await conn.executemany("INSERT INTO orders VALUES ($1, $2, $3)", rows)


async def thousand_rows(conn):
    rows = await conn.fetch("SELECT id, amount FROM orders WHERE user_id = $1 AND id >= 1000 ORDER BY id", USER)
    equal(len(rows), 1000)
    equal(tuple(rows[999]), (1999, Decimal(1999)))


async def cursor(conn):
    async with conn.transaction():
        query = "SELECT id FROM orders WHERE user_id = $1 AND id >= 1000 ORDER BY id"
        numbers = [record["id"] async for record in conn.cursor(query, USER, prefetch=70)]
        equal(numbers, list(range(1000, 2000)))
        cursor = await conn.cursor(query, USER)
        equal([record["id"] for record in await cursor.fetch(2)], [1000, 1001])
        equal((await cursor.fetchrow())["id"], 1002)


async def copy(conn):
    await conn.execute("DELETE FROM settings WHERE k LIKE 'asyncpg%'")
    records = [(f"asyncpg-{number}", "v") for number in range(300)]
    equal(await conn.copy_records_to_table("settings", records=records), "COPY 300")
    received = bytearray()

    async def receive(data):
        received.extend(data)

    await conn.copy_from_query("SELECT k FROM settings WHERE k LIKE 'asyncpg%'", output=receive)
    equal(received.count(b"\n"), 300)


async def cancel(conn):
    try:
        await asyncio.wait_for(conn.execute("SELECT pg_sleep(20)"), timeout=0.3)
    except asyncio.TimeoutError:
        pass
    else:
        raise AssertionError("the sleep was not cancelled")
    equal(await conn.fetchval("SELECT 'alive'"), "alive")


async def pool(_):
    # Releasing a connection resets its session.
    async with asyncpg.create_pool(URL, min_size=2, max_size=4) as pool:
        names = await asyncio.gather(
            *(pool.fetchval("SELECT name FROM users WHERE id = $1", USER) for _ in range(40))
        )
    equal(set(names), {"Eva"})


async def main():
    conn = await asyncpg.connect(URL)
    await conn.execute(f"DELETE FROM orders WHERE user_id = {USER}")
    await conn.execute(f"DELETE FROM users WHERE id = {USER}")
    done("connect")
    for check in [
        simple_query, extended_query, prepared, many_statements, transactions, sqlstates, executemany,
        thousand_rows, cursor, copy, cancel, pool,
    ]:
        try:
            await check(conn)
        except Exception:
            failed(check.__name__)
        done(check.__name__)
    await conn.close()


asyncio.run(main())
