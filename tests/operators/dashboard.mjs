// The dashboard's own script on a page of a few lines: it asks the proxy for what it shows, twice, and nothing may
// fail. Its texts are printed for the test to look at.
import vm from "node:vm";

const base = process.argv[2];
const elements = new Map();

class Stub {
  constructor(name) { Object.assign(this, { name, children: [], textContent: "", className: "", value: "", attributes: {} }); }
  append(...children) { this.children.push(...children); }
  replaceChildren(...children) {
    this.children = children;
    if (this.name === "database" && !children.some((option) => option.value === this.value)) this.value = children[0]?.value ?? "";
  }
  get options() { return this.children; }
  setAttribute(name, value) { this.attributes[name] = value; }
  getContext() { return { fillRect: () => { fills++; } }; }
  getBoundingClientRect() { return { left: 0, top: 0, width: 128, height: 32 }; }
  text() { return [this.textContent, ...this.children.map((child) => child.text())].join(" "); }
}

let fills = 0;
let interval = null;
const asked = [];
const context = vm.createContext({
  console, Map, Math, Object, Date,
  document: {
    documentElement: {},
    getElementById: (id) => {
      if (!elements.has(id)) elements.set(id, new Stub(id));
      return elements.get(id);
    },
    createElement: (name) => new Stub(name),
    createElementNS: (_, name) => new Stub(name),
  },
  getComputedStyle: () => ({ getPropertyValue: () => "#000" }),
  setInterval: (callback) => { interval = callback; },
  fetch: async (path, options) => {
    asked.push(path);
    return fetch(`${base}/${path}`, options);
  },
});

const page = await (await fetch(`${base}/`)).text();
const script = await (await fetch(`${base}/dashboard.js`)).text();
for (const [, id] of script.matchAll(/(?:by|show|table)\("(\w+)"/g)) {
  if (!page.includes(`id="${id}"`)) throw new Error(`the page has no element ${id}`);
}
vm.runInContext(script, context);
const settled = () => new Promise((resolve) => setTimeout(resolve, 700));
await settled();
await interval();
await interval();
await interval();
await settled();
const state = elements.get("state");
if (state.className === "bad") throw new Error(state.textContent);
elements.get("buckets").onclick({ clientX: 1, clientY: 1 });
console.log(`asked ${asked.join(" ")}`);
for (const [id, element] of elements) console.log(`${id}: ${element.text().replace(/\s+/g, " ")}`);
if (fills < 1) throw new Error("nothing was drawn");
process.exit(0);
