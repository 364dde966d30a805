-- What sharding proxies get wrong: scopes, hidden reads, cached plans, and what servers do by themselves.

-- Scopes: an inner name hides an outer one.
SELECT id FROM users u WHERE u.id = 5 AND EXISTS (SELECT FROM orders u WHERE u.user_id = u.id)

SELECT id FROM users WHERE id = 5 AND EXISTS (SELECT FROM orders WHERE user_id = id)

SELECT id FROM users WHERE id = 3 AND EXISTS (SELECT FROM orders WHERE user_id = users.id)

SELECT id, (SELECT count(*) FROM orders WHERE user_id = id) FROM users WHERE id = 3

SELECT id, (SELECT count(*) FROM orders WHERE user_id = users.id) FROM users WHERE id = 3

SELECT id, (SELECT count(*) FROM orders WHERE user_id = age) FROM users WHERE id = 3

SELECT id, (SELECT count(*) FROM orders users WHERE users.user_id = users.id) FROM users WHERE id = 3

SELECT id, (SELECT count(*) FROM scores WHERE user_id = 3 OR id = 1) FROM users WHERE id = 3

SELECT key FROM settings WHERE EXISTS (SELECT FROM users WHERE id = length(key))

SELECT id FROM users WHERE id = 5 AND id IN (SELECT id FROM orders WHERE user_id = 5)

SELECT id FROM users WHERE id = 5 AND id IN (SELECT user_id FROM orders WHERE id = 5)

SELECT id FROM users WHERE EXISTS (SELECT FROM orders WHERE orders.user_id = users.id AND users.id = 3)

SELECT id FROM users WHERE id IN (SELECT id FROM settings)

SELECT id FROM users WHERE id = 5 AND EXISTS (SELECT FROM settings WHERE id = 5)

SELECT id FROM users, orders WHERE users.id = 3 AND user_id = users.id

SELECT users.id FROM users, orders WHERE id = 3 AND user_id = 3

SELECT id FROM users LEFT JOIN orders USING (id) WHERE id = 5

SELECT user_id FROM orders FULL JOIN scores USING (user_id) WHERE user_id = 3

SELECT orders.user_id, scores.user_id FROM orders FULL JOIN scores USING (user_id) WHERE orders.user_id = 3

SELECT user_id, o.id, s.id FROM orders o LEFT JOIN scores s USING (user_id) WHERE user_id = 3

SELECT user_id FROM orders LEFT JOIN scores USING (user_id, id) WHERE user_id = 3

SELECT u.id FROM users u JOIN orders o ON o.user_id = u.id OR o.id = 1 WHERE u.id = 3

SELECT u.id, o.id FROM users u JOIN orders o ON o.user_id = u.id + 0 WHERE u.id = 3

SELECT u.id, o.id FROM users u JOIN orders o ON o.user_id + 0 = u.id WHERE u.id = 3

SELECT u.id, o.id FROM users u JOIN orders o ON NOT (o.user_id <> u.id) WHERE u.id = 3

SELECT u.id, o.id FROM users u JOIN orders o ON (o.user_id = u.id) IS NOT FALSE WHERE u.id = 3

SELECT u.id, o.id FROM users u JOIN orders o ON o.user_id IN (u.id, 1) WHERE u.id = 3

SELECT u.id, o.id FROM users u JOIN orders o ON o.user_id = ANY (ARRAY[u.id, 1]) WHERE u.id = 3

SELECT u.id, v.id, o.id FROM users u LEFT JOIN users v ON v.id = u.age LEFT JOIN orders o ON o.user_id = v.id WHERE u.id = 3

SELECT u.id, v.id, o.id FROM users u LEFT JOIN users v ON v.id = u.age LEFT JOIN orders o ON o.user_id = v.id WHERE o.user_id = 3

SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id AND o.user_id = 5 WHERE u.active

SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = 5 WHERE u.id = 3

SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = 5 WHERE u.id = 5

SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.user_id IS NULL

SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.user_id IS NULL AND u.id = 4

SELECT u.id, o.id FROM users u LEFT JOIN (orders o JOIN order_items i ON i.user_id = o.user_id AND i.order_id = o.id) ON o.user_id = u.id WHERE u.id = 3

SELECT u.id, o.id FROM (users u LEFT JOIN orders o ON false) WHERE u.id = 3

SELECT u.id, o.id FROM users u LEFT JOIN orders o ON true WHERE u.id = 3 AND o.user_id = 4

SELECT u.id, o.id FROM users u RIGHT JOIN orders o ON o.user_id = u.id AND u.id = 3

SELECT u.id, o.id FROM users u RIGHT JOIN orders o ON o.user_id = u.id AND u.id = 3 WHERE o.user_id = 4

SELECT u.id, p.id FROM users u RIGHT JOIN products p ON p.id = u.id AND u.id = 3

SELECT u.id, p.id FROM products p LEFT JOIN users u ON p.id = u.id AND u.id = 3

SELECT u.id, p.id FROM products p LEFT JOIN users u ON u.id = 3

SELECT p.id FROM products p WHERE p.id NOT IN (SELECT id FROM users WHERE id = 3)

SELECT p.id FROM products p WHERE p.id = 3 AND p.id IN (SELECT id FROM users)

SELECT u.id FROM users u JOIN products p ON EXISTS (SELECT FROM users v WHERE v.id = 5) WHERE u.id = 3

SELECT s.id, u.id FROM small4 s JOIN users u ON u.id = s.id WHERE s.id = 3

SELECT s.id, u.id FROM small4 s JOIN users u ON u.id = s.id

SELECT n.name FROM names n JOIN nicknames k ON k.nick = n.name WHERE n.name = 'ann'

SELECT n.name FROM names n JOIN nicknames k ON k.nick = n.name

SELECT id FROM (SELECT 5 AS id) users WHERE id = 5

SELECT users.id FROM settings CROSS JOIN LATERAL (SELECT 5 AS id) users

SELECT x.id FROM users u, LATERAL (SELECT u.id) x WHERE x.id = 5

SELECT x.id FROM users u, LATERAL (SELECT u.id) x WHERE u.id = 5

-- Reads hidden in odd clauses of a statement that a key binds.
SELECT id FROM users WHERE id = 3 LIMIT (SELECT count(*) FROM users)

SELECT id FROM users WHERE id = 3 OFFSET (SELECT count(*) FROM users WHERE id = 4)

SELECT id FROM orders WHERE user_id = 1 ORDER BY (SELECT count(*) FROM users), id

SELECT count(*) FROM orders WHERE user_id = 1 GROUP BY (SELECT count(*) FROM users)

SELECT count(*) FROM orders WHERE user_id = 1 HAVING (SELECT count(*) FROM users) > 30

SELECT count(*) FILTER (WHERE (SELECT count(*) FROM users) > 30) FROM orders WHERE user_id = 1

SELECT sum(id) OVER (ORDER BY (SELECT count(*) FROM users)) FROM orders WHERE user_id = 3

SELECT CASE (SELECT count(*) FROM users) WHEN 65 THEN 'all' ELSE 'some' END FROM users WHERE id = 3

SELECT id FROM users WHERE id = 3 AND (SELECT count(*) FROM users) = ANY (ARRAY[65])

SELECT ARRAY[(SELECT count(*) FROM users)] FROM users WHERE id = 3

SELECT ROW((SELECT count(*) FROM users)) FROM users WHERE id = 3

SELECT coalesce((SELECT max(id) FROM users WHERE id < 100), 0) FROM users WHERE id = 3

SELECT (ARRAY(SELECT id FROM users ORDER BY id))[1] FROM users WHERE id = 3

SELECT id FROM users WHERE id = 3 AND name = ANY (ARRAY(SELECT name FROM names))

SELECT id FROM users WHERE id = 3 AND (id, name) IN (SELECT id, name FROM users)

SELECT id FROM users WHERE id = 3 AND (SELECT bool_or(active) FROM users)

SELECT id FROM users WHERE id = 3 UNION ALL SELECT count(*) FROM users

(SELECT id FROM users WHERE id = 3) UNION ALL (SELECT id FROM users WHERE id = 3 LIMIT (SELECT count(*) FROM orders))

WITH x AS (SELECT count(*) AS n FROM users) SELECT id, n FROM users, x WHERE id = 3

WITH x AS (SELECT count(*) AS n FROM users) SELECT id FROM users WHERE id = 3

SELECT id FROM users WHERE id = 3 AND EXISTS (TABLE orders)

VALUES ((SELECT count(*) FROM users))

SELECT * FROM (VALUES ((SELECT count(*) FROM users))) v

SELECT * FROM generate_series(1, (SELECT count(*) FROM users WHERE id < 4 AND id > 0)) g

SELECT * FROM generate_series(1, 2) g WHERE EXISTS (SELECT FROM users WHERE age = 5)

SELECT * FROM settings WHERE (SELECT count(*) FROM users) = 65

SELECT * FROM products WHERE (SELECT count(*) FROM users) = 65

UPDATE users SET age = 1 WHERE id = 3 RETURNING (SELECT count(*) FROM users)

INSERT INTO users (id, name) VALUES (1500, 'x') RETURNING (SELECT count(*) FROM users)

INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET age = (SELECT count(*) FROM users)

INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET age = 5 WHERE EXISTS (SELECT FROM users WHERE users.id = 2)

INSERT INTO users (id, name, email) VALUES (1500, 'x', (SELECT max(email) FROM users))

DELETE FROM users WHERE id = 3 RETURNING (SELECT min(id) FROM users)

DELETE FROM scores USING (SELECT max(id) AS m FROM users) x WHERE user_id = 3 AND x.m > 1

UPDATE users SET age = x.n FROM (SELECT count(*) AS n FROM users) x WHERE id = 3

UPDATE users SET (age, name) = (SELECT count(*), 'x' FROM users) WHERE id = 3

-- Functions that read tables by name or by text.
SELECT query_to_xml('SELECT count(*) FROM users', false, false, '')

SELECT table_to_xml('users', false, false, '')

SELECT id, query_to_xml('SELECT count(*) FROM users', false, false, '') FROM users WHERE id = 3

SELECT * FROM ts_stat('SELECT to_tsvector(name) FROM users')

SELECT pg_get_serial_sequence('audit', 'id')

SELECT setval('audit_id_seq', 1000)

SELECT pg_notify('channel', 'x')

SELECT count(*) FROM users WHERE id = 3 AND pg_column_size(name) > 0

SELECT lower(name), length(name), substr(name, 1, 2), md5(name), age::text FROM users WHERE id IN (1, 2, 3, 4)

SELECT id, to_char(age, '999') FROM users WHERE id IN (1, 2, 3)

SELECT id, age / 2.0, round(age / 3.0, 2), sqrt(abs(age)) FROM users

SELECT id, jsonb_build_object('n', name, 'a', age) FROM users

SELECT user_id, to_char(placed_at, 'YYYY-MM-DD HH24:MI TZ') FROM orders

SELECT user_id, date_trunc('day', placed_at), extract(dow FROM placed_at) FROM orders

SELECT user_id, placed_at + interval '1 month', age(placed_at, '2025-01-01 00:00:00+00') FROM orders

-- Templates: the same shape, other literals.
--! script
SELECT id, name FROM users WHERE id = 3 ORDER BY 1
SELECT id, name FROM users WHERE id = 3 ORDER BY 2
SELECT id, name FROM users WHERE id = 3 ORDER BY 3
SELECT id FROM users WHERE id = 3 AND 1 = 1
SELECT id FROM users WHERE id = 3 AND 1 = 2
SELECT id FROM users WHERE id = 3 OR 1 = 2
SELECT id FROM users WHERE id = 3 OR 1 = 1
SELECT id FROM users WHERE id = 3 LIMIT 1
SELECT id FROM users WHERE id = 3 LIMIT 0

--! script
SELECT id FROM users WHERE id = 5
SELECT id FROM users WHERE id = 5.0
SELECT id FROM users WHERE id = 5.5
SELECT id FROM users WHERE id = '5'
SELECT id FROM users WHERE id = 'five'
SELECT id FROM users WHERE id = 99999999999999999999
SELECT id FROM users WHERE id = 5e0
SELECT id FROM users WHERE id = 0x5
SELECT id FROM users WHERE id = 5

--! script
SELECT id FROM users WHERE id IN (1, 1)
SELECT id FROM users WHERE id IN (1, 2)
SELECT id FROM users WHERE id IN (1, NULL)
SELECT id FROM users WHERE id IN (3, 4)
SELECT id FROM users WHERE id IN ('3', '4')
SELECT id FROM users WHERE id IN (3, 4.5)
SELECT max(id) FROM users WHERE id IN (7, 7)
SELECT max(id) FROM users WHERE id IN (7, 8)
SELECT max(id) FROM users WHERE id IN (7, 7)

--! script
SELECT id FROM users WHERE id = 3 - 1
SELECT id FROM users WHERE id = 3 -1
SELECT id FROM users WHERE id = 3 - -1
SELECT id FROM users WHERE id = -3
SELECT id FROM users WHERE id = - -3
SELECT id FROM users WHERE id = 3 + 1 * 2
SELECT id FROM users WHERE id = (3 + 1) * 2
SELECT id FROM users WHERE id = 5 / 2
SELECT id FROM users WHERE id = 5 / 0
SELECT id FROM users WHERE id = 5 % 3
SELECT id FROM users WHERE id = 2147483647 + 1
SELECT id FROM users WHERE id = 2147483647 + 0
SELECT id FROM users WHERE id = 4611686018427387904 * 2

--! script
SELECT name FROM names WHERE name = 'ann'
SELECT name FROM names WHERE name = E'ann'
SELECT name FROM names WHERE name = E'a\\b'
SELECT name FROM names WHERE name = 'a\b'
SELECT name FROM names WHERE name = $$ann$$
SELECT name FROM names WHERE name = 5
SELECT name FROM names WHERE name = 'o''neil'

--! script
INSERT INTO users (id, name) VALUES (1601, 'a'), (1601, 'b')
INSERT INTO users (id, name) VALUES (1602, 'a'), (1603, 'b')
INSERT INTO users (id, name) VALUES (1604, 'a')
INSERT INTO users (id, name) VALUES ('1605', 'a')
INSERT INTO users (id, name) VALUES (1606.5, 'a')
SELECT id FROM users WHERE id IN (1601, 1602, 1603, 1604, 1605, 1606, 1607)

--! script
SELECT region FROM accounts WHERE region = 'eu'
SELECT region FROM accounts WHERE region = 'nowhere'
SELECT region FROM accounts WHERE region = 'us'
SELECT id FROM events WHERE created_at > '2026-02-10 00:00:00+00'
SELECT id FROM events WHERE created_at > '2025-02-10 00:00:00+00'
SELECT id FROM events WHERE created_at > 'now'
SELECT max(id) FROM events WHERE created_at > '2026-02-10 00:00:00+00'
SELECT max(id) FROM events WHERE created_at > '2025-02-10 00:00:00+00'

-- What servers do by themselves. Left out, since no proxy can see it in a statement: uniqueness of columns that
-- don't contain the shard key, and CHECKs that read tables. `shardway check` names the first; see README, What no statement shows.

--! script
INSERT INTO tickets (user_id, v) VALUES (1, 'a')
INSERT INTO tickets (user_id, v) VALUES (2, 'b')
INSERT INTO tickets (user_id, v) VALUES (3, 'c')
INSERT INTO tickets (user_id, v) VALUES (4, 'd')
INSERT INTO tickets VALUES (5, DEFAULT, 'e')
SELECT count(*) FROM tickets WHERE user_id = 1
SELECT v FROM tickets

--! script
INSERT INTO watched VALUES (1, 'a')
INSERT INTO watched VALUES (2, 'b')
INSERT INTO watched VALUES (3, 'c')
SELECT id, what FROM audit WHERE what = 'watched'

--! script
INSERT INTO retouched VALUES (1, 'a')
INSERT INTO retouched VALUES (2, 'b')
INSERT INTO retouched VALUES (3, 'c')
SELECT * FROM retouched
SELECT * FROM retouched WHERE id = 2

--! script
INSERT INTO counted (id) VALUES (1)
INSERT INTO counted (id) VALUES (2)
INSERT INTO counted VALUES (3, 7)
INSERT INTO counted VALUES (4, DEFAULT)
SELECT * FROM counted

--! script
INSERT INTO ruled VALUES (1, 'a')
INSERT INTO ruled VALUES (2, 'b')
INSERT INTO ruled VALUES (3, 'c')
SELECT id, what FROM audit WHERE what = 'ruled'

--! script must
INSERT INTO stamped (id) VALUES (1)
INSERT INTO stamped (id) VALUES (2) RETURNING *
INSERT INTO stamped (id, price) VALUES (3, DEFAULT) RETURNING half, price
SELECT * FROM stamped WHERE id = 3

INSERT INTO stamped (id, half) VALUES (1, 5)

--! param numeric 2.5
SELECT id FROM users WHERE id = $1::int

--! param numeric 2.5
SELECT id FROM users WHERE id = $1::int8

--! param int8 70000
SELECT id FROM users WHERE id = $1::int2

--! param text ann
SELECT id FROM users WHERE id = $1::int8

--! param timestamptz 2026-01-02 23:30:00+00
SELECT day FROM days WHERE day = $1

--! param timestamptz 2026-01-02 23:30:00+00
SELECT day FROM days WHERE day = $1::date

--! param text ann   
SELECT name FROM names WHERE name = $1::char(10)

--! param text annabel
SELECT name FROM names WHERE name = $1::varchar(3)

--! param float8 1e18
SELECT id FROM users WHERE id = $1

--! param float8 9223372036854775807
SELECT id FROM users WHERE id = $1

SELECT id FROM users WHERE id = 9223372036854775807::float8

SELECT id FROM users WHERE id = 9223372036854775807.0

SELECT id FROM users WHERE id = 9223372036854775806.5
