-- Columns that sequences fill.

--! must
--! script
INSERT INTO tickets (user_id, v) VALUES (1, 'a')
INSERT INTO tickets (user_id, v) VALUES (2, 'b') RETURNING user_id, v, id > 0
INSERT INTO tickets VALUES (3, DEFAULT, 'c') RETURNING v
INSERT INTO tickets (id, v, user_id) VALUES (DEFAULT, 'd', 4) RETURNING user_id, v, id > 0, 1 AS one
INSERT INTO tickets VALUES (5) RETURNING user_id, v
INSERT INTO tickets (user_id, v, id) VALUES (6, 'f', nextval('tickets_id_seq')) RETURNING id IS NULL
SELECT v FROM tickets WHERE user_id = 3
SELECT count(*), count(DISTINCT id) FROM tickets WHERE user_id = 4

--! must
--! param bigint 9
--! param text nine
INSERT INTO tickets (user_id, v) VALUES ($1, $2) RETURNING user_id, v, id > 0 AS "has an id"

--! must
--! param text nine
--! param bigint 9
INSERT INTO tickets (id, v, user_id) VALUES (DEFAULT, $1, $2) RETURNING v

--! must
INSERT INTO tickets (user_id, v) VALUES (9, 'a'), (9, 'b'), (9, NULL) RETURNING user_id, v

--! must
INSERT INTO tickets (user_id, v) VALUES (9, 'a') ON CONFLICT (user_id, id) DO NOTHING

--! must
INSERT INTO tickets (user_id, v) VALUES (9, no_such_column)

--! must
INSERT INTO tickets (user_id, id, v) VALUES (9, NULL, 'x')

--! must
INSERT INTO tickets (user_id, id, id) VALUES (9, DEFAULT, DEFAULT)

INSERT INTO tickets (user_id, no_such_column) VALUES (9, 'x')

INSERT INTO tickets (user_id, v) VALUES (9, 'x', 'y')

INSERT INTO tickets (user_id, v) VALUES (9)

INSERT INTO tickets DEFAULT VALUES

INSERT INTO tickets (v) VALUES ('x')

INSERT INTO tickets (user_id, v) SELECT 9, 'x'

INSERT INTO tickets (user_id, id) VALUES (9, nextval('tickets_id_seq') + 0)

INSERT INTO tickets (user_id, id) VALUES (9, lastval())

-- Rows of arrays, as Django's bulk_create sends them.
--! must
--! script
INSERT INTO "tickets" ("user_id", "v") SELECT * FROM UNNEST(('{1,2,3,2}'::int2[])::bigint[], ( E'{a,"b'',\\"\\\\c",NULL,"{}"}')::varchar[]) RETURNING "tickets"."user_id", v
SELECT v FROM tickets WHERE user_id = 2 ORDER BY v
INSERT INTO tickets (v, user_id) SELECT * FROM UNNEST('{NULL,"null"," x "}'::text[], ('{4,5,6}'::int4[])::bigint[]) RETURNING user_id, v, v IS NULL
INSERT INTO users (id, name) SELECT * FROM unnest('{910,911,912,913}'::bigint[], '{a,b,c,d}'::text[]) ON CONFLICT DO NOTHING
SELECT id, name FROM users WHERE id BETWEEN 910 AND 913 ORDER BY id

INSERT INTO tickets (user_id, v) SELECT * FROM UNNEST(('{1,x}'::int2[])::bigint[], '{a,b}'::text[])

INSERT INTO tickets (user_id, v) SELECT * FROM UNNEST('{1,2}'::bigint[], '{a}'::text[]) RETURNING user_id, v

INSERT INTO users (id, name) SELECT * FROM pg_catalog.unnest('{910,911}'::bigint[], '{a,b}'::text[])

INSERT INTO users (id, name, age) SELECT * FROM UNNEST('{910,911}'::bigint[], '{a,b}'::text[], '{1,-1}'::int[])
