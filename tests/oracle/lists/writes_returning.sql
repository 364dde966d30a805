-- RETURNING of an INSERT on several shards that leaves rows out: the rest in the order given.

--! must
INSERT INTO users (id, name) VALUES (301, 'a'), (1, 'b'), (302, 'c'), (2, 'd'), (303, 'e'), (304, 'f'), (3, 'g'), (305, 'h') ON CONFLICT DO NOTHING RETURNING id, name

--! must
INSERT INTO users (id, name) VALUES (1, 'b'), (2, 'd'), (3, 'g'), (4, 'h') ON CONFLICT (id) DO NOTHING RETURNING *

--! must
INSERT INTO users (id, name, age) VALUES (301, 'a', 5), (1, 'b', 6), (302, 'c', 7), (2, 'd', 8), (3, 'g', 9), (4, 'x', 10), (305, 'h', 11) ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE users.id % 2 = 1 RETURNING id, upper(name) AS n, age

--! must
INSERT INTO users AS u (id, name) VALUES (306, 'a'), (2, 'b'), (307, 'c') ON CONFLICT (id) DO UPDATE SET name = u.name || excluded.name WHERE u.id > 100 RETURNING u.name

--! must
--! param bigint 401
--! param text p
--! param bigint 1
INSERT INTO users (id, name) VALUES ($1, $2), ($3, $2), (402, 'x'), (403, 'y'), (2, 'z'), (404, 'w') ON CONFLICT DO NOTHING RETURNING name, id, age

-- The same key twice: the second is left out. What can't be told is refused.
INSERT INTO users (id, name) VALUES (301, 'a'), (302, 'b'), (301, 'c'), (303, 'd'), (302, 'e'), (304, 'f') ON CONFLICT DO NOTHING RETURNING id, name

--! must
INSERT INTO accounts (region, id, balance) VALUES ('eu', 901, 1), ('us', 902, 2), ('eu', 1, 3), ('asia', 903, 4), ('us', 904, 5) ON CONFLICT DO NOTHING RETURNING balance, region

--! must
INSERT INTO docs (id, body) VALUES ('00000000-0000-0000-0000-0000000000a1', '1'), ('00000000-0000-0000-0000-0000000000a2', '2'), ('00000000-0000-0000-0000-0000000000a3', '3'), ('00000000-0000-0000-0000-0000000000a1', '4') ON CONFLICT DO NOTHING RETURNING id, body

--! must script
BEGIN
INSERT INTO users (id, name) VALUES (301, 'a'), (302, 'b'), (1, 'b')  ON CONFLICT DO NOTHING RETURNING id
INSERT INTO users (id, name) VALUES (304, 'd'), (301, 'a'), (302, 'b'), (303, 'c') ON CONFLICT DO NOTHING RETURNING id
SELECT count(*) FROM users WHERE id > 300
ROLLBACK
