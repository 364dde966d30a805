-- Joins, aggregates, sub-selects, set operations, windows and views, put together at random once and kept: whatever
-- strategy answers them, the answer is one PostgreSQL's.

SELECT t4.user_id FROM scores t4 WHERE t4.user_id = 38 AND EXISTS (SELECT 1 FROM users t5 WHERE t5.id = t4.user_id) EXCEPT SELECT t6.user_id FROM scores t6

SELECT t1.user_id, max(t1.amount), count(DISTINCT t1.id), avg(t1.id) FILTER (WHERE t1.amount = 34) FROM orders t1 WHERE t1.user_id IS DISTINCT FROM 11 AND t1.user_id IN (28,21) GROUP BY t1.user_id

SELECT t2.id, sum(t1.age), sum(t1.age), count(*) FROM active_users t1 LEFT JOIN users t2 ON t2.age = t1.id WHERE t1.id IN (1,30) AND t2.country >= 'ann' GROUP BY t2.id

SELECT t2.id, t1.user_id, min(t1.amount), string_agg(t1.id::text, ',' ORDER BY t1.user_id, t1.id, t2.id, t1.id), count(t2.id) FROM orders t1 LEFT JOIN products t2 ON t2.name = t1.status WHERE t1.amount < 17 AND NOT (t2.id = 15 OR t2.id = 19) GROUP BY t2.id, t1.user_id

SELECT t2.orders, t1.id, t2.id FROM active_users t1 FULL JOIN user_totals t2 ON t2.name = t1.name ORDER BY t2.orders DESC NULLS LAST, t1.id, t2.id LIMIT 8

SELECT t3.id, max(t2.id) FILTER (WHERE t1.id < -1), count(t2.id) FROM products t1 FULL JOIN small2 t2 ON t2.v = t1.name AND t2.v <> 'nz' LEFT JOIN user_totals t3 ON t3.name = t1.name AND t3.name IS NULL WHERE NOT (t1.price = 36 OR t1.id = 17) AND t2.v LIKE 'A%' GROUP BY t3.id HAVING count(*) > 2

SELECT t1.id, lag(t2.name) OVER (ORDER BY t1.id, t2.id) AS w FROM users t1 RIGHT JOIN active_users t2 ON t2.id = t1.id

SELECT d.k, d.v FROM (SELECT t3.user_id AS k, t3.quantity AS v FROM order_items t3) d WHERE d.k = 9 

SELECT t1.id, count(*) OVER (PARTITION BY t1.name) AS w FROM active_users t1 WHERE t1.id NOT IN (SELECT t2.id FROM active_users t2 WHERE t2.age >= 23)

SELECT t3.name FROM user_totals t3 INTERSECT SELECT t4.name FROM users t4 WHERE EXISTS (SELECT 1 FROM users t5 WHERE t5.country = t4.name AND t5.id IN (40, 6, 7))

SELECT DISTINCT t2.user_id FROM orders t1 JOIN orders t2 ON t2.user_id = t1.user_id AND t2.user_id = 16 FULL JOIN users t3 ON t3.age = t2.user_id AND t3.country LIKE '_%' WHERE t1.amount IN (39, 31, 17) AND NOT (t3.age = 7 OR t3.id = 14)

SELECT t1.id, lag(t1.country) OVER (ORDER BY t1.id, t2.id) AS w FROM users t1 JOIN user_totals t2 ON t2.id = t1.id AND t2.total IN (28, 29, 19) WHERE t1.name >= 'v1' AND t2.total <> 38

SELECT t2.id, t1.id, t2.id FROM active_users t1 LEFT JOIN user_totals t2 ON t2.id = t1.id WHERE t1.id IN (30, 29, 21) AND t1.id IN (18,38) ORDER BY t2.id DESC, t1.id, t2.id

SELECT t2.user_id, count(DISTINCT t1.total) FROM user_totals t1 JOIN order_items t2 ON t2.user_id = t1.id AND t2.line = 29 WHERE t1.total <> 1 AND t1.id NOT IN (SELECT t3.id FROM users t3 WHERE t3.active IN (true, true, true)) GROUP BY t2.user_id

SELECT t1.name, t1.id, t2.id FROM users t1 FULL JOIN small2 t2 ON t2.id = t1.id WHERE EXISTS (SELECT 1 FROM accounts t3 WHERE t3.id = t1.id) ORDER BY t1.name NULLS FIRST, t1.id, t2.id

SELECT t3.id, t1.user_id, t1.id, t2.user_id, t2.order_id, t2.line, t3.id FROM orders t1 LEFT JOIN order_items t2 ON t2.user_id = t1.amount JOIN active_users t3 ON t3.id = t2.user_id AND t3.id < 27 WHERE NOT (t1.id = 29 OR t1.user_id = 14) ORDER BY t3.id DESC, t1.user_id, t1.id, t2.user_id, t2.order_id, t2.line, t3.id OFFSET 4

SELECT DISTINCT t1.amount FROM orders t1 WHERE t1.user_id <> 35 AND t1.user_id = 8

SELECT t2.country, t1.id, array_agg(t2.id ORDER BY t1.id, t2.id, t3.id, t2.id), sum(t1.id), avg(t2.id) FILTER (WHERE t2.active IS NOT NULL) FROM small2 t1 LEFT JOIN users t2 ON t2.age = t1.id LEFT JOIN users t3 ON t3.id = t1.id WHERE t3.id = 25 AND t3.active IN (false, true, false) GROUP BY t2.country, t1.id

SELECT d.k, d.v FROM (SELECT t3.user_id AS k, array_agg(t3.id ORDER BY t3.user_id, t3.id, t3.id) FILTER (WHERE t3.user_id < 11) AS v FROM orders t3 GROUP BY t3.user_id) d

SELECT string_agg(t3.id::text, ',' ORDER BY t1.id, t2.user_id, t2.id, t3.id, t3.id) FILTER (WHERE t1.name >= 'eu'), sum(t1.age), count(t1.age) FROM active_users t1 RIGHT JOIN scores t2 ON t2.user_id = t1.id AND NOT (t2.id = 31 OR t2.user_id = 29) LEFT JOIN small2 t3 ON t3.id = t2.part WHERE t3.id = (SELECT count(t4.user_id) FROM orders t4)

SELECT t1.age, t1.id FROM users t1 WHERE t1.id >= (SELECT min(t2.orders) FROM user_totals t2 WHERE t2.id = t1.id) ORDER BY t1.age DESC NULLS LAST, t1.id OFFSET 1

SELECT t1.user_id, t1.user_id, t1.id FROM scores t1 WHERE t1.part >= (SELECT max(t2.id) FROM small4 t2) ORDER BY t1.user_id DESC NULLS LAST, t1.user_id, t1.id LIMIT 9

SELECT t4.part FROM scores t4 UNION SELECT t5.balance FROM accounts t5 WHERE t5.balance <> -1

WITH d AS (SELECT t3.user_id AS k, sum(t3.id) AS v FROM scores t3 GROUP BY t3.user_id) SELECT count(*), min(d.k), max(d.k) FROM d LEFT JOIN active_users t4 ON t4.id = d.k WHERE d.k = 8 

SELECT t1.user_id, t1.user_id, t1.id FROM scores t1 WHERE t1.user_id IN (0,15) ORDER BY t1.user_id , t1.user_id, t1.id

SELECT t1.user_id, t1.user_id, t1.id FROM orders t1 WHERE t1.user_id = 24 ORDER BY t1.user_id NULLS FIRST, t1.user_id, t1.id OFFSET 9

SELECT count(*), sum(x.w::text::numeric) FROM (SELECT t1.id, row_number() OVER (ORDER BY t1.id, t2.id) AS w FROM active_users t1 JOIN small2 t2 ON t2.id = t1.age WHERE t1.name IN ('nz', 'a', 'eu') AND t2.id = 3 AND NOT EXISTS (SELECT 1 FROM orders t3 WHERE t3.id = t2.id AND t3.id IS NOT NULL)) x WHERE x.w < 1

SELECT array_agg(t2.orders ORDER BY t1.user_id, t1.id, t2.id, t2.orders) FROM orders t1 LEFT JOIN user_totals t2 ON t2.id = t1.user_id AND NOT (t2.orders = 34 OR t2.id = 4) WHERE t2.id IN (33,-1) AND EXISTS (SELECT 1 FROM user_totals t3 WHERE t3.id = t2.id)

SELECT min(t2.age), count(*) FROM users t1 JOIN active_users t2 ON t2.id = t1.id WHERE t1.id IN (18,34) AND t2.name IS NULL

SELECT d.k, d.v FROM (SELECT t2.user_id AS k, t2.order_id AS v FROM order_items t2) d JOIN orders t3 ON t3.user_id = d.k

SELECT count(DISTINCT t1.total) FROM user_totals t1 LEFT JOIN user_totals t2 ON t2.id = t1.id FULL JOIN products t3 ON t3.id = t2.total WHERE NOT EXISTS (SELECT 1 FROM user_totals t4 WHERE t4.id = t1.id AND NOT (t4.orders = 30 OR t4.id = 28)) AND t2.name < 'new' AND t2.id NOT IN (SELECT t5.id FROM users t5 WHERE t5.country LIKE '_%') AND t3.id = 16

SELECT t3.code FROM countries t3 WHERE t3.code = 'ann' EXCEPT SELECT t4.name FROM active_users t4 WHERE t4.age BETWEEN 39 AND 20

SELECT t1.n, t1.name FROM names t1 WHERE t1.name IS DISTINCT FROM 'a' AND t1.name IN ('ann','nz') AND t1.name LIKE '%a%' ORDER BY t1.n NULLS FIRST, t1.name

SELECT t3.user_id, t2.id, max(t2.id) FROM active_users t1 RIGHT JOIN user_totals t2 ON t2.id = t1.id JOIN scores t3 ON t3.user_id = t1.id WHERE t3.user_id < (SELECT count(t4.total) FROM user_totals t4 WHERE t4.id = t3.user_id) GROUP BY t3.user_id, t2.id

SELECT t3.id FROM small4 t3 UNION ALL SELECT t4.n FROM names t4 WHERE t4.n IS NOT NULL

SELECT max(t1.orders), count(t1.total) FROM user_totals t1

SELECT DISTINCT t1.id FROM scores t1 WHERE t1.user_id = 33

SELECT t1.id, avg(t1.id) FROM active_users t1 WHERE NOT (t1.age = 27 OR t1.id = 2) GROUP BY t1.id

SELECT t1.user_id, count(DISTINCT t1.id), count(t1.part) FROM scores t1 WHERE EXISTS (SELECT 1 FROM levels t2 WHERE t2.level = t1.part AND t2.label <> 'nz') GROUP BY t1.user_id

SELECT count(*), sum(x.w::text::numeric) FROM (SELECT t1.id, row_number() OVER (ORDER BY t1.id, t2.user_id, t2.id) AS w FROM users t1 LEFT JOIN scores t2 ON t2.user_id = t1.id WHERE t1.active IS NULL AND t2.part < 4) x WHERE x.w < 14

SELECT t1.level, t1.level FROM levels t1 WHERE t1.level = -1 ORDER BY t1.level DESC NULLS LAST, t1.level LIMIT 7 OFFSET 2

SELECT t1.key, t1.key FROM settings t1 ORDER BY t1.key DESC NULLS LAST, t1.key LIMIT 1 OFFSET 5

WITH d AS (SELECT t4.user_id AS k, max(t4.id) AS v FROM orders t4 GROUP BY t4.user_id) SELECT count(*), min(d.k), max(d.k) FROM d

SELECT d.k, d.v FROM (SELECT t3.id AS k, t3.name AS v FROM active_users t3) d RIGHT JOIN users t5 ON t5.id = d.k WHERE d.k IN (1, 2, 3) 

SELECT d.k, d.v FROM (SELECT t3.id AS k, count(*) FILTER (WHERE NOT (t3.id = 36 OR t3.id = 2)) AS v FROM active_users t3 WHERE t3.id IN (17, 17, 26) AND t3.name IN (SELECT t4.status FROM orders t4 WHERE t4.amount = 6) GROUP BY t3.id) d RIGHT JOIN order_items t5 ON t5.user_id = d.k

SELECT count(*), sum(x.w::text::numeric) FROM (SELECT t1.name, row_number() OVER (ORDER BY t1.name) AS w FROM names t1 WHERE t1.name = 'v1') x WHERE x.w < 14

SELECT t1.country, t1.id, t2.user_id, t2.id FROM users t1 JOIN orders t2 ON t2.amount = t1.age WHERE t1.id IS NOT NULL AND t1.id = 29 ORDER BY t1.country DESC NULLS LAST, t1.id, t2.user_id, t2.id LIMIT 6 OFFSET 2

SELECT t1.id, count(*) OVER (PARTITION BY t1.id) AS w FROM user_totals t1 WHERE t1.id IS DISTINCT FROM 21

SELECT t1.status, t1.id, count(DISTINCT t1.id), count(*) FROM orders t1 WHERE t1.status IS NULL GROUP BY t1.status, t1.id

SELECT t1.id, row_number() OVER (PARTITION BY t1.total ORDER BY t1.id) AS w FROM user_totals t1 WHERE NOT EXISTS (SELECT 1 FROM products t2 WHERE t2.id = t1.id)

SELECT max(t1.user_id), count(*), avg(t1.part) FROM scores t1 WHERE t1.id IS DISTINCT FROM 37

SELECT t5.name FROM users t5 WHERE t5.name >= 'a' AND t5.name IN (SELECT t6.status FROM orders t6 WHERE t6.amount BETWEEN 10 AND 22)

SELECT t2.name FROM user_totals t2 UNION ALL SELECT t3.status FROM orders t3 UNION ALL SELECT t4.region FROM accounts t4

SELECT t1.user_id, lag(t1.product_id) OVER (ORDER BY t1.user_id, t1.order_id, t1.line) AS w FROM order_items t1

SELECT d.k, d.v FROM (SELECT t2.id AS k, min(t2.id) AS v FROM users t2 GROUP BY t2.id) d

SELECT t1.user_id, row_number() OVER (ORDER BY t1.user_id, t1.id, t2.id) AS w FROM orders t1 LEFT JOIN user_totals t2 ON t2.id = t1.user_id WHERE t1.amount IN (18, 13, 14) AND t1.id BETWEEN -1 AND 19 AND t2.name IN ('eu', 'nz', 'eu')

SELECT d.k, d.v FROM (SELECT t4.id AS k, sum(t4.age) AS v FROM users t4 WHERE NOT EXISTS (SELECT 1 FROM countries t5 WHERE t5.code = t4.country AND t5.code LIKE '_%') GROUP BY t4.id) d JOIN scores t6 ON t6.user_id = d.k WHERE d.k IN (1, 2, 3) 

SELECT t5.name FROM names t5 WHERE NOT (t5.n = 3 OR t5.name = 'eu') AND t5.name IN ('new','eu') AND t5.n IN (SELECT t6.age FROM users t6 WHERE t6.name IS DISTINCT FROM 'a')

SELECT t1.name, t1.code, count(*), count(*) FROM countries t1 WHERE t1.code = 'eu' GROUP BY t1.name, t1.code

SELECT t1.id, lag(t2.user_id) OVER (ORDER BY t1.id, t2.user_id, t2.id) AS w FROM active_users t1 RIGHT JOIN orders t2 ON t2.user_id = t1.age AND t2.id >= 32

SELECT avg(t1.line) FILTER (WHERE t1.quantity BETWEEN 30 AND 9), count(DISTINCT t1.product_id), count(*) FROM order_items t1 WHERE t1.user_id IS DISTINCT FROM 20

SELECT t1.label, t1.level FROM levels t1 ORDER BY t1.label DESC, t1.level LIMIT 9

SELECT t1.id, rank() OVER (ORDER BY t1.id) AS w FROM user_totals t1 JOIN users t2 ON t2.country = t1.name WHERE t1.id <> 30 AND t1.total >= (SELECT max(t3.id) FROM small4 t3) AND t2.age IS NULL

SELECT DISTINCT t1.total FROM user_totals t1 FULL JOIN names t2 ON t2.n = t1.total WHERE t1.name >= 'v1' AND t2.name LIKE '%a%'

WITH d AS (SELECT t3.id AS k, count(*) AS v FROM users t3 GROUP BY t3.id) SELECT count(*), min(d.k), max(d.k) FROM d JOIN user_totals t4 ON t4.id = d.k WHERE d.k IN (1, 2, 3) 

SELECT min(t1.level) FROM levels t1

SELECT t1.code, count(*) FILTER (WHERE NOT (t2.orders = 30 OR t2.id = 3)), count(*) FROM countries t1 RIGHT JOIN user_totals t2 ON t2.name = t1.code WHERE t1.code IS DISTINCT FROM 'eu' AND t1.code >= 'eu' AND t2.id >= 19 GROUP BY t1.code

SELECT t1.id, t1.user_id, t1.id FROM orders t1 ORDER BY t1.id DESC, t1.user_id, t1.id

SELECT t1.name, min(t2.quantity) FROM active_users t1 JOIN order_items t2 ON t2.user_id = t1.id WHERE t1.name NOT IN (SELECT t3.label FROM levels t3) AND t2.order_id IN (22, 16, 2) GROUP BY t1.name

SELECT t1.user_id, t1.user_id, t1.id FROM scores t1 WHERE t1.user_id IN (25,13) AND t1.id >= 30 ORDER BY t1.user_id DESC, t1.user_id, t1.id OFFSET 3

SELECT t1.user_id, row_number() OVER (ORDER BY t1.user_id, t1.id, t2.id, t3.id) AS w FROM orders t1 JOIN user_totals t2 ON t2.orders = t1.id FULL JOIN small4 t3 ON t3.v = t2.name AND t3.v < 'nz' WHERE t1.user_id IS NOT NULL AND t2.total IS NOT NULL

SELECT t1.amount, t1.user_id, count(*), array_agg(t1.amount ORDER BY t1.user_id, t1.id, t2.user_id, t2.id, t3.name, t1.amount), avg(t3.n) FROM orders t1 LEFT JOIN scores t2 ON t2.user_id = t1.user_id RIGHT JOIN names t3 ON t3.n = t2.part AND t3.n IS DISTINCT FROM 37 WHERE t1.amount <> 34 GROUP BY ROLLUP (t1.amount, t1.user_id)

SELECT t3.part FROM scores t3 UNION ALL SELECT t4.id FROM active_users t4 WHERE t4.name IN ('nz', 'ann', 'v1')

SELECT t1.user_id, avg(t2.orders), count(*), string_agg(t2.orders::text, ',' ORDER BY t1.user_id, t1.id, t2.id, t2.orders) FILTER (WHERE t1.user_id < 21) FROM scores t1 JOIN user_totals t2 ON t2.id = t1.user_id AND t2.name < 'v1' WHERE NOT (t2.id = 37 OR t2.id = 39) GROUP BY t1.user_id

SELECT t1.user_id, rank() OVER (ORDER BY t1.amount) AS w FROM orders t1

SELECT count(*), count(*) FILTER (WHERE t1.code IS NOT NULL) FROM countries t1 WHERE t1.code LIKE '%o%'

SELECT t1.user_id, row_number() OVER (PARTITION BY t1.status ORDER BY t1.user_id, t1.id, t3.id) AS w FROM orders t1 LEFT JOIN users t3 ON t3.id = t1.user_id WHERE EXISTS (SELECT 1 FROM users t4 WHERE t4.name = t3.country)

SELECT sum(t1.id) FROM scores t1 LEFT JOIN order_items t2 ON t2.user_id = t1.user_id WHERE t1.user_id = 4

SELECT t2.product_id, t1.id, t2.user_id, t2.order_id, t2.line FROM users t1 JOIN order_items t2 ON t2.user_id = t1.id AND t2.line IN (11, 27, 9) WHERE t2.user_id IS DISTINCT FROM 16 ORDER BY t2.product_id DESC, t1.id, t2.user_id, t2.order_id, t2.line LIMIT 4 OFFSET 4

SELECT d.k, d.v FROM (SELECT t2.id AS k, t2.total AS v FROM user_totals t2 WHERE t2.name IS DISTINCT FROM 'new' AND t2.total = (SELECT max(t4.user_id) FROM scores t4)) d FULL JOIN scores t5 ON t5.user_id = d.k

SELECT t3.name, count(*), count(*) FROM countries t1 JOIN user_totals t2 ON t2.name = t1.name JOIN active_users t3 ON t3.id = t2.id WHERE t1.code = 'eu' AND t1.name LIKE 'A%' AND t3.age IN (21, 9, 26) GROUP BY t3.name HAVING count(*) > 0

SELECT t1.line, count(DISTINCT t1.order_id) FILTER (WHERE NOT (t1.quantity = 22 OR t1.user_id = 39)) FROM order_items t1 GROUP BY t1.line

SELECT t2.id, sum(t2.id), count(*) FROM small2 t1 RIGHT JOIN small4 t2 ON t2.v = t1.v AND t2.id IN (39, 24, 5) JOIN scores t3 ON t3.id = t1.id WHERE t3.id IS NOT NULL GROUP BY t2.id

SELECT DISTINCT t1.user_id FROM scores t1

SELECT d.k, d.v FROM (SELECT t4.user_id AS k, string_agg(t4.amount::text, ',' ORDER BY t4.user_id, t4.id, t4.amount) AS v FROM orders t4 WHERE t4.status >= 'a' GROUP BY t4.user_id) d

WITH d AS (SELECT t3.id AS k, count(*) AS v FROM user_totals t3 WHERE t3.orders IN (SELECT t4.id FROM users t4 WHERE t4.age < 20) GROUP BY t3.id) SELECT count(*), min(d.k), max(d.k) FROM d FULL JOIN order_items t5 ON t5.user_id = d.k WHERE d.k = 17 

SELECT d.k, d.v FROM (SELECT t2.id AS k, t2.name AS v FROM active_users t2 WHERE NOT EXISTS (SELECT 1 FROM settings t3 WHERE t3.value = t2.name AND t3.key = 'eu')) d FULL JOIN order_items t4 ON t4.user_id = d.k WHERE d.k = 9 

SELECT t1.v, t1.id FROM small2 t1 WHERE t1.id >= (SELECT min(t2.user_id) FROM orders t2) ORDER BY t1.v DESC NULLS LAST, t1.id

SELECT t3.part, t2.name, string_agg(t3.user_id::text, ',' ORDER BY t1.user_id, t1.id, t2.id, t3.user_id, t3.id, t3.user_id) FROM orders t1 LEFT JOIN user_totals t2 ON t2.id = t1.user_id AND t2.id <> 18 RIGHT JOIN scores t3 ON t3.id = t2.orders WHERE t1.amount IN (37, 13, 35) AND t1.user_id = 1 AND EXISTS (SELECT 1 FROM settings t4 WHERE t4.key = t1.status) AND t2.id < 31 AND t2.total IN (SELECT t5.level FROM levels t5) GROUP BY t3.part, t2.name

WITH d AS (SELECT t4.user_id AS k, t4.id AS v FROM orders t4 WHERE t4.user_id IN (28,27)) SELECT count(*), min(d.k), max(d.k) FROM d LEFT JOIN scores t5 ON t5.user_id = d.k

SELECT t2.id, t1.id, t2.id, t3.id FROM active_users t1 FULL JOIN users t2 ON t2.id = t1.id JOIN user_totals t3 ON t3.id = t1.id WHERE t2.country LIKE 'A%' AND t3.name < 'ann' AND t3.total >= (SELECT min(t4.age) FROM users t4 WHERE t4.id = t3.id) ORDER BY t2.id DESC, t1.id, t2.id, t3.id LIMIT 4

SELECT t1.id, t1.user_id, t1.id FROM orders t1 WHERE t1.user_id IN (5,37) ORDER BY t1.id NULLS FIRST, t1.user_id, t1.id

SELECT d.k, d.v FROM (SELECT t2.id AS k, array_agg(t2.age ORDER BY t2.id, t2.age) AS v FROM users t2 WHERE t2.active = false GROUP BY t2.id) d JOIN orders t3 ON t3.user_id = d.k

SELECT count(*), sum(x.w::text::numeric) FROM (SELECT t1.id, row_number() OVER (ORDER BY t1.id) AS w FROM small4 t1 WHERE t1.id = 35) x WHERE x.w < 10

SELECT t2.quantity, t1.id, t2.user_id, t2.order_id, t2.line FROM active_users t1 LEFT JOIN order_items t2 ON t2.user_id = t1.id WHERE t1.id IN (7,6) ORDER BY t2.quantity , t1.id, t2.user_id, t2.order_id, t2.line OFFSET 1

SELECT DISTINCT t2.user_id FROM active_users t1 RIGHT JOIN orders t2 ON t2.status = t1.name WHERE t2.id IS NULL

SELECT t3.user_id FROM orders t3 UNION SELECT t4.order_id FROM order_items t4 UNION SELECT t5.id FROM accounts t5

SELECT d.k, d.v FROM (SELECT t2.id AS k, t2.orders AS v FROM user_totals t2 WHERE t2.orders IN (21, 18, -1)) d

SELECT t3.orders, t1.user_id, t1.order_id, t1.line, t2.user_id, t2.order_id, t2.line, t3.id FROM order_items t1 LEFT JOIN order_items t2 ON t2.user_id = t1.user_id JOIN user_totals t3 ON t3.id = t2.user_id WHERE t1.quantity IS NULL ORDER BY t3.orders NULLS FIRST, t1.user_id, t1.order_id, t1.line, t2.user_id, t2.order_id, t2.line, t3.id LIMIT 2 OFFSET 1

SELECT max(t1.user_id), min(t1.amount) FROM orders t1

SELECT d.k, d.v FROM (SELECT t2.id AS k, t2.total AS v FROM user_totals t2 WHERE t2.name IS NULL) d RIGHT JOIN scores t3 ON t3.user_id = d.k

SELECT t2.name FROM products t2 WHERE EXISTS (SELECT 1 FROM names t3 WHERE t3.name = t2.name AND NOT (t3.n = 6 OR t3.name = 'new')) UNION ALL SELECT t4.name FROM user_totals t4 WHERE t4.id <> 38 AND t4.id = 4

SELECT t1.id, count(t1.id) FROM active_users t1 WHERE t1.name IN ('eu', 'a', 'a') AND t1.id IN (36,35) GROUP BY t1.id

SELECT t2.name FROM user_totals t2 WHERE t2.name NOT IN (SELECT t3.status FROM orders t3 WHERE t3.id >= 1) UNION ALL SELECT t4.name FROM active_users t4 UNION ALL SELECT t5.status FROM orders t5 WHERE NOT (t5.amount = 16 OR t5.user_id = 6)

SELECT t4.name FROM products t4 UNION ALL SELECT t5.name FROM active_users t5

SELECT t2.id FROM small4 t2 WHERE t2.v LIKE '%o%' UNION ALL SELECT t3.id FROM active_users t3 WHERE t3.id IN (24, 33, 0) AND t3.id IN (11,-1) UNION ALL SELECT t4.amount FROM orders t4

SELECT t1.id, row_number() OVER (ORDER BY t1.id) AS w FROM user_totals t1 WHERE t1.total IS NULL AND EXISTS (SELECT 1 FROM user_totals t2 WHERE t2.id = t1.id AND t2.orders = 12)

SELECT count(*) FROM orders t1 WHERE t1.user_id >= 18 AND t1.user_id IN (1,10) AND t1.status IN (SELECT t2.name FROM active_users t2)

SELECT DISTINCT t1.id FROM orders t1 WHERE t1.status >= 'nz'

SELECT string_agg(t1.id::text, ',' ORDER BY t1.user_id, t1.id, t1.id), count(*) FROM scores t1

SELECT t1.id, count(t1.age), count(*), min(t1.id) FROM users t1 FULL JOIN order_items t2 ON t2.user_id = t1.id WHERE t1.id >= 38 AND t1.id = 10 GROUP BY t1.id

SELECT t1.price, t1.id FROM products t1 WHERE NOT (t1.name = 'ann' OR t1.id = 2) AND t1.name IS DISTINCT FROM 'v1' ORDER BY t1.price NULLS FIRST, t1.id

SELECT d.k, d.v FROM (SELECT t2.user_id AS k, t2.user_id AS v FROM scores t2 WHERE NOT (t2.user_id = 22 OR t2.user_id = 26) AND t2.part IN (40, 5, 17)) d

SELECT t2.user_id, count(*), min(t2.user_id), count(*) FROM levels t1 JOIN scores t2 ON t2.user_id = t1.level WHERE NOT (t1.level = -1 OR t1.level = 14) AND t1.level IN (24,0) GROUP BY t2.user_id

WITH d AS (SELECT t3.user_id AS k, count(t3.user_id) AS v FROM scores t3 WHERE t3.user_id IS DISTINCT FROM 26 GROUP BY t3.user_id) SELECT count(*), min(d.k), max(d.k) FROM d WHERE d.k IN (1, 2, 3) 

SELECT DISTINCT t2.age FROM user_totals t1 JOIN active_users t2 ON t2.age = t1.id WHERE t2.id IN (5,37)

SELECT count(*) FROM active_users t1 RIGHT JOIN orders t2 ON t2.user_id = t1.id LEFT JOIN countries t3 ON t3.name = t2.status WHERE NOT (t1.id = -1 OR t1.id = 19) AND t1.id = 40 AND t2.user_id >= 7

SELECT t3.id FROM user_totals t3 EXCEPT ALL SELECT t4.user_id FROM scores t4 WHERE EXISTS (SELECT 1 FROM active_users t5 WHERE t5.age = t4.id) EXCEPT ALL SELECT t6.amount FROM orders t6

SELECT DISTINCT t1.name FROM users t1 WHERE t1.age BETWEEN 32 AND 36

SELECT t1.id, t1.age, count(DISTINCT t1.age), count(t1.age) FROM users t1 GROUP BY t1.id, t1.age

