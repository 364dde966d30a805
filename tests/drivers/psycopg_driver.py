"""psycopg 3 against the URL given. Every statement keeps to one user, or to tables that are on one server."""

import sys
import threading
import time
from decimal import Decimal

import psycopg
from psycopg import errors, sql

from checks import done, equal, failed

URL = sys.argv[1]
USER = 601


def simple_query(conn):
    # Without parameters and prepare=False psycopg sends a simple Query.
    equal(conn.execute("SELECT 1, 'x', NULL").fetchone(), (1, "x", None))
    equal(conn.execute("SELECT name FROM countries WHERE code = 'pt'").fetchone(), ("Portugal",))


def client_side_parameters(conn):
    # As Django sends them: literals inline, a simple Query.
    with psycopg.ClientCursor(conn) as cursor:
        cursor.execute("INSERT INTO users (id, name) VALUES (%s, %s)", (USER, "O'Hara \\ %"))
        cursor.execute("SELECT name FROM users WHERE id = %s", (USER,))
        equal(cursor.fetchone(), ("O'Hara \\ %",))


def extended_query(conn):
    cursor = conn.execute("SELECT id, name FROM users WHERE id = %s", (USER,))
    equal(cursor.fetchall(), [(USER, "O'Hara \\ %")])
    equal([column.name for column in cursor.description], ["id", "name"])
    equal([column.type_code for column in cursor.description], [20, 25])
    equal(conn.execute("SELECT id FROM users WHERE id = %s", (-1,)).fetchall(), [])


def prepared(conn):
    for number in range(20):
        row = conn.execute(
            "SELECT name, %s::int FROM users WHERE id = %s", (number, USER), prepare=True
        ).fetchone()
        equal(row, ("O'Hara \\ %", number))


def binary(conn):
    with conn.cursor(binary=True) as cursor:
        cursor.execute("INSERT INTO orders VALUES (%s, %s, %s)", (USER, 1, Decimal("12345678901234567890.50")))
        equal(cursor.rowcount, 1)
        cursor.execute("SELECT user_id, amount FROM orders WHERE user_id = %s AND id = %s", (USER, 1))
        equal(cursor.fetchone(), (USER, Decimal("12345678901234567890.50")))
        equal(cursor.pgresult.fformat(0), 1)


def transactions(conn):
    with conn.transaction():
        conn.execute("INSERT INTO orders VALUES (%s, 2, 2)", (USER,))
        try:
            with conn.transaction():
                conn.execute("INSERT INTO orders VALUES (%s, 3, 3)", (USER,))
                raise psycopg.Rollback
        except psycopg.Rollback:
            pass
        equal(conn.info.transaction_status, psycopg.pq.TransactionStatus.INTRANS)
    equal(conn.info.transaction_status, psycopg.pq.TransactionStatus.IDLE)
    rows = conn.execute("SELECT id FROM orders WHERE user_id = %s ORDER BY id", (USER,)).fetchall()
    equal(rows, [(1,), (2,)])


def savepoint_after_error(conn):
    with conn.transaction():
        try:
            with conn.transaction():
                conn.execute("INSERT INTO users VALUES (%s, 'twice')", (USER,))
        except errors.UniqueViolation as error:
            equal(error.diag.constraint_name, "users_pkey")
            equal(error.diag.table_name, "users")
        equal(conn.execute("SELECT count(*) FROM orders WHERE user_id = %s", (USER,)).fetchone(), (2,))


def sqlstates(conn):
    for statement, state in [
        ("SELEC 1", "42601"),
        ("SELECT 1 / 0", "22012"),
        ("SELECT * FROM no_such_table", "42P01"),
        (f"SELECT no_such_column FROM users WHERE id = {USER}", "42703"),
        (f"INSERT INTO users VALUES ({USER}, 'twice')", "23505"),
        ("SELECT 'x'::int", "22P02"),
    ]:
        try:
            conn.execute(statement)
        except psycopg.Error as error:
            equal((statement, error.sqlstate), (statement, state))
        else:
            raise AssertionError(f"{statement} did not fail")
    try:
        with conn.transaction():
            try:
                conn.execute("SELECT 1 / 0")
            except errors.DivisionByZero:
                pass
            conn.execute("SELECT 1")
    except errors.InFailedSqlTransaction as error:
        equal(error.sqlstate, "25P02")
    else:
        raise AssertionError("a failed transaction went on")


def copy(conn):
    with conn.transaction(), conn.cursor() as cursor:
        cursor.execute("DELETE FROM settings WHERE k LIKE 'psycopg%'")
        with cursor.copy("COPY settings (k, v) FROM STDIN") as stream:
            for number in range(500):
                stream.write_row((f"psycopg-{number:03}", "tab\tand \\ and \n newline"))
        equal(cursor.rowcount, 500)
        with cursor.copy("COPY (SELECT k, v FROM settings WHERE k LIKE 'psycopg%' ORDER BY k) TO STDOUT") as stream:
            rows = list(stream.rows())
        equal(len(rows), 500)
        equal(rows[7], ("psycopg-007", "tab\tand \\ and \n newline"))
    try:
        with conn.cursor() as cursor, cursor.copy("COPY settings FROM STDIN") as stream:
            stream.write("psycopg-000\tagain\n")
    except errors.UniqueViolation:
        pass
    else:
        raise AssertionError("the copy did not fail")


def cancel(conn):
    timer = threading.Timer(0.3, conn.cancel)
    timer.start()
    begin = time.monotonic()
    try:
        conn.execute("SELECT pg_sleep(20)")
    except errors.QueryCanceled as error:
        equal(error.sqlstate, "57014")
    else:
        raise AssertionError("the sleep was not cancelled")
    finally:
        timer.join()
    equal(time.monotonic() - begin < 10, True)
    equal(conn.execute("SELECT 'alive'").fetchone(), ("alive",))


def thousand_rows(conn):
    with conn.transaction():
        for start in range(10_000, 11_000, 100):
            values = sql.SQL(", ").join(
                sql.SQL("({}, {}, {})").format(USER, number, number * 2) for number in range(start, start + 100)
            )
            conn.execute(sql.SQL("INSERT INTO orders (user_id, id, amount) VALUES {}").format(values))
    rows = conn.execute(
        "SELECT id, amount FROM orders WHERE user_id = %s AND id >= 10000 ORDER BY id", (USER,)
    ).fetchall()
    equal(len(rows), 1000)
    equal(rows[999], (10_999, Decimal(21_998)))


def executemany(conn):
    with conn.cursor() as cursor:
        cursor.executemany("UPDATE orders SET amount = %s WHERE user_id = %s AND id = %s", [(i, USER, i) for i in (1, 2)])
        equal(cursor.rowcount, 2)


def pipeline(conn):
    with conn.pipeline() as pipeline, conn.cursor() as cursor:
        first = conn.execute("SELECT name FROM users WHERE id = %s", (USER,))
        second = conn.execute("SELECT %s::int + 1", (41,))
        pipeline.sync()
        third = conn.execute("SELECT count(*) FROM orders WHERE user_id = %s AND id < 10", (USER,))
        equal((first.fetchone(), second.fetchone(), third.fetchone()), (("O'Hara \\ %",), (42,), (2,)))
    try:
        with conn.pipeline() as pipeline:
            conn.execute("SELECT 1 / %s::int", (0,))
            skipped = conn.execute("SELECT 'skipped'")
            pipeline.sync()
            skipped.fetchone()
    except (errors.DivisionByZero, errors.PipelineAborted):
        pass
    else:
        raise AssertionError("the pipeline did not fail")
    equal(conn.execute("SELECT 'alive'").fetchone(), ("alive",))


def server_side_cursor(conn):
    with conn.transaction(), conn.cursor(name="some_orders") as cursor:
        cursor.itersize = 100
        cursor.execute("SELECT id FROM orders WHERE user_id = %s AND id >= 10000 ORDER BY id", (USER,))
        equal(cursor.fetchmany(3), [(10_000,), (10_001,), (10_002,)])
        equal(sum(1 for _ in cursor), 997)


def cursor_with_hold(conn):
    """As Django's iterator() opens it outside of a transaction."""
    for where, itersize in [("id > %s", 7), ("id = %s OR true", 50)]:
        expected = conn.execute(f"SELECT user_id, id FROM orders WHERE {where} ORDER BY user_id, id", (0,)).fetchall()
        with conn.cursor(name="held", scrollable=False, withhold=True) as cursor:
            cursor.itersize = itersize
            cursor.execute(f"SELECT user_id, id FROM orders WHERE {where} ORDER BY user_id, id", (0,))
            equal(cursor.description[1].name, "id")
            equal(cursor.fetchmany(2), expected[:2])
            equal(conn.execute("SELECT 1").fetchone(), (1,))
            equal(cursor.fetchall(), expected[2:])


def several_statements(conn):
    cursor = conn.execute("SELECT 1; SELECT 2, 3")
    equal(cursor.fetchall(), [(1,)])
    equal(cursor.nextset(), True)
    equal(cursor.fetchall(), [(2, 3)])




def main():
    with psycopg.connect(URL, autocommit=True) as conn:
        conn.execute(f"DELETE FROM orders WHERE user_id = {USER}")
        conn.execute(f"DELETE FROM users WHERE id = {USER}")
        done("connect")
        for check in [
            simple_query, client_side_parameters, extended_query, prepared, binary, transactions,
            savepoint_after_error, sqlstates, copy, cancel, thousand_rows, executemany, pipeline,
            server_side_cursor, cursor_with_hold, several_statements,
        ]:
            try:
                check(conn)
            except Exception:
                failed(check.__name__)
            done(check.__name__)


main()
