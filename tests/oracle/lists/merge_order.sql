-- ORDER BY, LIMIT and OFFSET over several shards, merged as the rows come.

--! must
SELECT id, age, name FROM users ORDER BY id

--! must
SELECT * FROM users ORDER BY id DESC

--! must
SELECT id FROM users ORDER BY name COLLATE "C", id

--! must
SELECT id FROM users ORDER BY name, id

--! must
SELECT id, name FROM users ORDER BY name DESC, id DESC

--! must
SELECT id FROM users ORDER BY age DESC NULLS LAST, id LIMIT 7

--! must
SELECT id FROM users ORDER BY age NULLS FIRST, id DESC OFFSET 5

--! must
SELECT id, age FROM users ORDER BY 2 DESC, 1 LIMIT 5 OFFSET 2

--! must
SELECT id, age FROM users ORDER BY 1 DESC, 2 LIMIT 5 OFFSET 2

--! must
SELECT id, age FROM users ORDER BY (2), id

--! must
SELECT age AS id, id AS age FROM users WHERE age IS NOT NULL ORDER BY id, age

SELECT id::text FROM users ORDER BY id

--! must
SELECT -id AS minus FROM users WHERE id > -9223372036854775808 ORDER BY minus LIMIT 9

SELECT lower(name) FROM users ORDER BY lower, id

--! must
SELECT lower(name), id FROM users ORDER BY lower(name) DESC, id

--! must
SELECT id, coalesce(age, -1) FROM users ORDER BY coalesce(age, -1), id

--! must
SELECT name FROM users ORDER BY length(name) DESC, name, id LIMIT 20

--! must
SELECT u.id, u.name FROM users AS u ORDER BY u.age, u.id

--! must
SELECT id FROM users ORDER BY age % 3, age / 3, id

--! must
SELECT id FROM users ORDER BY CASE WHEN active THEN 0 WHEN active IS NULL THEN 1 ELSE 2 END, id

--! must
SELECT id, active FROM users ORDER BY active, id

--! must
SELECT id, active FROM users ORDER BY active DESC NULLS LAST, id

--! must
SELECT user_id, value FROM scores ORDER BY value, user_id

--! must
SELECT user_id, value FROM scores ORDER BY value DESC, user_id DESC

--! must
SELECT user_id, mood FROM scores ORDER BY mood, user_id

--! must
SELECT user_id, mood FROM scores ORDER BY mood DESC NULLS LAST, user_id LIMIT 10

--! must
SELECT user_id, part FROM scores ORDER BY part, user_id

--! must
SELECT user_id, part FROM scores ORDER BY part::text, user_id

--! must
SELECT name FROM names ORDER BY name

--! must
SELECT nick FROM nicknames ORDER BY nick DESC

--! must
SELECT level FROM levels ORDER BY level

--! must
SELECT level, label FROM levels ORDER BY level DESC LIMIT 3

--! must
SELECT level FROM levels ORDER BY level / 3, label

--! must
SELECT * FROM events ORDER BY created_at, id

--! must
SELECT id, kind FROM events ORDER BY kind, created_at DESC, id

--! must
SELECT id FROM events WHERE created_at > '-infinity' AND created_at < 'infinity' ORDER BY created_at - timestamptz '2026-01-01 00:00:00+00', id

--! must
SELECT * FROM days ORDER BY day DESC

--! must
SELECT day, visits FROM days ORDER BY visits NULLS FIRST, day LIMIT 40

--! must
SELECT day FROM days ORDER BY extract(dow FROM day), day

--! must
SELECT * FROM accounts ORDER BY balance DESC, id

--! must
SELECT region, id FROM accounts ORDER BY region, id

--! must
SELECT id FROM docs ORDER BY id

--! must
SELECT id, body FROM docs ORDER BY (body->>'n')::int DESC, id LIMIT 6

--! must
SELECT id, v FROM small2 ORDER BY v DESC, id

--! must
SELECT id, v FROM small4 ORDER BY id

--! must
SELECT id FROM small4 ORDER BY id::numeric / 7 DESC

--! must
SELECT id FROM small4 ORDER BY id::float4, v

--! must
SELECT id FROM small4 ORDER BY (id * interval '1 day'), v

--! must
SELECT id FROM small4 ORDER BY time '12:00' + id * interval '1 hour', id

--! must
SELECT id FROM small4 ORDER BY v::char(4) DESC, id

--! must
SELECT id FROM small4 ORDER BY v::bytea, id DESC

--! must
SELECT o.user_id, o.id, o.amount FROM orders o ORDER BY o.amount DESC, o.user_id, o.id LIMIT 15

--! must
SELECT u.name, o.id, o.amount FROM users u JOIN orders o ON o.user_id = u.id ORDER BY o.amount, u.id, o.id

--! must
SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id ORDER BY o.placed_at NULLS FIRST, u.id, o.id LIMIT 30

--! must
SELECT o.user_id, i.line, p.name FROM orders o JOIN order_items i ON i.user_id = o.user_id AND i.order_id = o.id JOIN products p ON p.id = i.product_id ORDER BY p.name, o.user_id, o.id, i.line

--! must
SELECT user_id, id FROM orders JOIN order_items USING (user_id) WHERE order_id = id ORDER BY user_id, id, line

--! must
SELECT id FROM users WHERE country IN (SELECT code FROM countries) ORDER BY country DESC, id

--! must
SELECT id FROM users WHERE id IN (1, 2, 3, 4, 5, 6) ORDER BY id DESC

--! must
SELECT id FROM users WHERE false ORDER BY id

--! must
SELECT count(*) FROM (SELECT 1) AS one

--! must
--! rows
SELECT id FROM users LIMIT 5

--! must
--! rows
SELECT id FROM users OFFSET 60

--! must
--! rows
SELECT id FROM users LIMIT 5 OFFSET 61

--! must
--! rows
SELECT * FROM orders FETCH FIRST 3 ROWS ONLY

--! must
SELECT id FROM users ORDER BY id FETCH FIRST ROW ONLY

--! must
SELECT id FROM users ORDER BY id DESC OFFSET 3 ROWS FETCH NEXT 4 ROWS ONLY

--! must
SELECT id FROM users ORDER BY id LIMIT 0

--! must
SELECT id FROM users ORDER BY id LIMIT ALL

--! must
SELECT id FROM users ORDER BY id LIMIT NULL OFFSET NULL

--! must
SELECT id FROM users ORDER BY id LIMIT ALL OFFSET 60

--! must
SELECT id FROM users ORDER BY id LIMIT 1000

--! must
SELECT id FROM users ORDER BY id OFFSET 1000

--! must
SELECT id FROM users ORDER BY id LIMIT -1

--! must
SELECT id FROM users ORDER BY id LIMIT 3 OFFSET -2

--! must
SELECT id FROM users ORDER BY nothing

--! must
SELECT id FROM users ORDER BY 3

--! must
SELECT id FROM users ORDER BY 'x'

--! must
SELECT id, 1 / (id - 5) FROM users WHERE id > 0 AND id < 20 ORDER BY id

--! must
SELECT id FROM users WHERE id > 0 AND id < 20 ORDER BY 1 / (id - 5), id

--! must
--! param int8 7
SELECT id FROM users ORDER BY id LIMIT $1

--! must
--! param int8 7
--! param int8 3
SELECT id FROM users ORDER BY id DESC LIMIT $1 OFFSET $2

--! must
--! param int8 null
--! param int8 null
SELECT id FROM users ORDER BY id DESC LIMIT $1 OFFSET $2

--! must
--! param int8 58
SELECT id FROM users ORDER BY id OFFSET $1

--! must
--! param int8 -1
SELECT id FROM users ORDER BY id LIMIT $1

--! must
--! param int4 20
--! param int8 4
SELECT id, age, $1::int FROM users WHERE age > $1 ORDER BY age, id LIMIT $2

--! must
--! param int4 20
SELECT id FROM users ORDER BY abs(age - $1), id LIMIT 10

--! must
--! param text paid
SELECT user_id, id FROM orders ORDER BY CASE WHEN status = $1 THEN 0 ELSE 1 END, user_id, id LIMIT 12

SELECT id, name FROM users ORDER BY id FETCH FIRST 2 ROWS WITH TIES

SELECT id FROM users ORDER BY id USING >

SELECT id FROM users ORDER BY id LIMIT 2 + 3

SELECT id FROM users ORDER BY id LIMIT '4'

SELECT id FROM users ORDER BY id LIMIT 2.5

SELECT * FROM users ORDER BY 1

SELECT body FROM docs ORDER BY body

SELECT user_id, tags FROM scores ORDER BY tags, user_id

SELECT id FROM users ORDER BY (age, id)

-- Groups that are whole on their shards.

--! must
SELECT user_id, count(*) FROM orders GROUP BY user_id ORDER BY user_id

--! must
SELECT user_id, sum(amount) FROM orders GROUP BY user_id ORDER BY sum(amount) DESC, user_id LIMIT 5

--! must
SELECT user_id, sum(amount) AS total FROM orders GROUP BY 1 HAVING count(*) > 1 ORDER BY total DESC, 1

--! must
--! unordered
SELECT user_id, status, array_agg(id ORDER BY id) FROM orders GROUP BY user_id, status

--! must
SELECT u.id, u.name, count(o.id), coalesce(sum(o.amount), 0) FROM users u LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.id ORDER BY 3 DESC, u.id

SELECT o.user_id, count(*) FROM users u LEFT JOIN orders o ON o.user_id = u.id GROUP BY o.user_id ORDER BY 1

--! must
SELECT DISTINCT user_id FROM orders ORDER BY user_id

--! must
SELECT DISTINCT status, user_id FROM orders ORDER BY status NULLS FIRST, user_id DESC LIMIT 9

--! must
--! unordered
SELECT DISTINCT user_id, status FROM orders

--! must
SELECT region, id, max(balance) FROM accounts GROUP BY region, id ORDER BY max(balance) DESC

-- In transactions, own writes are seen.

--! script
BEGIN
UPDATE users SET name = 'zzz' WHERE id = 3
SELECT id, name FROM users ORDER BY name DESC, id LIMIT 3
ROLLBACK
SELECT id, name FROM users ORDER BY name DESC, id LIMIT 3

--! script
BEGIN ISOLATION LEVEL REPEATABLE READ
SELECT id, name FROM users ORDER BY name, id LIMIT 3
SELECT id FROM users WHERE id < 10 ORDER BY 10 / (id - 4)
SELECT 1
ROLLBACK

--! must
SELECT id, age FROM users ORDER BY (1) DESC

--! must
SELECT id, age FROM users ORDER BY (2) DESC NULLS LAST, (1)

--! must
SELECT id, age FROM users ORDER BY ((1)), 2 LIMIT 4

--! must
SELECT age, id FROM users ORDER BY ((1)), 2 LIMIT 4

--! must
SELECT id, age FROM users ORDER BY ((2)), 1 LIMIT 4
