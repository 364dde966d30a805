-- SELECTs over several shards, by families: whichever strategy answers them, the answer is one PostgreSQL's.

-- Joins that aren't colocated

SELECT u.id, d.n FROM users u JOIN names d ON d.name = u.name ORDER BY u.id, d.n

SELECT u.id, d.n FROM users u LEFT JOIN names d ON d.name = u.name ORDER BY u.id, d.n NULLS FIRST

SELECT u.id, d.n FROM users u RIGHT JOIN names d ON d.name = u.name ORDER BY u.id, d.n

SELECT u.id, d.n FROM users u FULL JOIN names d ON d.name = u.name ORDER BY u.id NULLS FIRST, d.n

SELECT u.id, v.id FROM users u JOIN users v ON u.age = v.age AND u.id < v.id ORDER BY 1, 2

SELECT count(*) FROM users u CROSS JOIN names n

SELECT u.id, o.id, o.amount FROM users u JOIN orders o ON o.id = u.age WHERE o.amount > 100 ORDER BY u.id, o.user_id, o.id

SELECT a.region, u.id FROM accounts a JOIN users u ON u.id = a.id ORDER BY a.region, u.id

SELECT e.kind, d.visits FROM events e JOIN days d ON d.day = e.created_at::date ORDER BY e.id, d.day

SELECT l.label, o.id FROM levels l JOIN orders o ON o.amount < l.level AND l.level < 12 ORDER BY l.level, o.user_id, o.id LIMIT 20

SELECT s.mood, n.n FROM scores s JOIN names n ON n.n = s.id ORDER BY s.user_id, n.n

SELECT x.id, y.v, z.v FROM users x JOIN small2 y ON y.id = x.id JOIN small4 z ON z.id = y.id ORDER BY 1

SELECT count(*) FROM orders o JOIN order_items i ON i.order_id = o.id

SELECT o.user_id, i.line FROM orders o JOIN order_items i ON i.order_id = o.id AND i.user_id <> o.user_id ORDER BY 1, 2, i.user_id, o.id LIMIT 30

SELECT u.name, p.name FROM users u JOIN products p ON p.id = u.age % 12 ORDER BY u.id

SELECT p.id, count(i.line) FROM products p LEFT JOIN order_items i ON i.product_id = p.id GROUP BY p.id ORDER BY 1

SELECT c.name, u.id FROM countries c LEFT JOIN users u ON u.country = c.code ORDER BY c.code, u.id

SELECT c.name, u.id FROM countries c FULL JOIN users u ON u.country = c.code ORDER BY c.code NULLS FIRST, u.id

SELECT * FROM small2 NATURAL JOIN small4 ORDER BY id

SELECT * FROM small2 JOIN small4 USING (id) ORDER BY id

SELECT id, small2.v, small4.v FROM small2 LEFT JOIN small4 USING (id) WHERE id > 50 ORDER BY id

SELECT u.* FROM users u JOIN names n ON n.name = u.name ORDER BY u.id

SELECT u, n FROM users u JOIN names n ON n.name = u.name ORDER BY u.id, n.n

SELECT u.id, (u).name, (n).n FROM users u JOIN names n ON n.name = u.name ORDER BY u.id, n.n

SELECT a.id, b.id FROM users a, users b WHERE a.id = b.age ORDER BY 1, 2

SELECT a.id FROM users a WHERE a.id IN (SELECT o.user_id FROM orders o JOIN accounts c ON c.id = o.id) ORDER BY 1

-- Home tables together with sharded ones

SELECT u.id, s.value FROM users u JOIN settings s ON s.key = 'theme' ORDER BY u.id

SELECT u.id, s.key FROM users u LEFT JOIN settings s ON s.key = u.name ORDER BY u.id

SELECT count(*) FROM users, settings

SELECT u.name FROM users u WHERE u.id <= (SELECT value::int FROM settings WHERE key = 'limit') AND u.id > 0 ORDER BY u.id

SELECT key, (SELECT count(*) FROM users u WHERE length(u.name) = length(s.key)) FROM settings s ORDER BY key

SELECT what, u.name FROM audit a JOIN users u ON u.id = a.id ORDER BY a.id

SELECT * FROM audit a JOIN users u ON u.id = a.id ORDER BY a.id

SELECT m.id, u.id FROM "Mixed Case" m JOIN users u ON u.id = m.id ORDER BY 1

SELECT t.id, u.name FROM other.things t JOIN users u ON u.id = t.id ORDER BY 1

SELECT other.things.id, users.name FROM other.things JOIN users ON users.id = other.things.id ORDER BY other.things.id

SELECT key FROM settings WHERE key IN (SELECT name FROM users) ORDER BY key

SELECT name FROM users UNION SELECT key FROM settings ORDER BY 1

SELECT c.name, count(u.id), max(s.value) FROM countries c JOIN users u ON u.country = c.code CROSS JOIN settings s GROUP BY c.code ORDER BY c.code

SELECT u.id, s.value FROM users u, settings s WHERE u.id = 1 AND s.key = 'theme'

SELECT u.id, s.value FROM users u, settings s WHERE u.id = 2 AND s.key = 'theme'

SELECT u.id, s.value FROM users u, settings s WHERE u.id = 3 AND s.key = 'theme'

-- Correlated subqueries

SELECT id, (SELECT count(*) FROM orders o WHERE o.user_id = u.id) FROM users u ORDER BY id

SELECT id, (SELECT max(amount) FROM orders o WHERE o.id = u.age) FROM users u ORDER BY id

SELECT id FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND o.amount > 200) ORDER BY id

SELECT id FROM users u WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id) ORDER BY id

SELECT id FROM users WHERE id NOT IN (SELECT user_id FROM orders) ORDER BY id

SELECT id FROM users WHERE country NOT IN (SELECT country FROM users WHERE age > 60) ORDER BY id

SELECT id FROM users WHERE age > (SELECT avg(age) FROM users) ORDER BY id

SELECT id FROM users WHERE age >= ALL (SELECT age FROM users WHERE age IS NOT NULL) ORDER BY id

SELECT id FROM users WHERE age = ANY (SELECT id::int FROM orders WHERE status = 'paid') ORDER BY id

SELECT id, ARRAY(SELECT o.id FROM orders o WHERE o.user_id = u.id ORDER BY o.id DESC) FROM users u ORDER BY id

SELECT id FROM users u WHERE (SELECT count(*) FROM users v WHERE v.age > u.age) < 5 ORDER BY id

SELECT id, (SELECT name FROM users v WHERE v.id = u.id + 1) FROM users u WHERE id BETWEEN 0 AND 20 ORDER BY id

SELECT u.id, (SELECT string_agg(i.line::text, '/' ORDER BY i.order_id, i.line) FROM order_items i WHERE i.user_id = u.id) FROM users u ORDER BY 1

SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM orders), (SELECT count(*) FROM settings)

SELECT id FROM users WHERE (age, country) IN (SELECT age, country FROM users WHERE id > 30) ORDER BY id

SELECT id FROM orders o WHERE amount = (SELECT max(amount) FROM orders p WHERE p.user_id = o.user_id) ORDER BY user_id, id

SELECT CASE WHEN EXISTS (SELECT 1 FROM users WHERE id = 1) THEN 'yes' ELSE 'no' END, count(*) FROM orders

-- Windows

SELECT id, row_number() OVER (ORDER BY id) FROM users ORDER BY id

SELECT id, rank() OVER (ORDER BY age), dense_rank() OVER (ORDER BY age) FROM users ORDER BY id

SELECT id, age, lag(age) OVER (ORDER BY id), lead(age, 2, -1) OVER (ORDER BY id) FROM users ORDER BY id

SELECT id, sum(age) OVER (PARTITION BY country ORDER BY id) FROM users ORDER BY id

SELECT id, sum(age) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM users ORDER BY id

SELECT id, avg(age) OVER w, count(*) OVER w FROM users WINDOW w AS (PARTITION BY active) ORDER BY id

SELECT id, first_value(name) OVER (PARTITION BY country ORDER BY id), last_value(name) OVER (PARTITION BY country ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM users ORDER BY id

SELECT id, ntile(4) OVER (ORDER BY id), percent_rank() OVER (ORDER BY id), cume_dist() OVER (ORDER BY id) FROM users ORDER BY id

SELECT user_id, id, amount - avg(amount) OVER (PARTITION BY user_id) FROM orders ORDER BY 1, 2

SELECT country, count(*), rank() OVER (ORDER BY count(*) DESC, country) FROM users GROUP BY country ORDER BY 3

SELECT * FROM (SELECT id, country, row_number() OVER (PARTITION BY country ORDER BY id) AS n FROM users) x WHERE n <= 2 ORDER BY country, n

SELECT user_id, sum(amount) OVER (ORDER BY placed_at, user_id, id RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM orders WHERE user_id < 0 ORDER BY 1, 2

SELECT id, count(*) FILTER (WHERE active) OVER (ORDER BY id) FROM users ORDER BY id

SELECT value, rank() OVER (ORDER BY value) FROM scores ORDER BY value, user_id

SELECT mood, row_number() OVER (ORDER BY mood, user_id) FROM scores ORDER BY 2

-- CTEs

WITH big AS (SELECT * FROM orders WHERE amount > 100) SELECT u.id, count(big.id) FROM users u LEFT JOIN big ON big.user_id = u.id GROUP BY u.id ORDER BY u.id

WITH a AS (SELECT id, name FROM users), b AS (SELECT name, count(*) AS n FROM a GROUP BY name) SELECT * FROM b ORDER BY name

WITH x AS MATERIALIZED (SELECT id FROM users WHERE age > 20) SELECT count(*) FROM x

WITH x AS NOT MATERIALIZED (SELECT id, age FROM users) SELECT a.id, b.id FROM x a JOIN x b ON a.age = b.age AND a.id < b.id ORDER BY 1, 2

WITH users AS (SELECT id, name FROM users WHERE id > 50) SELECT count(*) FROM users

WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 10) SELECT n, (SELECT name FROM users WHERE id = n) FROM t ORDER BY n

WITH RECURSIVE chain AS (SELECT id, age FROM users WHERE id = 1 UNION SELECT u.id, u.age FROM users u JOIN chain c ON u.id = c.age) SELECT * FROM chain ORDER BY id

WITH RECURSIVE tree(id, depth) AS (SELECT id, 0 FROM users WHERE id = 2 UNION ALL SELECT u.id, t.depth + 1 FROM users u, tree t WHERE u.id = t.id * 2) SELECT * FROM tree ORDER BY 1

WITH s AS (SELECT key FROM settings) SELECT u.id, s.key FROM users u, s WHERE u.id < 3 AND u.id > 0 ORDER BY 1, 2

WITH a AS (SELECT 1 AS x), b AS (SELECT id FROM users) SELECT count(*) FROM a, b

WITH w AS (SELECT country, count(*) AS n FROM users GROUP BY country) SELECT u.id, w.n FROM users u JOIN w ON w.country IS NOT DISTINCT FROM u.country ORDER BY u.id

-- Grouping

SELECT country, active, count(*) FROM users GROUP BY GROUPING SETS ((country), (active), ()) ORDER BY 1, 2, 3

SELECT country, active, count(*), grouping(country, active) FROM users GROUP BY CUBE (country, active) ORDER BY 4, 1, 2

SELECT country, active, sum(age) FROM users GROUP BY ROLLUP (country, active) ORDER BY 1, 2, 3

SELECT u.id, u.name, u.email, count(o.id) FROM users u JOIN orders o ON o.user_id = u.id GROUP BY u.id ORDER BY u.id

SELECT u.id, u.name FROM users u GROUP BY u.id HAVING count(*) = 1 ORDER BY 1

SELECT o.*, count(i.line) FROM orders o LEFT JOIN order_items i ON i.order_id = o.id GROUP BY o.user_id, o.id ORDER BY o.user_id, o.id

SELECT name FROM users GROUP BY country ORDER BY 1

SELECT upper(name), count(*) FROM users GROUP BY upper(name) ORDER BY 1

SELECT age % 10 AS decade, count(*), min(name), max(name) FROM users GROUP BY decade ORDER BY decade

SELECT count(DISTINCT age), count(DISTINCT country), count(DISTINCT (age, country)) FROM users

SELECT country, count(DISTINCT age) FROM users GROUP BY country ORDER BY country

SELECT mood, count(*) FROM scores GROUP BY mood HAVING count(*) > 3 ORDER BY mood DESC

SELECT value + 0, count(*) FROM scores GROUP BY value + 0 ORDER BY 1

SELECT DISTINCT value + 0 FROM scores ORDER BY 1

SELECT tags, count(*) FROM scores GROUP BY tags ORDER BY tags

SELECT part, count(*) FROM scores GROUP BY part ORDER BY part

SELECT date_trunc('month', created_at), count(*) FROM events WHERE created_at > '-infinity' AND created_at < 'infinity' GROUP BY 1 ORDER BY 1

SELECT EXTRACT(dow FROM day), sum(visits) FROM days GROUP BY 1 ORDER BY 1

SELECT name, min(id) FROM users GROUP BY name ORDER BY name COLLATE "C"

SELECT name COLLATE "C", count(*) FROM names GROUP BY 1 ORDER BY 1

-- Aggregates

SELECT string_agg(name, ', ' ORDER BY id) FROM users

SELECT array_agg(id ORDER BY id DESC) FROM users

SELECT array_agg(DISTINCT country ORDER BY country) FROM users

SELECT json_agg(name ORDER BY id), jsonb_agg(age ORDER BY id) FROM users WHERE id BETWEEN 1 AND 9

SELECT json_object_agg(id, name ORDER BY id) FROM users WHERE id BETWEEN 1 AND 9

SELECT jsonb_object_agg(id, payload) FROM events WHERE id < 10

SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY age), percentile_disc(0.25) WITHIN GROUP (ORDER BY age) FROM users

SELECT percentile_cont(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY amount) FROM orders

SELECT mode() WITHIN GROUP (ORDER BY country) FROM users

SELECT country, mode() WITHIN GROUP (ORDER BY active) FROM users GROUP BY country ORDER BY country

SELECT rank(30) WITHIN GROUP (ORDER BY age) FROM users

SELECT sum(level), avg(level), min(level), max(level) FROM levels

SELECT variance(level), stddev_pop(level) FROM levels WHERE level < 2000

SELECT sum(amount), avg(amount), stddev(amount), count(amount) FROM orders

SELECT sum(value) FROM scores WHERE value <> 'NaN' AND value < 'Infinity'

SELECT max(value), min(value + 0) FROM scores

SELECT bool_and(active), bool_or(active), every(active) FROM users

SELECT bit_and(age), bit_or(age) FROM users

SELECT corr(age, id), regr_count(age, id) FROM users WHERE id BETWEEN 0 AND 100

SELECT min(mood), max(mood) FROM scores

SELECT array_agg(mood::text ORDER BY user_id) FROM scores

SELECT array_agg(tags ORDER BY user_id) FROM scores WHERE array_length(tags, 1) = 2

SELECT string_agg(DISTINCT name, '|' ORDER BY name) FROM users

SELECT count(*) FILTER (WHERE active), sum(age) FILTER (WHERE country = 'nz') FROM users

SELECT avg(age)::numeric(10,3), sum(age) / count(*) FROM users

SELECT sum(id) FROM users WHERE id > 0 AND id < 1000

SELECT sum(id) FROM users

SELECT min(name COLLATE "C"), max(name COLLATE "C") FROM users

SELECT row_to_json(u) FROM users u ORDER BY id

SELECT to_jsonb(u) - 'email' FROM users u ORDER BY id LIMIT 5

SELECT json_agg(u ORDER BY u.id) FROM users u WHERE u.id BETWEEN 1 AND 3

SELECT count(u) FROM users u

SELECT count(u.*) FROM users u

SELECT range_agg(int4range(age, age + 5)) FROM users

SELECT xmlagg(xmlelement(name a, id) ORDER BY id) FROM users WHERE id BETWEEN 1 AND 3

-- Set operations

SELECT id FROM users UNION SELECT id FROM small4 ORDER BY 1

SELECT id FROM users UNION ALL SELECT n FROM names ORDER BY 1

SELECT id FROM users INTERSECT SELECT user_id FROM orders ORDER BY 1

SELECT id FROM users EXCEPT SELECT user_id FROM orders ORDER BY 1

SELECT id FROM users EXCEPT ALL SELECT user_id FROM orders ORDER BY 1

SELECT user_id FROM orders INTERSECT ALL SELECT user_id FROM order_items ORDER BY 1

(SELECT id FROM users ORDER BY id DESC LIMIT 3) UNION ALL (SELECT id FROM users ORDER BY id LIMIT 3) ORDER BY 1

SELECT id, name FROM users UNION SELECT n, name FROM names ORDER BY 2, 1

SELECT 1 UNION SELECT count(*) FROM users ORDER BY 1

SELECT name FROM users UNION SELECT name FROM names UNION SELECT v FROM small2 ORDER BY 1

SELECT level FROM levels UNION SELECT amount FROM orders ORDER BY 1

SELECT value + 0 FROM scores UNION SELECT 0 ORDER BY 1

SELECT mood FROM scores UNION SELECT 'happy' ORDER BY 1

VALUES (1, 'a') UNION ALL SELECT n, name FROM names ORDER BY 1, 2

SELECT count(*) FROM (SELECT id FROM users UNION ALL SELECT user_id FROM orders) x

-- DISTINCT

SELECT DISTINCT country FROM users ORDER BY country

SELECT DISTINCT ON (country) country, id, name FROM users ORDER BY country, age DESC NULLS LAST, id

SELECT DISTINCT ON (user_id) user_id, id, amount FROM orders ORDER BY user_id, amount DESC, id

SELECT DISTINCT age, active FROM users ORDER BY 1, 2

SELECT DISTINCT round(level * 0) FROM levels WHERE level < 100

SELECT DISTINCT u.country, c.name FROM users u LEFT JOIN countries c ON c.code = u.country ORDER BY 1, 2

SELECT count(*) FROM (SELECT DISTINCT name FROM users) x

SELECT DISTINCT payload FROM events ORDER BY payload

-- LATERAL and functions in FROM

SELECT u.id, x.id FROM users u CROSS JOIN LATERAL (SELECT o.id FROM orders o WHERE o.user_id = u.id ORDER BY o.amount DESC, o.id LIMIT 1) x ORDER BY u.id

SELECT u.id, x.id FROM users u LEFT JOIN LATERAL (SELECT o.id FROM orders o WHERE o.id = u.age ORDER BY o.user_id LIMIT 1) x ON true ORDER BY u.id

SELECT u.id, t FROM users u, LATERAL generate_series(1, u.age % 3) t ORDER BY 1, 2

SELECT s.user_id, t.tag FROM scores s, unnest(s.tags) AS t(tag) ORDER BY 1, 2

SELECT s.user_id, t.tag, t.o FROM scores s CROSS JOIN LATERAL unnest(s.tags) WITH ORDINALITY AS t(tag, o) ORDER BY 1, 3

SELECT g, count(u.id) FROM generate_series(0, 70, 10) g LEFT JOIN users u ON u.age BETWEEN g AND g + 9 GROUP BY g ORDER BY g

SELECT e.id, k FROM events e, jsonb_object_keys(e.payload) k WHERE jsonb_typeof(e.payload) = 'object' ORDER BY 1, 2

SELECT e.id, x.key, x.value FROM events e CROSS JOIN LATERAL jsonb_each(CASE WHEN jsonb_typeof(e.payload) = 'object' THEN e.payload END) x ORDER BY 1, 2

SELECT v.n, u.name FROM (VALUES (1), (2), (99)) AS v(n) LEFT JOIN users u ON u.id = v.n ORDER BY 1

SELECT d.id, x.* FROM docs d, jsonb_to_record(d.body) AS x(n int, tags jsonb) ORDER BY x.n

-- Sub-selects in FROM

SELECT x.country, sum(x.n) FROM (SELECT country, age % 5 AS k, count(*) AS n FROM users GROUP BY 1, 2) x GROUP BY x.country ORDER BY 1

SELECT * FROM (SELECT id, name FROM users ORDER BY id LIMIT 10) x ORDER BY name, id

SELECT max(c) FROM (SELECT count(*) AS c FROM orders GROUP BY user_id) x

SELECT a.id FROM (SELECT id FROM users WHERE age > 30) a JOIN (SELECT user_id, count(*) n FROM orders GROUP BY user_id) b ON b.user_id = a.id WHERE b.n > 1 ORDER BY 1

SELECT count(*) FROM (SELECT * FROM users u JOIN orders o ON o.user_id = u.id) AS j(a, b, c, d, e, f, g, h, i, k, l) WHERE j.h IS NOT NULL

SELECT x FROM (SELECT u.id AS x FROM users u) AS y WHERE x IN (1, 2, 3) ORDER BY x DESC LIMIT 2

SELECT t.a, t.b FROM users AS t(a, b) ORDER BY t.a LIMIT 4

SELECT sum(y.total) FROM (SELECT o.user_id, sum(i.quantity * i.price) AS total FROM orders o JOIN order_items i USING (user_id) GROUP BY o.user_id) y

-- ORDER BY and LIMIT

SELECT id, name FROM users ORDER BY name, id

SELECT id, name FROM users ORDER BY name COLLATE "C" DESC, id

SELECT id FROM users ORDER BY age DESC NULLS LAST, id LIMIT 5 OFFSET 3

SELECT id FROM users ORDER BY age FETCH FIRST 3 ROWS WITH TIES

SELECT id, value FROM scores ORDER BY value DESC, id, user_id

SELECT user_id, mood FROM scores ORDER BY mood DESC NULLS LAST, user_id

SELECT created_at, id FROM events ORDER BY created_at DESC, id

SELECT level FROM levels ORDER BY level

SELECT id FROM users ORDER BY (SELECT count(*) FROM orders o WHERE o.user_id = users.id) DESC, id LIMIT 10

SELECT id FROM users ORDER BY CASE WHEN country = 'nz' THEN 0 ELSE 1 END, id LIMIT 7

SELECT name FROM names ORDER BY name

SELECT name FROM nicknames n JOIN names m ON m.n = n.n ORDER BY m.name COLLATE "C"

SELECT id FROM users ORDER BY id LIMIT 0

SELECT id FROM users ORDER BY id LIMIT NULL OFFSET 60

SELECT id FROM users ORDER BY id LIMIT (SELECT count(*) FROM settings)

SELECT id FROM users ORDER BY id USING > LIMIT 3

-- Types

SELECT payload -> 'n', payload ->> 'n', count(*) FROM events GROUP BY payload ORDER BY payload

SELECT body @> '{"n": 3}', count(*) FROM docs GROUP BY 1 ORDER BY 1

SELECT a.id FROM docs a JOIN docs b ON a.body -> 'n' = b.body -> 'n' ORDER BY a.id

SELECT created_at AT TIME ZONE 'Pacific/Auckland', id FROM events ORDER BY id, 1

SELECT day + 1, day - date '2026-01-01', visits FROM days ORDER BY day

SELECT tags || 'z', array_length(tags, 1), tags[1] FROM scores ORDER BY user_id, id

SELECT mood::text, mood > 'sad' FROM scores ORDER BY user_id, id

SELECT part + 1 FROM scores ORDER BY user_id, id

SELECT level / 3, level * level, round(level, 2) FROM levels ORDER BY level

SELECT value + 1, value = 'NaN', -value FROM scores ORDER BY user_id, id

SELECT int4range(age, age + 10) && int4range(20, 30), count(*) FROM users GROUP BY 1 ORDER BY 1

SELECT ROW(id, name), ROW(age, active) IS NULL FROM users ORDER BY id

SELECT id::text || '!', name || email FROM users ORDER BY id

SELECT 'sad'::mood, max(mood) FROM scores

SELECT (ARRAY['sad','ok']::mood[])[1], count(*) FROM scores

SELECT mood FROM scores WHERE mood = ANY ('{sad,happy}'::mood[]) ORDER BY user_id, id

SELECT (age::text)::int, age::float8 / 7, age::numeric / 7 FROM users ORDER BY id

SELECT make_interval(0, 0, 0, age) FROM users ORDER BY id

SELECT md5(name), encode(name::bytea, 'hex') FROM names ORDER BY n

SELECT id, name SIMILAR TO '%(a|o)%', name ~ '^[A-Z]', name ILIKE 'A%' FROM users ORDER BY id

SELECT to_char(created_at, 'YYYY-MM-DD HH24:MI TZ'), to_char(id, '0000') FROM events WHERE id < 100 ORDER BY id

SELECT pg_typeof(sum(age)), pg_typeof(avg(age)), pg_typeof(max(name)) FROM users

SELECT twice(age), count(*) FROM users GROUP BY 1 ORDER BY 1

-- Errors are PostgreSQL's own

SELECT nosuch FROM users ORDER BY id

SELECT u.nosuch FROM users u JOIN names n ON n.name = u.name

SELECT id FROM users ORDER BY nosuch

SELECT count(*) FROM users WHERE name > 5

SELECT sum(name) FROM users

SELECT 1 / (count(*) - count(*)) FROM users

SELECT id, count(*) FROM users

SELECT id FROM users GROUP BY name

SELECT (SELECT id FROM users) FROM settings

SELECT u.id FROM users u ORDER BY x.id

SELECT nosuch(id) FROM users ORDER BY 1

SELECT 'furious'::mood, count(*) FROM scores

SELECT id FROM users UNION SELECT name FROM names

SELECT max(payload) FROM events

SELECT id FROM users ORDER BY id LIMIT -1

SELECT row_number() FROM users

SELECT count(*) FROM users WHERE count(*) > 1

-- Parameters

--! must
--! param int4 20
--! param text nz
SELECT u.id, n.n FROM users u LEFT JOIN names n ON n.name = u.name WHERE u.age > $1 AND u.country = $2 ORDER BY 1, 2

--! must
--! param int8 3
SELECT id, rank() OVER (ORDER BY age) FROM users WHERE id > $1 ORDER BY id

--! must
--! param int8 null
SELECT count(*), max(u.name) FROM users u, settings s WHERE u.id = $1

--! must
--! param numeric 10.5
SELECT l.label, count(o.id) FROM levels l LEFT JOIN orders o ON o.amount > l.level * $1 GROUP BY l.label ORDER BY 1

--! must
--! param text[] {a,b}
SELECT count(*), array_agg(user_id ORDER BY user_id) FROM scores WHERE tags = $1

--! must
--! param mood ok
SELECT count(*), string_agg(user_id::text, ',' ORDER BY user_id) FROM scores WHERE mood >= $1

--! must
--! param timestamptz 2026-01-15 00:00:00+00
SELECT kind, count(*), array_agg(id ORDER BY id) FROM events WHERE created_at < $1 GROUP BY kind ORDER BY kind

--! must
--! param int8 2
SELECT id FROM users ORDER BY age, id LIMIT $1

--! must
--! param jsonb {"n": 5}
SELECT id, (SELECT count(*) FROM docs) FROM events WHERE payload @> $1 ORDER BY id

--! must
--! param text %a%
SELECT string_agg(name, ',' ORDER BY id) FROM users WHERE name LIKE $1

--! simple
SELECT array_agg(mood ORDER BY user_id), ARRAY['sad']::mood[] FROM scores

-- Cursors, COPY and EXPLAIN

--! script
BEGIN
DECLARE c CURSOR FOR SELECT u.id, n.n FROM users u LEFT JOIN names n ON n.name = u.name ORDER BY u.id, n.n
FETCH 3 FROM c
MOVE 5 IN c
FETCH NEXT FROM c
UPDATE users SET name = 'zzz' WHERE id = 5
FETCH 100 FROM c
CLOSE c
FETCH 1 FROM c
ROLLBACK

--! script
DECLARE c CURSOR FOR SELECT string_agg(name, ',' ORDER BY id) FROM users
BEGIN
DECLARE c SCROLL CURSOR FOR SELECT id FROM users ORDER BY age DESC NULLS LAST, id
FETCH 2 FROM c
FETCH BACKWARD 1 FROM c
DECLARE d CURSOR FOR SELECT country, array_agg(id ORDER BY id) FROM users GROUP BY country ORDER BY country
FETCH ALL FROM d
FETCH 2 FROM c
COMMIT

--! must simple
COPY (SELECT u.id, n.n FROM users u LEFT JOIN names n ON n.name = u.name ORDER BY u.id, n.n) TO STDOUT

--! must simple
COPY (SELECT country, array_agg(id ORDER BY id) FROM users GROUP BY country ORDER BY country) TO STDOUT (FORMAT csv, HEADER)

--! must simple
COPY (SELECT id, name FROM users ORDER BY id) TO STDOUT CSV

-- Transactions

--! script
BEGIN
INSERT INTO users (id, name, age) VALUES (777, 'new', 42)
SELECT count(*), string_agg(name, ',' ORDER BY id) FROM users WHERE age = 42
SAVEPOINT a
DELETE FROM users WHERE id = 777
SELECT array_agg(id ORDER BY id) FROM users WHERE age = 42
ROLLBACK TO a
SELECT array_agg(id ORDER BY id) FROM users WHERE age = 42
SELECT 1 / (count(*) - count(*)) FROM users JOIN names USING (name)
SELECT 1
ROLLBACK TO a
SELECT array_agg(id ORDER BY id) FROM users WHERE age = 42
COMMIT
DELETE FROM users WHERE id = 777

--! script
BEGIN READ ONLY
SELECT array_agg(id ORDER BY id) FROM users WHERE age > 40
SELECT string_agg(u.name, ',' ORDER BY u.id) FROM users u JOIN names n ON n.name = u.name
COMMIT

--! script
BEGIN ISOLATION LEVEL REPEATABLE READ
SELECT array_agg(id ORDER BY id) FROM users WHERE age > 40
SELECT string_agg(u.name, ',' ORDER BY u.id) FROM users u JOIN names n ON n.name = u.name
COMMIT

--! script
SET TimeZone = 'Pacific/Auckland'
SELECT array_agg(created_at ORDER BY id) FROM events
SET DateStyle = 'SQL, DMY'
SELECT array_agg(created_at ORDER BY id) FROM events
RESET ALL
SELECT array_agg(created_at ORDER BY id) FROM events
BEGIN
SET LOCAL TimeZone = 'Asia/Tokyo'
SELECT array_agg(created_at ORDER BY id) FROM events
COMMIT
SELECT array_agg(created_at ORDER BY id) FROM events

--! script
SET search_path = other, public
SELECT u.id, o.id FROM users u JOIN orders o ON o.user_id = u.id ORDER BY 1, 2
SELECT array_agg(t.id ORDER BY t.id) FROM things t JOIN public.orders o ON o.user_id = t.id
RESET search_path

--! script
SET client_encoding = 'LATIN1'
SELECT id, array_agg(age) FROM users GROUP BY id ORDER BY id
SELECT string_agg(name, ',' ORDER BY id) FROM users WHERE id = 3 OR id = 11
RESET client_encoding
SELECT string_agg(name, ',' ORDER BY id) FROM users
