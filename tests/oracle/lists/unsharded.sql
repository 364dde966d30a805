-- Reference tables, tables of the home shard, catalogs, no table at all; and names that mislead.

--! must
SELECT * FROM products ORDER BY id

--! must
SELECT count(*), sum(price) FROM products

--! must
SELECT p.name, c.name FROM products p, countries c WHERE p.id = 1 AND c.code = 'nz'

--! must
SELECT DISTINCT name FROM countries

SELECT * FROM products WHERE id IN (SELECT product_id FROM order_items WHERE user_id = 1)

--! must
SELECT * FROM settings ORDER BY key

--! must
SELECT count(*) FROM settings

--! must
SELECT * FROM "Mixed Case" WHERE "Id" = 1

--! must
SELECT "Id", "select" FROM "Mixed Case" ORDER BY 1

SELECT * FROM Mixed Case

SELECT id FROM "Mixed Case"

--! must
SELECT * FROM other.users WHERE id = 3

--! must
SELECT * FROM other.users

--! must
SELECT * FROM other.things JOIN settings ON true

--! must
SELECT s.key, c.name FROM settings s CROSS JOIN countries c

--! must
SELECT * FROM loud_settings

SELECT * FROM children

SELECT * FROM parents WHERE id = 3

SELECT * FROM parents

SELECT * FROM ONLY parents WHERE id = 3

SELECT count(*) FROM parents

SELECT * FROM active_users WHERE id = 3

SELECT * FROM active_users

SELECT * FROM user_totals WHERE id = 3

SELECT * FROM user_totals

SELECT a.id, s.key FROM active_users a, settings s WHERE a.id = 3

SELECT count_users()

SELECT user_name(5)

SELECT * FROM count_users()

SELECT add_user(2000)

SELECT key FROM settings WHERE count_users() > 0

SELECT twice(5)

--! must
SELECT 1

--! must
SELECT 1 AS one, 'two' AS two, NULL AS three, 4.5

--! must
SELECT 1 WHERE false

--! must
SELECT

--! must
VALUES (1, 'a'), (2, 'b')

SELECT * FROM (VALUES (1, 'a'), (2, 'b')) v (a, b) ORDER BY a DESC

--! must
SELECT generate_series(1, 3)

SELECT 1 UNION SELECT 2 ORDER BY 1

SELECT 'a' 'b'

SELECT ARRAY[1, 2, 3], '{"a": 1}'::jsonb, ROW(1, 'a'), interval '1 day', '\x00ff'::bytea

SELECT 'NaN'::float8, '-0'::float8, 'Infinity'::float4, 1e300 * 1e5

SELECT 1 / 0

SELECT 'abc'::int

SELECT nothing

SELECT nothing(), 1

SELECT FROM WHERE

SELEKT 1

;

SELECT 1;

;;

-- only a comment

/* only a comment */

--! must
--! param int4 5
SELECT $1 + 1 AS six

--! param text x
SELECT $1

--! param int4 5
SELECT $1::int, $1::text

--! must
SELECT count(*) FROM pg_class WHERE relname = 'users'

--! must
SELECT relname, relkind FROM pg_catalog.pg_class WHERE relname IN ('users', 'orders', 'active_users') AND relnamespace = 'public'::regnamespace

--! must
SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'users' ORDER BY ordinal_position

--! must
SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE table_schema IN ('public', 'other')

--! must
SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a WHERE a.attrelid = 'public.users'::regclass AND a.attnum > 0 ORDER BY a.attnum

--! must
SELECT typname, enumlabel FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid ORDER BY enumsortorder

--! must
SELECT conname, contype, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'users'::regclass

SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'users'

SELECT to_regclass('users')::text, to_regclass('nothing')::text

--! simple
SELECT 'users'::regclass

SELECT pg_get_viewdef('active_users'::regclass)

SELECT count(*) FROM pg_class c JOIN settings s ON s.key = c.relname

SELECT c.relname, u.id FROM pg_class c, users u WHERE u.id = 1 AND c.relname = 'users'

SELECT c.relname, u.id FROM pg_class c, users u WHERE c.relname = 'users'

SELECT n_live_tup >= 0 FROM pg_stat_user_tables WHERE relname = 'users'

--! outcome
SELECT pg_relation_size('users')

--! outcome
SELECT pg_total_relation_size('users'), pg_size_pretty(1::bigint)

SELECT has_table_privilege('users', 'SELECT')

--! must
SELECT current_user, session_user

--! outcome
SELECT version(), now(), current_database()

--! must
SHOW server_version

--! must
SHOW search_path

SHOW timezone

SHOW nothing

SHOW transaction_isolation

--! must
--! outcome
SHOW ALL

-- Shadows and oddities.

--! must
WITH users AS (SELECT 1 AS id) SELECT * FROM users

WITH users AS (SELECT 1 AS id, 'x' AS name) SELECT * FROM users WHERE id = 5

WITH users AS (SELECT * FROM users WHERE id = 5) SELECT * FROM users

WITH users AS (SELECT * FROM users) SELECT id FROM users WHERE id = 5

WITH users AS (SELECT * FROM settings) SELECT * FROM users

WITH settings AS (SELECT * FROM users) SELECT id FROM settings

WITH settings AS (SELECT * FROM users WHERE id = 3) SELECT id FROM settings

WITH x AS (WITH users AS (SELECT 7 AS id) SELECT * FROM users) SELECT x.id, users.id FROM x, users WHERE users.id = 7

WITH users AS (SELECT 1 AS id) SELECT * FROM public.users WHERE id = 5

WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a

WITH RECURSIVE users AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM users WHERE id < 4) SELECT * FROM users

SELECT * FROM settings AS users WHERE key = 'theme'

SELECT users.key FROM settings AS users

SELECT settings.id FROM users AS settings WHERE settings.id = 5

SELECT users.id FROM users AS u WHERE u.id = 5

SELECT * FROM settings users, countries orders WHERE users.key = 'theme' AND orders.code = 'nz'

SELECT id AS user_id FROM users WHERE id = 5 ORDER BY user_id

SELECT age AS id FROM users WHERE id = 5

SELECT age AS id FROM users ORDER BY id, users.id

SELECT /* id = 1 */ id FROM users WHERE id = 2 /* OR id = 3 */

SELECT id FROM users -- WHERE id = 1
WHERE id = 2

SELECT id FROM users WHERE /* nested /* comment */ id = 1 */ id = 2

SELECT id FROM users WHERE id/**/=/**/2

SELECT id FROM/**/users WHERE id=2--1

SELECT id FROM users WHERE id = 2 -- $1 ? 'quote

/* leading */ SELECT id FROM users WHERE id = 2

--! unordered
-- leading
 -- and again
SELECT id FROM users WHERE id = 2

SELECT/*x*/id/*y*/FROM/*z*/users/*a*/WHERE/*b*/id/*c*/IN/*d*/(2,/*e*/3)

SELECT '/* not a comment */', id FROM users WHERE id = 2

SELECT '-- not a comment', id FROM users WHERE id = 2

SELECT $$ it's /* a string */ $$, id FROM users WHERE id = 2

SELECT $x$ a $$ b $x$, id FROM users WHERE id = 2

SELECT E'it\'s', E'\\', id FROM users WHERE id = 2

SELECT 'back\', id FROM users WHERE id = 2

SELECT N'national', B'101', X'1F', U&'d\0061t', id FROM users WHERE id = 2

SELECT id FROM users WHERE name = 'O''Neil' AND id = 3

SELECT id FROM users WHERE name = '李雷' AND id = 4

SELECT id FROM "public"."users" WHERE "users"."id" = 2

SELECT id FROM "Users" WHERE id = 2

SELECT "Id" FROM users WHERE id = 2

SELECT U&"\0069d" FROM users WHERE U&"id" = 2

SELECT id FROM nowhere.users WHERE id = 2

SELECT id FROM users WHERE id = 2 AND '{"a": "id = 1"}'::jsonb ? 'a'

SELECT id FROM users WHERE id = 2 AND '{"a": 1}'::jsonb ?| ARRAY['a', 'b']

SELECT id::int4::text || '!' FROM users WHERE id = 2

SELECT id FROM users WHERE id = 2 AND name IS NOT NULL AND age BETWEEN 0 AND 100 AND email ~* 'EXAMPLE' AND NOT (active AND false)

SELECT id, extract(year FROM placed_at) AS y, placed_at AT TIME ZONE 'Asia/Tokyo' FROM orders WHERE user_id = 1

SELECT substring(name FROM 1 FOR 2), position('b' IN name), trim(both ' ' FROM name), overlay(name PLACING 'x' FROM 1) FROM users WHERE id = 1

SELECT 1 WHERE EXISTS (SELECT FROM users WHERE id = 1)

SELECT 1 WHERE EXISTS (SELECT FROM users)

SELECT 1 WHERE NOT EXISTS (SELECT FROM users WHERE age = 2)

SELECT (SELECT count(*) FROM users)

SELECT (SELECT name FROM users WHERE id = 5)

SELECT ARRAY(SELECT id FROM users WHERE id = 5)

SELECT ARRAY(SELECT id FROM users ORDER BY id)

SELECT key FROM settings WHERE EXISTS (SELECT FROM users WHERE id = 5)

SELECT key, (SELECT name FROM users WHERE id = 5) FROM settings

SELECT * FROM settings s JOIN users u ON u.id = 5

SELECT * FROM settings s JOIN users u ON u.id = 6

SELECT * FROM settings s LEFT JOIN users u ON u.id = length(s.value)

EXECUTE nothing

DEALLOCATE nothing

FETCH ALL FROM nothing

CLOSE nothing

EXPLAIN SELEKT

--! outcome
EXPLAIN SELECT * FROM settings

--! outcome
EXPLAIN SELECT * FROM users WHERE id = 1

--! outcome
EXPLAIN (COSTS OFF) SELECT * FROM users WHERE id = 1

--! outcome
EXPLAIN ANALYZE SELECT * FROM users WHERE id = 1

--! outcome
EXPLAIN SELECT * FROM users

--! outcome
EXPLAIN DELETE FROM users WHERE id = 1

--! outcome
EXPLAIN ANALYZE DELETE FROM users WHERE id = 1

EXPLAIN SELECT * FROM nothing

--! simple
COPY settings TO STDOUT

--! simple
COPY settings (key) TO STDOUT WITH (FORMAT csv, HEADER)

--! simple
COPY products TO STDOUT

--! simple
COPY (SELECT * FROM countries ORDER BY code) TO STDOUT (FORMAT csv)

--! simple
COPY (SELECT id, name FROM users WHERE id = 1) TO STDOUT

--! simple
COPY users TO STDOUT

--! simple
COPY (SELECT id FROM users) TO STDOUT

--! simple
COPY (SELECT count(*) FROM users) TO STDOUT

--! simple
COPY settings TO STDOUT (FORMAT binary)

--! simple
COPY nothing TO STDOUT

--! simple
COPY settings FROM STDIN
