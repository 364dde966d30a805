-- INSERT with rows for several shards.

--! must
INSERT INTO users (id, name) VALUES (1023, 'a'), (1024, 'b'), (1025, 'c'), (1026, 'd'), (1027, 'e'), (1028, 'f')

--! must
INSERT INTO users (id, name, age) VALUES (1023, 'a', 1), (1024, 'b', 2), (1025, 'c', 3), (1026, 'd', 4), (1027, 'e', 5) RETURNING id, name, age

--! must
INSERT INTO users VALUES (1023, 'a', NULL, 1), (1024, 'b', 'x@y', 2), (1025, 'c', '', 3), (1026, 'd', 'e', 4)

--! must
INSERT INTO users VALUES (1023, 'a'), (1024, 'b'), (1025, 'c') RETURNING *

--! must
INSERT INTO users AS u (name, id) VALUES ('a', 1023), ('b', 1024), ('c', 1025) RETURNING u.id + 1, upper(u.name)

--! must
INSERT INTO users (id, name, active, age) VALUES (1023, 'a', DEFAULT, 1 + 1), (1024, 'b', false, length('abc')), (1025, 'c', DEFAULT, (SELECT 5)) RETURNING *

--! must
INSERT INTO users (id, name, age) VALUES (1023, 'a', (SELECT count(*) FROM products)), (1024, 'b', NULL), (1025, 'c', (SELECT max(id) FROM products))

--! must
INSERT INTO users (id, name) VALUES (1023, 'it''s (a), b'), (1024, E'x\'),('), (1025, $$),($$), /* ), ( */ (1026, '"') -- ),(

--! must
INSERT INTO users (id, name) VALUES (1023, 'a'), (1, 'again'), (1025, 'c')

--! must
INSERT INTO users (id, name) VALUES (1023, 'a'), (1024, NULL), (1025, 'c')

--! must
INSERT INTO users (id, name, age) VALUES (1023, 'a', 1), (1024, 'b', -2), (1025, 'c', 3)

--! must
INSERT INTO users (id, name, age) VALUES (1023, 'a', 1), (1024, 'b', 1 / 0), (1025, 'c', 3)

INSERT INTO users (id, name, age) VALUES (1023, 'a', 'x'), (1024, 'b', 1), (1025, 'c', 3)

INSERT INTO users (id, name) VALUES (1023, 'a'), (1024), (1025, 'c')

INSERT INTO users (id, name, nothing) VALUES (1023, 'a', 1), (1024, 'b', 2), (1025, 'c', 3)

INSERT INTO users (id, name) VALUES (1023, 'a'), (NULL, 'b'), (1025, 'c')

INSERT INTO users (id, name) VALUES (1023, 'a'), (DEFAULT, 'b'), (1025, 'c')

INSERT INTO users (id, name, age) VALUES (1023, 'a', (SELECT count(*) FROM users)), (1024, 'b', 1), (1025, 'c', 1)

--! must
INSERT INTO users (id, name) VALUES (1, 'x'), (2, 'y'), (3, 'z'), (1030, 'w') ON CONFLICT DO NOTHING

--! must
INSERT INTO users (id, name) VALUES (1, 'x'), (2, 'y'), (3, 'z'), (1030, 'w') ON CONFLICT (id) DO NOTHING

INSERT INTO users (id, name) VALUES (1, 'x'), (2, 'y'), (3, 'z'), (1030, 'w') ON CONFLICT (id) DO NOTHING RETURNING id

--! must
INSERT INTO users (id, name) VALUES (1, 'x'), (2, 'y'), (3, 'z'), (1030, 'w') ON CONFLICT (id) DO UPDATE SET name = excluded.name

--! must
INSERT INTO users (id, name) VALUES (3, 'x'), (1031, 'v'), (2, 'y'), (1, 'z'), (1030, 'w') ON CONFLICT (id) DO UPDATE SET name = excluded.name, age = users.age + 1 RETURNING id, name, age

--! must
INSERT INTO users (id, name) VALUES (3, 'x'), (1031, 'v'), (2, 'y'), (1, 'z'), (1030, 'w') ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE users.age > 30

INSERT INTO users (id, name) VALUES (3, 'x'), (1031, 'v'), (2, 'y'), (1, 'z') ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE users.age > 30 RETURNING id

--! must
INSERT INTO users (id, name) VALUES (3, 'x'), (4, 'v'), (3, 'y') ON CONFLICT (id) DO UPDATE SET name = excluded.name

--! must
INSERT INTO users (id, name) VALUES (1, 'x'), (2, 'y'), (3, 'z') ON CONFLICT ON CONSTRAINT users_pkey DO UPDATE SET age = 6

INSERT INTO users (id, name) VALUES (1, 'x'), (2, 'y'), (3, 'z') ON CONFLICT (id) DO UPDATE SET id = excluded.id + 1

INSERT INTO members (id, email) VALUES (2001, 'a'), (2002, 'b'), (2003, 'c') ON CONFLICT (email) DO NOTHING

INSERT INTO users (id, name) VALUES (1, 'x'), (2, 'y'), (3, 'z') ON CONFLICT (name) DO NOTHING

--! must
INSERT INTO orders (user_id, id, amount) VALUES (1, 904, 1), (2, 904, 2), (3, 904, 3.333) RETURNING user_id, amount, status

--! must
INSERT INTO order_items VALUES (1, 1, 50, 1, 1, 1), (2, 1, 50, 1, 1, 1), (3, 1, 50, 1, 1, 1)

--! must
INSERT INTO order_items VALUES (1, 1, 50, 1, 1, 1), (2, 999, 50, 1, 1, 1), (3, 1, 50, 1, 1, 1)

--! must
INSERT INTO scores VALUES (1, 70, '-0', '{a,"b c",NULL}', 'happy', 100), (2, 70, 'NaN', ARRAY['x', 'y,z'], 'sad'::mood, 5), (3, 70, 1.5, NULL, NULL, NULL) RETURNING *

--! must
INSERT INTO scores VALUES (1, 70, 1, NULL, 'happy', 100), (2, 70, 1, NULL, 'angry', 5), (3, 70, 1.5, NULL, NULL, NULL)

--! must
INSERT INTO names VALUES ('n1', 1), ('n2', 2), ('n3', 3), ('n4', 4), ('n5', 5) RETURNING name

--! must
INSERT INTO docs VALUES ('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380001', '{"a": [1, 2]}'), ('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380002', '[]'), ('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380003', NULL) RETURNING id, body

--! must
INSERT INTO docs VALUES ('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380001', '{"a": [1, 2]}'), ('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380002', 'not json'), ('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380003', NULL)

--! must
INSERT INTO stamped (id, price) VALUES (1001, DEFAULT), (1002, 2), (1003, DEFAULT) RETURNING *

INSERT INTO tickets (user_id, v) VALUES (1, 'a'), (2, 'b'), (3, 'c')

--! must
INSERT INTO tickets (user_id, id, v) VALUES (1, 5001, 'a'), (2, 5001, 'b'), (3, 5001, 'c') RETURNING id

--! must
INSERT INTO small2 VALUES (1001, 'x'), (1002, 'y'), (1003, 'z'), (1004, 'w')

INSERT INTO watched VALUES (1001, 'x'), (1002, 'y'), (1003, 'z'), (1004, 'w')

INSERT INTO retouched VALUES (1001, 'x'), (1002, 'y'), (1003, 'z'), (1004, 'w')

--! must
--! param int8 1042
--! param text a
--! param int8 1043
--! param text b
--! param int8 1044
--! param text c
INSERT INTO users (id, name) VALUES ($1, $2), ($3, $4), ($5, $6) RETURNING id, name

--! must
--! param text a
--! param int8 1042
--! param int4 7
--! param int8 1043
--! param int4 8
INSERT INTO users (id, name, age) VALUES ($2, 'x', $3), ($4, 'y', $5) ON CONFLICT (id) DO UPDATE SET name = $1 RETURNING *

--! must
--! param int8 1042
--! param int8 1043
--! param text same
INSERT INTO users (id, name, email) VALUES ($1, $3, 'x'), ($2, $3, 'y')

--! must
--! param int8 1042
--! param int4 -7
--! param int8 1043
--! param int4 8
INSERT INTO users (id, name, age) VALUES ($1, 'x', $2), ($3, 'y', $4)

--! must
--! param int8 1
--! param numeric 1.5
--! param timestamptz 2026-01-01 00:00:00+00
--! param int8 2
--! param numeric 2.555
--! param timestamptz null
INSERT INTO orders (user_id, id, amount, placed_at) VALUES ($1, 950, $2, $3), ($4, 950, $5, $6) RETURNING amount, placed_at

--! must
--! param int8 1
--! param text[] {a,b}
--! param mood sad
--! param int8 2
--! param text[] {}
--! param mood happy
INSERT INTO scores (user_id, id, tags, mood) VALUES ($1, 80, $2, $3), ($4, 80, $5, $6) RETURNING mood, tags

--! must script
BEGIN
INSERT INTO users (id, name) VALUES (3001, 'a'), (3002, 'b'), (3003, 'c')
INSERT INTO users (id, name) VALUES (3004, 'a'), (3002, 'b'), (3005, 'c')
SELECT 1
ROLLBACK
SELECT id FROM users WHERE id = 3001

--! must script
BEGIN
INSERT INTO users (id, name) VALUES (3001, 'a'), (3002, 'b'), (3003, 'c')
SAVEPOINT s
INSERT INTO users (id, name) VALUES (3004, 'a'), (3002, 'b'), (3005, 'c')
ROLLBACK TO s
INSERT INTO users (id, name) VALUES (3006, 'a'), (3007, 'b'), (3008, 'c')
COMMIT
SELECT name FROM users WHERE id = 3007

--! must script
SET standard_conforming_strings = off
INSERT INTO users (id, name) VALUES (3001, 'a\'),('), (3002, 'b'), (3003, 'c')
SET standard_conforming_strings = on

--! must script
INSERT INTO users (id, name) VALUES (3001, 'a'), (3002, 'b'), (3003, 'c');
; INSERT INTO users (id, name) VALUES (3004, 'a'), (3005, 'b'), (3006, 'c')

-- The key set to what the new row has.
--! must
INSERT INTO small4 (id, v) VALUES (-53, 'again'), (1000, 'new'), (-46, 'more') ON CONFLICT (id) DO UPDATE SET id = EXCLUDED.id, v = EXCLUDED.v RETURNING id, v

--! must
INSERT INTO small4 AS s (id, v) VALUES (-53, 'again') ON CONFLICT (id) DO UPDATE SET id = excluded.id, v = s.v || excluded.v

--! must script
INSERT INTO users (id, name) VALUES (1, 'x'), (2, 'y'), (900, 'z') ON CONFLICT (id) WHERE name IS NOT NULL DO UPDATE SET name = excluded.name RETURNING id, name
INSERT INTO users (id, name) VALUES (3, 'x') ON CONFLICT (id int8_ops) DO UPDATE SET name = excluded.name || '!' RETURNING id, name
INSERT INTO users (id, name) VALUES (3, 'x') ON CONFLICT (lower(name)) DO NOTHING
INSERT INTO users (id, name) VALUES (3, 'x') ON CONFLICT (id) WHERE nothing DO NOTHING
SELECT count(*), min(name) FROM users WHERE name IN ('x', 'y', 'z', 'x!')
