-- INSERT of a query's rows: on each shard where they stay, otherwise taken to where they belong.

--! must
INSERT INTO orders (user_id, id, amount, status) SELECT user_id, id + 1000, amount * 2, status FROM orders WHERE amount > 100

--! must
INSERT INTO orders (user_id, id, amount) SELECT id, 5000, age FROM users WHERE age IS NOT NULL

--! must
INSERT INTO orders (user_id, id, amount, placed_at) SELECT user_id, max(id) + 7000, sum(amount), max(placed_at) FROM orders GROUP BY user_id

--! must
INSERT INTO small4 (id, v) SELECT age + 10000, name FROM users WHERE age IS NOT NULL AND id BETWEEN 1 AND 20

--! must
INSERT INTO small4 SELECT id + 20000, v FROM small2

--! must
INSERT INTO small4 SELECT row_number() OVER (ORDER BY id)::int + 30000, name FROM users

--! must
INSERT INTO small4 (v, id) SELECT 'g' || g, g FROM generate_series(40001, 40050) g

--! must
INSERT INTO names SELECT DISTINCT country || '-c', 1 FROM users WHERE country IS NOT NULL

--! must
INSERT INTO names (name, n) SELECT name || '/' || id, age FROM users ORDER BY age LIMIT 20

--! must
INSERT INTO accounts (region, id, balance) SELECT CASE WHEN id % 2 = 0 THEN 'eu' ELSE 'us' END, 900 + id, coalesce(age, 0) FROM users WHERE id BETWEEN 1 AND 30

--! must
INSERT INTO days (day, visits) SELECT day + 100, visits * 2 FROM days WHERE visits IS NOT NULL

--! must
INSERT INTO levels (level, label) SELECT level + 0.125, label || '!' FROM levels WHERE level < 100

--! must
INSERT INTO docs (id, body) SELECT md5(id::text)::uuid, jsonb_build_object('user', name) FROM users

--! must
INSERT INTO scores (user_id, id, value, tags, mood, part) SELECT user_id + 100, id, value, tags, mood, part FROM scores WHERE user_id BETWEEN 1 AND 60

--! must
INSERT INTO stamped (id) SELECT id + 70000 FROM users WHERE id BETWEEN 1 AND 50

--! must
INSERT INTO products (id, name) SELECT 1000 + id, name FROM users WHERE id BETWEEN 1 AND 5

--! must
INSERT INTO settings SELECT 'user ' || id, name FROM users WHERE id BETWEEN 1 AND 10

--! must
INSERT INTO audit (id, what) SELECT 8000 + id, name FROM users WHERE id BETWEEN 1 AND 10

--! must
INSERT INTO orders (user_id, id, amount) SELECT u.id, 6000, n.n FROM users u JOIN names n ON n.name = u.name

--! must
INSERT INTO orders (user_id, id, amount) SELECT 3, 6000 + u.id, 1 FROM users u WHERE id BETWEEN 4 AND 30

--! must
INSERT INTO orders (user_id, id, amount) (SELECT id, 6001, 1 FROM users WHERE id BETWEEN 4 AND 9 UNION SELECT user_id, 6001, 2 FROM orders WHERE user_id = 1)

--! must
INSERT INTO small4 (id) SELECT id FROM small4

--! must
INSERT INTO small4 (id, v) SELECT 50000 / (id - id), v FROM small2

--! must
INSERT INTO nicknames (nick, n) SELECT repeat('x', 30), 1 FROM users WHERE id = 1

--! must
INSERT INTO scores (user_id, id, part) SELECT id + 200, 1, 1000 FROM users WHERE id BETWEEN 1 AND 5

--! must
INSERT INTO orders (user_id, id) SELECT id, 6002 FROM users WHERE id BETWEEN 4 AND 9

--! must
INSERT INTO small4 (id, v) SELECT nosuch, v FROM small2

--! must
INSERT INTO small4 (id, v) SELECT v, id FROM small2

--! must
INSERT INTO small4 (id, v) SELECT id, v, id FROM small2

INSERT INTO small4 SELECT id + 20000 FROM small2

--! must
--! param int8 3
--! param text param
INSERT INTO names (name, n) SELECT $2 || id, 1 FROM users WHERE age > $1

--! must
--! param numeric 2.5
INSERT INTO orders (user_id, id, amount) SELECT user_id, id + 3000, amount * $1 FROM orders WHERE user_id < 20

--! must script
BEGIN
INSERT INTO users (id, name, age) VALUES (9001, 'fresh', 33), (9002, 'fresher', 34)
INSERT INTO small4 (id, v) SELECT id, name FROM users WHERE id > 9000 AND id < 9010
SELECT id, v FROM small4 WHERE id > 9000 ORDER BY id
INSERT INTO small4 (id, v) SELECT id + 10, v FROM small4 WHERE id > 9000
SELECT count(*), string_agg(v, ',' ORDER BY id) FROM small4 WHERE id > 9000
SAVEPOINT a
INSERT INTO small4 (id, v) SELECT id, v FROM small2 UNION ALL SELECT 9001, 'again'
ROLLBACK TO a
INSERT INTO names (name, n) SELECT 'moment', 1 FROM users HAVING max(now()) = now()
SELECT n FROM names WHERE name = 'moment'
COMMIT
DELETE FROM small4 WHERE id > 9000
DELETE FROM names WHERE name = 'moment'
DELETE FROM users WHERE id IN (9001, 9002)

--! must
INSERT INTO tickets (user_id, v) SELECT id, name FROM users WHERE id BETWEEN 1 AND 30

--! must
INSERT INTO tickets (user_id, v) SELECT age, name || '!' FROM users WHERE age IS NOT NULL AND name < 'd'

--! must
INSERT INTO tickets (v, user_id) SELECT 'none', 1 FROM users WHERE id < -5 AND id > -6

--! must
INSERT INTO tickets (user_id, v) SELECT NULL, name FROM users

--! must script
BEGIN
INSERT INTO tickets (user_id, v) SELECT u.id, n.name FROM users u JOIN names n ON n.name = u.name
SELECT count(*), count(DISTINCT id) = count(*), count(id) FROM tickets
ROLLBACK
