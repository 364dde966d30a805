-- PREPARE, EXECUTE and DEALLOCATE as SQL.

--! must
--! script
PREPARE p (bigint) AS SELECT name FROM users WHERE id = $1
EXECUTE p (1)
EXECUTE p (2)
EXECUTE p ('3')
EXECUTE p (1 + 3)
EXECUTE p (4.6)
EXECUTE p (NULL)
EXECUTE p (-1)
EXECUTE p (abs(-5))
EXECUTE p (length('abc')::int2)
execute P(7);
DEALLOCATE p
EXECUTE p (1)
DEALLOCATE p

--! must
--! script
--! unordered
PREPARE everyone AS SELECT id, name FROM users WHERE age > $1 ORDER BY id
EXECUTE everyone (30)
EXECUTE everyone (30.4)
EXECUTE everyone ('40')
EXECUTE everyone (true)
EXECUTE everyone ()
EXECUTE everyone
EXECUTE everyone (1, 2)
EXECUTE everyone ('x')
EXECUTE everyone (nothing)
EXECUTE everyone (1 +)
EXECUTE everyone (40)

--! must
--! script
PREPARE s (text, int) AS SELECT count(*), max(age), $1 AS given, $1 || 'x' FROM users WHERE country IS DISTINCT FROM $1 AND age >= $2
EXECUTE s ('DE', 20)
EXECUTE s (E'it''s \\ \n', 20)
EXECUTE s ('it''s', 1e1)
EXECUTE s (NULL, '30')
EXECUTE s ('a' || 'b', 2 * 3)
EXECUTE s (upper('de')::varchar(1), 20)

--! must
--! script
PREPARE g AS SELECT country, count(*) FROM users WHERE id <> ALL ($1) GROUP BY country ORDER BY country NULLS FIRST
EXECUTE g (ARRAY[1, 2, 3])
EXECUTE g ('{4,5}')
EXECUTE g (ARRAY[[1, 2], [3, 4]])
EXECUTE g (string_to_array('1,2', ',')::bigint[])

--! must
--! script
PREPARE ranked AS SELECT id, row_number() OVER (ORDER BY age, id) FROM users WHERE age < $1 ORDER BY id LIMIT $2
EXECUTE ranked (50, 3)
EXECUTE ranked (50, NULL)
EXECUTE ranked (50, -1)

--! must
--! script
PREPARE i (bigint, text, int) AS INSERT INTO users (id, name, age) VALUES ($1, $2, $3) RETURNING id, name, age
EXECUTE i (9001, 'one', 1)
EXECUTE i (9002, 'two', 2 + 2)
EXECUTE i (9001, 'one', 1)
EXECUTE i (9003, NULL, 1)
EXECUTE i (9004, 'bad', -1)
PREPARE two AS INSERT INTO users (id, name) VALUES ($1, $2), ($3, $4)
EXECUTE two (9005, 'five', 9006, 'six')
PREPARE u AS UPDATE users SET age = $2 WHERE id >= $1
EXECUTE u (9001, 77)
PREPARE d AS DELETE FROM users WHERE id >= $1
EXECUTE d (9001)
EXECUTE d (9001)
SELECT count(*) FROM users WHERE id >= 9001

--! must
--! script
PREPARE p AS SELECT id FROM users WHERE id = $1
PREPARE p AS SELECT 2
PREPARE p AS SELECT nothing
PREPARE "P" AS SELECT 3
EXECUTE "P"
EXECUTE p (3)
PREPARE q AS SELECT * FROM no_such_table
PREPARE q AS SELECT $1 + $2 FROM users WHERE nothing = 1
PREPARE q AS CREATE TABLE x (a int)
PREPARE q (no_such_type) AS SELECT $1
PREPARE q AS
PREPARE q
PREPARE q AS SELECT id FROM users WHERE id = $2 AND age = 1 + $1
EXECUTE q (30, 1)
EXECUTE q (NULL, 1)
DEALLOCATE ALL
EXECUTE p (3)
EXECUTE "P"
DEALLOCATE PREPARE q
PREPARE p AS SELECT 1
DISCARD ALL
EXECUTE p

--! must
--! script
BEGIN
PREPARE p (bigint) AS SELECT name FROM users WHERE id = $1
EXECUTE p (1)
INSERT INTO users (id, name) VALUES (9100, 'within')
EXECUTE p (9100)
SAVEPOINT s
EXECUTE p ('x')
EXECUTE p (1)
PREPARE r AS SELECT 1
DEALLOCATE p
ROLLBACK TO s
EXECUTE p (2)
ROLLBACK
EXECUTE p (2)
EXECUTE p (9100)
BEGIN
DEALLOCATE p
ROLLBACK
EXECUTE p (2)

--! must
--! script
PREPARE v (int) AS VALUES ($1, 'a'), ($1 + 1, 'b')
EXECUTE v (1)
PREPARE m (mood) AS SELECT user_id, id, mood FROM scores WHERE mood = $1 ORDER BY user_id, id
EXECUTE m ('ok')
EXECUTE m ('happy'::mood)
EXECUTE m ('none')
EXECUTE m (1)
PREPARE t AS SELECT $1::timestamptz, $2::interval, $3::numeric, $4::bytea, $5::jsonb, $6::float8
EXECUTE t ('2026-01-02 03:04:05.678+00', '1 day -2 hours', 1.50, '\x00ff', '{"a": [1, 2]}', 0.1 + 0.2)
EXECUTE t (timestamptz '2026-01-02 03:04:05+00' + interval '1 hour', interval '-1 mon', 1e-10, '\x'::bytea, jsonb_build_object('b', NULL), 'NaN')

--! script
PREPARE p (bigint) AS SELECT name FROM users WHERE id = $1
EXECUTE p (nextval('audit_id_seq'))
SET search_path = other, public
EXECUTE p (1)
RESET search_path
EXECUTE p (1)

--! must
--! script
PREPARE a AS SELECT name FROM settings s RIGHT JOIN products p ON s.value = p.name WHERE p.id = $1
EXECUTE a (1)
PREPARE e (bigint) AS SELECT name FROM users WHERE id = $1 /* as */ -- the end
EXECUTE e (1) -- another
EXECUTE e ( 1 /* , */ )

--! refused
--! script
CREATE TABLE made AS EXECUTE p (1)
SELECT name FROM pg_prepared_statements
