// node-postgres (pg) against the URL given, with enums and their arrays, whose OIDs it looks up.
import { assert, check, packages, url } from "./checks.mjs";

const { Client, types } = packages("pg");
const IDS = Array.from({ length: 12 }, (_, at) => 3000 + at);
const COLORS = ["red", "green", "blue"];
const client = new Client({ connectionString: url });
const color = (id) => COLORS[id % 3];
let oids;

await check("connect", async () => {
  await client.connect();
  await client.query("DELETE FROM things WHERE id BETWEEN $1 AND $2", [IDS[0], IDS.at(-1)]);
  const { rows } = await client.query("SELECT oid, typname, typarray FROM pg_type WHERE typname IN ('color', 'size')");
  oids = Object.fromEntries(rows.map((row) => [row.typname, { one: row.oid, array: row.typarray }]));
  types.setTypeParser(oids.color.one, (text) => `color ${text}`);
  types.setTypeParser(oids.size.one, (text) => `size ${text}`);
  types.setTypeParser(oids.color.array, (text) => `colors ${text}`);
});

await check("written", async () => {
  for (const id of IDS) {
    await client.query("INSERT INTO things (id, c, s, cs) VALUES ($1, $2, $3, $4)", [id, color(id), "huge", [color(id), "blue"]]);
  }
});

await check("by_key", async () => {
  for (const id of IDS) {
    const { rows, fields } = await client.query("SELECT c, s, cs FROM things WHERE id = $1", [id]);
    assert.deepEqual(rows, [{ c: `color ${color(id)}`, s: "size huge", cs: `colors {${color(id)},blue}` }]);
    assert.deepEqual(fields.map((field) => field.dataTypeID), [oids.color.one, oids.size.one, oids.color.array]);
    const simple = await client.query(`SELECT c, s, cs FROM things WHERE id = ${id}`);
    assert.deepEqual(simple.rows, rows);
    const named = await client.query({ name: "thing", text: "SELECT c, s, cs FROM things WHERE id = $1", values: [id] });
    assert.deepEqual(named.rows, rows);
  }
});

await check("scattered", async () => {
  const { rows } = await client.query("SELECT id, c FROM things WHERE id BETWEEN $1 AND $2 ORDER BY id", [IDS[0], IDS.at(-1)]);
  assert.deepEqual(rows.map((row) => row.c), IDS.map((id) => `color ${color(id)}`));
  const deleted = await client.query("DELETE FROM things WHERE id BETWEEN $1 AND $2 RETURNING c, cs", [IDS[0], IDS.at(-1)]);
  assert.deepEqual(deleted.rows.map((row) => row.c).sort(), IDS.map((id) => `color ${color(id)}`).sort());
  assert.ok(deleted.rows.every((row) => row.cs.startsWith("colors {")));
});

await client.end();
