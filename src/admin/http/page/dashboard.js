// The dashboard: asks /api/state every two seconds and shows it. Rates and latencies are differences between two
// answers; nothing is kept but what this page has seen. Texts are only ever set as text.
"use strict";

const EVERY = 2000;
const KEPT = 60;
const by = (id) => document.getElementById(id);
let before = null;
let latest = null;
let bucketsAtStart = null;
let bucketsNow = null;
const history = new Map();

function element(name, options = {}, ...children) {
  const made = document.createElement(name);
  if (options.text !== undefined) made.textContent = options.text;
  if (options.kind) made.className = options.kind;
  made.append(...children);
  return made;
}

function show(id, ...children) {
  by(id).replaceChildren(...children);
}

/// Columns are [title, value of a row, class].
function table(id, rows, columns, none) {
  if (rows.length === 0) return show(id, element("p", { text: none, kind: "note" }));
  const head = element("tr", {}, ...columns.map(([title, , kind]) => element("th", { text: title, kind })));
  const body = rows.map((row) =>
    element("tr", {}, ...columns.map(([, value, kind]) => {
      const shown = value(row);
      const bad = typeof shown === "object" && shown !== null;
      return element("td", { text: bad ? shown.text : shown ?? "", kind: [kind, bad ? shown.kind : ""].join(" ").trim() });
    })));
  show(id, element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

const number = (value) => Math.round(value).toLocaleString("en");
const rate = (value) => (value < 10 ? value.toFixed(1) : number(value));
const millis = (seconds) => {
  if (seconds === null) return "–";
  const ms = seconds * 1000;
  return ms < 10 ? `${ms.toFixed(2)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${seconds.toFixed(1)} s`;
};
const bytes = (value) => (value < 1e4 ? `${Math.round(value)} B` : value < 1e7 ? `${Math.round(value / 1e3)} kB` : `${Math.round(value / 1e6)} MB`);
const clock = (epoch) => new Date(epoch * 1000).toLocaleTimeString();

/// The upper bound of the class in which that share of the statements lies.
function quantile(counts, bounds, share) {
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all === 0) return null;
  let below = 0;
  for (let at = 0; at < counts.length; at++) {
    below += counts[at];
    if (below >= share * all) return bounds[Math.min(at, bounds.length - 1)];
  }
  return bounds[bounds.length - 1];
}

const minus = (now, then) => now.map((count, at) => Math.max(0, count - (then?.[at] ?? 0)));
const nodeName = (node) => `${node.database}/${node.shard}/${node.role}/${node.address}`;

function remember(name, state, value) {
  const values = history.get(name) ?? [];
  // The same answer may be shown twice.
  if (values.of !== state) values.push(value);
  values.of = state;
  if (values.length > KEPT) values.shift();
  history.set(name, values);
  return values;
}

function line(values) {
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  picture.setAttribute("viewBox", `0 0 ${KEPT} 50`);
  picture.setAttribute("preserveAspectRatio", "none");
  const most = Math.max(1, ...values);
  const points = values.map((value, at) => `${KEPT - values.length + at},${48 - (46 * value) / most}`);
  const drawn = document.createElementNS(space, "polyline");
  drawn.setAttribute("points", points.join(" "));
  picture.append(drawn);
  return picture;
}

function figures(database, then, seconds, state) {
  const total = (name) => (database.totals[name] - (then?.totals[name] ?? database.totals[name])) / seconds;
  const clients = state.clients.filter((one) => one.database === database.name);
  const waiting = clients.filter((one) => one.phase === "waiting").reduce((sum, one) => sum + one.count, 0);
  const hits = total("template_hits"), misses = total("template_misses");
  const all = [
    ["requests a second", rate(total("requests"))],
    ["transactions a second", rate(total("transactions"))],
    ["mean time", millis(total("requests") > 0 ? total("request_seconds") / total("requests") : null)],
    ["clients", number(clients.reduce((sum, one) => sum + one.count, 0))],
    ["of them waiting", number(waiting)],
    ["known shapes", hits + misses > 0 ? `${((100 * hits) / (hits + misses)).toFixed(1)} %` : "–"],
    ["from clients", `${bytes(total("received"))}/s`],
    ["to clients", `${bytes(total("sent"))}/s`],
    ["connections", number(database.connections)],
  ];
  show("figures", ...all.map(([name, value]) => element("div", {}, element("b", { text: value }), element("span", { text: name }))));
}

function shards(database, state, then, seconds) {
  show("shards", ...database.shards.map((shard) => {
    const nodes = state.nodes.filter((node) => node.database === database.name && node.shard === shard);
    const counts = nodes.reduce((sum, node) => {
      const old = then?.nodes.find((other) => nodeName(other) === nodeName(node));
      return minus(node.counts, old ? old.counts : node.counts).map((count, at) => count + (sum[at] ?? 0));
    }, []);
    const perSecond = counts.reduce((sum, count) => sum + count, 0) / seconds;
    const down = nodes.filter((node) => !node.up).length;
    const card = element("div", { kind: "card" },
      element("h3", { text: shard === database.home ? `${shard} (home)` : shard }),
      element("div", { text: `${rate(perSecond)} requests a second` }),
      element("div", { text: `median ${millis(quantile(counts, state.bounds, 0.5))}, 99 % ${millis(quantile(counts, state.bounds, 0.99))}` }),
      element("div", { text: down ? `${down} of ${nodes.length} nodes down` : `${nodes.length} nodes up`, kind: down ? "bad" : "good" }));
    card.append(line(remember(`${database.name}/${shard}`, state, perSecond)));
    return card;
  }));
}

function heat(database) {
  if (!bucketsNow || !bucketsAtStart) return;
  const counts = minus(bucketsNow[database.name] ?? [], bucketsAtStart[database.name]);
  const canvas = by("buckets");
  const context = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  context.fillStyle = style.getPropertyValue("--ground");
  context.fillRect(0, 0, canvas.width, canvas.height);
  const most = Math.max(1, ...counts);
  context.fillStyle = style.getPropertyValue("--accent");
  counts.forEach((count, bucket) => {
    if (count === 0) return;
    context.globalAlpha = 0.15 + 0.85 * Math.sqrt(count / most);
    context.fillRect((bucket % 128) * 8, Math.floor(bucket / 128) * 8, 7, 7);
  });
  context.globalAlpha = 1;
  canvas.onmousemove = canvas.onclick = (event) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * 128);
    const row = Math.floor(((event.clientY - box.top) / box.height) * 32);
    const bucket = row * 128 + column;
    const shard = database.shards[database.bucket_shards[bucket]] ?? "?";
    by("bucket").textContent = `bucket ${bucket} on shard ${shard}: about ${number(counts[bucket] ?? 0)} statements`;
  };
}

function render(state) {
  const chosen = by("database");
  const names = state.databases.map((database) => database.name);
  if ([...chosen.options].map((option) => option.value).join() !== names.join()) {
    chosen.replaceChildren(...names.map((name) => Object.assign(element("option", { text: name }), { value: name })));
  }
  const database = state.databases.find((one) => one.name === chosen.value) ?? state.databases[0];
  if (!database) return;
  const then = before?.databases.find((one) => one.name === database.name);
  const seconds = before ? Math.max(0.5, state.uptime_seconds - before.uptime_seconds) : 1;
  by("about").textContent = `version ${state.version}, up ${number(state.uptime_seconds / 60)} minutes, shard map ${database.map_version ?? "not known yet"}`;
  const trouble = state.draining ? "draining" : database.refused ?? (database.paused ? "paused" : "");
  by("state").textContent = trouble;
  by("state").className = trouble ? "bad" : "";
  figures(database, then, seconds, state);
  shards(database, state, before, seconds);
  heat(database);
  const own = (rows) => rows.filter((row) => row.database === database.name);
  table("nodes", own(state.nodes), [
    ["shard", (node) => node.shard],
    ["role", (node) => node.role],
    ["address", (node) => node.address],
    ["state", (node) => {
      if (!node.up) return { text: `down: ${node.failure}`, kind: "bad" };
      return node.problem ? { text: node.problem, kind: "bad" } : { text: "up", kind: "good" };
    }],
    ["behind", (node) => (node.role === "replica" && node.lag !== null ? `${millis(node.lag)}, ${bytes(node.lag_bytes)}` : ""), "number"],
    ["connections", (node) => `${node.in_use} of ${node.connections} in use`],
    ["connects", (node) => number(node.connects), "number"],
    ["failed", (node) => number(node.connect_failures), "number"],
  ], "no node");
  table("keys", database.keys, [
    ["key", (key) => key.name, "code"],
    ["statements", (key) => number(key.count), "number"],
  ], "No key is asked for much more than others.");
  table("running", own(state.running), [
    ["client", (one) => one.client, "number"],
    ["user", (one) => one.user],
    ["phase", (one) => one.phase],
    ["since", (one) => millis(one.seconds), "number"],
    ["shards", (one) => one.shards.join(", ")],
    ["plan", (one) => one.strategy],
    ["statement", (one) => one.statement, "code"],
  ], "Nothing runs.");
  table("doubt", own(state.in_doubt), [
    ["transaction", (one) => one.gid, "code"],
    ["shard", (one) => one.shard],
    ["age", (one) => millis(one.seconds), "number"],
    ["state", (one) => one.state],
  ], "None.");
  table("pools", own(state.pools), [
    ["user", (pool) => pool.user],
    ["in use", (pool) => number(pool.in_use), "number"],
    ["idle", (pool) => number(pool.idle), "number"],
    ["waiting", (pool) => number(pool.waiting), "number"],
    ["most a node", (pool) => number(pool.size), "number"],
  ], "No user has connected yet.");
  table("plans", database.plans, [
    ["statement", (plan) => plan.statement, "code"],
    ["plan", (plan) => plan.strategies.join(", ")],
    ["calls", (plan) => number(plan.calls), "number"],
    ["mean", (plan) => millis(plan.seconds / plan.calls), "number"],
    ["longest", (plan) => millis(plan.longest), "number"],
    ["rows", (plan) => number(plan.rows), "number"],
    ["errors", (plan) => number(plan.errors), "number"],
  ], "No statement yet.");
  table("slow", database.slow, [
    ["at", (slow) => clock(slow.at)],
    ["took", (slow) => millis(slow.seconds), "number"],
    ["waited", (slow) => millis(slow.waited), "number"],
    ["user", (slow) => slow.user],
    ["plan", (slow) => slow.strategy],
    ["statement", (slow) => slow.statement, "code"],
  ], "None.");
  show("refusals", ...(database.refusals.length === 0 ? [element("p", { text: "None.", kind: "note" })] : database.refusals.map((one) =>
    element("article", {},
      element("p", { text: `${clock(one.at)}, ${one.user}: ${one.message}` }),
      element("p", { text: one.detail, kind: "note" }),
      element("p", { text: one.hint, kind: "good" }),
      element("code", { text: one.statement })))));
}

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

let turns = 0;
async function look() {
  try {
    if (turns++ % 3 === 0) {
      bucketsNow = await ask("api/buckets");
      bucketsAtStart ??= bucketsNow;
    }
    const state = await ask("api/state");
    [before, latest] = [latest, state];
    render(state);
  } catch (error) {
    by("state").textContent = `not reachable: ${error.message}`;
    by("state").className = "bad";
  }
}

by("database").onchange = () => latest && render(latest);
look();
setInterval(look, EVERY);
