-- MERGE that no key settles to one shard.

--! must
MERGE INTO scores s USING orders o ON s.user_id = o.user_id AND o.id = 1 AND s.id = 1 WHEN MATCHED THEN UPDATE SET value = o.amount

--! must
MERGE INTO scores s USING users u ON s.user_id = u.id WHEN MATCHED AND s.part > 50 THEN UPDATE SET value = u.age, part = DEFAULT WHEN NOT MATCHED THEN DO NOTHING

--! must
MERGE INTO scores s USING users u ON s.user_id = u.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (user_id, id, part) VALUES (u.id, 1, u.age)

--! must
MERGE INTO scores AS s USING users AS u ON u.id = s.user_id AND u.age > 30 WHEN NOT MATCHED AND u.active THEN INSERT (id, user_id, value, part) VALUES (777, u.id, 1.5, 3)

--! must
MERGE INTO users USING scores s ON s.user_id = users.id AND s.id = 1 WHEN NOT MATCHED AND s.id = 1 THEN INSERT (name, id) VALUES ('from ' || s.id, user_id) WHEN MATCHED AND users.active THEN UPDATE SET (name, age) = (users.name || '!', s.part) WHEN MATCHED THEN DO NOTHING

--! must script
DELETE FROM users WHERE id > 4
MERGE INTO users u USING orders o ON o.user_id = u.id AND o.id = 1 WHEN MATCHED THEN UPDATE SET age = 77 WHEN NOT MATCHED AND o.id = 1 THEN INSERT (id, name, age) VALUES (o.user_id, 'order of ' || o.user_id, 5)
SELECT id, name, age, active FROM users ORDER BY id
MERGE INTO users u USING orders o ON o.user_id = u.id AND o.id = 1 WHEN MATCHED THEN UPDATE SET age = 77 WHEN NOT MATCHED AND o.id = 1 THEN INSERT (id, name) VALUES (o.user_id, 'again')
SELECT count(*), sum(age) FROM users

-- All columns, in their order.
--! must script
DELETE FROM scores WHERE user_id % 2 = 0
MERGE INTO scores s USING users u ON s.user_id = u.id WHEN NOT MATCHED THEN INSERT VALUES (u.id, 9, 0.5, NULL, 'ok', 7)
SELECT user_id, id, value, tags, mood, part FROM scores ORDER BY 1, 2

-- A row that two rows match, and errors that one shard alone finds.
--! must
MERGE INTO users u USING orders o ON o.user_id = u.id WHEN MATCHED THEN UPDATE SET age = 1

--! must
MERGE INTO users u USING orders o ON o.user_id = u.id AND o.id = 1 WHEN MATCHED THEN UPDATE SET age = 10 / (CASE u.id WHEN 2 THEN 0 ELSE 1 END)

--! must
MERGE INTO scores s USING users u ON s.user_id = u.id WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT (user_id, id, part) VALUES (u.id, 1, 50 + 60)

--! must
MERGE INTO scores s USING users u ON s.user_id = u.id AND s.id = -1 WHEN NOT MATCHED THEN INSERT (user_id, id) VALUES (u.id, 1)

--! must
MERGE INTO scores s USING users u ON s.user_id = u.id WHEN MATCHED THEN UPDATE SET nothing = 1

--! must script
BEGIN
MERGE INTO scores s USING users u ON s.user_id = u.id AND s.id = 500 WHEN NOT MATCHED THEN INSERT (user_id, id) VALUES (u.id, 500)
SAVEPOINT a
MERGE INTO scores s USING users u ON s.user_id = u.id AND s.id = 500 WHEN MATCHED THEN UPDATE SET value = 4 / (CASE u.id WHEN 3 THEN 0 ELSE 1 END)
ROLLBACK TO a
MERGE INTO scores s USING users u ON s.user_id = u.id AND s.id = 500 WHEN MATCHED AND u.active THEN DELETE
SELECT count(*) FROM scores WHERE id = 500
COMMIT
SELECT user_id FROM scores WHERE id = 500 ORDER BY 1

-- Parameters.
--! must
--! param integer 30
--! param text 'it''s'
MERGE INTO users u USING scores s ON s.user_id = u.id AND s.id = 1 WHEN MATCHED AND u.age > $1 THEN UPDATE SET name = $2

--! must
--! param integer 600
MERGE INTO scores s USING users u ON s.user_id = u.id AND s.id = $1 WHEN NOT MATCHED THEN INSERT (user_id, id) VALUES (u.id, $1)

-- The source is restricted by the condition, but all of it matters.
--! must
MERGE INTO scores s USING users u ON s.user_id = u.id AND u.id = 2 WHEN MATCHED THEN DELETE WHEN NOT MATCHED AND u.age > 20 THEN INSERT (user_id, id) VALUES (u.id, 700)

--! must
MERGE INTO scores s USING users u ON s.user_id = u.id AND s.user_id = 2 AND s.id = 1 WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (user_id, id) VALUES (u.id, 700)

--! must
MERGE INTO scores s USING users u ON s.user_id = u.id AND s.user_id IN (1, 3) WHEN MATCHED AND u.id = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET value = 8

-- A table with itself.
--! must
MERGE INTO scores s USING scores o ON s.user_id = o.user_id AND s.id = o.id + 1000 WHEN NOT MATCHED THEN INSERT (user_id, id, value) VALUES (o.user_id, o.id + 1000, o.value)

-- Sub-selects.
--! must
MERGE INTO scores s USING users u ON s.user_id = u.id WHEN MATCHED AND EXISTS (SELECT FROM orders o WHERE o.user_id = u.id AND o.status = 'new') THEN DELETE

--! must
MERGE INTO scores s USING users u ON s.user_id = u.id AND s.id = 800 WHEN NOT MATCHED THEN INSERT (user_id, id, value) VALUES (u.id, 800, (SELECT sum(amount) FROM orders o WHERE o.user_id = u.id))

--! refused
MERGE INTO scores s USING users u ON s.user_id = u.id AND s.id = 800 WHEN NOT MATCHED THEN INSERT (user_id, id, value) VALUES (u.id, 800, (SELECT sum(amount) FROM orders))

-- Sources that every shard has, where only matches count.
--! must
MERGE INTO users u USING products p ON p.id = u.age WHEN MATCHED THEN UPDATE SET name = p.name

--! must
MERGE INTO users u USING products p ON p.id = u.id WHEN MATCHED AND p.price > 5 THEN DELETE WHEN MATCHED THEN UPDATE SET name = p.name

--! must
MERGE INTO users u USING (VALUES (1, 'one'), (2, 'two'), (5, 'five'), (999, 'none')) AS v (id, name) ON u.id = v.id WHEN MATCHED THEN UPDATE SET name = v.name

--! must
MERGE INTO users u USING (VALUES (1, 'one'), (1, 'two')) AS v (id, name) ON u.id = v.id WHEN MATCHED THEN UPDATE SET name = v.name

--! must
MERGE INTO users u USING (SELECT code, name FROM countries) c ON c.code = u.country WHEN MATCHED THEN UPDATE SET country = c.name

--! must
MERGE INTO scores s USING (orders o JOIN users u ON u.id = o.user_id AND o.id = 1) ON s.user_id = u.id WHEN MATCHED THEN UPDATE SET value = o.amount

-- Columns that are kept unique over all shards.
--! must script
INSERT INTO profiles (id, email, number) VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)
INSERT INTO passports (id, code) VALUES (1, 'x'), (3, 'y')
MERGE INTO profiles p USING passports q ON q.id = p.id WHEN MATCHED THEN UPDATE SET email = 'b'
MERGE INTO profiles p USING passports q ON q.id = p.id WHEN MATCHED THEN UPDATE SET email = q.code
INSERT INTO profiles (id, email) VALUES (4, 'x')
INSERT INTO profiles (id, email) VALUES (4, 'a')
MERGE INTO profiles p USING passports q ON q.id = p.id AND q.code = 'y' WHEN MATCHED THEN DELETE
SELECT id, email FROM profiles ORDER BY id
SELECT id FROM profiles WHERE email = 'x'
INSERT INTO profiles (id, email) VALUES (5, 'y')
SELECT * FROM passports

-- The source is read first, and its rows are written into the statement.
--! must
MERGE INTO users u USING orders o ON o.id = u.id WHEN MATCHED THEN DELETE

--! must
MERGE INTO users u USING orders o ON o.user_id = u.id OR o.id = 3 WHEN MATCHED THEN UPDATE SET age = 3

--! must
MERGE INTO scores s USING (SELECT user_id, count(*) AS n FROM orders GROUP BY user_id) o ON s.user_id = o.user_id WHEN MATCHED THEN UPDATE SET value = o.n

--! must
MERGE INTO users u USING settings s ON s.key = u.name WHEN MATCHED THEN DELETE

--! must
WITH o AS (SELECT * FROM orders) MERGE INTO scores s USING o ON s.user_id = o.user_id AND o.id = 1 WHEN MATCHED THEN DELETE

-- On more than one shard these would match or make other rows.
--! refused
MERGE INTO users u USING products p ON p.id = u.id WHEN NOT MATCHED THEN INSERT (id, name) VALUES (p.id, p.name)

--! refused
MERGE INTO users u USING products p ON p.id = u.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED AND 1 / (p.id - 100) > 0 THEN DO NOTHING

--! refused
MERGE INTO users u USING (VALUES (1, 'one'), (1000, 'new')) AS v (id, name) ON u.id = v.id WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (v.id, v.name)

--! refused
MERGE INTO scores s USING users u ON s.user_id = u.id WHEN NOT MATCHED THEN INSERT (user_id, id) VALUES (u.id + 1, 1)

--! refused
MERGE INTO scores s USING users u ON s.user_id = u.id AND s.id = 1 WHEN NOT MATCHED THEN INSERT (user_id, id) VALUES (u.age, 1)

--! refused
MERGE INTO scores s USING users u ON s.user_id = u.id AND s.id = 1 WHEN MATCHED THEN UPDATE SET user_id = u.id + 1

--! refused
MERGE INTO scores s USING users u ON s.user_id = u.id WHEN NOT MATCHED THEN INSERT (id) VALUES (u.id)

--! refused
MERGE INTO tickets t USING users u ON t.user_id = u.id WHEN NOT MATCHED THEN INSERT (user_id, v) VALUES (u.id, 'new')

--! must
MERGE INTO users u USING generate_series(1, 4) AS n ON n = u.id WHEN MATCHED AND n = 2 THEN DELETE WHEN MATCHED THEN UPDATE SET age = n

--! must
MERGE INTO users u USING (VALUES (1)) AS v (x) ON true WHEN MATCHED AND u.active THEN DELETE WHEN MATCHED THEN UPDATE SET age = x

-- One moment for all rows.
--! must script
BEGIN
MERGE INTO orders o USING users u ON o.user_id = u.id AND o.id = 900 WHEN NOT MATCHED THEN INSERT (user_id, id, amount, placed_at) VALUES (u.id, 900, 1, now())
SELECT count(DISTINCT placed_at) FROM orders WHERE id = 900
MERGE INTO orders o USING users u ON o.user_id = u.id AND o.id = 900 WHEN MATCHED AND o.placed_at <= now() THEN UPDATE SET placed_at = CURRENT_TIMESTAMP - interval '1 day'
SELECT count(DISTINCT placed_at) FROM orders WHERE id = 900
ROLLBACK
