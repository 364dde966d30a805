-- The tables of the oracle, on the one server with everything and on each shard.
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE span AS RANGE (subtype = float8);
CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100);

CREATE TABLE users (
    id bigint PRIMARY KEY, name text NOT NULL, email text, age int CHECK (age >= 0), active bool DEFAULT true, country text
);
CREATE TABLE orders (
    user_id bigint, id bigint, amount numeric(12,2) NOT NULL, status text DEFAULT 'new', placed_at timestamptz,
    PRIMARY KEY (user_id, id)
);
CREATE TABLE order_items (
    user_id bigint, order_id bigint, line int, product_id int, quantity int DEFAULT 1, price numeric,
    PRIMARY KEY (user_id, order_id, line),
    FOREIGN KEY (user_id, order_id) REFERENCES orders (user_id, id)
);
CREATE TABLE scores (user_id bigint, id int, value float8, tags text[], mood mood, part percent, PRIMARY KEY (user_id, id));
-- What orders, compares or prints in an unusual way.
DO $$ BEGIN CREATE COLLATION folded (provider = icu, locale = 'en-u-kf-upper');
    EXCEPTION WHEN OTHERS THEN CREATE COLLATION folded FROM "C"; END $$;
CREATE TABLE odds (
    user_id bigint, id int, f float8, g float4, n numeric, t text, c text COLLATE "C", k text COLLATE folded, e mood, a int[], w text[],
    j jsonb, js json, r int4range, z timestamptz, l timestamp, d date, p interval, b bytea, u uuid, x char(6), y varchar(10), o bool, s span,
    PRIMARY KEY (user_id, id)
);
CREATE TABLE events (created_at timestamptz, id int, kind text, payload jsonb, PRIMARY KEY (created_at, id));
CREATE TABLE days (day date PRIMARY KEY, visits int);
CREATE TABLE levels (level numeric PRIMARY KEY, label text);
CREATE TABLE accounts (region text, id int, balance numeric NOT NULL, PRIMARY KEY (region, id));
CREATE TABLE docs (id uuid PRIMARY KEY, body jsonb);
CREATE TABLE names (name text PRIMARY KEY, n int);
CREATE TABLE nicknames (nick varchar(20) PRIMARY KEY, n int);
CREATE TABLE small2 (id int2 PRIMARY KEY, v text);
CREATE TABLE small4 (id int4 PRIMARY KEY, v text);
CREATE TABLE parents (id bigint PRIMARY KEY, v text);
CREATE TABLE children (extra text) INHERITS (parents);

-- What the servers do by themselves, which one shard alone may do wrong.
CREATE TABLE members (id bigint PRIMARY KEY, email text UNIQUE);
CREATE TABLE tickets (user_id bigint, id serial, v text, PRIMARY KEY (user_id, id));
CREATE TABLE watched (id bigint PRIMARY KEY, v text);
CREATE TABLE retouched (id bigint PRIMARY KEY, v text);
CREATE TABLE counted (id bigint PRIMARY KEY, users bigint);
CREATE TABLE guarded (id bigint PRIMARY KEY, v text);
CREATE TABLE ruled (id bigint PRIMARY KEY, v text);
CREATE TABLE stamped (id bigint PRIMARY KEY, half bigint GENERATED ALWAYS AS (id / 2) STORED, price numeric DEFAULT 1.50);

CREATE TABLE profiles (
    id bigint PRIMARY KEY, email varchar(60) CONSTRAINT profiles_email UNIQUE, tenant int, number int NOT NULL DEFAULT 0, name text,
    UNIQUE (tenant, number)
);
CREATE TABLE passports (id bigint PRIMARY KEY REFERENCES profiles ON DELETE CASCADE ON UPDATE CASCADE, code text);

CREATE TABLE products (id int PRIMARY KEY, name text NOT NULL, price numeric(10,2));
CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL);

CREATE TABLE settings (key text PRIMARY KEY, value text);
CREATE TABLE audit (id serial PRIMARY KEY, what text NOT NULL, at timestamptz DEFAULT '2026-01-01 00:00:00+00');
CREATE TABLE "Mixed Case" ("Id" int PRIMARY KEY, "select" text);

CREATE SCHEMA other;
CREATE TABLE other.users (id bigint PRIMARY KEY, name text);
CREATE TABLE other.things (id int PRIMARY KEY, name text);

CREATE VIEW active_users AS SELECT id, name, age FROM users WHERE active;
CREATE VIEW user_totals AS
    SELECT u.id, u.name, count(o.id) AS orders, sum(o.amount) AS total
    FROM users u LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.id, u.name;
CREATE VIEW loud_settings AS SELECT key, upper(value) AS value FROM settings;

CREATE FUNCTION count_users() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM users';
CREATE FUNCTION user_name(which bigint) RETURNS text LANGUAGE plpgsql STABLE AS
    'BEGIN RETURN (SELECT name FROM users WHERE id = which); END';
CREATE FUNCTION add_user(which bigint) RETURNS void LANGUAGE sql AS
    'INSERT INTO users (id, name) VALUES (which, ''added'')';
CREATE FUNCTION twice(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';

CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO audit (id, what) VALUES (NEW.id + 5000, ''watched''); RETURN NEW; END';
CREATE TRIGGER watch AFTER INSERT ON watched FOR EACH ROW EXECUTE FUNCTION watch();
CREATE FUNCTION retouch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.id := NEW.id + 1; RETURN NEW; END';
CREATE TRIGGER retouch BEFORE INSERT OR UPDATE ON retouched FOR EACH ROW EXECUTE FUNCTION retouch();
ALTER TABLE counted ALTER COLUMN users SET DEFAULT count_users();
ALTER TABLE guarded ADD CHECK (count_users() > 10);
CREATE RULE audit AS ON INSERT TO ruled DO ALSO INSERT INTO audit (id, what) VALUES (NEW.id + 5000, 'ruled');

CREATE TABLE hash_int8 (k int8) PARTITION BY HASH (k);
CREATE TABLE hash_text (k text) PARTITION BY HASH (k);
CREATE TABLE hash_uuid (k uuid) PARTITION BY HASH (k);
CREATE TABLE hash_int2 (k int2) PARTITION BY HASH (k);
CREATE TABLE hash_int4 (k int4) PARTITION BY HASH (k);
