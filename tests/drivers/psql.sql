-- Run by tests/drivers.rs with -A -t; what it must print is in psql.expected.
\set ON_ERROR_STOP 1
DELETE FROM orders WHERE user_id = 501;
DELETE FROM users WHERE id = 501;
DELETE FROM settings WHERE k = 'psql';
INSERT INTO users (id, name) VALUES (501, 'Ana');
SELECT id, name FROM users WHERE id = 501;
BEGIN;
INSERT INTO orders (user_id, id, amount) VALUES (501, 1, 10.50), (501, 2, 4);
SAVEPOINT before_third;
INSERT INTO orders (user_id, id, amount) VALUES (501, 3, 99);
ROLLBACK TO SAVEPOINT before_third;
COMMIT;
SELECT count(*), sum(amount) FROM orders WHERE user_id = 501;
SELECT name FROM countries WHERE code = 'nz';
\copy settings from stdin with (format csv)
psql,"a ""quoted"" value"
\.
\copy (SELECT v FROM settings WHERE k = 'psql') to stdout with (format csv)
SELECT v AS value FROM settings WHERE k = 'psql' \gset
\echo :value
UPDATE users SET name = 'Bea' WHERE id = 501 RETURNING name;
\set ON_ERROR_STOP 0
\set VERBOSITY sqlstate
INSERT INTO users (id, name) VALUES (501, 'again');
SELECT 1 / 0;
\echo :SQLSTATE
SELECT 'still here' \; SELECT 'and again';
