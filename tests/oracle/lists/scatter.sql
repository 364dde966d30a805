-- Over all shards: concatenation is exact, the rest is refused until it can be.

--! must
SELECT * FROM users

--! must
SELECT id, name FROM users WHERE active

--! must
SELECT id, upper(name) AS loud, age + 1 FROM users WHERE age > 10

--! must
SELECT * FROM users WHERE false

--! must
SELECT * FROM users WHERE name = 'nobody'

--! must
SELECT u.id, o.id, o.amount FROM users u JOIN orders o ON o.user_id = u.id WHERE o.status = 'paid'

--! must
SELECT name FROM users WHERE name LIKE 'a%'

--! must
--! param int4 10
SELECT id, age FROM users WHERE age > $1

--! must
--! param text %o%
SELECT id, name, $1::text AS pattern FROM users WHERE name LIKE $1

--! must
SELECT * FROM docs

--! must
SELECT body->'tags' FROM docs WHERE body @> '{"n": 3}'

--! must
SELECT * FROM names

--! must
SELECT * FROM scores

--! must
SELECT user_id, mood, tags FROM scores WHERE mood = 'happy'

--! must
SELECT user_id, mood::text, part FROM scores WHERE mood > 'sad'

--! must
SELECT user_id, value FROM scores WHERE value = 'NaN'

--! must
SELECT user_id, value FROM scores WHERE value = 0

--! must
SELECT * FROM events

--! must
SELECT * FROM accounts

SELECT * FROM small2

SELECT id, age, name FROM users ORDER BY id

SELECT id FROM users ORDER BY name COLLATE "C", id

SELECT id FROM users ORDER BY name, id

SELECT id FROM users ORDER BY age DESC NULLS LAST, id LIMIT 7

SELECT id FROM users ORDER BY age NULLS FIRST, id DESC OFFSET 5

SELECT user_id, value FROM scores ORDER BY value, user_id

SELECT user_id, mood FROM scores ORDER BY mood, user_id

SELECT name FROM names ORDER BY name

SELECT level FROM levels ORDER BY level

SELECT created_at, id FROM events ORDER BY created_at, id

SELECT id FROM docs ORDER BY id

--! rows
SELECT * FROM users LIMIT 5

--! rows
SELECT * FROM users LIMIT 5 OFFSET 3

--! rows
SELECT * FROM users FETCH FIRST 3 ROWS ONLY

--! rows
SELECT * FROM users FETCH FIRST ROW ONLY

SELECT * FROM users LIMIT 0

SELECT * FROM users LIMIT ALL

SELECT * FROM users OFFSET 0

--! rows
SELECT * FROM users OFFSET 60

SELECT age FROM users ORDER BY age FETCH FIRST 3 ROWS WITH TIES

--! param int8 5
--! rows
SELECT * FROM users LIMIT $1

SELECT count(*) FROM users

SELECT count(*) FROM users WHERE false

SELECT count(age), count(DISTINCT country), min(age), max(age), sum(age), avg(age) FROM users

SELECT max(id) FROM users WHERE false

SELECT sum(amount), avg(amount), min(placed_at), max(status) FROM orders

SELECT sum(id) FROM users

SELECT avg(value) FROM scores

SELECT stddev(age), variance(age) FROM users

SELECT bool_and(active), bool_or(active), every(id > 0) FROM users

SELECT string_agg(name, ',' ORDER BY id) FROM users

SELECT array_agg(id ORDER BY id) FROM users

SELECT json_agg(id ORDER BY id) FROM users

SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY age) FROM users

SELECT mode() WITHIN GROUP (ORDER BY age) FROM users

SELECT country, count(*) FROM users GROUP BY country

SELECT country, count(*) FROM users GROUP BY 1 HAVING count(*) > 1

SELECT country, active, count(*) FROM users GROUP BY ROLLUP (country, active)

SELECT country, count(*) FROM users GROUP BY GROUPING SETS ((country), ())

SELECT id, count(*) FROM users GROUP BY id

SELECT user_id, count(*), sum(amount) FROM orders GROUP BY user_id

SELECT user_id, status, count(*) FROM orders GROUP BY status, user_id

SELECT id, name FROM users GROUP BY id

SELECT u.id, count(o.id) FROM users u LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.id

SELECT u.country, count(o.id) FROM users u LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.country

SELECT count(*) FROM users HAVING count(*) > 1000

SELECT 1 FROM users HAVING true

SELECT DISTINCT country FROM users

SELECT DISTINCT id FROM users

SELECT DISTINCT ON (country) country, id FROM users ORDER BY country, id

SELECT DISTINCT age, country FROM users ORDER BY age, country

SELECT id, row_number() OVER (ORDER BY id) FROM users

SELECT id, rank() OVER (PARTITION BY country ORDER BY id) FROM users

SELECT user_id, id, row_number() OVER (PARTITION BY user_id ORDER BY id) FROM orders

SELECT id, sum(age) OVER w FROM users WINDOW w AS (ORDER BY id ROWS 2 PRECEDING)

SELECT id, lag(id) OVER (ORDER BY id) FROM users

SELECT id FROM users WHERE age = (SELECT 5)

SELECT id, (SELECT 1) AS one FROM users

SELECT id, random() * 0 AS zero FROM users

--! opaque 1
SELECT id, now() FROM users

--! opaque 1
SELECT id, statement_timestamp() FROM users

--! opaque 1
SELECT id, current_timestamp FROM users

--! opaque 1
SELECT id, txid_current() FROM users

--! opaque 1
SELECT id, pg_backend_pid() FROM users

--! opaque 1
SELECT id, ctid FROM users

--! opaque 1
SELECT id, xmin FROM users WHERE id IN (1, 2, 3, 4, 5, 6)

--! opaque 1
SELECT id, clock_timestamp()::date FROM users

--! opaque 1
SELECT id, gen_random_uuid() FROM users

SELECT id, nextval('audit_id_seq') FROM (SELECT id FROM users ORDER BY id) AS u

--! simple
SELECT id, tableoid::regclass FROM users

--! outcome
SELECT id, tableoid FROM users

--! outcome
SELECT id, inet_server_port(), current_setting('cluster_name') FROM users

SELECT id, current_user, session_user, current_schema FROM users

--! simple
SELECT id, pg_typeof(mood) FROM scores

SELECT id, set_config('application_name', 'x', false) FROM users

SELECT id, pg_sleep(0) FROM users

SELECT id, twice(id) FROM users WHERE id < 100

SELECT id, user_name(id) FROM users

SELECT id, count_users() FROM users

SELECT id FROM users WHERE user_name(5) = name

--! outcome
SELECT ctid FROM users WHERE id = 5

--! rows
DELETE FROM users WHERE ctid = '(0,1)'

SELECT 1 / (id - 5) FROM users WHERE id < 100 AND id > -5

SELECT 1 / (age - age) FROM users

SELECT name::int FROM users WHERE name = 'Bob'

SELECT generate_series(1, 2), id FROM users

SELECT unnest(tags), user_id FROM scores

SELECT user_id, t FROM scores, unnest(tags) AS t

SELECT * FROM users FOR UPDATE

SELECT * FROM users FOR SHARE

--! must
SELECT * FROM users WHERE id = 5 FOR UPDATE

SELECT * FROM users WHERE id = 5 FOR NO KEY UPDATE SKIP LOCKED

SELECT u.id, o.id FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 5 FOR UPDATE OF o NOWAIT

SELECT * INTO copied FROM users

--! rows
SELECT id, name FROM users TABLESAMPLE BERNOULLI (100)

SELECT ALL id FROM users

SELECT users FROM users

SELECT users.* FROM users

SELECT FROM users

SELECT FROM users WHERE id IN (1, 2, 3)

SELECT id AS "a ""quoted"" name", name AS "Ünïcode" FROM users

SELECT id, id FROM users

SELECT NULL, 'text', 1, 1.5, true, ARRAY[1, 2], '{"a": 1}'::jsonb FROM users WHERE age > 50

SELECT id, 'unknown' FROM users

SELECT nothing FROM users

SELECT id FROM users WHERE nothing = 1

SELECT id FROM nothing

SELECT id FROM users WHERE id = 1 AND nothing = 2

TABLE users

--! must
SELECT * FROM users WHERE age IS NULL

SELECT * FROM ONLY users

SELECT * FROM ONLY (users)

SELECT * FROM users *

--! must
SELECT age, (age > 5) IS TRUE, coalesce(email, 'none') FROM users

SELECT max(age) FROM users WHERE id IN (1, 2, 3, 4)

SELECT id FROM users WHERE id IN (1, 2, 3, 4) ORDER BY id DESC

--! rows
SELECT id FROM users WHERE id IN (1, 2, 3, 4) LIMIT 2

SELECT count(*) FROM users WHERE id IN (1, 1, 1)

SELECT count(*), max(name) FROM users WHERE id = 1 OR id = 1
