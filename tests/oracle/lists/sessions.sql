-- Settings, names and what a session keeps.

--! script
SET timezone = 'Asia/Tokyo'
SELECT placed_at FROM orders WHERE user_id = 1 AND id = 1
SELECT placed_at FROM orders WHERE user_id = 2 AND id = 1
SELECT user_id, placed_at FROM orders
SHOW timezone
RESET timezone
SELECT placed_at FROM orders WHERE user_id = 1 AND id = 1

--! script
SET timezone = 'Asia/Tokyo'
SELECT * FROM events WHERE created_at = '2026-01-02 10:00:00'
SELECT * FROM events WHERE created_at = '2026-01-02 19:00:00'
SELECT * FROM events WHERE created_at = '2026-01-01'
SELECT * FROM events WHERE created_at = '2026-01-01 09:00:00'
SELECT * FROM events WHERE created_at >= '2026-01-01' AND created_at < '2026-01-05'
INSERT INTO events VALUES ('2026-01-01 03:00:00', 700, 'zone', NULL)
SELECT id FROM events WHERE created_at = '2025-12-31 18:00:00+00'

--! script
SET datestyle = 'German, DMY'
SELECT created_at FROM events WHERE created_at = '2026-01-02 10:00:00+00'
SELECT day FROM days WHERE day = '11.01.2026'
SELECT day FROM days WHERE day = '05/01/2026'
INSERT INTO days VALUES ('01.03.2026', 5)
SELECT day FROM days WHERE day = '2026-03-01'
SHOW datestyle

--! script
SET datestyle = 'ISO, MDY'
SELECT day FROM days WHERE day = '01/11/2026'
SET datestyle = 'ISO, DMY'
SELECT day FROM days WHERE day = '01/11/2026'
SELECT day FROM days WHERE day = '11/01/2026'

--! script
SET search_path = other, public
SELECT * FROM users
SELECT * FROM users WHERE id = 3
SELECT * FROM public.users WHERE id = 3
SELECT * FROM things
SELECT * FROM orders WHERE user_id = 1 AND id = 1
INSERT INTO users VALUES (70, 'other')
SET search_path = public
SELECT * FROM users WHERE id = 3
SELECT * FROM things

--! script
SELECT * FROM users WHERE id = 3
SET search_path TO other
SELECT * FROM users WHERE id = 3
SELECT * FROM orders WHERE user_id = 1
RESET search_path
SELECT * FROM users WHERE id = 3

--! script
SET search_path = nowhere
SELECT * FROM users WHERE id = 3
SELECT count(*) FROM pg_class WHERE relname = 'users'
SELECT * FROM public.users WHERE id = 3

--! script
BEGIN
SET LOCAL search_path = other
SELECT * FROM users WHERE id = 3
COMMIT
SELECT * FROM users WHERE id = 3

--! script
BEGIN
SET search_path = other
SELECT * FROM users WHERE id = 3
ROLLBACK
SELECT * FROM users WHERE id = 3

--! script
BEGIN
SAVEPOINT a
SET search_path = other
SELECT * FROM users WHERE id = 3
ROLLBACK TO a
SELECT * FROM users WHERE id = 3
COMMIT
SELECT * FROM users WHERE id = 3

--! script
SELECT set_config('search_path', 'other', false)
SELECT * FROM users WHERE id = 3

--! script
SET search_path = pg_catalog, public
SELECT * FROM users WHERE id = 3
SELECT relname FROM pg_class WHERE relname = 'orders'

--! script
SET search_path = '$user', public
SELECT * FROM users WHERE id = 3
SET search_path = ''
SELECT * FROM users WHERE id = 3

--! script
SET standard_conforming_strings = off
SELECT 'a\'b', id FROM users WHERE id = 1
SELECT id FROM users WHERE name = 'x\'' OR id = 1 -- '
SELECT * FROM names WHERE name = 'a\\b'
SET standard_conforming_strings = on
SELECT 'a\', id FROM users WHERE id = 1

--! script
SET bytea_output = 'escape'
SELECT '\x0041'::bytea FROM users WHERE id = 1
SELECT '\x0041'::bytea FROM users WHERE id = 2
SET extra_float_digits = 0
SELECT 0.1::float8 + 0.2 FROM users WHERE id = 1
SELECT user_id, value / 3 FROM scores WHERE user_id IN (1, 3, 5, 7)

--! script
SET application_name = 'from the test'
SHOW application_name
SELECT current_setting('application_name')
SELECT current_setting('application_name') FROM users WHERE id = 2

--! script
SET intervalstyle = 'postgres_verbose'
SELECT interval '1 day 2 hours' FROM users WHERE id = 3
SELECT interval '1 day 2 hours' FROM users WHERE id = 4

--! script
SET client_encoding = 'LATIN1'
SHOW client_encoding
SELECT name FROM users WHERE id = 2

--! script
SET nothing.custom = 'x'
SHOW nothing.custom
SELECT current_setting('nothing.custom')
SELECT current_setting('nothing.custom') FROM users WHERE id = 1
SELECT current_setting('nothing.other', true)

--! script
SET nothing = 1
SET timezone = 'nowhere'
SHOW timezone
SET statement_timeout = '10s'
SHOW statement_timeout
SET SESSION statement_timeout TO DEFAULT
SHOW statement_timeout

--! script
SET TIME ZONE 'Europe/Lisbon'
SELECT placed_at FROM orders WHERE user_id = 3
DISCARD ALL
SHOW timezone
RESET ALL
SHOW timezone

--! script
SET ROLE nobody_by_this_name
SELECT current_user
RESET ROLE

--! script
SET timezone = 'UTC'
PREPARE p (bigint) AS SELECT name FROM users WHERE id = $1
EXECUTE p (1)
EXECUTE p (2)
DEALLOCATE p
EXECUTE p (1)

--! script
PREPARE p AS SELECT 1
PREPARE p AS SELECT 2
EXECUTE p
DEALLOCATE ALL

--! script
CREATE TEMP TABLE mine (id int, v text)
INSERT INTO mine VALUES (1, 'x')
SELECT * FROM mine
SELECT name FROM users WHERE id = 1
SELECT * FROM mine
DROP TABLE mine

--! script
CREATE TEMP TABLE users (id int, v text)
INSERT INTO users VALUES (1, 'temporary')
SELECT * FROM users WHERE id = 1
SELECT * FROM users WHERE id = 2
SELECT * FROM users
SELECT count(*) FROM users
SELECT name FROM public.users WHERE id = 1
DROP TABLE users
SELECT name FROM users WHERE id = 1

--! script
CREATE TEMP TABLE settings AS SELECT 1 AS x
SELECT * FROM settings
SELECT * FROM public.settings WHERE key = 'theme'
DROP TABLE settings
SELECT * FROM settings WHERE key = 'theme'

--! script
CREATE TEMP VIEW users AS SELECT 1 AS id
SELECT * FROM users
DROP VIEW users

--! script
BEGIN
CREATE TEMP TABLE users (id int) ON COMMIT DROP
SELECT * FROM users
COMMIT
SELECT name FROM users WHERE id = 1

--! script
BEGIN
CREATE TABLE users2 (id int)
SELECT * FROM users2
ROLLBACK
SELECT * FROM users2

--! script
CREATE TABLE new_table (id int PRIMARY KEY, v text)
INSERT INTO new_table VALUES (1, 'x')
SELECT * FROM new_table
DROP TABLE new_table
SELECT * FROM new_table

--! script
ALTER TABLE users ADD COLUMN extra int
SELECT extra FROM users WHERE id = 1
ALTER TABLE users DROP COLUMN extra

--! script
CREATE INDEX extra_index ON users (name)
DROP INDEX extra_index

--! script
CREATE TABLE IF NOT EXISTS users (id int)
DROP TABLE IF EXISTS nothing_at_all

--! script
CREATE VIEW extra_view AS SELECT * FROM users WHERE id = 1
SELECT * FROM extra_view
DROP VIEW extra_view

--! script
SELECT pg_advisory_lock(42)
SELECT name FROM users WHERE id = 2
SELECT pg_advisory_unlock(42)
SELECT pg_advisory_unlock(42)

--! script
BEGIN
SELECT pg_advisory_xact_lock(43)
SELECT name FROM users WHERE id = 2
COMMIT

--! script
LISTEN channel
NOTIFY channel, 'hello'
UNLISTEN channel

--! script
SELECT nextval('audit_id_seq') > 0
SELECT currval('audit_id_seq') > 0
SELECT lastval() > 0

--! script
INSERT INTO audit (what) VALUES ('x')
SELECT what FROM audit WHERE id = currval('audit_id_seq')

--! script
LOCK TABLE users
BEGIN
LOCK TABLE settings IN SHARE MODE
LOCK TABLE users IN SHARE MODE
ROLLBACK

--! script
VACUUM settings
ANALYZE settings
ANALYZE users

--! script outcome
EXPLAIN (FORMAT json) SELECT * FROM users WHERE id = 1
EXPLAIN VERBOSE SELECT u.name FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 1
EXPLAIN SELECT count(*) FROM users
EXPLAIN SELECT * FROM settings WHERE key = 'theme'
EXPLAIN INSERT INTO users (id, name) VALUES (5000, 'x')

--! script
SET shardway_is_unknown.key = '1'
SELECT name FROM users WHERE id = 1

--! script
SET row_security = off
SET enable_seqscan = off
SELECT id FROM users WHERE name = 'ann'
SELECT name FROM users WHERE id = 8
RESET enable_seqscan

--! script
SET default_transaction_read_only = on
UPDATE users SET age = 1 WHERE id = 1
UPDATE users SET age = 1 WHERE id = 2
SHOW transaction_read_only
RESET default_transaction_read_only
UPDATE users SET age = 1 WHERE id = 2

--! script
SET default_transaction_isolation = 'serializable'
BEGIN
SELECT name FROM users WHERE id = 1
SHOW transaction_isolation
COMMIT
SHOW transaction_isolation

--! script
SET lc_messages = 'C'
SET client_min_messages = 'error'
DROP TABLE IF EXISTS nothing_at_all
COMMIT
RESET client_min_messages
COMMIT

--! script
SET session_replication_role = 'replica'
INSERT INTO order_items VALUES (2, 999, 1, 1, 1, 1)
RESET session_replication_role
INSERT INTO order_items VALUES (2, 998, 1, 1, 1, 1)

--! script
COMMENT ON TABLE users IS 'people'
GRANT SELECT ON users TO PUBLIC
REVOKE SELECT ON users FROM PUBLIC
