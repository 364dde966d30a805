-- SELECTs as users of object-relational mappers and reports write them: what one server answers, several do.

--! must
SELECT GROUPING(country), country, count(*) FROM users GROUP BY ROLLUP (country) ORDER BY 1, 2

--! must
SELECT grouping(country, active) AS g, sum(age) FROM users GROUP BY GROUPING SETS ((country, active), (country), ()) ORDER BY 1, 2

--! must
SELECT country, count(*) FROM users GROUP BY ROLLUP (country) HAVING GROUPING(country) = 0 OR count(*) > 50 ORDER BY GROUPING(country), country

--! must
SELECT country, active, GROUPING(active) FROM users GROUP BY country, CUBE (active) ORDER BY country, active, 3

--! must
SELECT count(*), current_user, session_user, user, current_role FROM users

--! must
--! opaque 0
--! opaque 1
SELECT current_database(), current_catalog, count(*) FROM users

--! must
SELECT current_schema, current_schema(), current_schemas(false), max(id) FROM users

--! must
--! opaque 1
SELECT u.id, current_database() FROM users u JOIN names n ON n.name = u.name ORDER BY u.id, n.n

--! must
SELECT id, current_user FROM users ORDER BY id

--! must
SELECT id, current_user FROM users

--! must
SELECT id FROM users WHERE name = current_user

--! must
SELECT id, version() = version() FROM users ORDER BY id

--! must
SELECT version() IS NOT NULL, count(*) FROM users

--! must
SELECT current_setting('TimeZone'), count(*) FROM users

--! must
SELECT id, current_setting('DateStyle') FROM users ORDER BY id LIMIT 2

--! must
SELECT current_setting('nosuch.setting', true), array_agg(id ORDER BY id) FROM users

SELECT pg_typeof(id), pg_typeof(name) FROM users ORDER BY id LIMIT 1

SELECT id, pg_typeof(name) FROM users

--! must
SELECT id, pg_column_size(id) FROM users ORDER BY id

--! must
SELECT sum(pg_column_size(id)) FROM users

--! must
SELECT count(*) FROM users WHERE now() > '2020-01-01'

--! must
SELECT count(*), now() = transaction_timestamp(), now() = current_timestamp, statement_timestamp() >= now() FROM users

--! must
SELECT u.id, o.placed_at < now() FROM users u JOIN orders o ON o.id = u.age ORDER BY 1, 2

--! must
SELECT id, age(timestamp '2020-01-01', timestamp '2019-01-01') FROM users ORDER BY id LIMIT 3

--! must
SELECT max(placed_at) < current_date + 10000, count(*) FILTER (WHERE placed_at < localtimestamp) FROM orders

--! must
SELECT date_trunc('year', now()) <= now(), count(*) FROM orders

--! must
SELECT count(DISTINCT now()), count(*) FROM users

--! must
SELECT id FROM users ORDER BY id, now() LIMIT 3

--! must
SELECT to_char(now(), 'YYYY') = extract(year FROM current_date)::text, count(*) FROM users

--! must
SELECT user_id, count(*) FROM orders WHERE placed_at > current_date - interval '100 years' GROUP BY user_id ORDER BY user_id

--! must
SELECT * FROM users TABLESAMPLE BERNOULLI (100) ORDER BY id

--! must
SELECT count(*) FROM users TABLESAMPLE SYSTEM (100)

--! must
SELECT count(*) FROM orders TABLESAMPLE BERNOULLI (100) REPEATABLE (1)

--! must
SELECT u.id FROM users u TABLESAMPLE BERNOULLI (100) JOIN names n USING (name) ORDER BY u.id

--! must
SELECT t.id FROM (SELECT id, name FROM users) t WHERE t.id = 5

--! must
SELECT t.id, t.n FROM (SELECT user_id AS id, count(*) AS n FROM orders GROUP BY user_id) t WHERE t.id = 5

--! must
WITH t AS (SELECT user_id, amount FROM orders) SELECT sum(amount) FROM t WHERE user_id = 7

--! must
WITH t AS (SELECT user_id, amount FROM orders WHERE user_id = 7) SELECT u.name, sum(t.amount) FROM users u JOIN t ON t.user_id = u.id WHERE u.id = 7 GROUP BY u.name

--! must
SELECT * FROM (SELECT u.id, u.name, o.amount FROM users u JOIN orders o ON o.user_id = u.id) x WHERE x.id = 2 ORDER BY amount

--! must
SELECT x.n FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM users) x WHERE x.id = 5

--! must
SELECT x.n FROM (SELECT user_id, id, row_number() OVER (PARTITION BY user_id ORDER BY id) AS n FROM orders) x WHERE x.user_id = 5 ORDER BY 1

--! must
SELECT x.id FROM (SELECT id FROM users ORDER BY id LIMIT 10) x WHERE x.id = 5

--! must
SELECT x.id FROM (SELECT DISTINCT ON (name) id, name FROM users ORDER BY name, id) x WHERE x.id = 5

--! must
SELECT x.id FROM (SELECT id FROM users UNION ALL SELECT user_id FROM orders) x WHERE x.id = 5

--! must
SELECT x.id FROM (SELECT id FROM users EXCEPT SELECT user_id FROM orders) x WHERE x.id = 4

--! must
SELECT a.id, b.c FROM users a JOIN (SELECT user_id, count(*) c FROM orders GROUP BY 1) b ON b.user_id = a.id WHERE a.id = 3

--! must
SELECT a.id, b.c FROM users a LEFT JOIN (SELECT user_id, count(*) c FROM orders GROUP BY 1) b ON b.user_id = a.id WHERE a.id = 4

--! must
SELECT a.id, b.c FROM users a LEFT JOIN (SELECT user_id, count(*) c FROM orders GROUP BY 1) b ON b.user_id = a.id ORDER BY 1

--! must
SELECT b.user_id FROM users a RIGHT JOIN (SELECT user_id, count(*) c FROM orders GROUP BY 1) b ON b.user_id = a.id AND a.id = 3 ORDER BY 1

--! must
SELECT u.id, l.id FROM users u CROSS JOIN LATERAL (SELECT o.id FROM orders o WHERE o.user_id = u.id ORDER BY o.id DESC LIMIT 2) l WHERE u.id = 1 ORDER BY 2

--! must
SELECT u.id, l.* FROM users u LEFT JOIN LATERAL (SELECT count(*), sum(o.amount) FROM orders o WHERE o.user_id = u.id) l ON true ORDER BY u.id

--! must
TABLE small4 ORDER BY id

--! must
TABLE users

--! must
(TABLE small4) UNION (TABLE small2) ORDER BY 1, 2

--! must
WITH t AS (TABLE small4) SELECT count(*) FROM t

--! must
SELECT * FROM ROWS FROM (generate_series(1, 3), generate_series(5, 6)) AS r(a, b) JOIN users u ON u.id = r.a ORDER BY r.a

--! must
SELECT u.id, t.ord FROM users u, unnest(ARRAY[1, 2]) WITH ORDINALITY AS t(x, ord) WHERE u.id = t.x ORDER BY 1

--! must
SELECT u.id, g.n, g.ordinality FROM users u, generate_series(10, 12) WITH ORDINALITY g(n) WHERE u.id = 1 ORDER BY 2

--! must
SELECT g.ordinality, count(u.id) FROM generate_series(10, 12) WITH ORDINALITY g(n) LEFT JOIN users u ON u.age = g.n GROUP BY 1 ORDER BY 1

--! must
WITH RECURSIVE t(n, p) AS (SELECT id, ARRAY[id] FROM users WHERE id = 1 UNION ALL SELECT u.id, p || u.id FROM t JOIN users u ON u.id = t.n + 1 WHERE t.n < 6) SEARCH DEPTH FIRST BY n SET o SELECT n, p FROM t ORDER BY o

--! must
WITH RECURSIVE t(n) AS (SELECT min(id) FROM users WHERE id > 0 UNION ALL SELECT t.n % 3 + 1 FROM t JOIN users u ON u.id = t.n) CYCLE n SET is_cycle USING path SELECT n, is_cycle FROM t ORDER BY n, is_cycle

--! must
SELECT regexp_matches(name, '[a-z]', 'g') FROM users WHERE id BETWEEN 1 AND 12 ORDER BY id

--! must
SELECT id, regexp_split_to_table(name, '') FROM users WHERE id BETWEEN 1 AND 8

--! must
SELECT id, generate_series(1, 2) FROM users ORDER BY 1, 2

--! must
SELECT generate_series(1, count(*)::int) FROM countries c JOIN users u ON u.country = c.code LIMIT 4

--! must
SELECT unnest(tags) FROM scores ORDER BY 1

--! must
SELECT count(*) FROM (SELECT unnest(tags) AS t FROM scores) x WHERE t IS NOT NULL

--! must
SELECT jsonb_array_elements_text(body -> 'tags') AS t, count(*) FROM docs GROUP BY 1

--! must
SELECT jsonb_path_query(payload, '$.n') FROM events WHERE payload IS NOT NULL ORDER BY id LIMIT 5

--! must
SELECT id FROM docs WHERE body @? '$.tags[*] ? (@ == "x")' ORDER BY id LIMIT 3

--! must
SELECT id FROM docs WHERE body ? 'n' ORDER BY id LIMIT 3

--! must
SELECT id FROM docs WHERE body ?| ARRAY['n', 'm'] ORDER BY id LIMIT 3

--! must
SELECT body #>> '{tags,0}', count(*) FROM docs GROUP BY 1

--! must
SELECT jsonb_set(body, '{n}', '0') FROM docs ORDER BY id LIMIT 2

--! must
SELECT json_build_object('id', id, 'name', name) FROM users ORDER BY id LIMIT 3

--! must
SELECT jsonb_pretty(jsonb_agg(jsonb_build_object('id', id) ORDER BY id)) FROM users WHERE id BETWEEN 1 AND 3

--! must
SELECT to_tsvector('english', name) @@ to_tsquery('english', 'ann') AS hit, count(*) FROM names GROUP BY 1 ORDER BY 1

--! must
SELECT n, ts_rank(to_tsvector('simple', name), plainto_tsquery('simple', 'a b')) FROM names ORDER BY 2 DESC, n LIMIT 3

--! must
SELECT int4range(age, age + 5) * int4range(10, 20) FROM users WHERE age BETWEEN 8 AND 15 ORDER BY id

--! must
SELECT numrange(min(level), max(level)) FROM levels

--! must
SELECT tstzrange(min(placed_at), max(placed_at), '[]') @> '2026-01-10'::timestamptz FROM orders

--! must
SELECT count(*) FROM orders WHERE tstzrange('2026-01-01', '2026-01-15') @> placed_at

--! must
SELECT count(*) FROM events WHERE (created_at, created_at) OVERLAPS (timestamptz '2026-01-01', timestamptz '2026-02-01') AND created_at > '-infinity' AND created_at < 'infinity'

--! must
SELECT id FROM users WHERE (age, id) > (30, 10) ORDER BY age, id LIMIT 5

--! must
SELECT id FROM users WHERE (age, country) = (SELECT age, country FROM users WHERE id = 8) ORDER BY id

--! must
SELECT id FROM users WHERE ROW(age, active) IS NOT DISTINCT FROM ROW(NULL::int, true) ORDER BY id

--! must
SELECT id FROM users WHERE age BETWEEN SYMMETRIC 30 AND 20 ORDER BY id

--! must
SELECT id FROM users WHERE age IN (VALUES (1), (2), (3)) ORDER BY id

--! must
SELECT id FROM users WHERE id IN (VALUES (1), (2), (3)) ORDER BY id

--! must
SELECT id FROM users WHERE (id, name) IN ((1, 'Bob'), (2, 'Zoë')) ORDER BY id

--! must
SELECT id FROM users WHERE age > ANY (SELECT age FROM users WHERE id < 5) ORDER BY id LIMIT 4

--! must
SELECT id FROM users WHERE age <> ALL (ARRAY[1, 2, 3]) ORDER BY id LIMIT 4

--! must
SELECT id FROM users WHERE name LIKE ANY (ARRAY['a%', 'B%']) ORDER BY id LIMIT 4

--! must
SELECT id FROM users WHERE name NOT ILIKE ALL ('{a%,b%}') ORDER BY id LIMIT 4

--! must
SELECT id FROM users WHERE name COLLATE "C" < 'Z' ORDER BY name COLLATE "C", id LIMIT 4

--! must
SELECT id FROM users ORDER BY id OFFSET 2 ROWS FETCH NEXT 3 ROWS ONLY

--! must
SELECT age FROM users ORDER BY age DESC NULLS LAST FETCH FIRST 5 ROWS WITH TIES

--! must
SELECT id FROM users ORDER BY id FETCH FIRST ROW ONLY

--! must
SELECT x.a, x.b FROM users AS x (a, b, c, d) WHERE x.a = 3

--! must
SELECT x.a FROM users AS x (a) ORDER BY x.a LIMIT 2

--! must
SELECT u FROM users u WHERE u.id = 3

--! must
SELECT u.*::text FROM users u ORDER BY u.id LIMIT 2

--! must
SELECT (u.*)::text FROM users u ORDER BY u.id LIMIT 2

--! must
SELECT u::text, u IS NULL, u IS NOT NULL FROM users u ORDER BY id LIMIT 3

--! must
SELECT (u).id, (u).* FROM users u ORDER BY u.id LIMIT 2

--! must
SELECT row(u.*) = row(u.*) FROM users u ORDER BY id LIMIT 2

--! must
SELECT * FROM users u JOIN orders o ON u.id = o.user_id ORDER BY 1, o.id LIMIT 3

--! must
SELECT * FROM orders JOIN order_items USING (user_id) WHERE user_id = 2 ORDER BY 1, 2, 3, 4, 5, 6, 7

--! must
SELECT * FROM orders o JOIN order_items i USING (user_id) ORDER BY user_id, o.id, i.order_id, i.line LIMIT 5

--! must
SELECT user_id, o.id, i.line FROM orders o NATURAL JOIN order_items i ORDER BY 1, 2, 3 LIMIT 4

--! must
SELECT * FROM small2 a FULL JOIN small4 b USING (id, v) ORDER BY id, v

--! must
SELECT * FROM users u JOIN orders o ON o.user_id = u.id AND o.id = (SELECT max(id) FROM orders p WHERE p.user_id = u.id) ORDER BY u.id LIMIT 3

--! must
SELECT u.id FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.id IS NULL ORDER BY 1

--! must
SELECT u.id, count(o.*) FROM users u LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.id ORDER BY 1

--! must
SELECT u.id, array_agg(o.id ORDER BY o.id) FILTER (WHERE o.id IS NOT NULL) FROM users u LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.id ORDER BY u.id

--! must
SELECT u.id, json_agg(o ORDER BY o.id) FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id < 4 AND u.id > 1 GROUP BY u.id ORDER BY 1

--! must
SELECT u.country, jsonb_object_agg(u.id, u.name ORDER BY u.id) FROM users u WHERE id BETWEEN 1 AND 9 GROUP BY 1 ORDER BY 1

--! must
SELECT string_agg(name, ',' ORDER BY name COLLATE "C", id) FROM users

--! must
SELECT country, string_agg(DISTINCT coalesce(age::text, '-'), ',') FROM users GROUP BY country ORDER BY 1

--! must
SELECT count(*) FILTER (WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id)) FROM users u

--! must
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY amount DESC) FROM orders

--! must
SELECT country, percentile_cont(0.5) WITHIN GROUP (ORDER BY age) FROM users GROUP BY country ORDER BY 1

--! must
SELECT dense_rank(20) WITHIN GROUP (ORDER BY age), cume_dist(20) WITHIN GROUP (ORDER BY age), percent_rank(20) WITHIN GROUP (ORDER BY age) FROM users

--! must
SELECT id, sum(age) OVER (ORDER BY id RANGE BETWEEN 3 PRECEDING AND 2 FOLLOWING) FROM users WHERE id BETWEEN 1 AND 30 ORDER BY id

--! must
SELECT id, sum(age) OVER (ORDER BY age NULLS FIRST GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM users ORDER BY id

--! must
SELECT id, nth_value(name, 2) OVER w, count(*) OVER (w ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) FROM users WINDOW w AS (PARTITION BY country ORDER BY id) ORDER BY id

--! must
SELECT id, lag(id, 1, 0) OVER (PARTITION BY active ORDER BY id) AS prev FROM users ORDER BY prev, id

--! must
SELECT country, sum(sum(age)) OVER (ORDER BY country) FROM users GROUP BY country ORDER BY 1

--! must
SELECT DISTINCT country, count(*) OVER (PARTITION BY country) FROM users ORDER BY 1

--! must
SELECT user_id, id, rank() OVER (PARTITION BY user_id ORDER BY amount DESC) FROM orders ORDER BY 1, 2

--! must
SELECT sum(amount) OVER (PARTITION BY user_id ORDER BY id) FROM orders WHERE user_id = 1 ORDER BY id

--! must
SELECT user_id, avg(amount) FROM orders GROUP BY 1 HAVING avg(amount) > (SELECT avg(amount) FROM orders) ORDER BY 1

--! must
SELECT date_trunc('day', placed_at AT TIME ZONE 'UTC')::date AS d, count(*), sum(amount) FROM orders GROUP BY d ORDER BY d

--! must
SELECT extract(dow FROM placed_at) AS dow, count(*) FROM orders GROUP BY dow ORDER BY dow

--! must
SELECT width_bucket(amount, 0, 500, 5), count(*) FROM orders GROUP BY 1 ORDER BY 1

--! must
SELECT CASE WHEN age < 20 THEN 'young' WHEN age < 50 THEN 'mid' ELSE 'old' END AS g, count(*) FROM users GROUP BY g ORDER BY g

--! must
SELECT coalesce(country, '?'), nullif(count(*), 13), greatest(max(age), 3), least(min(age), 100) FROM users GROUP BY 1 ORDER BY 1

--! must
SELECT id, (age + 1)::float4, age::int8 << 2, ~age, age # 3, |/ abs(age)::float8, @ (-age) FROM users ORDER BY id LIMIT 4

--! must
SELECT id, 'x' || name, name || ' ' || coalesce(email, ''), length(name), octet_length(name), name[1:1] FROM (SELECT id, name, email FROM users) x ORDER BY id LIMIT 2

--! must
SELECT substring(name FROM 1 FOR 2), overlay(name PLACING 'xx' FROM 1 FOR 1), position('a' IN name), trim(both 'a' FROM name) FROM users ORDER BY id LIMIT 5

--! must
SELECT substring(name FROM '[a-z]+'), substring(name SIMILAR '%#"b#"%' ESCAPE '#') FROM users ORDER BY id LIMIT 5

--! must
SELECT extract(epoch FROM placed_at), placed_at::date, placed_at::time, date_part('hour', placed_at) FROM orders ORDER BY user_id, id LIMIT 3

--! must
SELECT placed_at + interval '1 day' * id, placed_at - interval '1' month FROM orders ORDER BY user_id, id LIMIT 3

--! must
SELECT interval '1 day 2 hours' * age FROM users ORDER BY id LIMIT 3

--! must
SELECT U&'\0041' || name, E'a\tb', $$dollar$$, B'101', X'1F' FROM users ORDER BY id LIMIT 1

--! must
SELECT 'a' 'b', id FROM users ORDER BY id LIMIT 1

--! must
SELECT id AS "Id", name AS "select", age "from" FROM users ORDER BY "Id" LIMIT 2

SELECT ctid IS NOT NULL, count(*) FROM users GROUP BY 1

--! simple
SELECT tableoid::regclass, count(*) FROM users GROUP BY 1

--! must
SELECT xmin IS NULL FROM users WHERE id = 1

--! must
SELECT id FROM users WHERE id = 3 FOR SHARE

SELECT id FROM users ORDER BY id FOR UPDATE

SELECT count(*) FROM (SELECT id FROM users FOR SHARE) x

SELECT * INTO TEMP tt FROM users WHERE id = 1

SELECT id INTO newtable FROM users

--! must
VALUES (1), ((SELECT count(*)::int FROM users))

--! must
SELECT * FROM (VALUES (1, 'one'), (2, 'two')) AS v(n, t) JOIN users u ON u.id = v.n ORDER BY n

--! must
SELECT * FROM (VALUES (1), (2)) v JOIN users u ON u.id = v.column1 ORDER BY 1

--! must
SELECT EXISTS (SELECT 1 FROM users WHERE age > 1000), EXISTS (SELECT FROM users)

--! must
SELECT (SELECT name FROM users ORDER BY id LIMIT 1), ARRAY(SELECT id FROM users ORDER BY id LIMIT 3)

--! must
SELECT ARRAY[count(*), 2] FROM users

--! must
SELECT ARRAY[[1, 2], [3, 4]][1:1][2], count(*) FROM users

--! must
SELECT count(*) FROM users WHERE tags IS NULL

--! must
SELECT FROM users

--! must
SELECT ALL country FROM users ORDER BY country

--! must
SELECT DISTINCT ON (active, country) active, country, id FROM users ORDER BY active, country, id

--! must
SELECT DISTINCT active, country FROM users ORDER BY country NULLS FIRST, active DESC LIMIT 4

--! must
SELECT DISTINCT ON (u.id) u.id, o.amount FROM users u JOIN orders o ON o.user_id = u.id ORDER BY u.id, o.amount DESC, o.id

--! must
SELECT id FROM users WHERE id = 3 UNION SELECT id FROM users WHERE id = 3

--! must
SELECT id FROM users WHERE id = 3 UNION ALL SELECT user_id FROM orders WHERE user_id = 4

--! must
(SELECT id FROM users WHERE age > 60) UNION (SELECT user_id FROM orders WHERE amount > 400) EXCEPT SELECT 1 ORDER BY 1

--! must
SELECT country FROM users INTERSECT ALL SELECT code FROM countries ORDER BY 1

--! must
SELECT name, 'user' AS kind FROM users UNION ALL SELECT name, 'product' FROM products ORDER BY 1, 2 LIMIT 5

--! must
WITH a AS (SELECT id FROM users WHERE id > 50), b AS (SELECT id FROM a WHERE id < 55) SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)

--! must
WITH a AS (SELECT 1 AS id) SELECT u.name FROM users u JOIN a USING (id)

--! must
WITH x(n) AS (SELECT id FROM users) SELECT max(n), min(n) FROM x WHERE n BETWEEN 0 AND 1000

--! must
WITH o AS (SELECT user_id, sum(amount) s FROM orders GROUP BY user_id), top AS (SELECT * FROM o ORDER BY s DESC, user_id LIMIT 3) SELECT u.name, top.s FROM top JOIN users u ON u.id = top.user_id ORDER BY s DESC, u.id

--! must
SELECT u.name, (WITH q AS (SELECT amount FROM orders o WHERE o.user_id = u.id) SELECT max(amount) FROM q) FROM users u ORDER BY u.id LIMIT 5

--! must
SELECT count(*) FROM users u WHERE EXISTS (SELECT 1 FROM orders o JOIN order_items i ON i.user_id = o.user_id AND i.order_id = o.id WHERE o.user_id = u.id AND i.price > 1)

--! must
SELECT u.id FROM users u WHERE u.id IN (SELECT user_id FROM orders WHERE status = 'paid') AND u.id NOT IN (SELECT user_id FROM orders WHERE status = 'sent') ORDER BY 1

--! must
SELECT product_id, sum(quantity * price) FROM order_items i JOIN products p ON p.id = i.product_id WHERE p.price IS NOT NULL GROUP BY product_id ORDER BY 2 DESC NULLS LAST, 1 LIMIT 5

--! must
SELECT p.name, count(DISTINCT i.user_id) FROM products p JOIN order_items i ON i.product_id = p.id GROUP BY p.id ORDER BY 2 DESC, 1

--! must
SELECT s.key, count(u.id) FROM settings s CROSS JOIN users u GROUP BY s.key ORDER BY 1

SELECT t.id, u.id FROM other.users t FULL JOIN public.users u ON u.id = t.id ORDER BY 2, 1 LIMIT 3

--! must
SELECT "Mixed Case"."Id", u.name FROM "Mixed Case" JOIN users u ON u.id = "Mixed Case"."Id" ORDER BY 1

--! must
SELECT random() BETWEEN 0 AND 1, count(*) FROM users GROUP BY 1

--! must
SELECT count(DISTINCT gen_random_uuid()) FROM users

--! must
SELECT count(*) FROM users ORDER BY random()

--! must
SELECT clock_timestamp() > now() - interval '1 hour', count(*) FROM users GROUP BY 1

SELECT obj_description('users'::regclass), count(*) FROM users

--! simple
SELECT 'users'::regclass, count(*) FROM users

SELECT to_regclass('users') IS NULL, count(*) FROM users

SELECT pg_backend_pid() > 0, count(*) FROM users

SELECT has_table_privilege('users', 'select'), count(*) FROM users

SELECT nextval('tickets_id_seq'), id FROM (SELECT id FROM users ORDER BY id) AS u

SELECT inet_server_port() > 0, count(*) FROM users

SELECT pg_table_size('users') > 0 FROM users LIMIT 1

SELECT txid_current() > 0, count(*) FROM users

--! must
SELECT hashtext(name) % 2 = 0, count(*) FROM users GROUP BY 1 ORDER BY 1

--! must
SELECT crc.h, count(*) FROM (SELECT md5(name) AS h FROM users) crc GROUP BY 1 ORDER BY 1 LIMIT 3

SELECT setseed(0.5), count(*) FROM users

--! must
SELECT users.name FROM users ORDER BY users.name LIMIT 3

--! must
SELECT public.users.name FROM public.users WHERE public.users.id = 3

--! must
SELECT u.id FROM public.users AS u WHERE u.name = 'ann' ORDER BY id

--! must
SELECT count(*) FROM ONLY users

--! must
SELECT count(*) FROM users *

SELECT count(*) FROM parents

--! must
SELECT name FROM users WHERE id = 1 OR id = 2 ORDER BY name

--! must
SELECT is_called FROM tickets_id_seq

--! must
SELECT * FROM orders WHERE (user_id, id) IN (SELECT user_id, max(id) FROM orders GROUP BY user_id) ORDER BY user_id LIMIT 5

--! must
SELECT 1 FROM users HAVING count(*) > 1

--! must
SELECT max(id) FROM users HAVING false

--! must
SELECT count(*) c FROM users GROUP BY () ORDER BY c

--! must
SELECT country FROM users GROUP BY DISTINCT ROLLUP (country), ROLLUP (country) ORDER BY 1

--! must
SELECT id FROM users WHERE name IS NFC NORMALIZED ORDER BY id LIMIT 2

--! must
SELECT name IS JSON FROM names ORDER BY n LIMIT 2

--! must
SELECT normalize(name) = name, count(*) FROM names GROUP BY 1

--! must
SELECT id FROM users WHERE age IS DISTINCT FROM 5 ORDER BY id LIMIT 3

--! must
SELECT id FROM users WHERE active IS NOT TRUE ORDER BY id LIMIT 3

--! must
SELECT id FROM users WHERE NOT (active OR age > 10) ORDER BY id LIMIT 3

--! must
SELECT id, xmlelement(name u, xmlattributes(id AS i), name) FROM users WHERE id IN (1, 2) ORDER BY id

--! must
SELECT xmlforest(id, age) FROM users ORDER BY id LIMIT 2

--! must
SELECT concat_ws(',', VARIADIC ARRAY[name, email]) FROM users ORDER BY id LIMIT 2

--! must
SELECT make_date(year => 2020, month => 2, day => 3), count(*) FROM users

--! must
SELECT OVERLAY('abc' PLACING 'z' FROM 2), count(*) FROM users

--! must
SELECT CAST(age AS text), age::text::int, CAST(NULL AS int) FROM users ORDER BY id LIMIT 2

--! must
SELECT name COLLATE "C" AS n FROM users ORDER BY n, id LIMIT 3

--! must
SELECT date '2026-01-05', timestamp '2026-01-05 10:00', id FROM users ORDER BY id LIMIT 2

--! must
SELECT 'now'::timestamptz <= now(), count(*) FROM users

--! must
SELECT timestamptz 'today' <= now(), count(*) FROM users

--! must
SELECT operator(pg_catalog.+) (1, 2) FROM users

--! must
SELECT id OPERATOR(pg_catalog.+) 1 FROM users ORDER BY id LIMIT 2

--! must
SELECT id FROM users ORDER BY name USING <, id LIMIT 2

--! must
SELECT * FROM users u, LATERAL (VALUES (u.id + 1), (u.id + 2)) v(x) WHERE u.id IN (1, 2) ORDER BY u.id, x

--! must
SELECT u.id, x.* FROM users u, jsonb_each_text(to_jsonb(u)) x WHERE u.id = 3 ORDER BY x.key

--! must
SELECT u.id, x.key FROM users u, LATERAL jsonb_each_text(to_jsonb(u)) x WHERE u.id IN (3, 4, 5) ORDER BY 1, 2

--! must
SELECT * FROM json_to_recordset('[{"id": 1}, {"id": 2}]') AS j(id int) JOIN users u USING (id) ORDER BY id

--! must
SELECT d.day, o.n FROM generate_series(timestamptz '2026-01-01', '2026-01-05', '1 day') d(day) LEFT JOIN LATERAL (SELECT count(*) AS n FROM orders o WHERE o.placed_at::date = d.day::date) o ON true ORDER BY 1

--! must
SELECT cube.x, count(*) FROM (SELECT age % 2 AS x FROM users) AS cube GROUP BY cube.x ORDER BY 1

--! must
SELECT id FROM users ORDER BY age NULLS LAST, id OFFSET 60

--! must rows
SELECT id FROM users OFFSET 60

-- One moment for the whole block, wherever it is asked for.

--! must script
BEGIN
SELECT now() IS NULL
CREATE TEMPORARY TABLE moments AS SELECT now() AS t
SELECT now() = (SELECT max(x.t) FROM moments x)
ROLLBACK

--! must script
BEGIN
SELECT count(*), max(now()) = min(now()), now() = transaction_timestamp(), now() = current_timestamp FROM users u JOIN names n ON n.n = u.age
SELECT count(DISTINCT x) FROM (SELECT now() AS x FROM users UNION SELECT current_timestamp FROM names) y
SELECT statement_timestamp() >= now(), clock_timestamp() >= now(), current_date = now()::date, localtimestamp = now()::timestamp, localtime = now()::time, current_time = now()::timetz, count(*) FROM users u JOIN names n ON n.n = u.age
SELECT pg_typeof(now())::text, pg_typeof(current_date)::text, pg_typeof(localtime)::text, pg_typeof(current_time)::text, pg_typeof(localtimestamp)::text, array_agg(id ORDER BY id) FROM users
SELECT CURRENT_TIMESTAMP(0) = now()::timestamptz(0), array_agg(id ORDER BY id) FROM users
SELECT id FROM users u WHERE now() > '2020-01-01' AND EXISTS (SELECT 1 FROM names n WHERE n.n = u.age) ORDER BY id
SELECT date_trunc('year', now()) <= now(), json_agg(id ORDER BY id) FROM users WHERE id BETWEEN 1 AND 3
SELECT u.id FROM users u JOIN names n ON n.n = u.age WHERE pg_catalog.now() > '2020-01-01' ORDER BY 1
SELECT count(*), string_agg(name, ',' ORDER BY id) FROM users WHERE age(timestamp '2020-01-01', timestamp '2019-01-01') > '1 day'
COMMIT

-- Keys that an outer join leaves out

--! must
SELECT DISTINCT o.user_id FROM users u LEFT JOIN orders o ON o.user_id = u.id ORDER BY 1

--! must
SELECT o.user_id, count(*) FROM users u LEFT JOIN orders o ON o.user_id = u.id GROUP BY o.user_id ORDER BY 1

--! must
SELECT x.user_id, count(*) FROM (SELECT o.user_id FROM users u LEFT JOIN orders o ON o.user_id = u.id) x GROUP BY x.user_id ORDER BY 1

--! must
SELECT DISTINCT ON (o.user_id) o.user_id FROM users u LEFT JOIN orders o ON o.user_id = u.id ORDER BY 1

--! must
SELECT active FROM users ORDER BY active FETCH FIRST (1 + 1) ROWS WITH TIES

--! must
SELECT age FROM users ORDER BY age NULLS FIRST OFFSET (2 - 1) ROWS FETCH NEXT (2) ROWS WITH TIES
