-- Keys in every shape that gives one.

--! must
SELECT * FROM users WHERE id = 1

--! must
SELECT * FROM users WHERE id = 2

--! must
SELECT * FROM users WHERE 3 = id

--! must
SELECT * FROM users WHERE id = 999999

--! must
SELECT * FROM users WHERE id = -1

--! must
SELECT * FROM users WHERE id = 0

--! must
SELECT * FROM users WHERE id = 2147483648

--! must
SELECT * FROM users WHERE id = 9223372036854775807

SELECT * FROM users WHERE id = -9223372036854775808

SELECT * FROM users WHERE id = 9223372036854775808

--! must
SELECT * FROM users WHERE id = '4'

--! must
SELECT * FROM users WHERE id = ' 5 '

--! must
SELECT * FROM users WHERE id = '-1'::bigint

SELECT * FROM users WHERE id = +5

SELECT * FROM users WHERE id = - 1

--! must
SELECT * FROM users WHERE id = 5::bigint

--! must
SELECT * FROM users WHERE id = 5::int

--! must
SELECT * FROM users WHERE id = CAST(5 AS bigint)

--! must
SELECT * FROM users WHERE id = CAST('5' AS int8)

--! must
SELECT * FROM users WHERE id = int8 '5'

SELECT * FROM users WHERE id = '5'::text::bigint

SELECT * FROM users WHERE id = 5.0

SELECT * FROM users WHERE id = 5.4

SELECT * FROM users WHERE id = 5.4::bigint

SELECT * FROM users WHERE id = 5.5::int

SELECT * FROM users WHERE id = 2.5::numeric::int

SELECT * FROM users WHERE id = 5e0

SELECT * FROM users WHERE id = 5::float8

SELECT * FROM users WHERE id = 70000::int2

SELECT * FROM users WHERE id = 3000000000::int4

--! must
SELECT * FROM users WHERE (id = 6)

--! must
SELECT * FROM users WHERE ((((id)) = ((6))))

--! must
SELECT * FROM users WHERE users.id = 7

--! must
SELECT * FROM public.users WHERE id = 7

--! must
SELECT * FROM public.users WHERE public.users.id = 7

--! must
SELECT * FROM "users" WHERE "id" = 7

--! must
SELECT * FROM USERS WHERE ID = 7

--! must
SELECT u.name, u.id FROM users AS u WHERE u.id = 8

--! must
SELECT x.b, x.a FROM users AS x (a, b) WHERE x.a = 8

SELECT id FROM users AS x (id2, id) WHERE x.id = 'ann'

SELECT x.id FROM users AS x (name, id) WHERE x.id = '8'

--! must
SELECT * FROM users WHERE id = 9 AND active

--! must
SELECT * FROM users WHERE active AND (age > 3 AND (id = 9))

--! must
SELECT * FROM users WHERE id = 1 AND id = 2

--! must
SELECT * FROM users WHERE id = 1 AND id IN (1, 2, 3)

--! must
SELECT * FROM users WHERE id IN (1)

--! must
SELECT id, name FROM users WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8)

--! must
SELECT id, name FROM users WHERE id IN (1, 1, 1, 2)

--! must
SELECT id FROM users WHERE id IN ('1', '2', '3')

SELECT id FROM users WHERE id IN (1, 2.0, 3)

SELECT id FROM users WHERE id IN (1, 2.5, 3)

SELECT id FROM users WHERE id IN (1, NULL)

SELECT id FROM users WHERE id IN (NULL)

SELECT id FROM users WHERE id NOT IN (1, 2)

SELECT id FROM users WHERE id NOT IN (1, NULL)

--! must
SELECT id FROM users WHERE id = ANY ('{1,2,3}')

--! must
SELECT id FROM users WHERE id = ANY ('{1,2,3}'::bigint[])

--! must
SELECT id FROM users WHERE id = ANY (ARRAY[1, 2, 3])

--! must
SELECT id FROM users WHERE id = ANY (ARRAY[4, 5]::bigint[])

SELECT id FROM users WHERE id = ANY (ARRAY[1, NULL, 3])

SELECT id FROM users WHERE id = ANY ('{}')

SELECT id FROM users WHERE id = ANY ('{1,NULL}')

SELECT id FROM users WHERE id = ANY ('{{1,2},{3,4}}')

SELECT id FROM users WHERE id = ANY (NULL)

SELECT id FROM users WHERE id = ALL ('{1,2}')

SELECT id FROM users WHERE id = ALL ('{}')

SELECT id FROM users WHERE id = SOME ('{1,2}')

--! must
SELECT * FROM users WHERE id = 1 OR id = 2

--! must
SELECT * FROM users WHERE id = 1 OR (id = 2 AND active) OR (id IN (3, 4) AND age > 1)

SELECT * FROM users WHERE id = 1 OR active

SELECT * FROM users WHERE id = 1 OR name = 'ann'

SELECT * FROM users WHERE (id = 1 OR id = 2) AND (id = 2 OR id = 3)

SELECT * FROM users WHERE id BETWEEN 3 AND 3

SELECT id FROM users WHERE id BETWEEN 3 AND 9

SELECT id FROM users WHERE id >= 3 AND id <= 3

SELECT id FROM users WHERE id > 50

SELECT id FROM users WHERE id < 0

SELECT * FROM users WHERE id = NULL

SELECT * FROM users WHERE id IS NULL

SELECT * FROM users WHERE id IS NOT DISTINCT FROM 5

SELECT * FROM users WHERE id != 5 AND id IN (5, 6)

--! must
SELECT * FROM users WHERE id = 2 + 3

--! must
SELECT * FROM users WHERE id = 10 - 3 * 2

SELECT * FROM users WHERE id = 7 / 2

SELECT * FROM users WHERE id = -7 / 2

SELECT * FROM users WHERE id = -7 % 4

SELECT * FROM users WHERE id = 2147483647 + 1

SELECT * FROM users WHERE id = 2147483647::bigint + 1

SELECT * FROM users WHERE id = 9223372036854775807 + 1

SELECT * FROM users WHERE id = 1 / 0

SELECT * FROM users WHERE id = 5 / 2.0

SELECT * FROM users WHERE id = 2 ^ 2

SELECT * FROM users WHERE id = 1 << 3

SELECT * FROM users WHERE id = (1 # 3)

SELECT * FROM users WHERE id = abs(-5)

SELECT * FROM users WHERE id = length('abcde')

SELECT * FROM users WHERE id = twice(4)

SELECT * FROM users WHERE id = (SELECT 5)

SELECT * FROM users WHERE id = (SELECT min(id) FROM products)

SELECT * FROM users WHERE id = coalesce(NULL, 5)

SELECT * FROM users WHERE id = greatest(3, 5)

SELECT * FROM users WHERE id = CASE WHEN true THEN 5 ELSE 6 END

SELECT * FROM users WHERE id + 0 = 5

SELECT * FROM users WHERE id + 1 = 6

SELECT * FROM users WHERE -id = 1

SELECT * FROM users WHERE id::text = '5'

SELECT * FROM users WHERE id::int = 5

SELECT * FROM users WHERE (id, name) = (1, 'Bob')

SELECT * FROM users WHERE (id, age) IN ((1, 1), (2, 2))

SELECT * FROM users WHERE (name, id) = ('Bob', 1)

SELECT * FROM users WHERE ROW(id) = ROW(5)

SELECT * FROM users WHERE id = 'abc'

SELECT * FROM users WHERE id = '1 OR 1=1'

SELECT * FROM users WHERE id = ''

SELECT * FROM users WHERE id = '99999999999999999999'

SELECT * FROM users WHERE id = '0x10'

SELECT * FROM users WHERE id = '1_000'

SELECT * FROM users WHERE id = 1e1

SELECT * FROM users WHERE id = '1e1'

SELECT * FROM users WHERE id = true

SELECT * FROM users WHERE id = E'\x35'

SELECT * FROM users WHERE id = U&'\0035'

SELECT * FROM users WHERE id = $$5$$

SELECT * FROM users WHERE id = $a$5$a$

SELECT * FROM users WHERE id = '5' COLLATE "C"

SELECT * FROM users WHERE id = B'101'::int

SELECT * FROM users WHERE id = 'NaN'

-- Parameters.

--! must
--! param int8 7
SELECT * FROM users WHERE id = $1

--! must
--! param int4 7
SELECT * FROM users WHERE id = $1

--! must
--! param int2 7
SELECT * FROM users WHERE id = $1

--! param text 7
SELECT * FROM users WHERE id = $1

--! param numeric 7
SELECT * FROM users WHERE id = $1

--! param numeric 7.0
SELECT * FROM users WHERE id = $1

--! param numeric 7.5
SELECT * FROM users WHERE id = $1

--! param float8 7
SELECT * FROM users WHERE id = $1

--! param float8 NaN
SELECT * FROM users WHERE id = $1

--! param int8 null
SELECT * FROM users WHERE id = $1

--! must
--! param int8  8 
SELECT * FROM users WHERE id = $1

--! param int8 abc
SELECT * FROM users WHERE id = $1

--! param int8 99999999999999999999
SELECT * FROM users WHERE id = $1

--! must
--! param text 7
SELECT * FROM users WHERE id = $1::bigint

--! param text 7
SELECT * FROM users WHERE id = $1::text::bigint

--! must
--! param int8 1
--! param int8 2
SELECT id FROM users WHERE id IN ($1, $2)

--! must
--! param int8 5
--! param int8 5
SELECT id FROM users WHERE id IN ($1, $2)

--! param int8 1
--! param int8 null
SELECT id FROM users WHERE id IN ($1, $2)

--! must
--! param int8[] {1,2,3}
SELECT id FROM users WHERE id = ANY ($1)

--! must
--! param int8[] {7}
SELECT id FROM users WHERE id = ANY ($1)

--! param int8[] {}
SELECT id FROM users WHERE id = ANY ($1)

--! param int8[] {1,NULL,2}
SELECT id FROM users WHERE id = ANY ($1)

--! param int8[] null
SELECT id FROM users WHERE id = ANY ($1)

--! param int4[] {1,2,3}
SELECT id FROM users WHERE id = ANY ($1)

--! param int4[] {1,2,3}
SELECT id FROM users WHERE id = ANY ($1::int[])

--! param int8[] {{1,2},{3,4}}
SELECT id FROM users WHERE id = ANY ($1)

--! param int8[] [2:3]={5,6}
SELECT id FROM users WHERE id = ANY ($1)

--! param text[] {1,2}
SELECT id FROM users WHERE id = ANY ($1::bigint[])

--! must
--! param int8 5
--! param text Bob
SELECT * FROM users WHERE name <> $2 AND id = $1

--! must
--! param text ann
--! param int8 40
SELECT name, $1::text AS given FROM users WHERE id = $2

--! param int8 5
SELECT * FROM users WHERE id = $1 + 1

--! param int8 5
SELECT * FROM users WHERE id = $1 * 2 - 1

--! param int8 5
SELECT * FROM users WHERE id = -$1

--! param int8 5
--! param int8 6
SELECT id FROM users WHERE id = $1 OR id = $2

--! must
--! param int8 5
SELECT id FROM users WHERE id = $1 AND id = $1

--! param int8 5
SELECT id, $1 FROM users WHERE id = $1

--! param int8 5
SELECT * FROM users WHERE id = $2

--! param int8 5
--! param int8 6
SELECT * FROM users WHERE id = $1

SELECT * FROM users WHERE id = $1

-- Keys of other types.

--! must
SELECT * FROM docs WHERE id = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380005'

--! must
SELECT * FROM docs WHERE id = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380006'

SELECT * FROM docs WHERE id = '{a0eebc999c0b4ef8bb6d6bb9bd380007}'

SELECT * FROM docs WHERE id = 'a0eebc999c0b4ef8-bb6d6bb9-bd380007'

--! must
SELECT * FROM docs WHERE id = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380005'::uuid

--! must
SELECT body FROM docs WHERE id IN ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380005', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380006')

SELECT * FROM docs WHERE id = 'not a uuid'

SELECT * FROM docs WHERE id = 5

SELECT * FROM docs WHERE id = uuid 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380008'

--! must
--! param uuid a0eebc99-9c0b-4ef8-bb6d-6bb9bd380009
SELECT * FROM docs WHERE id = $1

--! param text a0eebc99-9c0b-4ef8-bb6d-6bb9bd380009
SELECT * FROM docs WHERE id = $1::uuid

--! must
--! param uuid[] {a0eebc99-9c0b-4ef8-bb6d-6bb9bd380009,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380001}
SELECT * FROM docs WHERE id = ANY ($1)

--! must
SELECT body->>'n' AS n FROM docs WHERE id = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380003' AND body @> '{"n": 3}'

--! must
SELECT * FROM names WHERE name = 'ann'

--! must
SELECT * FROM names WHERE name = 'Ann'

--! must
SELECT * FROM names WHERE name = ''

--! must
SELECT * FROM names WHERE name = ' '

--! must
SELECT * FROM names WHERE name = 'o''neil'

--! must
SELECT * FROM names WHERE name = 'a\b'

SELECT * FROM names WHERE name = E'a\\b'

SELECT * FROM names WHERE name = E'tab\there'

SELECT * FROM names WHERE name = E'\u674E\u96F7'

--! must
SELECT * FROM names WHERE name = '李雷'

--! must
SELECT * FROM names WHERE name = '🦀'

SELECT * FROM names WHERE name = U&'na\00EFve'

SELECT * FROM names WHERE name = U&'na!00EFve' UESCAPE '!'

SELECT * FROM names WHERE name = $$o'neil$$

SELECT * FROM names WHERE name = $q$ann$q$

SELECT * FROM names WHERE name = 'a'
    'nn'

SELECT * FROM names WHERE name = 'an' || 'n'

SELECT * FROM names WHERE name = lower('ANN')

SELECT * FROM names WHERE lower(name) = 'ann'

--! must
SELECT * FROM names WHERE name = 'ann'::text

SELECT * FROM names WHERE name = 'ann'::varchar

SELECT * FROM names WHERE name = 'ann  '::char(5)

SELECT * FROM names WHERE name = 'annabel'::varchar(3)

SELECT * FROM names WHERE name = 'annabel'::char(3)

SELECT * FROM names WHERE name = 'ann'::name

SELECT * FROM names WHERE name = 1

SELECT * FROM names WHERE name = 1::text

SELECT * FROM names WHERE name = 01::text

SELECT * FROM names WHERE name = 'ann' COLLATE "C"

SELECT * FROM names WHERE name LIKE 'ann'

SELECT * FROM names WHERE name ILIKE 'ann'

SELECT * FROM names WHERE name LIKE 'a%'

SELECT * FROM names WHERE name ~ '^ann$'

SELECT * FROM names WHERE name NOT LIKE 'a%'

SELECT * FROM names WHERE name > 'm'

SELECT * FROM names WHERE name IS NULL

SELECT * FROM names WHERE name = 'NULL'

--! must
SELECT n FROM names WHERE name IN ('ann', 'Ann', 'nobody')

--! must
--! param text Zoë
SELECT * FROM names WHERE name = $1

--! param varchar Zoë
SELECT * FROM names WHERE name = $1

--! param bpchar ann  
SELECT * FROM names WHERE name = $1

--! must
--! param text[] {ann,"a b",NULL,""}
SELECT * FROM names WHERE name = ANY ($1)

--! must
SELECT * FROM nicknames WHERE nick = 'ann'

SELECT * FROM nicknames WHERE nick = 'ann '

SELECT * FROM nicknames WHERE nick = 'ann'::bpchar

SELECT * FROM nicknames WHERE nick = 'a string of more than twenty characters'

--! param varchar ann
SELECT * FROM nicknames WHERE nick = $1

--! must
--! param text ann
SELECT * FROM nicknames WHERE nick = $1

--! must
SELECT * FROM small2 WHERE id = 3

--! must
SELECT * FROM small2 WHERE id = -4

SELECT * FROM small2 WHERE id = 100000

SELECT * FROM small2 WHERE id = 3::bigint

SELECT * FROM small2 WHERE id = '3'

SELECT * FROM small2 WHERE id = '100000'

--! must
--! param int2 10
SELECT * FROM small2 WHERE id = $1

--! param int4 10
SELECT * FROM small2 WHERE id = $1

--! param int8 10
SELECT * FROM small2 WHERE id = $1

--! param int8 100000000000
SELECT * FROM small2 WHERE id = $1

--! must
SELECT * FROM small4 WHERE id = 10

SELECT * FROM small4 WHERE id = 10000000000

SELECT * FROM small4 WHERE id = 10::int8

SELECT * FROM small4 WHERE id = 2147483647 + 1

--! must
--! param int4 10
SELECT * FROM small4 WHERE id = $1

--! param int8 10
SELECT * FROM small4 WHERE id = $1

--! param int4[] {3,10,17}
SELECT * FROM small4 WHERE id = ANY ($1)

SELECT * FROM small4 WHERE id IN (3, 10, 10000000000)

-- Hints, where they say what is so.

/* shardway: key=5 */ SELECT name FROM users WHERE id = (SELECT 5)

/* shardway: key=5 */ SELECT name FROM users WHERE id = 5

/* shardway: key=5 */ SELECT name FROM users WHERE id = 6

/* shardway: key=5 */ UPDATE users SET age = 1 WHERE id::text = '5'

/* shardway: key=5 */ SELECT key FROM settings

--! error 22023
/* shardway: nothing=5 */ SELECT name FROM users WHERE id = 5

--! script
SET shardway.key = '5'
SELECT name FROM users WHERE id = (SELECT 5)
SHOW shardway.key
RESET shardway.key
SELECT name FROM users WHERE id = 6
