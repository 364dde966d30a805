-- Definitions: what they answer, and that what they made is there for all. Each script leaves nothing.

--! must
--! script
ALTER TABLE users ADD COLUMN nick text DEFAULT 'none'
SELECT nick FROM users WHERE id = 1
UPDATE users SET nick = 'one' WHERE id = 1
SELECT id, nick FROM users WHERE id = 2
ALTER TABLE users ADD COLUMN nick int
ALTER TABLE users ADD COLUMN IF NOT EXISTS nick int
ALTER TABLE users RENAME COLUMN nick TO handle
SELECT handle FROM users WHERE id = 1
ALTER TABLE users ALTER COLUMN handle TYPE varchar(10), ALTER handle DROP DEFAULT, ADD CONSTRAINT short CHECK (length(handle) < 8)
UPDATE users SET handle = 'far too long' WHERE id = 3
UPDATE users SET handle = '12345678' WHERE id = 3
ALTER TABLE users DROP CONSTRAINT no_such_constraint
ALTER TABLE users DROP CONSTRAINT IF EXISTS no_such_constraint
ALTER TABLE users DROP COLUMN handle
SELECT handle FROM users WHERE id = 1
ALTER TABLE IF EXISTS no_such_table ADD COLUMN x int
ALTER TABLE no_such_table ADD COLUMN x int

--! must
--! script
CREATE INDEX users_by_name ON users (name)
CREATE INDEX users_by_name ON users (name)
CREATE INDEX IF NOT EXISTS users_by_name ON users (name)
ALTER INDEX users_by_name RENAME TO users_by_name_2
DROP INDEX users_by_name
DROP INDEX IF EXISTS users_by_name
DROP INDEX users_by_name_2

--! must
--! script
BEGIN
CREATE TABLE drafts (id serial PRIMARY KEY, title text)
INSERT INTO drafts (title) VALUES ('a') RETURNING id
ALTER TABLE users ADD COLUMN draft int
SELECT draft FROM users WHERE id = 1
ROLLBACK
SELECT draft FROM users WHERE id = 1
SELECT * FROM drafts

--! must
--! script
BEGIN
CREATE INDEX users_by_age ON users (age)
CREATE INDEX users_by_age ON users (age)
SELECT 1
COMMIT
DROP INDEX users_by_age

--! must
--! script
CREATE TABLE drafts (id serial PRIMARY KEY, title text, product int REFERENCES products (id))
INSERT INTO drafts (title) VALUES ('a') RETURNING id, title
INSERT INTO drafts (title, product) VALUES ('b', -5)
CREATE UNIQUE INDEX drafts_title ON drafts (title)
INSERT INTO drafts (title) VALUES ('a')
COMMENT ON TABLE drafts IS 'not done'
COMMENT ON COLUMN users.name IS 'first name'
SELECT obj_description('drafts'::regclass)
COMMENT ON COLUMN users.name IS NULL
DROP TABLE drafts CASCADE
DROP TABLE drafts
DROP TABLE IF EXISTS drafts, no_such_table

--! must
--! script
CREATE TYPE shade AS ENUM ('light', 'dark')
CREATE TYPE shade AS ENUM ('light', 'dark')
ALTER TYPE shade ADD VALUE 'black'
CREATE DOMAIN small AS int CHECK (VALUE < 10)
ALTER TABLE users ADD COLUMN shade shade DEFAULT 'dark', ADD COLUMN small small
UPDATE users SET small = 11 WHERE id = 1
SELECT shade::text FROM users WHERE id = 1
ALTER TABLE users DROP COLUMN shade, DROP COLUMN small
DROP TYPE shade
DROP DOMAIN small
DROP TYPE no_such_type
DROP TYPE IF EXISTS no_such_type

--! must
--! script
CREATE FUNCTION thrice(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT n * 3'
SELECT thrice(id) FROM users WHERE id = 2
CREATE OR REPLACE FUNCTION thrice(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT n * 4 - n'
SELECT thrice(id) FROM users WHERE id = 2
CREATE FUNCTION broken() RETURNS int LANGUAGE sql AS 'SELECT nothing'
DROP FUNCTION thrice(bigint)
DROP FUNCTION thrice(bigint)

--! must
--! script
CREATE SCHEMA annex
CREATE TABLE annex.notes (id int)
INSERT INTO annex.notes VALUES (1)
SELECT * FROM annex.notes
CREATE SCHEMA annex
DROP SCHEMA annex
DROP SCHEMA annex CASCADE
SELECT * FROM annex.notes

--! must
--! script
CREATE SEQUENCE counter START 5
SELECT nextval('counter')
ALTER SEQUENCE counter RESTART WITH 100
SELECT nextval('counter')
DROP SEQUENCE counter
DROP SEQUENCE counter

--! must
--! script
--! simple
CREATE TABLE drafts (id int); ALTER TABLE users ADD COLUMN draft int; INSERT INTO drafts VALUES (1), (2)
SELECT count(*) FROM drafts
ALTER TABLE users DROP COLUMN draft; DROP TABLE drafts; DROP TABLE drafts
SELECT count(*) FROM drafts
BEGIN; ALTER TABLE users DROP COLUMN draft; DROP TABLE drafts; COMMIT
SELECT count(*) FROM drafts

--! must
--! script
VACUUM users
ANALYZE users
VACUUM (ANALYZE) users
BEGIN
VACUUM users
ROLLBACK
BEGIN
ANALYZE users
LOCK TABLE users IN SHARE MODE
COMMIT
LOCK TABLE users
REINDEX TABLE orders
VACUUM no_such_table

--! must
ALTER TABLE users ADD COLUMN x no_such_type

--! must
ALTER TABLE users ADD CHECK (no_such_column > 1)

--! must
CREATE INDEX ON users (no_such_column)

--! must
CREATE TABLE users (id bigint)

--! must
CREATE TABLE IF NOT EXISTS users (id bigint)

--! must
--! script
BEGIN
TRUNCATE users
SELECT name FROM users WHERE id = 1
ROLLBACK
SELECT name FROM users WHERE id = 1
TRUNCATE TABLE ONLY order_items, scores
SELECT amount FROM orders WHERE user_id = 1
TRUNCATE orders, order_items
SELECT amount FROM orders WHERE user_id = 1
TRUNCATE orders CASCADE
TRUNCATE no_such_table

-- Lists of tables that are on every shard and of those that the home shard alone has.
--! must
--! script
BEGIN
LOCK TABLE settings, users, public.orders IN ACCESS SHARE MODE
LOCK users, settings
LOCK TABLE ONLY settings, scores, settings IN SHARE MODE
LOCK TABLE users, settings, no_such_table
ROLLBACK
LOCK TABLE settings, users
CREATE TABLE notes (id int)
CREATE TABLE notes2 (id int)
INSERT INTO notes VALUES (1)
GRANT SELECT ON notes, users, notes2 TO PUBLIC
REVOKE SELECT ON TABLE users, notes, notes2 FROM PUBLIC
VACUUM (ANALYZE) notes, users (id), notes2
ANALYZE users, notes
VACUUM (ANALYZE) notes, orders
BEGIN
TRUNCATE notes, order_items, notes2, scores, "notes"
SELECT count(*) FROM notes
SELECT count(*) FROM order_items
ROLLBACK
SELECT count(*) FROM notes
TRUNCATE TABLE notes2, ONLY order_items, notes RESTART IDENTITY
SELECT count(*) FROM notes
SELECT count(*) FROM order_items
DROP TABLE notes, no_such_table, users
BEGIN
DROP TABLE IF EXISTS notes, no_such_table, notes2, order_items CASCADE
SELECT count(*) FROM notes
ROLLBACK
BEGIN
DROP TABLE order_items, notes
SELECT count(*) FROM order_items
ROLLBACK
DROP TABLE notes, notes2
SELECT count(*) FROM notes
SELECT count(*) FROM order_items

-- Functions whose bodies show that they read no table.
--! must script
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2'
CREATE FUNCTION marked() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.name IS DISTINCT FROM 'b' THEN NEW.name := NEW.name || twice(3); END IF; RETURN NEW; END$$
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.name := upper(NEW.name) || '+'; RETURN NEW; END$$
SELECT twice(21)
SELECT id, twice(age) FROM users WHERE id < 6 ORDER BY id
SELECT sum(twice(age)) FROM users
SELECT u.id, twice(o.id::int) FROM users u JOIN orders o ON o.id = u.age ORDER BY 1, 2 LIMIT 5
CREATE TRIGGER note BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION noted()
INSERT INTO users (id, name) VALUES (5001, 'a'), (5002, 'b'), (5003, 'c'), (5004, 'd') RETURNING id, name
INSERT INTO users (id, name) VALUES (5005, 'e')
UPDATE users SET age = 1 WHERE id > 5000
SELECT id, name FROM users WHERE id > 5000 ORDER BY id
DELETE FROM users WHERE id > 5000
DROP TRIGGER note ON users
DROP FUNCTION noted(), marked()
DROP FUNCTION twice(int)
