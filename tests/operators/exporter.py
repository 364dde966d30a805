"""What an exporter does, in both of psycopg's ways: every table that exporters read, its numbers read as numbers."""

import sys

import psycopg

url = sys.argv[1]
TABLES = ["STATS", "POOLS", "DATABASES", "LISTS", "CONFIG", "STATS_TOTALS", "STATS_AVERAGES", "SERVERS", "CLIENTS", "USERS", "MEM", "VERSION"]

for binary in (False, True):
    with psycopg.connect(url, autocommit=True) as connection:
        for table in TABLES:
            simple = connection.pgconn.exec_(f"SHOW {table}".encode())
            assert simple.status == 2, (table, simple.error_message)
            with connection.cursor(binary=binary) as cursor:
                rows = cursor.execute(f"SHOW {table}", prepare=True).fetchall()
                names = [column.name for column in cursor.description]
                assert len(names) == simple.nfields and (table in ("SERVERS",) or rows), (table, rows)
                for row in rows:
                    for name, value in zip(names, row):
                        if name.startswith(("total_", "avg_", "cl_", "sv_", "maxwait")) or name in ("items", "port", "pool_size"):
                            assert not isinstance(value, str), (table, name, value)
                print(table, rows)
