-- UPDATE of the shard key: rows go where their new keys belong.

--! must
UPDATE docs SET id = '00000000-0000-0000-0000-0000000000f1' WHERE body IS NOT NULL AND id = (SELECT '00000000-0000-0000-0000-000000000001'::uuid)

--! must
UPDATE scores SET user_id = 5 WHERE user_id = 1

--! must
UPDATE scores SET user_id = 9 WHERE user_id = 2 RETURNING *

--! must
UPDATE scores SET user_id = user_id + 100 WHERE value IS NOT NULL RETURNING user_id, id, value, tags, mood, part

--! must
UPDATE scores AS s SET user_id = s.user_id + 50, value = s.value * 2, tags = array_append(tags, 'moved'), part = 7 WHERE s.user_id < 20 AND s.id = 1 RETURNING s.user_id, s.value AS v, tags

--! must
UPDATE scores SET user_id = 77 WHERE false RETURNING id

--! must
UPDATE scores SET user_id = user_id

--! must
UPDATE scores SET user_id = scores.user_id, value = 1 WHERE id = 1 RETURNING *

--! must
UPDATE scores SET user_id = 1 WHERE user_id = 1

--! must
--! param bigint 3
--! param bigint 4
--! param float8 2.5
UPDATE scores SET user_id = $2, value = $3 WHERE user_id = $1 RETURNING value, user_id

--! must
--! param bigint 1000
UPDATE scores SET user_id = user_id + $1 WHERE id < 3

--! must
--! param text 500
UPDATE names SET name = name || $1 RETURNING name, n

--! must
UPDATE names SET name = upper(name), n = n + 1 WHERE n > 1 AND name <> upper(name)

--! must
UPDATE nicknames SET nick = nick || 'x', n = '17' RETURNING *

--! must
UPDATE accounts SET region = 'us' WHERE region = 'eu' AND id > 100 RETURNING *

--! must
UPDATE accounts SET region = CASE region WHEN 'eu' THEN 'us' ELSE region END, id = id + 1000, balance = balance + 1 RETURNING region, id, balance

--! must
UPDATE days SET day = day + 400

--! must
UPDATE days SET day = '2031-01-01' WHERE visits = (SELECT max(n) FROM (VALUES (1), (10)) AS v (n))

--! must
UPDATE levels SET level = level + 0.125, label = DEFAULT RETURNING level, label

--! must
UPDATE events SET created_at = created_at + interval '1 day', payload = '{"moved": true}' WHERE kind IS NOT NULL

--! must
UPDATE small4 SET id = id + 70000 RETURNING id, v

--! must
UPDATE small2 SET id = id + 100

-- int2 can't hold it.
--! must
UPDATE small2 SET id = id + 70000

-- What is wrong with a row is wrong where it goes, too.
--! must
UPDATE scores SET user_id = user_id + 100, part = 101 WHERE user_id < 100

--! must
UPDATE scores SET user_id = user_id + 100, id = NULL WHERE id = 1

--! must
UPDATE scores SET user_id = NULL

--! must
UPDATE accounts SET region = 'us', balance = NULL WHERE region = 'eu'

--! must
UPDATE orders SET user_id = 3 WHERE user_id = 1

--! must
UPDATE orders SET user_id = 2 WHERE user_id = 1 AND id NOT IN (SELECT i.order_id FROM order_items i WHERE i.user_id = orders.user_id) RETURNING *

--! must
UPDATE orders SET user_id = user_id + 200, placed_at = '2026-05-05 05:05:05+00' WHERE NOT EXISTS (SELECT FROM order_items i WHERE i.user_id = orders.user_id AND i.order_id = orders.id) RETURNING id, amount, user_id

-- Something refers to them.
--! must
UPDATE orders SET user_id = user_id + 200

--! must
UPDATE order_items SET user_id = user_id + 1 WHERE line = 1 AND user_id = 1

--! must
UPDATE order_items SET user_id = 99

--! must
UPDATE scores SET user_id = o.id FROM orders o WHERE o.user_id = scores.user_id AND o.id = (SELECT 1)

--! must
UPDATE scores SET user_id = s.user_id + 300 FROM users u WHERE u.id = scores.user_id AND u.name LIKE '%a%'

--! must
UPDATE scores SET user_id = scores.user_id + 300, value = u.age FROM users u WHERE u.id = scores.user_id AND u.name LIKE '%a%'

-- Names that aren't there, types that don't fit.
--! must
UPDATE scores SET user_id = user_id + 1, nothing = 5

--! must
UPDATE scores SET user_id = user_id + 1, value = 'no number'

--! must
UPDATE scores SET user_id = user_id + 1 WHERE nothing = 5

--! must
UPDATE scores SET user_id = user_id || 'x'

--! must
UPDATE scores SET user_id = user_id + 1, value = 1 / 0

--! must
UPDATE scores SET user_id = user_id + 1 RETURNING nothing

-- Who takes what another gives up: by the order of the rows.
UPDATE users SET id = id + 1 WHERE id < 100

UPDATE users SET id = CASE id WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE id END

UPDATE scores SET user_id = user_id + 1 WHERE user_id < 100

--! must
UPDATE names SET name = 'x' WHERE n >= 0

--! must script
BEGIN
UPDATE scores SET user_id = 5 WHERE user_id = 1 RETURNING id
SELECT count(*) FROM scores WHERE user_id = 5
SAVEPOINT a
UPDATE scores SET user_id = user_id + 1000
SELECT count(*), min(user_id) FROM scores
ROLLBACK TO a
SELECT count(*), min(user_id) FROM scores
UPDATE scores SET user_id = NULL
ROLLBACK TO a
UPDATE scores SET user_id = user_id + 500 WHERE id = 1
COMMIT
SELECT count(*), sum(user_id) FROM scores

--! must script
BEGIN
INSERT INTO users (id, name) VALUES (601, 'a'), (602, 'b'), (603, 'c')
UPDATE users SET id = id + 100, name = name || '!' WHERE id IN (601, 602, 603) RETURNING id, name
UPDATE users SET id = 900 WHERE id = 701
SELECT id, name FROM users WHERE id > 500 ORDER BY id
COMMIT

--! refused
UPDATE retouched SET id = id + 1

--! refused
UPDATE scores SET (user_id, value) = (user_id + 1, 2)

--! refused
/* shardway: key=1 */ UPDATE scores SET user_id = user_id + 1

--! refused
WITH w AS (UPDATE scores SET user_id = user_id + 1 RETURNING *) SELECT * FROM w

--! refused
EXPLAIN ANALYZE UPDATE scores SET user_id = user_id + 1

--! refused
INSERT INTO scores (user_id, id) VALUES (1, 1) ON CONFLICT (user_id, id) DO UPDATE SET user_id = scores.user_id + 1
