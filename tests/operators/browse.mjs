// The dashboard in a real browser, while load runs: looked at, clicked through, on a phone and in the dark. What it
// shows is printed for the test; what must never be (requests to others, errors, a page wider than its screen) fails here.
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.NODE_PACKAGES, "package.json"));
const { chromium } = require("playwright-core");
const [, , base, browserPath, pictures] = process.argv;
const browser = await chromium.launch({
  executablePath: browserPath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const faults = [];
const fail = (what) => faults.push(what);

async function open(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${base}/`) && !url.startsWith("data:")) fail(`a request to ${url}`);
  });
  page.on("pageerror", (error) => fail(`an error of the page: ${error.message}`));
  page.on("console", (message) => message.type() === "error" && fail(`an error on the console: ${message.text()}`));
  await page.goto(`${base}/`);
  await until(page, "the databases are known", () => document.querySelectorAll("#database option").length === 2);
  await page.selectOption("#database", "shop");
  // The second answer is the first to give rates.
  await until(page, "there is a rate", () => Number.parseFloat(document.querySelector("#figures b")?.textContent ?? "0") > 0);
  return page;
}

/// Asked again and again from here: a page with this policy lets nobody evaluate texts in it.
async function until(page, what, holds) {
  const end = Date.now() + 60_000;
  while (!(await page.evaluate(holds))) {
    if (Date.now() > end) throw new Error(`${what}: ${await page.innerText("body")}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const background = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
const brightness = (color) => color.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);

const page = await open({ viewport: { width: 1280, height: 900 }, colorScheme: "light" });
console.log(`title: ${await page.title()}`);
console.log(`rate: ${await page.textContent("#figures b")}`);

// The heat map: the hottest cell is found by its pixels and clicked.
await until(page, "something is drawn", () => {
  const canvas = document.getElementById("buckets");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  for (let at = 0; at < data.length; at += 4) if (data[at] !== data[0] || data[at + 1] !== data[1]) return true;
  return false;
});
const cell = await page.evaluate(() => {
  const canvas = document.getElementById("buckets");
  const context = canvas.getContext("2d");
  const ground = context.getImageData(7, 7, 1, 1).data;
  let best = null;
  for (let bucket = 0; bucket < 4096; bucket++) {
    const [x, y] = [(bucket % 128) * 8 + 3, Math.floor(bucket / 128) * 8 + 3];
    const pixel = context.getImageData(x, y, 1, 1).data;
    const distance = [0, 1, 2].reduce((sum, part) => sum + Math.abs(pixel[part] - ground[part]), 0);
    if (distance > (best?.distance ?? 0)) best = { distance, x, y };
  }
  const box = canvas.getBoundingClientRect();
  return { x: (best.x / canvas.width) * box.width, y: (best.y / canvas.height) * box.height };
});
await page.click("#buckets", { position: cell });
console.log(`cell: ${await page.textContent("#bucket")}`);

// Another database and back.
await page.selectOption("#database", "other");
await until(page, "the other database", () => document.getElementById("plans").textContent.includes("No statement yet."));
await page.selectOption("#database", "shop");
await until(page, "statements", () => document.querySelectorAll("#plans tbody tr").length > 0);
const rates = await page.textContent("#figures b");
if (Number.parseFloat(rates) <= 0) fail(`chosen again, the database has ${rates} requests a second`);
for (const id of ["about", "shards", "nodes", "keys", "running", "pools", "plans", "slow", "refusals"]) {
  console.log(`${id}: ${(await page.innerText(`#${id}`)).replace(/\s+/g, " ")}`);
}
const light = await background(page);
await page.screenshot({ path: `${pictures}/dashboard.png`, fullPage: true });

// In the dark, without being loaded anew.
await page.emulateMedia({ colorScheme: "dark" });
const dark = await background(page);
if (brightness(dark) >= 300 || brightness(light) <= 600) fail(`light is ${light}, dark is ${dark}`);
await page.screenshot({ path: `${pictures}/dashboard-dark.png` });

const phone = await open({ viewport: { width: 375, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 });
await until(phone, "statements", () => document.querySelectorAll("#plans tbody tr").length > 0);
const wide = await phone.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
if (wide > 0) fail(`on a phone the page is ${wide} pixels wider than the screen`);
await phone.tap("#buckets");
if (!(await phone.textContent("#bucket")).startsWith("bucket ")) fail("a tap on the heat map shows nothing");
await phone.screenshot({ path: `${pictures}/dashboard-phone.png`, fullPage: true });

await browser.close();
if (faults.length) {
  console.error(faults.join("\n"));
  process.exit(1);
}
