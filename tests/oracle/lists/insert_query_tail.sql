-- INSERT of a query's rows with ON CONFLICT, RETURNING or WITH: the rows are made first, and inserted by a statement of their own.

--! must
INSERT INTO small4 (id, v) SELECT id, v FROM small2 ON CONFLICT DO NOTHING

--! must
INSERT INTO small4 (id, v) SELECT id + 60000, v FROM small2 RETURNING id

--! must
INSERT INTO small4 AS s (id, v) SELECT id, v || '''' || v FROM small2 ORDER BY id DESC ON CONFLICT (id) DO UPDATE SET v = s.v || '+' || excluded.v RETURNING s.id, v, upper(s.v) AS "Up"

--! must
INSERT INTO small4 SELECT n.n + 61000, n.name FROM names n JOIN users u ON u.name = n.name WHERE n.n IS NOT NULL ON CONFLICT (id) DO UPDATE SET v = excluded.v WHERE small4.v IS DISTINCT FROM excluded.v

--! must
WITH w AS (SELECT id, age FROM users WHERE age IS NOT NULL) INSERT INTO small4 (id, v) SELECT 62000 + row_number() OVER (ORDER BY id)::int, 'row ' || age FROM w RETURNING *

--! must
WITH w AS (SELECT id, age FROM users WHERE age IS NOT NULL), x AS (SELECT max(age) AS m FROM w) INSERT INTO small4 (id, v) SELECT 62000 + row_number() OVER (ORDER BY id)::int, w.age || '/' || x.m FROM w, x

--! must
WITH small4 AS (SELECT id FROM users WHERE age IS NOT NULL) INSERT INTO small4 (id, v) SELECT row_number() OVER (ORDER BY id)::int + 63000, 'w' FROM small4 ON CONFLICT DO NOTHING

--! must
INSERT INTO small4 (id, v) SELECT id, v FROM small2 WHERE id < -30000 AND id > -30000 RETURNING *

--! must
INSERT INTO orders (user_id, id, amount, placed_at) SELECT age, 6500 + row_number() OVER (ORDER BY id), 12.345, '2026-05-01 10:00' FROM users WHERE age IS NOT NULL RETURNING user_id, id, amount, status, placed_at

--! must
--! opaque 2
INSERT INTO tickets (user_id, v) SELECT age, name FROM users WHERE age IS NOT NULL RETURNING user_id, v, id

--! must
INSERT INTO settings SELECT 'user ' || id, name FROM users WHERE id BETWEEN 1 AND 10 ON CONFLICT (key) DO UPDATE SET value = excluded.value RETURNING *

--! must
INSERT INTO settings SELECT key, value || '!' FROM settings s JOIN users u ON u.id = length(s.key) ON CONFLICT (key) DO UPDATE SET value = excluded.value RETURNING *

INSERT INTO products (id, name) SELECT id, name FROM users WHERE id BETWEEN 1 AND 5 ON CONFLICT (id) DO UPDATE SET name = excluded.name

--! must
INSERT INTO nicknames (nick, n) SELECT repeat('x', 30), 1 FROM users WHERE id < 20 AND id > 0 ON CONFLICT DO NOTHING

--! must
INSERT INTO small4 (id, v) SELECT NULL, v FROM small2 RETURNING id

--! must
INSERT INTO small4 (id, v) SELECT id, v FROM small2 RETURNING nosuch

--! must
INSERT INTO docs (id, body) SELECT md5(id::text)::uuid, jsonb_build_object('user', name, 'age', age, 'e', E'a\\b''c') FROM users ON CONFLICT (id) DO UPDATE SET body = docs.body || excluded.body RETURNING id, body

--! must
INSERT INTO accounts (region, id, balance) SELECT CASE WHEN id % 2 = 0 THEN 'eu' ELSE 'us' END, id, coalesce(age, 0) FROM users WHERE id BETWEEN 1 AND 30 ON CONFLICT (region, id) DO UPDATE SET balance = accounts.balance + excluded.balance RETURNING *

--! must
INSERT INTO profiles (id, email, tenant, number) SELECT 800 + id, 'mail' || id || '@x', 77, id FROM small4 WHERE id BETWEEN 1 AND 20 ON CONFLICT DO NOTHING

--! must
--! param int8 3
--! param text param
INSERT INTO names (name, n) SELECT $2 || id, 1 FROM users WHERE age > $1 ON CONFLICT (name) DO UPDATE SET n = names.n + $1 RETURNING name, n, $2 AS given

--! must script
BEGIN
INSERT INTO small4 (id, v) SELECT id + 164000, now()::text FROM small2 RETURNING id > 0
INSERT INTO names (name, n) SELECT 'moment ' || u.id, 1 FROM users u WHERE u.id BETWEEN 1 AND 20 ON CONFLICT (name) DO NOTHING RETURNING name
SELECT count(DISTINCT v) FROM small4 WHERE id > 110000
SAVEPOINT a
INSERT INTO names (name, n) SELECT 'moment ' || u.id, 1 FROM users u WHERE u.id BETWEEN 1 AND 20 RETURNING name
ROLLBACK TO a
SELECT count(*) FROM names WHERE name LIKE 'moment %'
ROLLBACK

--! must script
INSERT INTO orders (user_id, id, amount, placed_at) SELECT age, 6600 + id, 1, now() FROM users WHERE age BETWEEN 1 AND 90 AND id BETWEEN 1 AND 50 ON CONFLICT (user_id, id) DO UPDATE SET placed_at = now()
SELECT count(DISTINCT placed_at), count(*) FROM orders WHERE id > 6600
DELETE FROM orders WHERE id > 6600

--! must script
INSERT INTO tickets (user_id, v) SELECT 990000 + id, 'row ' || id FROM users WHERE id BETWEEN 1 AND 40 ORDER BY id DESC RETURNING user_id, v
DELETE FROM tickets WHERE user_id > 990000
