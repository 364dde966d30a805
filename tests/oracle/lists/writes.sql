-- INSERT, UPDATE, DELETE and what they answer.

--! must
INSERT INTO users (id, name) VALUES (1001, 'new')

--! must
INSERT INTO users VALUES (1002, 'new', 'n@example.com', 5, true, 'nz')

--! must
INSERT INTO users (name, age, id) VALUES ('new', 5, 1003) RETURNING id, name, active

--! must
INSERT INTO users (id, name) VALUES (1004, 'new') RETURNING *

--! must
INSERT INTO users AS u (id, name) VALUES (1005, 'new') RETURNING u.id AS "the id", u.age IS NULL

--! must
INSERT INTO users (id, name, age) VALUES (1, 'again', 5) ON CONFLICT (id) DO NOTHING

--! must
INSERT INTO users (id, name, age) VALUES (1, 'again', 5) ON CONFLICT (id) DO UPDATE SET name = excluded.name, age = users.age + 1 RETURNING *

INSERT INTO users (id, name, age) VALUES (1, 'again', 5) ON CONFLICT (id) DO UPDATE SET id = excluded.id + 1

INSERT INTO users (id, name, age) VALUES (1, 'again', 5) ON CONFLICT ON CONSTRAINT users_pkey DO UPDATE SET age = 6 WHERE users.age > 100

--! must
INSERT INTO users (id, name) VALUES (1, 'duplicate')

--! must
INSERT INTO users (id, name) VALUES (1006, NULL)

--! must
INSERT INTO users (id, name, age) VALUES (1007, 'young', -1)

--! must
INSERT INTO users (id, name, age) VALUES (1008, 'x', 'abc')

INSERT INTO users (id, name) VALUES ('abc', 'x')

INSERT INTO users (id, name) VALUES (9999999999999999999, 'x')

INSERT INTO users (id, name) VALUES (1009.4, 'x')

INSERT INTO users (id, name) VALUES (1009.5, 'x')

INSERT INTO users (id, name) VALUES ('1010', 'x')

INSERT INTO users (id, name) VALUES (1000 + 11, 'x')

INSERT INTO users (id, name) VALUES (1012::text::int, 'x')

INSERT INTO users (id, name) VALUES (1013::int2, 'x')

INSERT INTO users (id, name) VALUES (-1014, 'x')

INSERT INTO users (id, name) VALUES (true, 'x')

INSERT INTO users (id, name) VALUES (NULL, NULL)

INSERT INTO users (id, name, nothing) VALUES (1015, 'x', 1)

INSERT INTO users (id, name) VALUES (1016)

INSERT INTO users (id) VALUES (1017, 'x')

INSERT INTO users (id, id) VALUES (1017, 1018)

INSERT INTO nothing VALUES (1)

INSERT INTO users VALUES (1018)

INSERT INTO users (id, name, age) VALUES (1019, 'x', 1 / 0)

INSERT INTO users (id, name, age) VALUES (1020, 'x', length('abc'))

INSERT INTO users (id, name, age) VALUES (1020, 'x', (SELECT 5))

INSERT INTO users (id, name, age) VALUES (1020, 'x', (SELECT count(*) FROM products))

INSERT INTO users (id, name, age) VALUES (1020, 'x', (SELECT count(*) FROM users))

INSERT INTO users (id, name, age) VALUES (1020, 'x', DEFAULT)

INSERT INTO users (name, id) VALUES ('swapped', 1021)

--! must
INSERT INTO users (id, name) VALUES (1022, 'it''s'), (1022, 'same')

INSERT INTO users (id, name) VALUES (1023, 'a'), (1024, 'b'), (1025, 'c'), (1026, 'd'), (1027, 'e'), (1028, 'f')

INSERT INTO orders (user_id, id, amount) VALUES (1, 901, 1), (1, 902, 2.555), (1, 903, 3)

INSERT INTO orders (user_id, id, amount) VALUES (1, 904, 1), (2, 904, 2) RETURNING user_id

INSERT INTO orders (user_id, id, amount) VALUES (1, 905, 1), (1, 1, 2)

INSERT INTO orders (user_id, id, amount) VALUES (1, 906, 1), (NULL, 906, 2)

INSERT INTO orders (user_id, id, amount) VALUES (1, 907, 99999999999)

INSERT INTO order_items VALUES (1, 999, 1, 1, 1, 1)

INSERT INTO order_items VALUES (1, 1, 50, 1, 1, 1)

INSERT INTO scores VALUES (1, 70, '-0', '{a,"b c",NULL}', 'happy', 100) RETURNING *

INSERT INTO scores VALUES (1, 71, 'NaN', ARRAY['x'], 'sad'::mood, 5)

INSERT INTO scores VALUES (1, 72, 1, NULL, 'angry', 5)

INSERT INTO scores VALUES (1, 73, 1, NULL, NULL, 101)

INSERT INTO users SELECT 1030, 'selected'

INSERT INTO users (id, name) SELECT id + 2000, name FROM users WHERE id = 5

INSERT INTO scores (user_id, id) SELECT user_id, id + 100 FROM scores WHERE user_id = 5

INSERT INTO scores (user_id, id) SELECT o.user_id, o.id + 100 FROM orders o WHERE o.user_id = 5

INSERT INTO scores (user_id, id) SELECT user_id, id + 100 FROM scores

INSERT INTO settings SELECT 'users', count(*)::text FROM users

INSERT INTO settings SELECT 'user', name FROM users WHERE id = 5

INSERT INTO users (id, name) TABLE settings

INSERT INTO users (id, name) OVERRIDING SYSTEM VALUE VALUES (1031, 'x')

WITH new AS (INSERT INTO users (id, name) VALUES (1032, 'x') RETURNING *) SELECT * FROM new

WITH new AS (INSERT INTO users (id, name) VALUES (1032, 'x') RETURNING *) INSERT INTO orders (user_id, id, amount) SELECT id, 1, 5 FROM new

WITH x AS (SELECT 1033 AS id) INSERT INTO users (id, name) SELECT id, 'x' FROM x

WITH gone AS (DELETE FROM users WHERE id = 5 RETURNING *) SELECT id, name FROM gone

WITH gone AS (DELETE FROM users WHERE id = 5 RETURNING *) INSERT INTO users SELECT id + 1, name FROM gone

WITH gone AS (DELETE FROM users RETURNING *) SELECT count(*) FROM gone

WITH gone AS (DELETE FROM users WHERE age > 30 RETURNING id) SELECT id FROM gone

SELECT * FROM users WHERE id = 5 AND EXISTS (WITH x AS (SELECT 1) SELECT FROM x)

--! must
--! param int8 1040
--! param text new
INSERT INTO users (id, name) VALUES ($1, $2) RETURNING id

--! must
--! param int8 1041
--! param text a
--! param int8 1041
--! param text b
INSERT INTO users (id, name) VALUES ($1, $2), ($3, $4)

--! param int8 1042
--! param text a
--! param int8 1043
--! param text b
INSERT INTO users (id, name) VALUES ($1, $2), ($3, $4)

--! param int8 null
INSERT INTO users (id, name) VALUES ($1, 'x')

--! param text 1044
INSERT INTO users (id, name) VALUES ($1::bigint, 'x')

--! param int4 1045
INSERT INTO users (id, name) VALUES ($1, 'x')

--! param numeric 1046.7
INSERT INTO users (id, name) VALUES ($1, 'x')

--! param numeric 1046.7
INSERT INTO users (id, name) VALUES ($1::numeric, 'x')

--! param int8 1047
INSERT INTO users (id, name) VALUES ($1 + 1, 'x')

--! param text[] {a,b}
--! param mood sad
INSERT INTO scores VALUES (1, 74, 1.5, $1, $2, 7) RETURNING mood, tags

--! param jsonb {"x": 1}
INSERT INTO docs VALUES ('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380001', $1) RETURNING *

--! must
INSERT INTO names VALUES ('new name', 1)

--! must
INSERT INTO names VALUES ('ann', 1) ON CONFLICT (name) DO UPDATE SET n = names.n + 100

INSERT INTO names VALUES ('con' || 'cat', 1)

INSERT INTO names VALUES (1, 1)

INSERT INTO names VALUES ('ab'::varchar(1), 1)

INSERT INTO nicknames VALUES ('short', 1)

INSERT INTO nicknames VALUES ('twenty characters.. and more', 1)

INSERT INTO nicknames VALUES ('twenty characters..      ', 1)

INSERT INTO small2 VALUES (1000, 'x')

INSERT INTO small2 VALUES (100000, 'x')

INSERT INTO small2 VALUES (1000::int8, 'x')

INSERT INTO small2 VALUES (1000.5, 'x')

INSERT INTO small4 VALUES (1000, 'x') RETURNING id

INSERT INTO docs VALUES (md5('x')::uuid, '{}')

INSERT INTO docs VALUES ('not a uuid', '{}')

INSERT INTO docs VALUES ('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380002', 'not json')

--! must
UPDATE users SET name = 'changed' WHERE id = 5

--! must
UPDATE users SET name = 'changed', age = age + 1, email = DEFAULT WHERE id = 5 RETURNING *

--! must
UPDATE users SET age = 5 WHERE id = 999999

--! must
UPDATE users AS u SET age = u.age * 2 WHERE u.id = 7 RETURNING u.id, u.age

UPDATE users SET (name, age) = ('both', 9) WHERE id = 5

UPDATE users SET (name, age) = (SELECT 'both', 9) WHERE id = 5

UPDATE users SET age = (SELECT count(*) FROM orders WHERE user_id = 5) WHERE id = 5

UPDATE users SET age = (SELECT count(*) FROM orders WHERE user_id = users.id) WHERE id = 5

UPDATE users SET age = (SELECT count(*) FROM orders) WHERE id = 5

UPDATE users SET age = (SELECT max(age) FROM users) WHERE id = 5

UPDATE users SET age = o.id FROM orders o WHERE o.user_id = users.id AND users.id = 3 AND o.id = 1

UPDATE users SET age = o.id FROM orders o WHERE o.user_id = users.id AND o.id = 1

UPDATE users SET age = p.id FROM products p WHERE p.id = 5 AND users.id = 5

UPDATE users SET age = length(s.value) FROM settings s WHERE s.key = 'theme' AND users.id = 5

UPDATE users SET id = 5 WHERE id = 5

UPDATE users SET id = 1050 WHERE id = 5

UPDATE users SET id = id WHERE id = 5

UPDATE users SET id = id + 1 WHERE id = 5

UPDATE users SET age = 1 WHERE id IN (1, 2, 3)

UPDATE users SET age = 1 WHERE id IN (5, 5)

UPDATE users SET age = 1 WHERE id = 5 OR id = 5

UPDATE users SET age = 1 WHERE name = 'ann'

UPDATE users SET age = 1 WHERE false

UPDATE users SET age = -1 WHERE id = 5

UPDATE users SET age = age / 0 WHERE id = 5

UPDATE users SET nothing = 1 WHERE id = 5

UPDATE users SET name = NULL WHERE id = 5

UPDATE nothing SET x = 1

UPDATE ONLY users SET age = 1 WHERE id = 5

UPDATE users SET age = 1 WHERE id = 5 AND ctid = '(99,99)'

UPDATE users SET age = 1 WHERE CURRENT OF nothing

UPDATE scores SET tags[1] = 'first' WHERE user_id = 5

UPDATE scores SET mood = 'ok', tags = tags || 'more' WHERE user_id = 5 RETURNING mood, tags

UPDATE orders SET amount = amount * 1.1 WHERE user_id = 1

--! must
--! param int4 50
--! param int8 5
UPDATE users SET age = $1 WHERE id = $2

--! param int8 5
--! param int8 6
UPDATE users SET id = $2 WHERE id = $1

--! must
DELETE FROM users WHERE id = 5

--! must
DELETE FROM users WHERE id = 5 AND active RETURNING id, name

--! must
DELETE FROM scores WHERE user_id = 1

DELETE FROM orders WHERE user_id = 1

DELETE FROM scores WHERE user_id IN (1, 3, 5)

DELETE FROM scores s USING products p WHERE s.user_id = 5 AND p.id = s.id

DELETE FROM scores s USING orders o WHERE s.user_id = o.user_id AND o.user_id = 5

DELETE FROM scores s USING orders o WHERE s.user_id = o.user_id

DELETE FROM users u WHERE u.id = 5 AND NOT EXISTS (SELECT FROM orders o WHERE o.user_id = u.id)

DELETE FROM users WHERE id = (SELECT max(id) FROM users)

DELETE FROM ONLY users WHERE id = 5

DELETE FROM nothing

--! must
--! param int8 5
DELETE FROM users WHERE id = $1 RETURNING *

--! param int8[] {1,2,3,4,5}
DELETE FROM scores WHERE user_id = ANY ($1)

--! must
INSERT INTO settings VALUES ('new', 'x') RETURNING *

--! must
INSERT INTO settings VALUES ('theme', 'light') ON CONFLICT (key) DO UPDATE SET value = excluded.value

--! must
UPDATE settings SET value = 'x' WHERE key = 'theme' RETURNING key

--! must
UPDATE settings SET value = upper(value)

--! must
DELETE FROM settings WHERE value IS NULL

INSERT INTO settings VALUES ('theme', 'duplicate')

INSERT INTO audit (what) VALUES ('something') RETURNING id > 0, what

INSERT INTO audit (what) VALUES (NULL)

INSERT INTO "Mixed Case" VALUES (50, 'fifty') RETURNING "Id"

INSERT INTO other.users VALUES (50, 'fifty')

UPDATE other.users SET name = 'x' WHERE id = 3

DELETE FROM other.things WHERE id = 1

INSERT INTO countries VALUES ('fr', 'France')

UPDATE products SET price = price + 1

UPDATE products SET price = 5 WHERE id = 1

DELETE FROM countries WHERE code = 'nz'

UPDATE products SET price = 1 WHERE false

INSERT INTO active_users VALUES (1060, 'through a view', 5)

UPDATE active_users SET age = 1 WHERE id = 5

UPDATE loud_settings SET key = 'x' WHERE key = 'theme'

UPDATE parents SET v = 'x' WHERE id = 3

DELETE FROM ONLY parents WHERE id = 3

INSERT INTO children VALUES (501, 'x', 'y')

TRUNCATE scores

TRUNCATE settings

TRUNCATE users, settings

MERGE INTO users u USING (VALUES (5, 'merged')) v (id, name) ON u.id = v.id WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (v.id, v.name)

MERGE INTO settings s USING (VALUES ('theme', 'merged')) v (key, value) ON s.key = v.key WHEN MATCHED THEN UPDATE SET value = v.value

CALL nothing()

DO $$ BEGIN PERFORM 1; END $$

DO $$ BEGIN DELETE FROM users WHERE id = 5; END $$

--! error 23514
--! param text nowhere
INSERT INTO accounts VALUES ($1, 1, 1)

--! param text us
--! param numeric 5.5
INSERT INTO accounts VALUES ($1, 200, $2) RETURNING *

--! param text us
--! param int4 2
UPDATE accounts SET balance = balance + $2 WHERE region = $1

-- Keys that are NULL: nothing is stored, but which error comes first is PostgreSQL's to say.

INSERT INTO users (id, nothing) VALUES (NULL, 1)

INSERT INTO users (id, name, age) VALUES (NULL, 'x', 1 / 0)

INSERT INTO users (id, name, age) VALUES (NULL, 'x', 'abc')

INSERT INTO users (id, name) VALUES (NULL, 'x') ON CONFLICT (id) DO NOTHING

INSERT INTO users (id, name) VALUES (1, 'x'), (NULL, 'y')

UPDATE users SET id = NULL WHERE id = 5

UPDATE users SET id = NULL WHERE id = 999999

UPDATE users SET id = NULL WHERE name = 'nobody'

--! param int8 null
UPDATE users SET id = $1 WHERE name = 'nobody'
