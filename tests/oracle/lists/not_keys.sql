-- What looks like a key and isn't one.

SELECT id FROM users WHERE id % 10 = 3

SELECT id FROM users WHERE (id = 1) IS NOT TRUE

SELECT id FROM users WHERE (id = 1) IS TRUE

SELECT id FROM users WHERE (id = 1) IS NULL

SELECT id FROM users WHERE (id = 1) = false

SELECT id FROM users WHERE (id = 1) = (id = 2)

SELECT id FROM users WHERE NOT id = 1

SELECT id FROM users WHERE NOT (id = 1 AND active)

SELECT id FROM users WHERE NOT NOT id = 1

SELECT id FROM users WHERE NOT (id <> 1)

SELECT id FROM users WHERE (id = 1) <> active

SELECT id = 1 FROM users

SELECT id = 1 AS one, id FROM users

SELECT (id = 1) OR active FROM users

SELECT u.id, p.id FROM users u LEFT JOIN parents p ON p.id = 1

SELECT u.id, m.id FROM users u LEFT JOIN users m ON m.id = u.id AND m.id = 1

SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id AND u.id = 1

SELECT o.id, u.id FROM users u RIGHT JOIN orders o ON o.user_id = u.id AND u.id = 1

SELECT u.id, o.id FROM users u FULL JOIN orders o ON o.user_id = u.id AND u.id = 1

SELECT id FROM users u WHERE EXISTS (SELECT FROM orders o WHERE o.user_id = 1)

SELECT id FROM users u WHERE EXISTS (SELECT FROM users v WHERE v.id = 1)

SELECT id FROM users u WHERE EXISTS (SELECT 1 WHERE u.id = 1)

SELECT id FROM users WHERE NOT EXISTS (SELECT 1 WHERE id = 1)

SELECT id FROM users WHERE CASE WHEN id = 1 THEN true ELSE active END

SELECT CASE WHEN id = 1 THEN 'one' ELSE 'more' END FROM users

SELECT id FROM users WHERE coalesce(id = 1, true)

SELECT id FROM users WHERE COALESCE(NULLIF(id = 1, true), true)

SELECT count(*) FILTER (WHERE id = 1) FROM users

SELECT id FROM users GROUP BY id HAVING id = 1

SELECT id, count(*) FROM users GROUP BY id HAVING count(*) = 1

SELECT id FROM users ORDER BY id = 1, id

SELECT id FROM users WHERE age = 1

SELECT id FROM users WHERE name = '1' OR id = 1

SELECT id FROM users WHERE 1 = 1

SELECT id FROM users WHERE id = id

SELECT id FROM users WHERE id = age

SELECT id FROM users WHERE id >= 5

SELECT id FROM users WHERE id = ANY (SELECT product_id FROM order_items WHERE user_id = 1)

SELECT id FROM users WHERE id IN (SELECT id FROM products)

SELECT id FROM users WHERE id IN (SELECT 1)

SELECT id FROM users WHERE (SELECT true) AND id = 1

SELECT id FROM users WHERE (id = 1) IN (true)

SELECT id FROM users WHERE (id = 1)::int = 0

SELECT id FROM users WHERE id = 1 IS NOT TRUE

SELECT id FROM users WHERE id IN (1, 2) IS FALSE

SELECT id FROM users WHERE (id IN (1, 2)) IS NOT FALSE

SELECT id FROM users WHERE (id BETWEEN 1 AND 2) = false

SELECT id FROM users WHERE id IS DISTINCT FROM 1

SELECT id FROM users WHERE id = 1 XOR active

SELECT id FROM users WHERE id = 1 OR NOT active OR id = 2

SELECT id FROM users WHERE (active AND id = 1) OR (NOT active AND id = 2)

SELECT id FROM users WHERE (active AND id = 1) OR NOT active

SELECT u.id FROM users u, LATERAL (SELECT 1 WHERE u.id = 1) l

SELECT u.id FROM users u CROSS JOIN LATERAL (SELECT u.id = 1 AS is_one) l

SELECT s.key, u.id FROM settings s, users u WHERE u.id = 1

SELECT s.key, u.id FROM users u, settings s WHERE u.id = 5 AND s.key = 'theme'

SELECT * FROM orders WHERE id = 1

SELECT * FROM orders o WHERE o.id = 1 AND o.status = 'new'

SELECT count(*) FROM orders WHERE id = 1

UPDATE users SET active = (id = 1)

UPDATE users SET active = (id = 1) WHERE id = 5

UPDATE users SET age = 1 WHERE (id = 1) IS NOT TRUE

UPDATE users SET age = CASE WHEN id = 1 THEN 1 ELSE 2 END

UPDATE users SET age = 1 WHERE id = 1 OR active

UPDATE users SET age = 1 WHERE id % 2 = 1

UPDATE users SET age = 1

DELETE FROM users WHERE NOT id = 1

DELETE FROM users WHERE id <> 1

DELETE FROM users

DELETE FROM orders WHERE EXISTS (SELECT FROM users WHERE users.id = 1)

DELETE FROM scores WHERE id = 1

DELETE FROM scores USING users u WHERE u.id = 1

DELETE FROM scores s USING users u WHERE u.id = 1 AND s.user_id = u.id

DELETE FROM scores USING users u LEFT JOIN orders o ON o.user_id = 1 WHERE u.id = scores.user_id

INSERT INTO users (name, id) SELECT 'x', 1001 WHERE 1 = 1

INSERT INTO scores (user_id, id) SELECT id, 77 FROM users WHERE id = 1

INSERT INTO scores (user_id, id) SELECT id, 77 FROM users

INSERT INTO scores (user_id, id) SELECT 3, 77 FROM users WHERE id = 1

INSERT INTO users (name) VALUES ('no key')

INSERT INTO users (id, name) VALUES (DEFAULT, 'no key')

INSERT INTO users (id, name) VALUES (NULL, 'no key')

INSERT INTO users DEFAULT VALUES

INSERT INTO users VALUES ((SELECT max(id) + 1 FROM users), 'next')

INSERT INTO users VALUES ((SELECT 1001), 'next')

INSERT INTO users (id, name) VALUES (nextval('audit_id_seq'), 'next')

INSERT INTO users (id, name) VALUES ((random() * 0)::int + 1000, 'next')

SELECT "ID" FROM users WHERE id = 1

SELECT id FROM users WHERE "id " = 1

SELECT u."id" FROM users u, (SELECT 1 AS id) v WHERE v.id = 1

SELECT u.id FROM (SELECT 1 AS id) u WHERE u.id = 1

SELECT u.id FROM (SELECT id + 1 AS id FROM users) u WHERE u.id = 5

SELECT u.id FROM (SELECT age AS id FROM users) u WHERE u.id = 5

SELECT u.id, u.name FROM (SELECT id, name FROM users) u WHERE u.id = 5

SELECT u.id FROM (SELECT id FROM users LIMIT 100) u WHERE u.id = 5

SELECT u.id FROM (SELECT id FROM users ORDER BY id LIMIT 3) u WHERE u.id = 5

SELECT max FROM (SELECT max(id) AS max FROM users) u WHERE u.max = 5

SELECT u.id FROM users u JOIN users v ON u.id = v.age WHERE v.id = 5

SELECT * FROM (VALUES (1), (2)) AS users (id) WHERE id = 1

SELECT id FROM users TABLESAMPLE BERNOULLI (100) WHERE id = 5

SELECT id FROM users TABLESAMPLE SYSTEM (100)
