-- now() and its like in a block are one moment, on whichever shard they are asked for.

--! script
--! must
BEGIN
INSERT INTO users (id, name) VALUES (910001, now()::text)
INSERT INTO users (id, name) VALUES (910002, now()::text)
INSERT INTO users (id, name) VALUES (910003, current_timestamp::text), (910004, transaction_timestamp()::text)
INSERT INTO users (id, name) VALUES (910005, pg_catalog.now()::text)
SELECT count(DISTINCT name), count(*) FROM users WHERE id BETWEEN 910001 AND 910005
ROLLBACK

--! script
--! must
BEGIN
INSERT INTO orders (user_id, id, amount, placed_at) VALUES (1, 910001, 1, now())
UPDATE orders SET placed_at = CURRENT_TIMESTAMP WHERE user_id = 2
UPDATE orders SET placed_at = now() WHERE user_id = 3
UPDATE orders SET placed_at = now() WHERE user_id = 4
UPDATE orders SET placed_at = now() WHERE user_id = 5
SELECT count(DISTINCT placed_at) FROM orders WHERE user_id IN (2, 3, 4, 5) OR id = 910001
SELECT count(*) > 0 FROM orders WHERE placed_at = now()
SELECT count(*) FROM orders WHERE user_id = 2 AND placed_at <> now()
SELECT count(*) FROM orders WHERE user_id = 3 AND placed_at <> now()
SELECT count(*) FROM orders WHERE user_id = 4 AND placed_at <> now()
SELECT id FROM orders WHERE placed_at > now() ORDER BY id LIMIT 3
ROLLBACK

--! script
--! must
--! opaque 1
BEGIN
SELECT id, now() FROM users WHERE id = 1
SELECT id, now() FROM users WHERE id = 2
SELECT id, now() FROM users WHERE id = 3
SELECT id, current_timestamp(3) FROM users WHERE id = 4
SELECT id, now()::date FROM users WHERE id = 5
SELECT id, current_date FROM users WHERE id = 1
SELECT id, localtimestamp(0)::date FROM users WHERE id = 2
SELECT id, coalesce(NULL, now()) FROM users WHERE id = 3
SELECT id, CASE WHEN id < 0 THEN NULL ELSE now() END FROM users WHERE id = 4
SELECT id, now() AS moment FROM users WHERE id = 5
SELECT id, now() - now() FROM users WHERE id = 1
UPDATE users SET name = name WHERE id = 2 RETURNING id, now()
UPDATE users SET name = name WHERE id = 3 RETURNING id, current_time
SELECT id, nosuch, now() FROM users WHERE id = 3
ROLLBACK

--! script
--! must
BEGIN
SELECT id FROM users WHERE id = 1
SELECT id FROM users WHERE id = 2 AND now() < '2000-01-01'
SELECT id FROM users WHERE id = 3 AND now() > '2000-01-01'
SELECT id FROM users WHERE id = 4 AND now() = statement_timestamp() - interval '1 year'
ROLLBACK

--! script
BEGIN
SELECT id FROM users WHERE id = 1
SELECT age(now()) < interval '2 days' AS young FROM users WHERE id = 5
ROLLBACK
