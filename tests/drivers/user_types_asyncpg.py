"""asyncpg against the URL given, with enums, domains, composites and ranges: everything in binary, by learned OIDs."""

import asyncio
import sys

import asyncpg

from checks import done, equal, failed

URL = sys.argv[1]
IDS = list(range(1000, 1030))
COLORS = ["red", "green", "blue"]
SIZES = ["small", "large", "huge"]


def thing(id):
    color, size = COLORS[id % 3], SIZES[id % 2]
    pair = (color, id, [size, "huge"])
    return [id, color, size, [color, None, "blue"], pair, [pair, None], id, [id, 7]]


INSERT = "INSERT INTO things (id, c, s, cs, p, ps, d, ds) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
COLUMNS = "id, c, s, cs, p, ps, d, ds"


def plain(value):
    if isinstance(value, asyncpg.Record):
        return tuple(plain(one) for one in value.values())
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value


def rows(records):
    return [[plain(value) for value in record.values()] for record in records]


async def by_key(conn):
    for id in IDS[:10]:
        await conn.execute(INSERT, *thing(id))
    for id in IDS[:10]:
        row = await conn.fetchrow(f"SELECT {COLUMNS} FROM things WHERE id = $1", id)
        equal(rows([row]), [thing(id)])
        equal(await conn.fetchval("SELECT c FROM things WHERE id = $1 AND c = $2", id, thing(id)[1]), thing(id)[1])


async def several_rows(conn):
    await conn.executemany(INSERT, [thing(id) for id in IDS[10:20]])
    parameters, values = [], []
    for id in IDS[20:24]:
        start = len(parameters)
        values.append("(" + ", ".join(f"${start + at}" for at in range(1, 9)) + ")")
        parameters += thing(id)
    returned = await conn.fetch(f"INSERT INTO things ({COLUMNS}) VALUES {', '.join(values)} RETURNING {COLUMNS}", *parameters)
    equal(rows(returned), [thing(id) for id in IDS[20:24]])


async def copied(conn):
    records = [tuple(thing(id)) for id in IDS[24:]]
    names = COLUMNS.split(", ")
    try:
        await conn.copy_records_to_table("things", records=records, columns=names)
    except asyncpg.FeatureNotSupportedError as error:
        print(error)
        await conn.executemany(INSERT, records)


async def scattered(conn):
    got = await conn.fetch(f"SELECT {COLUMNS} FROM things WHERE id BETWEEN $1 AND $2", IDS[0], IDS[-1])
    equal(sorted(rows(got), key=lambda row: row[0]), [thing(id) for id in IDS])
    got = await conn.fetch("SELECT id FROM things WHERE c = $1 AND id >= $2 AND id < $3", "green", IDS[0], IDS[-1] + 1)
    equal(sorted(row[0] for row in got), [id for id in IDS if id % 3 == 1])
    got = await conn.fetch("SELECT id FROM things WHERE cs @> $1 AND id BETWEEN $2 AND $3", ["green"], IDS[0], IDS[-1])
    equal(sorted(row[0] for row in got), [id for id in IDS if id % 3 == 1])
    pair = thing(IDS[3])[4]
    equal(await conn.fetchval("SELECT id FROM things WHERE p = $1::pair", pair), IDS[3])


async def ordered(conn):
    where = "WHERE id BETWEEN $1 AND $2"
    got = await conn.fetch(f"SELECT {COLUMNS} FROM things {where} ORDER BY id", IDS[0], IDS[-1])
    equal(rows(got), [thing(id) for id in IDS])
    got = await conn.fetch(f"SELECT cs, id FROM things {where} ORDER BY id DESC LIMIT 5", IDS[0], IDS[-1])
    equal(rows(got), [[thing(id)[3], id] for id in reversed(IDS[-5:])])
    got = await conn.fetch(f"SELECT c, count(*) FROM things {where} GROUP BY c ORDER BY c", IDS[0], IDS[-1])
    equal(rows(got), [[color, 10] for color in COLORS])
    async with conn.transaction():
        got = []
        async for record in conn.cursor(f"SELECT {COLUMNS} FROM things {where} ORDER BY id", IDS[0], IDS[-1], prefetch=7):
            got.append(record)
        equal(rows(got), [thing(id) for id in IDS])
        got = []
        async for record in conn.cursor(f"SELECT {COLUMNS} FROM things {where}", IDS[0], IDS[-1], prefetch=7):
            got.append(record)
        equal(sorted(rows(got), key=lambda row: row[0]), [thing(id) for id in IDS])


async def records(conn):
    for id in IDS[:6]:
        got = await conn.fetchrow("SELECT (c, s, cs) FROM things WHERE id = $1", id)
        equal(plain(got[0]), (thing(id)[1], thing(id)[2], thing(id)[3]))
        whole = await conn.fetchval("SELECT things FROM things WHERE id = $1", id)
        equal([plain(value) for value in whole.values()][:8], thing(id))


async def ranges(conn):
    for id in IDS[:6]:
        span = asyncpg.Range(COLORS[0], thing(id)[1], upper_inc=True)
        await conn.execute("UPDATE things SET r = $2 WHERE id = $1", id, span)
        equal(await conn.fetchval("SELECT r FROM things WHERE id = $1", id), span)
        equal(await conn.fetchval("SELECT r @> $2::color FROM things WHERE id = $1", id, "red"), True)


async def names(conn):
    for id in IDS[:6]:
        got = await conn.fetchrow("SELECT pg_typeof(c)::text, pg_typeof(cs)::text FROM things WHERE id = $1", id)
        equal(list(got), ["color", "color[]"])


async def attributes(conn):
    statement = await conn.prepare("SELECT c, cs, p, d FROM things WHERE id = $1 AND c = $2 AND cs = $3 AND d = $4")
    equal([one.type.name for one in statement.get_attributes()], ["color", "color[]", "pair", "int4"])
    equal([one.name for one in statement.get_parameters()], ["int8", "color", "color[]", "int4"])


async def updated(conn):
    got = await conn.fetch(
        "UPDATE things SET cs = $1 WHERE id BETWEEN $2 AND $3 RETURNING id, cs, p", ["green"], IDS[0], IDS[-1]
    )
    expected = [[id, ["green"], thing(id)[4]] for id in IDS]
    equal(sorted(rows(got), key=lambda row: row[0]), expected)


async def references(conn):
    await conn.execute("INSERT INTO labels VALUES ($1, $2) ON CONFLICT (c) DO UPDATE SET names = excluded.names", "red", ["red", "blue"])
    equal(rows(await conn.fetch("SELECT c, names FROM labels WHERE c = $1", "red")), [["red", ["red", "blue"]]])
    got = await conn.fetch(
        "SELECT id, names FROM things JOIN labels USING (c) WHERE id BETWEEN $1 AND $2 ORDER BY id", IDS[0], IDS[-1]
    )
    equal(rows(got), [[id, ["red", "blue"]] for id in IDS if id % 3 == 0])


async def made_within_a_block(conn):
    async with conn.transaction():
        await conn.execute("CREATE TYPE mood_of_asyncpg AS ENUM ('sad', 'ok')")
        await conn.execute("ALTER TABLE things ADD COLUMN m mood_of_asyncpg, ADD COLUMN ms mood_of_asyncpg[]")
        for id in IDS[:6]:
            await conn.execute("UPDATE things SET m = $2, ms = $3 WHERE id = $1", id, "ok", ["sad", "ok"])
        for id in IDS[:6]:
            got = await conn.fetchrow("SELECT m, ms FROM things WHERE id = $1", id)
            equal(rows([got]), [["ok", ["sad", "ok"]]])
    for id in IDS[:6]:
        got = await conn.fetchrow("SELECT m, ms FROM things WHERE id = $1", id)
        equal(rows([got]), [["ok", ["sad", "ok"]]])
    await conn.execute("ALTER TABLE things DROP COLUMN m, DROP COLUMN ms")
    await conn.execute("DROP TYPE mood_of_asyncpg")


CHECKS = [by_key, several_rows, copied, scattered, ordered, records, ranges, names, attributes, updated, references, made_within_a_block]


async def main():
    conn = await asyncpg.connect(URL)
    await conn.execute("DELETE FROM things WHERE id BETWEEN $1 AND $2", IDS[0], IDS[-1])
    for check in CHECKS:
        try:
            await asyncio.wait_for(check(conn), 120)
        except Exception:
            failed(check.__name__)
        done(check.__name__)
    await conn.close()


asyncio.run(main())
