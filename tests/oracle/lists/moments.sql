-- The moment of a statement and of a transaction, over several shards.

--! must
SELECT now() = statement_timestamp() FROM users LIMIT 1

--! must
SELECT count(*) FROM users WHERE now() = statement_timestamp()

--! must
SELECT id FROM users WHERE now() = statement_timestamp() ORDER BY id

--! must
SELECT count(*) FROM users u JOIN names n ON n.name = u.name WHERE now() = statement_timestamp()

--! must
SELECT count(DISTINCT now()), count(DISTINCT statement_timestamp()) FROM users u JOIN names n ON n.name = u.name

--! must
SELECT now() = transaction_timestamp(), CURRENT_TIMESTAMP = statement_timestamp(), id FROM users ORDER BY id

--! must
SELECT bool_and(clock_timestamp() >= now()), bool_and(statement_timestamp() <= clock_timestamp()) FROM users

--! script
BEGIN
SELECT count(*) FROM users u JOIN names n ON n.name = u.name WHERE now() < statement_timestamp()
SELECT count(DISTINCT now()) FROM users
SELECT now() = transaction_timestamp(), statement_timestamp() > now() FROM users ORDER BY id LIMIT 1
SELECT bool_and(now() < statement_timestamp()) FROM users
COMMIT

--! must
--! param text now
SELECT DISTINCT $1 || 'x' FROM users
