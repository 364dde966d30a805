-- Aggregates, GROUP BY and DISTINCT over several shards.

--! must
SELECT count(*) FROM users

--! must
SELECT count(*), count(age), count(*) FILTER (WHERE age > 20), min(age), max(age), sum(age), avg(age) FROM users

--! must
SELECT count(*) AS n, count(*) + 1 AS more FROM orders WHERE status = 'paid'

--! must
SELECT count(*), sum(age), avg(age), min(name), max(name), bool_and(active), bool_or(active), every(active) FROM users WHERE false

--! must
SELECT sum(amount), avg(amount), min(amount), max(amount) FROM orders

--! must
SELECT sum(id), avg(id) FROM users

--! must
SELECT sum(id), avg(id), min(id), max(id) FROM small2

--! must
SELECT sum(id), avg(id), bit_and(id), bit_or(id), bit_xor(id) FROM small4

--! must
SELECT sum(level), avg(level), min(level), max(level) FROM levels

--! must
SELECT sum(price), avg(price), avg(price * 1.000), sum(price / 3) FROM order_items

--! must
SELECT min(created_at), max(created_at) FROM events

--! must
SELECT min(day), max(day), count(visits), sum(visits) FROM days

--! must
SELECT min(mood), max(mood) FROM scores

--! must
SELECT min(value), max(value), count(value) FROM scores WHERE value <> 0

--! must
SELECT sum(value) FROM scores WHERE value < 2

--! must
SELECT avg(part), sum(part), max(part) FROM scores

--! must
SELECT sum(id * interval '1 hour'), avg(id * interval '1 hour'), min(id * interval '1 hour') FROM small4

--! must
SELECT max(name COLLATE "C"), min(lower(name)) FROM users

--! must
SELECT max(region), min(region) FROM accounts

--! must
SELECT max(amount) - min(amount) AS spread, sum(amount) / count(*), coalesce(sum(amount), 0) FROM orders

--! must
SELECT coalesce(sum(amount), 0), coalesce(max(status), 'none') FROM orders WHERE amount < 0

--! must
SELECT count(*) > 10, CASE WHEN count(*) > 10 THEN 'many' ELSE 'few' END FROM users

--! must
SELECT round(avg(age), 2), avg(age)::int, sum(age)::text || ' years' FROM users

--! must
SELECT 1 FROM users HAVING count(*) > 1

--! must
SELECT 1 AS one, 'x' AS x FROM users HAVING count(*) > 1000

--! must
SELECT count(*) FROM users HAVING max(age) > 1000

--! must
SELECT count(*) FROM users LIMIT 1

--! must
SELECT count(*) FROM users OFFSET 1

--! must
SELECT count(*) FROM users LIMIT -1

--! must
SELECT count(*) / (count(*) - count(*)) FROM users

--! must
SELECT sum(1 / (age - 20)) FROM users

--! must
SELECT sum(9223372036854775807) FROM users

--! must
SELECT count(DISTINCT age), count(DISTINCT country), sum(DISTINCT age), avg(DISTINCT age), min(DISTINCT age) FROM users

--! must
SELECT count(DISTINCT id), count(*) FROM users

--! must
SELECT count(DISTINCT kind) FROM events WHERE false

--! must
SELECT country, count(*) FROM users GROUP BY country ORDER BY country

--! must
SELECT country, count(*) FROM users GROUP BY country ORDER BY count(*) DESC, country LIMIT 2

--! must
SELECT country, count(*) AS n FROM users GROUP BY 1 ORDER BY n DESC, 1 NULLS FIRST

--! must
SELECT country, count(*) FROM users GROUP BY country ORDER BY count DESC, country

--! must
SELECT u.country, count(*) FROM users u GROUP BY u.country HAVING count(*) > 12 ORDER BY u.country

--! must
SELECT country AS c, sum(age) FROM users GROUP BY c ORDER BY c DESC

--! must
SELECT upper(country) AS country, count(*) FROM users GROUP BY country ORDER BY country

--! must
SELECT lower(name) AS low, count(*), min(id) FROM users GROUP BY lower(name) ORDER BY low

--! must
SELECT age / 10 * 10 AS decade, count(*) FROM users GROUP BY age / 10 * 10 ORDER BY decade

SELECT age / 10, age / 10 + 1, count(*) FROM users GROUP BY age / 10 ORDER BY 1

--! must
SELECT active, country, count(*), max(age) FROM users GROUP BY active, country ORDER BY active, country

--! must
SELECT active, country, count(*) FROM users GROUP BY 1, 2 HAVING max(age) > 30 AND active ORDER BY 3, 2

--! must
SELECT status, sum(amount), avg(amount), count(*) FROM orders GROUP BY status ORDER BY status

--! must
SELECT date_trunc('day', placed_at), count(*) FROM orders GROUP BY date_trunc('day', placed_at) ORDER BY date_trunc('day', placed_at) DESC LIMIT 6

--! must
SELECT date_trunc('month', placed_at) AS month, sum(amount) FROM orders GROUP BY month ORDER BY month

--! must
SELECT placed_at::date, sum(amount) FROM orders GROUP BY placed_at::date ORDER BY 1

--! must
SELECT extract(year FROM created_at)::int AS year, kind, count(*) FROM events WHERE created_at > '2000-01-01' AND created_at < '2100-01-01' GROUP BY 1, 2 ORDER BY 1, 2

--! must
SELECT mood, count(*), avg(part) FROM scores GROUP BY mood ORDER BY mood NULLS FIRST

--! must
SELECT mood::text, count(*) FROM scores GROUP BY mood ORDER BY mood

--! must
SELECT (payload->>'n')::int % 3 AS r, count(*) FROM events GROUP BY r ORDER BY r

--! must
SELECT v, count(*), sum(id) FROM small2 GROUP BY v ORDER BY v

--! must
SELECT v FROM small4 GROUP BY v ORDER BY v

--! must
SELECT p.name, sum(i.quantity), sum(i.price * i.quantity) FROM order_items i JOIN products p ON p.id = i.product_id GROUP BY p.name ORDER BY p.name

--! must
SELECT p.id, p.name, count(*) FROM order_items i JOIN products p ON p.id = i.product_id GROUP BY p.id, p.name ORDER BY count(*) DESC, p.id

--! must
SELECT u.country, count(DISTINCT u.id), count(o.id), sum(o.amount) FROM users u LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.country ORDER BY u.country

--! must
SELECT country, count(DISTINCT age), count(*) FROM users GROUP BY country ORDER BY country

--! must
SELECT country, sum(age) FILTER (WHERE active), count(*) FILTER (WHERE NOT active) FROM users GROUP BY country ORDER BY country

--! must
SELECT country FROM users GROUP BY country HAVING bool_or(active) ORDER BY max(id) DESC

--! must
SELECT count(*) FROM users WHERE id IN (1, 2, 3, 4, 5, 6, 7)

--! must
SELECT count(*) FROM users WHERE country IN (SELECT code FROM countries)

--! must
SELECT country || '!', count(*) FROM users GROUP BY country ORDER BY country || '!'

--! must
SELECT "users"."country", COUNT(*) AS "__count" FROM "users" GROUP BY "users"."country" ORDER BY "__count" DESC, 1

--! must
SELECT DISTINCT country FROM users ORDER BY country

--! must
SELECT DISTINCT country, active FROM users ORDER BY active DESC, country LIMIT 5

--! must
SELECT DISTINCT age % 5 AS r FROM users ORDER BY r DESC

--! must
SELECT DISTINCT upper(country) FROM users ORDER BY upper(country) NULLS FIRST

--! must
--! unordered
SELECT DISTINCT status FROM orders

--! must
--! rows
SELECT DISTINCT status FROM orders LIMIT 2

--! must
SELECT DISTINCT mood FROM scores ORDER BY mood

--! must
--! param int4 20
SELECT count(*), sum(age) FROM users WHERE age > $1

--! must
--! param int4 12
SELECT country, count(*) FROM users GROUP BY country HAVING count(*) > $1 ORDER BY country

--! must
--! param int8 2
SELECT country, count(*) FROM users GROUP BY country ORDER BY country LIMIT $1

--! must
--! param text new
--! param int4 3
SELECT status, sum(amount) * $2::int FROM orders WHERE status <> $1 GROUP BY status ORDER BY status

--! must
--! param text day
SELECT date_trunc($1, placed_at), count(*) FROM orders GROUP BY 1 ORDER BY 1

--! must
--! param int4 20
SELECT coalesce(sum(age), $1) FROM users WHERE age > 10000

--! must
SELECT nothing, count(*) FROM users GROUP BY nothing

--! must
SELECT name, count(*) FROM users GROUP BY country

--! must
SELECT country, count(*) FROM users

SELECT count(count(*)) FROM users

SELECT level, count(*) FROM levels GROUP BY level ORDER BY level

SELECT value, count(*) FROM scores WHERE value <> 0 GROUP BY value ORDER BY value

SELECT DISTINCT value FROM scores WHERE value <> 0 ORDER BY value

SELECT tags, count(*) FROM scores GROUP BY tags ORDER BY tags

SELECT stddev(age), variance(age), stddev_pop(amount) FROM users JOIN orders ON user_id = users.id

SELECT array_agg(id ORDER BY id) FROM users

SELECT string_agg(name, ',' ORDER BY id) FROM users

SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY age) FROM users

SELECT country, array_agg(id ORDER BY id) FROM users GROUP BY country ORDER BY country

SELECT avg(id::float4), sum(id::float4) FROM small4

SELECT country, count(*), (SELECT count(*) FROM countries) FROM users GROUP BY country ORDER BY country

SELECT DISTINCT * FROM small2 ORDER BY v, id

SELECT count(u) FROM users u

SELECT count(*) FILTER (WHERE id IN (SELECT id FROM products)) FROM users

SELECT age, date_trunc('day', placed_at), count(*) FROM users JOIN orders ON user_id = users.id GROUP BY age, date_trunc('day', placed_at) ORDER BY 1, 2

SELECT age, age + 1, age + 1 * 2, count(*) FROM users GROUP BY age, age + 1 ORDER BY 1, 2, 3

SELECT mood, 'sad'::mood, mood = 'ok'::mood, count(*) FROM scores GROUP BY mood ORDER BY mood

SELECT date_trunc('day', placed_at), date_trunc('day', placed_at), count(*) FROM orders GROUP BY date_trunc('day', placed_at), placed_at ORDER BY 1, 2, 3

SELECT date_trunc('day', placed_at), date_trunc('month', placed_at), count(*) FROM orders GROUP BY date_trunc('day', placed_at), placed_at ORDER BY 1, 2, 3

SELECT name AS country, count(*) FROM users GROUP BY country, name ORDER BY country, 2

SELECT country::text AS name, count(*) FROM users GROUP BY country ORDER BY name

SELECT country AS "Odd ""name""", count(*) AS "count" FROM users GROUP BY country ORDER BY "Odd ""name""" DESC

SELECT min(name), max(name) FROM names

SELECT -country::int, - age, count(*) FROM users WHERE false GROUP BY country, age

SELECT count(*) AS a, count(*) AS b, sum(age) AS a FROM users

SELECT country, count(*) FROM users GROUP BY country, () ORDER BY country

SELECT not active, count(*) FROM users GROUP BY active ORDER BY active

SELECT active IS NULL, count(*) FROM users GROUP BY active IS NULL ORDER BY 1

SELECT country, count(*) AS n FROM users GROUP BY country ORDER BY n + 1, country

SELECT (age), count(*) FROM users GROUP BY (age) ORDER BY (age)

SELECT country, count(*) FROM users GROUP BY users.country ORDER BY users.country

SELECT users.country, count(*) FROM users GROUP BY country ORDER BY country

SELECT country, age % 2, count(*) FROM users GROUP BY country, age % 2 ORDER BY country, age % 2 DESC

-- In transactions own writes count.

--! script
BEGIN
INSERT INTO users (id, name, age) VALUES (100001, 'new', 90)
SELECT count(*), max(age) FROM users
SELECT sum(1 / (age - 90)) FROM users
SELECT 1
ROLLBACK
SELECT count(*), max(age) FROM users

--! must
SELECT max(x), min(x), count(DISTINCT y) FROM odds

--! must
SELECT y, max(x) FROM odds GROUP BY y ORDER BY y

--! must
SELECT max((id % 4)::bit(3)::text), bit_and((id % 4)::bit(3)), bit_or(7::bit(3)) FROM odds
