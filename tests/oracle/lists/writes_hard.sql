-- Writes that are easily done wrong over several shards: keys that move into rows that are there, children that go along, deferred
-- constraints, savepoints, generated columns, MERGE, TRUNCATE.

--! script
BEGIN
UPDATE scores SET user_id = 2 WHERE user_id = 1 AND id = 1
SELECT count(*) FROM scores
ROLLBACK
UPDATE scores SET user_id = user_id + 1
SELECT user_id, id FROM scores ORDER BY 1, 2
UPDATE scores SET user_id = user_id - 1
UPDATE scores SET user_id = 3 WHERE id = 1

--! script
UPDATE profiles SET id = id + 1
SELECT id, email FROM profiles ORDER BY id
UPDATE profiles SET id = 3 WHERE id = 1
UPDATE profiles SET email = (SELECT email FROM profiles WHERE id = 2) WHERE id = 1
INSERT INTO profiles (id, email, tenant, number) VALUES (901, 'x@y', 9, 1), (902, 'X@y', 9, 2), (903, 'x@y', 9, 3)
SELECT count(*) FROM profiles WHERE id > 900
DELETE FROM profiles WHERE id < 4 RETURNING id
SELECT id, code FROM passports ORDER BY id

--! script
BEGIN
INSERT INTO profiles (id, email, tenant, number) VALUES (911, 'a@b', 9, 1)
SAVEPOINT s
INSERT INTO profiles (id, email, tenant, number) VALUES (912, 'a@b', 9, 2)
ROLLBACK TO s
INSERT INTO profiles (id, email, tenant, number) VALUES (912, 'b@b', 9, 2)
UPDATE profiles SET id = id + 10 WHERE id > 910
SELECT id, email, tenant, number FROM profiles WHERE id > 900 ORDER BY id
COMMIT
DELETE FROM profiles WHERE id > 900

--! script
UPDATE stamped SET id = id + 7 RETURNING id, half, price
SELECT id, half FROM stamped ORDER BY id
UPDATE stamped SET half = 3
UPDATE stamped SET id = id * 2, half = DEFAULT WHERE id > 3
INSERT INTO stamped VALUES (500, 3)
INSERT INTO stamped (id) VALUES (500), (501), (502) RETURNING half
SELECT sum(half) FROM stamped

--! script
CREATE TABLE tree (id bigint PRIMARY KEY, parent bigint, v int)
INSERT INTO tree SELECT n, n / 2, n FROM generate_series(1, 20) AS n
UPDATE tree SET v = v + 1 FROM (SELECT max(v) AS m FROM tree) x WHERE tree.v < x.m
UPDATE tree t SET v = p.v FROM tree p WHERE p.id = t.parent
SELECT * FROM tree ORDER BY id
DELETE FROM tree USING tree p WHERE p.id = tree.parent AND p.v > 5
SELECT count(*) FROM tree
DROP TABLE tree

--! script
UPDATE orders o SET status = s.status FROM orders s WHERE s.user_id = o.user_id + 1 AND s.id = 1 AND o.id = 1
SELECT user_id, id, status FROM orders ORDER BY 1, 2
UPDATE users SET age = (SELECT count(*) FROM orders WHERE orders.user_id = users.id)
UPDATE users SET age = (SELECT count(*) FROM orders)
UPDATE users SET age = (SELECT max(id) FROM products WHERE price < users.age)
UPDATE users SET (age, country) = (SELECT count(*), min(code) FROM countries)
UPDATE users SET (age, country) = (SELECT length(value), key FROM settings WHERE key = users.country)
SELECT id, age, country FROM users ORDER BY id

--! script
MERGE INTO users u USING (VALUES (1, 'a'), (2, 'b'), (700, 'c')) AS v (id, name) ON u.id = v.id WHEN MATCHED AND u.id = 1 THEN DO NOTHING WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (v.id, v.name)
SELECT id, name FROM users WHERE id IN (1, 2, 700) ORDER BY id
MERGE INTO users u USING (SELECT id, 'x' AS name FROM products) AS v ON u.id = v.id WHEN MATCHED AND u.age > 20 THEN DELETE WHEN NOT MATCHED THEN DO NOTHING
SELECT count(*) FROM users
MERGE INTO scores s USING orders o ON s.user_id = o.user_id AND s.id = o.id WHEN MATCHED THEN UPDATE SET value = o.amount WHEN NOT MATCHED THEN INSERT (user_id, id, value) VALUES (o.user_id, o.id, 0)
SELECT user_id, id, value FROM scores ORDER BY 1, 2
MERGE INTO settings s USING users u ON s.key = u.name WHEN NOT MATCHED AND u.id < 3 THEN INSERT VALUES (u.name, 'm')
SELECT * FROM settings ORDER BY key
MERGE INTO products p USING users u ON p.id = u.id WHEN MATCHED THEN UPDATE SET name = u.name
SELECT * FROM products ORDER BY id

--! script
TRUNCATE orders CASCADE
SELECT count(*) FROM order_items
SELECT count(*) FROM orders
TRUNCATE tickets RESTART IDENTITY
INSERT INTO tickets (user_id, v) VALUES (1, 'a'), (2, 'b') RETURNING id
BEGIN
TRUNCATE tickets RESTART IDENTITY
INSERT INTO tickets (user_id, v) VALUES (3, 'c'), (4, 'd') RETURNING id
ROLLBACK
SELECT user_id, id, v FROM tickets ORDER BY 1
TRUNCATE ONLY tickets CONTINUE IDENTITY
TRUNCATE ONLY settings, users CASCADE
SELECT count(*) FROM users

--! script
CREATE TABLE slips (id bigint, v int, CONSTRAINT slips_v UNIQUE (id, v) DEFERRABLE INITIALLY DEFERRED)
BEGIN
INSERT INTO slips VALUES (1, 1), (2, 1), (1, 1)
SET CONSTRAINTS ALL IMMEDIATE
ROLLBACK
BEGIN
INSERT INTO slips VALUES (1, 1), (2, 1), (1, 1)
DELETE FROM slips WHERE ctid = (SELECT min(ctid) FROM slips)
SET CONSTRAINTS slips_v IMMEDIATE
COMMIT
SELECT * FROM slips ORDER BY 1
BEGIN
SET CONSTRAINTS ALL IMMEDIATE
INSERT INTO slips VALUES (2, 1)
COMMIT
INSERT INTO slips VALUES (2, 1)
DROP TABLE slips

--! script
BEGIN
SAVEPOINT a
UPDATE users SET age = 1 WHERE id = 1
SAVEPOINT b
UPDATE users SET age = 2
SAVEPOINT a
UPDATE users SET age = -1
ROLLBACK TO a
RELEASE a
ROLLBACK TO b
SELECT id, age FROM users ORDER BY id
RELEASE b
UPDATE users SET age = age + 1
COMMIT
SELECT id, age FROM users ORDER BY id
ROLLBACK

--! script
BEGIN ISOLATION LEVEL SERIALIZABLE
INSERT INTO users (id, name) VALUES (801, 'a'), (802, 'b'), (803, 'c')
UPDATE users SET id = id + 100 WHERE id > 800
SELECT id, name FROM users WHERE id > 800 ORDER BY id
DELETE FROM users WHERE id > 800 RETURNING id, name
COMMIT AND CHAIN
INSERT INTO users (id, name) VALUES (801, 'a'), (801, 'b')
COMMIT
SELECT count(*) FROM users WHERE id > 800

--! script
WITH moved AS (DELETE FROM scores WHERE user_id < 3 RETURNING *) INSERT INTO scores SELECT user_id + 500, id, value, tags, mood, part FROM moved RETURNING user_id, id
SELECT user_id, id FROM scores ORDER BY 1, 2
WITH u AS (UPDATE users SET age = 50 WHERE id = 1 RETURNING id), o AS (UPDATE orders SET status = 'w' WHERE user_id = 2 RETURNING user_id, id) SELECT (SELECT count(*) FROM u), (SELECT count(*) FROM o), (SELECT age FROM users WHERE id = 1)
WITH d AS (DELETE FROM orders WHERE user_id = 4 RETURNING *) SELECT count(*) FROM orders
WITH i AS (INSERT INTO users (id, name) VALUES (650, 'w') RETURNING id) INSERT INTO orders (user_id, id, amount) SELECT id, 1, 5 FROM i RETURNING *
WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) INSERT INTO scores (user_id, id) SELECT i + 600, i FROM n RETURNING user_id
WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) UPDATE users SET age = 10 WHERE id IN (SELECT i FROM n)
WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) DELETE FROM scores WHERE user_id IN (SELECT i FROM n) RETURNING user_id, id
SELECT id, age FROM users ORDER BY id

--! script
INSERT INTO users (id, name, age) VALUES (701, 'a', (SELECT max(age) FROM users)), (702, 'b', (SELECT count(*) FROM orders))
INSERT INTO users (id, name) VALUES ((SELECT max(id) + 1 FROM users), 'next')
INSERT INTO users (id, name) VALUES ((SELECT max(id) + 1 FROM users WHERE id < 700), 'taken'), (703, (SELECT name FROM users WHERE id = 1))
INSERT INTO users (id, name, age) VALUES (1, 'up', (SELECT count(*) FROM products)) ON CONFLICT (id) DO UPDATE SET age = excluded.age, name = excluded.name
INSERT INTO users (id, name) SELECT id + 1, name FROM users WHERE id < 4 ON CONFLICT (id) DO UPDATE SET name = users.name || excluded.name
INSERT INTO users (id, name) SELECT id + 1, name FROM users ON CONFLICT DO NOTHING
SELECT id, name, age FROM users ORDER BY id

--! script
UPDATE active_users SET age = 31 WHERE id = 1
UPDATE active_users SET age = age + 1
INSERT INTO active_users (id, name, age) VALUES (777, 'v', 3)
DELETE FROM active_users WHERE id = 777
DELETE FROM active_users WHERE age > 1000
SELECT id, age FROM users ORDER BY id

--! script
UPDATE accounts SET region = 'uk', balance = balance + (SELECT count(*) FROM users) WHERE region = 'us' RETURNING region, id, balance
UPDATE scores SET user_id = (SELECT max(id) FROM users) WHERE user_id = 1
UPDATE scores SET user_id = o.id + 300 FROM orders o WHERE o.user_id = scores.user_id AND o.id = scores.id
SELECT user_id, id FROM scores ORDER BY 1, 2
SELECT region, id, balance FROM accounts ORDER BY 1, 2

--! script
COMMENT ON TABLE settings IS 'x'
COMMENT ON COLUMN settings.value IS 'y'
COMMENT ON VIEW active_users IS 'z'
SELECT obj_description('settings'::regclass)
COMMENT ON TABLE settings IS NULL
COMMENT ON FUNCTION twice(bigint) IS 'doubled'
COMMENT ON TYPE mood IS 'm'
COMMENT ON DOMAIN percent IS 'm'
COMMENT ON SCHEMA other IS 's'
COMMENT ON SCHEMA other IS NULL

--! script
INSERT INTO watched (id, v) VALUES (801, 'a'), (802, 'b')
UPDATE retouched SET v = 'x'
DELETE FROM ruled WHERE id > 0
INSERT INTO ruled VALUES (901, 'r')
SELECT count(*) FROM ruled

--! script
BEGIN
INSERT INTO orders (user_id, id, amount) VALUES (1, 900, 1), (2, 900, 1), (3, 900, NULL)
ROLLBACK
INSERT INTO orders (user_id, id, amount) VALUES (1, 900, 1), (2, 900, 1), (3, 900, NULL)
INSERT INTO order_items (user_id, order_id, line) VALUES (1, 1, 900), (2, 900, 1), (3, 1, 900)
SELECT count(*) FROM orders WHERE id = 900
SELECT count(*) FROM order_items WHERE line = 900
DELETE FROM orders WHERE user_id IN (1, 2, 3)
UPDATE orders SET user_id = user_id + 1 WHERE user_id = 1
SELECT count(*) FROM orders
