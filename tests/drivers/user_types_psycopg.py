"""psycopg 3 against the URL given, with registered enums and composites, in text and in binary."""

import sys
from enum import Enum

import psycopg
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum
from psycopg.types.range import Range, RangeInfo, register_range

from checks import done, equal, failed

URL = sys.argv[1]
IDS = list(range(2000, 2020))


class Color(Enum):
    red = "red"
    green = "green"
    blue = "blue"


class Size(Enum):
    small = "small"
    large = "large"
    huge = "huge"


COLORS, SIZES = list(Color), list(Size)


def connect():
    conn = psycopg.connect(URL, autocommit=True)
    register_enum(EnumInfo.fetch(conn, "color"), conn, Color)
    register_enum(EnumInfo.fetch(conn, "size"), conn, Size)
    register_composite(CompositeInfo.fetch(conn, "pair"), conn)
    register_range(RangeInfo.fetch(conn, "span"), conn)
    return conn


def thing(conn, id):
    color, size = COLORS[id % 3], SIZES[id % 2]
    pair = PAIR(color, id, [size, Size.huge])
    return (id, color, size, [color, None, Color.blue], pair, [pair, None], id)


COLUMNS = "id, c, s, cs, p, ps, d"


def check_all(conn, binary):
    cur = conn.cursor(binary=binary)
    kind = "%b" if binary else "%s"
    values = ", ".join([kind] * 7)
    for id in IDS:
        cur.execute(f"INSERT INTO things ({COLUMNS}) VALUES ({values})", thing(conn, id))
    for id in IDS:
        cur.execute(f"SELECT {COLUMNS} FROM things WHERE id = %s", [id])
        equal(cur.fetchone(), thing(conn, id))
        equal(cur.execute(f"SELECT id FROM things WHERE id = %s AND c = {kind}", [id, thing(conn, id)[1]]).fetchall(), [(id,)])
    cur.execute(f"SELECT {COLUMNS} FROM things WHERE id BETWEEN %s AND %s ORDER BY id", [IDS[0], IDS[-1]])
    equal(cur.fetchall(), [thing(conn, id) for id in IDS])
    cur.execute(f"SELECT {COLUMNS} FROM things WHERE id BETWEEN %s AND %s", [IDS[0], IDS[-1]])
    equal(sorted(cur.fetchall(), key=lambda row: row[0]), [thing(conn, id) for id in IDS])
    cur.execute(f"SELECT id FROM things WHERE cs && {kind} AND id BETWEEN %s AND %s ORDER BY id", [[Color.red], IDS[0], IDS[-1]])
    equal([row[0] for row in cur.fetchall()], [id for id in IDS if id % 3 == 0])
    cur.execute(f"SELECT id, p FROM things WHERE p = {kind} AND id = %s", [thing(conn, IDS[1])[4], IDS[1]])
    equal(cur.fetchall(), [(IDS[1], thing(conn, IDS[1])[4])])
    cur.execute("SELECT (c, s), ARRAY[(c, 1)] FROM things WHERE id = %s", [IDS[0]])
    equal([tuple(value) if isinstance(value, tuple) else value for value in cur.fetchone()], RECORDS[binary](thing(conn, IDS[0])))
    for id in IDS[:6]:
        span = Range(Color.red, thing(conn, id)[1], "[]")
        cur.execute(f"UPDATE things SET r = {kind} WHERE id = %s RETURNING r", [span, id])
        equal(cur.fetchone(), (span,))
    cur.execute("DELETE FROM things WHERE id BETWEEN %s AND %s RETURNING id, cs, p", [IDS[0], IDS[-1]])
    equal(sorted(cur.fetchall()), [(id, thing(conn, id)[3], thing(conn, id)[4]) for id in IDS])


RECORDS = {
    True: lambda row: [(row[1], row[2]), [(row[1], 1)]],
    False: lambda row: [(row[1].value, row[2].value), [(row[1].value, "1")]],
}


def in_text(conn):
    check_all(conn, False)


def in_binary(conn):
    check_all(conn, True)


def prepared(conn):
    conn.prepare_threshold = 0
    check_all(conn, True)


def described(conn):
    known = conn.execute("SELECT 'color'::regtype::oid, 'color[]'::regtype::oid, 'things'::regclass::oid").fetchone()
    for id in IDS[:8]:
        cur = conn.execute("SELECT c, cs, d FROM things WHERE id = %s", [id])
        result = cur.pgresult
        equal([result.ftype(0), result.ftype(1), result.ftype(2)], [known[0], known[1], 23])
        equal([result.ftable(0), result.ftable(1)], [known[2]] * 2)
        equal([result.ftablecol(column) for column in range(3)], [2, 4, 7])
        cur = psycopg.ClientCursor(conn)
        cur.execute("SELECT c, cs, d FROM things WHERE id = %s", [id])
        equal([cur.pgresult.ftype(0), cur.pgresult.ftable(0), cur.pgresult.ftablecol(1)], [known[0], known[2], 4])


def numbered(conn):
    """An OID that is told as a number is the one that a statement of its own tells, or isn't told."""
    color, things = conn.execute("SELECT 'color'::regtype::oid, 'things'::regclass::oid").fetchone()
    conn.cursor().executemany("INSERT INTO things (id, c, cs) VALUES (%s, 'red', '{red}')", [(id,) for id in IDS])
    for number, expression in [
        (color, "pg_typeof(c)::oid"),
        (str(color), "CAST((pg_typeof(c)) AS oid)::text"),
        (color, "'color'::regtype::oid"),
        (color, "max(pg_typeof(c))"),
        (things, "max(tableoid)"),
        (things, "max(tableoid::int)"),
        (str(things), "max(tableoid::text)"),
        (color, "(SELECT x::oid FROM (SELECT pg_typeof(t.c) AS x) s)"),
    ]:
        group = "" if expression.startswith("max(") else " GROUP BY t.c"
        for where in [f"id = {id}" for id in IDS[:8]] + [f"id BETWEEN {IDS[0]} AND {IDS[-1]}"]:
            try:
                got = conn.execute(f"SELECT {expression} FROM things t WHERE {where}{group}").fetchall()
            except psycopg.errors.FeatureNotSupported:
                continue
            equal((expression, where, got), (expression, where, [(number,)]))
    names = "SELECT pg_typeof(c), pg_typeof(c)::text, count(*) FROM things WHERE id BETWEEN %s AND %s"
    got = conn.execute(f"{names} GROUP BY pg_typeof(c), pg_typeof(c)::text", [IDS[0], IDS[-1]])
    equal(got.fetchall(), [("color", "color", len(IDS))])
    got = conn.execute("SELECT tableoid::regclass, pg_typeof(c) FROM things WHERE id = %s", [IDS[0]])
    equal(got.fetchall(), [("things", "color")])
    alike = "SELECT count(*) FROM things WHERE pg_typeof(c) = 'color'::regtype"
    for id in IDS:
        equal(conn.execute(f"{alike} AND id = %s", [id]).fetchone(), (1,))
    conn.execute("DELETE FROM things WHERE id BETWEEN %s AND %s", [IDS[0], IDS[-1]])


def copied(conn):
    cur = conn.cursor()
    rows = [thing(conn, id) for id in IDS]
    types = ["int8", "color", "size", "color[]", "pair", "pair[]", "int4"]
    try:
        with cur.copy(f"COPY things ({COLUMNS}) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)
    except psycopg.errors.FeatureNotSupported as error:
        print(error)
        cur.executemany(f"INSERT INTO things ({COLUMNS}) VALUES ({', '.join(['%s'] * 7)})", rows)
    try:
        with cur.copy(f"COPY (SELECT {COLUMNS} FROM things WHERE id BETWEEN 2000 AND 2019) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(types)
            got = list(copy.rows())
        equal(sorted(got, key=lambda row: row[0]), rows)
    except psycopg.errors.FeatureNotSupported as error:
        print(error)
    with cur.copy(f"COPY (SELECT {COLUMNS} FROM things WHERE id BETWEEN 2000 AND 2019) TO STDOUT") as copy:
        copy.set_types(types)
        equal(sorted(list(copy.rows()), key=lambda row: row[0]), rows)
    cur.execute("DELETE FROM things WHERE id BETWEEN 2000 AND 2019")


PAIR = None
CHECKS = [in_text, in_binary, prepared, described, numbered, copied]


def main():
    global PAIR
    conn = connect()
    PAIR = conn.execute("SELECT '(red,1,{})'::pair").fetchone()[0].__class__
    conn.execute("DELETE FROM things WHERE id BETWEEN %s AND %s", [IDS[0], IDS[-1]])
    for check in CHECKS:
        try:
            check(conn)
        except Exception:
            failed(check.__name__)
        done(check.__name__)


main()
