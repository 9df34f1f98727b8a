// Tests the page about one sync in a real browser.
//
//     node sync.mjs URL
//
// URL is the page about a failed sync with a hostile name. The environment variables are those of
// `status.mjs`. The last line of the output lists the completed checks.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [url] = process.argv.slice(2);
const { chromium } = await import(
  pathToFileURL(join(process.env.TEST_BROWSER_MODULES, "playwright-core", "index.mjs")).href
);

const profile = await mkdtemp(join(tmpdir(), "sync-page-"));
const flags = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const failures = [];
const checked = [];

/** Opens the page and records errors, dialogs and requests to other origins as failures. */
async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) failures.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => failures.push(`script: ${error}`));
  page.on("dialog", (dialog) => {
    failures.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) failures.push(`request: ${request.url()}`);
  });
  await page.goto(url, { waitUntil: "load" });
  return page;
}

async function hostileTexts(browser) {
  const page = await open(browser);
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  assert.ok((await page.locator("h1").innerText()).includes("<img src=x onerror=window.pwned=1>"));
  assert.equal(await page.locator("main img, main script, main iframe").count(), 0);
  await page.context().close();
  checked.push("hostile texts");
}

/** Clicks a button and reads the clipboard. */
async function copies(browser) {
  const page = await open(browser, { permissions: ["clipboard-read", "clipboard-write"] });
  const block = page.locator(".to-copy").first();
  const command = await block.locator("code").textContent();
  await block.getByRole("button", { name: "Copy" }).press("Enter");
  await block.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), command);
  // Over plain HTTP there is no clipboard API, so the text is selected and copied.
  await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  const last = page.locator(".to-copy").last();
  await last.getByRole("button", { name: "Copy" }).click();
  await last.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => getSelection().toString().trim()), (await last.locator("code").innerText()).trim());
  await page.context().close();
  checked.push("copy");
}

async function withoutScript(browser) {
  const page = await open(browser, { javaScriptEnabled: false });
  assert.equal(await page.locator(".copy:visible").count(), 0, "buttons that need a script are hidden without one");
  assert.equal(await page.locator("#settings").isVisible(), false);
  assert.ok(await page.locator(".to-copy code").first().isVisible());
  await page.getByRole("navigation", { name: "Breadcrumb" }).getByRole("link", { name: "eu-west-1" }).click();
  assert.ok(page.url().includes("/?account=111122223333&region=eu-west-1"), page.url());
  await page.context().close();
  checked.push("without script");
}

async function themesAndRefresh(browser) {
  const background = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const page = await open(browser, { colorScheme: "light" });
  const day = await background(page);
  await page.getByLabel("Theme").selectOption("dark");
  assert.notEqual(await background(page), day);
  await page.clock.install();
  await page.reload();
  await page.getByRole("checkbox", { name: "Refresh" }).check();
  await page.evaluate(() => { window.same = true; });
  await Promise.all([page.waitForEvent("load"), page.clock.runFor(31_000)]);
  assert.equal(await page.evaluate(() => window.same), undefined);
  await page.context().close();
  checked.push("theme and refresh");
}

async function widths(browser) {
  for (const width of [320, 390, 768, 1280, 1920]) {
    const page = await open(browser, { viewport: { width, height: 800 } });
    const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(excess <= 0, `${excess} pixels wider than ${width}`);
    await page.context().close();
  }
  checked.push("widths");
}

async function screenshots(browser, directory) {
  for (const [name, options] of [
    ["light", { colorScheme: "light" }],
    ["dark", { colorScheme: "dark" }],
    ["narrow", { viewport: { width: 390, height: 844 } }],
    ["without-script", { javaScriptEnabled: false }],
  ]) {
    const page = await open(browser, options);
    await page.screenshot({ path: join(directory, `sync-${name}.png`), fullPage: true });
    await page.context().close();
  }
}

const persistentContext = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.TEST_CHROMIUM, args: flags, headless: true,
});
try {
  // The checks open contexts of their own, so that they share no storage.
  const browser = persistentContext.browser();
  for (const check of [hostileTexts, copies, withoutScript, themesAndRefresh, widths]) await check(browser);
  if (process.env.TEST_SCREENSHOTS) await screenshots(browser, process.env.TEST_SCREENSHOTS);
} finally {
  await persistentContext.close();
  await rm(profile, { recursive: true, force: true });
}
assert.deepEqual(failures, []);
console.log(`checked: ${checked.join(", ")}`);
