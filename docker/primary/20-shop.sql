-- The tables of the shop, the same on every shard, and the rows of its reference table: neither goes
-- through Shardway to all shards yet.
SET ROLE shop;

CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL);
CREATE TABLE users (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    country text REFERENCES countries
);
-- The shard key comes first in the keys of colocated tables, so that foreign keys stay within a shard.
CREATE TABLE orders (
    user_id bigint NOT NULL REFERENCES users,
    id bigint NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id)
);

INSERT INTO countries (code, name) VALUES ('is', 'Iceland'), ('nz', 'New Zealand'), ('pt', 'Portugal');
