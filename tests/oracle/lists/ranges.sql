-- Keys of ranges and lists.

--! must
SELECT * FROM events WHERE created_at = '2026-01-02 10:00:00+00'

--! must
SELECT * FROM events WHERE created_at = '2026-01-01 00:00:00+00'

--! must
SELECT * FROM events WHERE created_at = '2025-12-31 23:59:59.999999+00'

--! must
SELECT * FROM events WHERE created_at = timestamptz '2026-01-01 00:00:00+00'

SELECT * FROM events WHERE created_at = '2026-01-01 01:00:00+01'

SELECT * FROM events WHERE created_at = '2026-01-01'

SELECT * FROM events WHERE created_at = 'infinity'

SELECT * FROM events WHERE created_at = '-infinity'

SELECT * FROM events WHERE created_at = 'epoch'

SELECT * FROM events WHERE created_at = '2026-01-01'::date

SELECT * FROM events WHERE created_at = '2026-01-01 00:00:00'::timestamp

SELECT * FROM events WHERE created_at = 'Jan 2 2026 10:00 UTC'

SELECT * FROM events WHERE created_at = '2026-01-02T10:00:00Z'

SELECT * FROM events WHERE created_at = 'tomorrow'

SELECT * FROM events WHERE created_at = now()

SELECT * FROM events WHERE created_at = 'garbage'

SELECT * FROM events WHERE created_at > '2026-01-15 00:00:00+00' AND created_at < '2026-01-20 00:00:00+00'

SELECT * FROM events WHERE created_at >= '2026-02-10 00:00:00+00'

SELECT * FROM events WHERE created_at < '2025-12-01 00:00:00+00'

SELECT * FROM events WHERE created_at <= '2025-12-01 00:00:00+00'

SELECT * FROM events WHERE created_at BETWEEN '2025-12-30 00:00:00+00' AND '2026-01-01 00:00:00+00'

SELECT * FROM events WHERE created_at BETWEEN SYMMETRIC '2026-01-10 00:00:00+00' AND '2025-12-30 00:00:00+00'

SELECT * FROM events WHERE created_at BETWEEN '2026-01-10 00:00:00+00' AND '2025-12-30 00:00:00+00'

SELECT * FROM events WHERE created_at NOT BETWEEN '2025-12-30 00:00:00+00' AND '2026-01-20 00:00:00+00'

SELECT * FROM events WHERE created_at > '2026-01-01 00:00:00+00' OR created_at < '2025-11-20 00:00:00+00'

SELECT * FROM events WHERE '2026-02-20 00:00:00+00' < created_at

SELECT * FROM events WHERE NOT (created_at < '2026-01-01 00:00:00+00')

SELECT * FROM events WHERE created_at + interval '1 day' > '2026-01-15 00:00:00+00'

SELECT * FROM events WHERE created_at > '2026-01-15 00:00:00+00'::timestamptz - interval '1 day'

SELECT * FROM events WHERE date_trunc('month', created_at) = '2026-01-01 00:00:00+00'

SELECT * FROM events WHERE created_at::date = '2026-01-02'

--! must
--! param timestamptz 2026-01-02 10:00:00+00
SELECT * FROM events WHERE created_at = $1

--! param timestamptz 2026-01-01 00:00:00+00
--! param timestamptz 2026-01-31 00:00:00+00
SELECT * FROM events WHERE created_at >= $1 AND created_at < $2

--! param timestamptz 2025-12-31 00:00:00+00
--! param timestamptz 2026-02-28 00:00:00+00
SELECT * FROM events WHERE created_at BETWEEN $1 AND $2

--! param timestamptz infinity
SELECT * FROM events WHERE created_at = $1

--! param timestamptz null
SELECT * FROM events WHERE created_at > $1

--! param timestamp 2026-01-02 10:00:00
SELECT * FROM events WHERE created_at = $1

--! param date 2026-01-01
SELECT * FROM events WHERE created_at = $1

--! must
SELECT * FROM days WHERE day = '2026-01-11'

--! must
SELECT * FROM days WHERE day = date '2026-01-10'

SELECT * FROM days WHERE day = '2026-01-11 12:00:00'

SELECT * FROM days WHERE day = '2026-01-11 00:00:00'::timestamp

SELECT * FROM days WHERE day < '2026-01-11 12:00:00'::timestamp

SELECT * FROM days WHERE day = '20260111'

SELECT * FROM days WHERE day = '11/01/2026'

SELECT * FROM days WHERE day = '2026-1-5'

SELECT * FROM days WHERE day = '2026-02-30'

SELECT * FROM days WHERE day >= '2026-01-09' AND day < '2026-01-12'

SELECT * FROM days WHERE day > '2026-02-20'

SELECT * FROM days WHERE day BETWEEN '2026-01-05' AND '2026-01-06'

SELECT * FROM days WHERE day = '2026-01-01'::date + 10

SELECT * FROM days WHERE day IN ('2026-01-10', '2026-01-11', '2026-02-01')

--! must
--! param date 2026-02-01
SELECT * FROM days WHERE day = $1

--! param timestamp 2026-02-01 12:00:00
SELECT * FROM days WHERE day < $1

SELECT * FROM days WHERE day = current_date

SELECT * FROM days WHERE extract(month FROM day) = 2

--! must
SELECT * FROM levels WHERE level = 10.5

--! must
SELECT * FROM levels WHERE level = 10.50

--! must
SELECT * FROM levels WHERE level = 10.4999

--! must
SELECT * FROM levels WHERE level = -1

--! must
SELECT * FROM levels WHERE level = '1.1'

SELECT * FROM levels WHERE level = 123456789012345678901234567890

SELECT * FROM levels WHERE level = 1e3

SELECT * FROM levels WHERE level = 105e-1

SELECT * FROM levels WHERE level = 'NaN'

SELECT * FROM levels WHERE level < 10.5

SELECT * FROM levels WHERE level <= 10.5

SELECT * FROM levels WHERE level > -1 AND level < 11

SELECT * FROM levels WHERE level = 10.5::float8

SELECT * FROM levels WHERE level = 11::int

SELECT * FROM levels WHERE level = 21 / 2

SELECT * FROM levels WHERE level = 21 / 2.0

--! must
--! param numeric 10.5
SELECT * FROM levels WHERE level = $1

--! param numeric 0
--! param numeric 10.50
SELECT * FROM levels WHERE level > $1 AND level <= $2

--! param int4 11
SELECT * FROM levels WHERE level = $1

--! param float8 10.5
SELECT * FROM levels WHERE level = $1

--! param numeric NaN
SELECT * FROM levels WHERE level < $1

--! must
SELECT * FROM accounts WHERE region = 'eu'

--! must
SELECT * FROM accounts WHERE region = 'us' AND id = 2

--! must
SELECT * FROM accounts WHERE region = 'Ünited'

--! must
SELECT * FROM accounts WHERE region = 'it''s'

--! must
SELECT * FROM accounts WHERE region = ''

SELECT * FROM accounts WHERE region = 'nowhere'

SELECT * FROM accounts WHERE region IN ('eu', 'nowhere')

--! must
SELECT * FROM accounts WHERE region IN ('eu', 'uk')

--! must
SELECT * FROM accounts WHERE region IN ('eu', 'us', 'asia')

SELECT * FROM accounts WHERE region > 'eu'

SELECT * FROM accounts WHERE region <> 'eu'

SELECT * FROM accounts WHERE region IS NULL

SELECT * FROM accounts WHERE id = 3

--! must
--! param text us
SELECT * FROM accounts WHERE region = $1

--! param text nowhere
SELECT * FROM accounts WHERE region = $1

--! must
--! param text[] {us,eu}
SELECT * FROM accounts WHERE region = ANY ($1)

--! must
SELECT sum(balance) FROM accounts WHERE region = 'eu'

SELECT sum(balance) FROM accounts

--! must
INSERT INTO accounts VALUES ('us', 100, 5)

--! error 23514
INSERT INTO accounts VALUES ('nowhere', 101, 5)

INSERT INTO accounts VALUES (NULL, 102, 5)

INSERT INTO accounts (id, balance) VALUES (103, 5)

--! must
UPDATE accounts SET balance = balance - 1 WHERE region = 'eu' AND id = 8

UPDATE accounts SET balance = balance - 1 WHERE region IN ('eu', 'us')

UPDATE accounts SET region = 'us' WHERE region = 'eu'

--! must
DELETE FROM accounts WHERE region = 'us' AND balance > 50 RETURNING *

--! must
INSERT INTO events VALUES ('2026-01-05 00:00:00+00', 500, 'new', '{"a": [1, 2]}') RETURNING *

INSERT INTO events VALUES ('2026-01-05', 501, 'new', NULL)

INSERT INTO events VALUES (now() - now() + '2026-03-01 00:00:00+00', 502, 'new', NULL)

INSERT INTO events VALUES ('infinity', 503, 'new', NULL)

--! param timestamptz 2025-10-05 00:00:00+00
INSERT INTO events VALUES ($1, 504, 'new', NULL)

--! must
INSERT INTO days VALUES ('2026-03-01', 1) ON CONFLICT (day) DO UPDATE SET visits = days.visits + 1

INSERT INTO days VALUES ('2026-01-05', 1), ('2026-01-06', 2) ON CONFLICT DO NOTHING

INSERT INTO days VALUES ('2026-01-05', 1), ('2026-02-06', 2) ON CONFLICT DO NOTHING

--! must
INSERT INTO levels VALUES (10.49999999999, 'new')

INSERT INTO levels VALUES (20.5 / 2, 'new')

INSERT INTO levels VALUES ('NaN', 'new')

--! must
DELETE FROM days WHERE day = '2026-01-11'

DELETE FROM days WHERE day < '2026-01-05'

DELETE FROM days WHERE day < '2026-02-05'
