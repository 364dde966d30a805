-- Writes whose parts run one after the other: what one part reads or returns is told to the next one.

--! must
WITH d AS (DELETE FROM orders WHERE id > 3 RETURNING *) SELECT count(*) FROM d

--! must
WITH d AS (DELETE FROM orders WHERE id > 3 RETURNING *) SELECT count(*), (SELECT count(*) FROM orders) FROM d

--! must
WITH u AS (UPDATE users SET age = age + 1 RETURNING id, age) SELECT sum(u.age), sum(users.age) FROM u JOIN users ON users.id = u.id

--! must
WITH u AS (UPDATE users SET age = age + 1 WHERE age > 20 RETURNING id, age) SELECT users.id, users.age, u.age FROM users LEFT JOIN u USING (id) ORDER BY 1

--! must
WITH ins AS (INSERT INTO users (id, name) VALUES (901, 'new'), (902, 'new'), (903, 'new') RETURNING id) SELECT id FROM ins UNION ALL SELECT id FROM users WHERE name = 'new' ORDER BY 1

--! must
WITH ins AS (INSERT INTO users (id, name) VALUES (1, 'ann'), (904, 'x''\"y') ON CONFLICT (id) DO NOTHING RETURNING id, name) SELECT id, name FROM ins UNION ALL SELECT id, name FROM users WHERE id IN (1, 904) ORDER BY 1

--! must
WITH moved AS (UPDATE orders SET status = 'moved' WHERE id > 2 AND id < 100 RETURNING id, user_id, status) INSERT INTO audit (id, what) SELECT 500000 + id * 1000 + user_id, status FROM moved WHERE user_id > 0 AND user_id < 1000

--! must
WITH moved AS (DELETE FROM users WHERE id > 5 RETURNING id, name) INSERT INTO names (name) SELECT 'moved ' || id FROM moved

--! must
WITH a AS (UPDATE users SET age = 1 WHERE age > 30 RETURNING id AS user_id), b (n) AS (SELECT user_id FROM a WHERE user_id < 5) UPDATE settings SET value = (SELECT string_agg(n::text, ',' ORDER BY n) FROM b)

--! must
WITH s AS (SELECT max(id) AS m, count(*) AS n FROM orders) UPDATE users SET age = s.m + s.n FROM s WHERE users.id < 5 RETURNING users.id, users.age

--! must
WITH s AS (SELECT key FROM settings) DELETE FROM users USING s WHERE users.name = s.key

--! must
DELETE FROM orders WHERE id IN (SELECT id FROM users WHERE age > 20)

--! must
DELETE FROM users WHERE name IN (SELECT name FROM names)

--! must
DELETE FROM users WHERE name NOT IN (SELECT name FROM names WHERE name IS NOT NULL)

--! must
DELETE FROM orders WHERE id IN (SELECT id FROM orders ORDER BY id DESC LIMIT 3)

--! must
DELETE FROM orders WHERE id IN (SELECT id FROM orders ORDER BY id DESC LIMIT 3) RETURNING id

--! must
UPDATE users SET age = (SELECT max(age) FROM users)

--! must
UPDATE users SET age = (SELECT max(id) FROM orders WHERE orders.id < users.id)

--! must
UPDATE users SET age = (SELECT count(*) FROM orders o WHERE o.id < users.id AND o.status IS NOT NULL)

--! must
UPDATE users SET name = (SELECT max(value) FROM settings) WHERE EXISTS (SELECT 1 FROM settings s WHERE length(s.key) > users.id)

--! must
UPDATE users u SET age = o.id FROM orders o WHERE o.id = u.id

--! must
UPDATE users SET age = o.id FROM (SELECT id FROM orders WHERE id > 1) o WHERE o.id = users.id RETURNING users.id, o.id, age

--! must
UPDATE audit SET what = u.name FROM users u WHERE u.id = audit.id

--! must
DELETE FROM settings WHERE value IN (SELECT name FROM users)

INSERT INTO users (id, name, age) VALUES (910, (SELECT max(name) FROM names), (SELECT count(*) FROM orders)), (911, 'x', 5), (912, 'y', NULL)

--! must
UPDATE users SET age = (SELECT id FROM orders WHERE id < 4)

--! must
UPDATE users SET age = (SELECT nothing FROM orders)

--! must
UPDATE users SET age = 1 / (SELECT count(*) FROM orders WHERE id < 0)

--! must
WITH u AS (UPDATE users SET age = -5 RETURNING id) SELECT * FROM u

--! must
--! param integer 20
DELETE FROM orders WHERE id IN (SELECT id FROM users WHERE age > $1)

--! must
--! param text o'n"e\
--! param bigint 915
WITH ins AS (INSERT INTO users (id, name) VALUES ($2, $1), ($2 + 1, $1 || '!') RETURNING id, name) SELECT * FROM ins ORDER BY id

--! must
--! param integer 3
WITH d AS (DELETE FROM orders WHERE id > $1 RETURNING *) SELECT d.id, d.status, u.name FROM d LEFT JOIN users u ON u.id = d.user_id ORDER BY d.id

--! must
--! script
BEGIN
WITH d AS (DELETE FROM orders WHERE id > 3 RETURNING *) SELECT count(*) FROM d
SELECT count(*) FROM orders
WITH d AS (DELETE FROM orders WHERE id > 1 RETURNING *) SELECT count(*), (SELECT count(*) FROM orders) FROM d
SAVEPOINT s
UPDATE users SET age = 1 / (SELECT count(*) FROM orders WHERE id < 0)
ROLLBACK TO s
UPDATE users SET age = (SELECT count(*) FROM orders)
SELECT sum(age) FROM users
ROLLBACK
SELECT sum(age) FROM users

--! must
WITH d AS (DELETE FROM scores RETURNING *) SELECT count(*), sum(value), min(mood), max(part), array_agg(tags ORDER BY user_id, id) FROM d

--! must
WITH d AS (DELETE FROM scores RETURNING user_id, id, value, tags, mood, part) SELECT * FROM d ORDER BY user_id, id

--! must
WITH d AS (DELETE FROM docs RETURNING *) SELECT id, body, body->>'a' FROM d ORDER BY id

--! must
WITH d AS (DELETE FROM events RETURNING *), s AS (SELECT kind, count(*) AS n FROM d GROUP BY kind) INSERT INTO settings (key, value) SELECT 'kind ' || coalesce(kind, '-'), n::text FROM s

--! must
WITH d AS (UPDATE events SET kind = kind || '!' RETURNING created_at, id, kind, payload) SELECT d.created_at, d.id, d.kind, e.kind, e.payload = d.payload FROM d JOIN events e USING (created_at, id) ORDER BY 1, 2

--! must
WITH d AS (DELETE FROM accounts RETURNING region, balance) INSERT INTO names (name, n) SELECT 'region ' || region || ' ' || row_number() OVER (ORDER BY region, balance), 1 FROM d

--! must
WITH d AS (DELETE FROM profiles WHERE id > 0 RETURNING id) SELECT count(*), (SELECT count(*) FROM passports) FROM d

--! must
WITH p AS (DELETE FROM passports RETURNING id), d AS (DELETE FROM profiles WHERE id > 0 RETURNING id) SELECT (SELECT count(*) FROM p), (SELECT count(*) FROM d)

WITH d AS (DELETE FROM profiles RETURNING id), p AS (DELETE FROM passports RETURNING id) SELECT (SELECT count(*) FROM p), (SELECT count(*) FROM d)

--! must
WITH i AS (DELETE FROM order_items RETURNING user_id, order_id), o AS (DELETE FROM orders RETURNING user_id, id) SELECT (SELECT count(*) FROM i), (SELECT count(*) FROM o), (SELECT count(*) FROM orders)

WITH o AS (DELETE FROM orders RETURNING user_id, id), i AS (DELETE FROM order_items RETURNING user_id, order_id) SELECT (SELECT count(*) FROM i), (SELECT count(*) FROM o)

--! must
WITH a AS (UPDATE users SET age = age WHERE id < 9 RETURNING id, name), b AS (UPDATE names SET n = 7 WHERE name IN (SELECT name FROM a) RETURNING name) SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)

--! must
WITH a AS (DELETE FROM settings RETURNING key, value) INSERT INTO nicknames (nick, n) SELECT left(key, 20), length(value) FROM a

--! must
WITH a AS (INSERT INTO settings (key, value) VALUES ('staged', 'x') RETURNING key) UPDATE users SET name = a.key FROM a WHERE users.id IN (SELECT user_id FROM orders WHERE amount > 10)

--! must
WITH a AS (SELECT id FROM users WHERE age > 30), b AS (SELECT id FROM a WHERE id < 40) DELETE FROM scores USING b WHERE scores.id = b.id

WITH d AS (DELETE FROM users WHERE id > 5 RETURNING *) SELECT d FROM d ORDER BY d.id

WITH d AS (DELETE FROM users WHERE id > 5 RETURNING *) SELECT count(d) FROM d

WITH t AS (DELETE FROM tickets RETURNING *), n AS (INSERT INTO tickets (user_id, v) VALUES (1, 'a'), (2, 'b') RETURNING *) SELECT count(*) FROM t, n

WITH n AS (INSERT INTO tickets (user_id, v) VALUES (1001, 'a'), (1002, 'b') RETURNING user_id, v) SELECT user_id, v FROM n ORDER BY 1

--! must
UPDATE users SET age = n.n FROM names n WHERE n.n = users.id

--! must
UPDATE users SET age = s.n FROM (SELECT user_id, count(*)::int AS n FROM orders GROUP BY user_id HAVING count(*) > 1) AS s WHERE s.user_id = users.id + 1

--! must
UPDATE users SET (name, age) = (SELECT max(name), count(*) FROM names)

--! must
UPDATE users SET age = (SELECT count(*) FROM orders o JOIN order_items i ON i.order_id = o.id WHERE o.id < users.id)

--! must
DELETE FROM users USING names n, settings s WHERE n.name = users.name AND s.key = n.name

--! must
DELETE FROM scores WHERE (user_id, id) IN (SELECT id, user_id FROM orders)

--! must
DELETE FROM users WHERE EXISTS (SELECT FROM orders WHERE status = users.name) OR name = ANY (SELECT key FROM settings)

--! must
DELETE FROM names WHERE name = ANY (ARRAY(SELECT name FROM users WHERE age > 20))

--! must
DELETE FROM docs WHERE id NOT IN (SELECT id FROM docs ORDER BY id LIMIT 2)

--! must
DELETE FROM users WHERE id IN (SELECT user_id FROM orders GROUP BY user_id HAVING sum(amount) > 100) RETURNING id, (SELECT count(*) FROM users)

--! must
UPDATE products SET price = (SELECT max(amount) FROM orders) WHERE id = 1

--! must
UPDATE products SET name = u.name FROM users u WHERE u.id = products.id

--! must
DELETE FROM countries WHERE code NOT IN (SELECT country FROM users WHERE country IS NOT NULL)

--! must
MERGE INTO names USING (SELECT name, max(age) AS age FROM users GROUP BY name) s ON names.name = s.name WHEN MATCHED THEN UPDATE SET n = s.age

UPDATE odds SET t = (SELECT max(k) FROM odds)

UPDATE users SET name = (SELECT string_agg(name, ',' ORDER BY name) FROM names), age = (SELECT 5)

UPDATE users SET age = (SELECT id FROM users WHERE id = 3 FOR UPDATE)

--! must
--! param bigint 3
--! param text new
UPDATE users SET name = $2 || (SELECT count(*) FROM orders WHERE user_id > $1) WHERE id IN (SELECT user_id FROM orders WHERE status = $2)

--! must
--! param text null
UPDATE users SET email = (SELECT max(name) FROM names WHERE name > 'a' OR $1 IS NULL), country = $1

--! must
--! param timestamp with time zone 2026-01-10 12:00:00+00
DELETE FROM orders WHERE (user_id, id) IN (SELECT 1, id FROM events WHERE created_at > $1)

--! must
--! param bigint[] {1,2,3}
DELETE FROM scores WHERE id IN (SELECT id FROM orders WHERE user_id = ANY ($1))

--! script
SET DateStyle = 'SQL, DMY'
DELETE FROM names WHERE n IN (SELECT id FROM users)

--! script
SET DateStyle = 'SQL, DMY'
WITH d AS (DELETE FROM events RETURNING created_at, id) SELECT * FROM d ORDER BY 1, 2

--! must
WITH a AS (UPDATE orders SET status = 'x' WHERE user_id = 1 RETURNING id) UPDATE users SET age = 3 WHERE id IN (SELECT id FROM a) RETURNING id, age

--! must
DELETE FROM orders o USING order_items i WHERE i.order_id = o.id AND i.quantity > 5 AND o.id > 10000
