// Tests the status page in a real browser.
//
//     node status.mjs URL [ACCOUNT REGION PROBLEMS [STATE=URL]...]
//
// ACCOUNT is part of the name of an account that has problems in REGION and is not the only account.
// PROBLEMS is the number of syncs with problems, which must be more than fit on one page. Each STATE is a
// key of STATES, and its URL that of an exporter in this state. Without these arguments, the script only
// takes screenshots.
//
// TEST_CHROMIUM is the path of the browser, and TEST_BROWSER_MODULES the node_modules directory with
// playwright-core. If TEST_SCREENSHOTS is set, screenshots are written to that directory.
// TEST_SCREENSHOT_PATH is the page that they show, relative to URL; the unfiltered page by default. The
// last line of the output lists the completed checks.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [url, account, region, problems, ...states] = process.argv.slice(2);
const { chromium } = await import(
  pathToFileURL(join(process.env.TEST_BROWSER_MODULES, "playwright-core", "index.mjs")).href
);

const profile = await mkdtemp(join(tmpdir(), "status-page-"));
const flags = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const failures = [];
const checked = [];

/** Opens a page and records errors, dialogs and requests to other origins as failures. */
async function open(browser, path, { base = url, refresh = "off", ...options } = {}) {
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
    if (new URL(request.url()).origin !== new URL(base).origin) failures.push(`request: ${request.url()}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) failures.push(`${response.status()}: ${response.url()}`);
  });
  if (options.javaScriptEnabled !== false) {
    // Without the automatic refresh, unless it is tested, so that no page changes during a check.
    await page.addInitScript((refresh) => {
      if (localStorage.getItem("refresh") === null && refresh !== null) localStorage.setItem("refresh", refresh);
      window.violations = [];
      document.addEventListener("securitypolicyviolation", (event) => {
        window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
      });
    }, refresh);
  }
  await page.goto(new URL(path, base).href, { waitUntil: "load" });
  return page;
}

/** Closes a page after checking that nothing violated its security policy and no hostile text ran as a script. */
async function close(page, scripted = true) {
  if (scripted) {
    assert.deepEqual(await page.evaluate(() => window.violations), []);
    assert.equal(await page.evaluate(() => window.pwned), undefined);
  }
  await page.context().close();
}

const texts = (page, selector) => page.locator(selector).allInnerTexts();
const background = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);

/** All visible texts with too little contrast to their background (WCAG 2.2, 1.4.3). */
const lowContrastTexts = (page) =>
  page.evaluate(() => {
    const parse = (color) => {
      const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number);
      return { r, g, b, a };
    };
    const blend = (top, below) => ({
      r: top.r * top.a + below.r * (1 - top.a), g: top.g * top.a + below.g * (1 - top.a), b: top.b * top.a + below.b * (1 - top.a), a: 1,
    });
    const behind = (element) => {
      if (!element) return { r: 255, g: 255, b: 255, a: 1 };
      const color = parse(getComputedStyle(element).backgroundColor);
      return color.a === 1 ? color : blend(color, behind(element.parentElement));
    };
    const luminance = ({ r, g, b }) => {
      const [x, y, z] = [r, g, b].map((value) => {
        const part = value / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const tooLow = [];
    let checkedTexts = 0;
    for (const element of document.querySelectorAll("body *")) {
      const hasText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
      if (!hasText || !element.checkVisibility() || element.closest("[aria-disabled]")) continue;
      const background = behind(element);
      const [one, other] = [luminance(blend(parse(getComputedStyle(element).color), background)), luminance(background)];
      const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
      checkedTexts += 1;
      if (contrast < 4.5) tooLow.push(`${element.className || element.tagName} “${element.textContent.slice(0, 40)}”: ${contrast.toFixed(2)}`);
    }
    if (checkedTexts < 30) tooLow.push(`only ${checkedTexts} texts were checked`);
    return tooLow;
  });

async function filters(browser, scripted) {
  const page = await open(browser, "./", { javaScriptEnabled: scripted });
  await page.getByRole("searchbox", { name: "Account" }).fill(account);
  await page.getByRole("combobox", { name: "Region" }).selectOption(region);
  await page.getByRole("combobox", { name: "Status" }).selectOption("trouble");
  await page.getByRole("button", { name: "Filter" }).press("Enter");
  await page.waitForURL(/account=/);
  const names = [...(await texts(page, "#syncs .where .name")), ...(await texts(page, "#targets .where .name"))];
  assert.ok(names.length > 0);
  for (const name of names) assert.ok(name.toLowerCase().includes(account.toLowerCase()), name);
  assert.equal(await page.getByRole("searchbox", { name: "Account" }).inputValue(), account);
  assert.equal(await page.getByRole("combobox", { name: "Status" }).inputValue(), "trouble");
  await page.getByRole("link", { name: "Clear" }).click();
  assert.equal(await page.getByRole("searchbox", { name: "Account" }).inputValue(), "");
  // A tile links to the list of the targets that it counts.
  await page.locator("a.tile.down").click();
  for (const label of await texts(page, "#targets .badge")) assert.equal(label, "Down");
  // A cell of the grid links to its target.
  await page.goto(url);
  await page.locator(".grid tbody td a").first().click();
  assert.equal(await page.locator("#targets tbody tr").count(), 1);
  await close(page, scripted);
  checked.push(scripted ? "filter" : "filter without script");
}

async function paging(browser, scripted) {
  const page = await open(browser, "./", { javaScriptEnabled: scripted });
  await page.getByRole("link", { name: `Show all ${problems} syncs with problems` }).click();
  await page.waitForURL(/status=trouble/);
  const seen = new Set();
  for (let number = 1; ; number += 1) {
    for (const name of await texts(page, "#syncs tbody .sync > .name")) seen.add(name);
    const next = page.locator("#syncs nav").getByRole("link", { name: "Next" });
    if ((await next.count()) === 0) break;
    await next.click();
    await page.waitForURL(new RegExp(`syncs=${number + 1}`));
  }
  assert.equal(seen.size, Number(problems));
  await page.locator("#syncs nav").getByRole("link", { name: "First" }).click();
  assert.ok(!page.url().includes("syncs="));
  await close(page, scripted);
  checked.push(scripted ? "paging" : "paging without script");
}

async function themes(browser) {
  const light = await open(browser, "./", { colorScheme: "light" });
  const dark = await open(browser, "./", { colorScheme: "dark" });
  const [day, night] = [await background(light), await background(dark)];
  // Add a badge of every status, because the page does not show all of them and their contrast is checked
  // below.
  for (const page of [light, dark]) {
    await page.evaluate(() => {
      for (const tile of document.querySelectorAll(".tile")) {
        const badge = document.createElement("p");
        badge.className = tile.className.replace("tile", "badge").replace("zero", "");
        badge.textContent = badge.className;
        document.getElementById("syncs").append(badge);
      }
    });
  }
  assert.notEqual(day, night);
  assert.deepEqual(await lowContrastTexts(light), []);
  assert.deepEqual(await lowContrastTexts(dark), []);
  // The chosen theme overrides the system's and is stored.
  await light.getByLabel("Theme").selectOption("dark");
  assert.equal(await background(light), night);
  assert.deepEqual(await lowContrastTexts(light), []);
  await light.reload();
  assert.equal(await background(light), night);
  assert.equal(await light.getByLabel("Theme").inputValue(), "dark");
  await light.getByLabel("Theme").selectOption("auto");
  assert.equal(await background(light), day);
  await dark.getByLabel("Theme").selectOption("light");
  assert.equal(await background(dark), day);
  await close(light);
  await close(dark);
  checked.push("themes");
}

async function refreshes(browser) {
  const page = await open(browser, "./", { refresh: null });
  await page.clock.install();
  await page.reload();
  const refresh = page.getByRole("checkbox", { name: "Refresh" });
  const freshness = () => page.locator(".freshness").innerText();
  // The page refreshes unless the reader chooses otherwise, and its times keep growing.
  assert.equal(await refresh.isChecked(), true);
  assert.match(await freshness(), /^As of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(\d+s ago\), refreshes in \d+s\. Oldest data: .* ago\./);
  const seconds = async () => (await freshness()).match(/\((\d+)s ago\), refreshes in (\d+)s\./).slice(1).map(Number);
  const age = async () => (await texts(page, "#syncs .when .ago"))[1];
  const [before, [secondsBefore]] = [await age(), await seconds()];
  await page.clock.runFor(5_000);
  const [secondsAfter, remaining] = await seconds();
  assert.ok(secondsAfter >= secondsBefore + 5, `${secondsAfter} after ${secondsBefore}`);
  assert.equal(secondsAfter + remaining, 30);
  assert.notEqual(await age(), before);
  // The page does not refresh while details are open.
  await page.locator("details summary").first().click();
  await page.evaluate(() => { window.same = true; });
  await page.clock.runFor(61_000);
  assert.equal(await page.evaluate(() => window.same), true);
  assert.match(await freshness(), /not refreshed while details are open/);
  await page.locator("details summary").first().click();
  await Promise.all([page.waitForEvent("load"), page.clock.runFor(31_000)]);
  assert.equal(await page.evaluate(() => window.same), undefined);
  // The choice is remembered.
  await refresh.uncheck();
  await page.reload();
  assert.equal(await refresh.isChecked(), false);
  await page.evaluate(() => { window.same = true; });
  await page.clock.runFor(61_000);
  assert.equal(await page.evaluate(() => window.same), true);
  await close(page);
  const unscripted = await open(browser, "./", { javaScriptEnabled: false });
  assert.match(await unscripted.locator(".freshness").innerText(), /^As of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\./);
  assert.match(await unscripted.locator("#syncs time").first().getAttribute("title"), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
  await close(unscripted, false);
  checked.push("refresh");
}

async function search(browser, scripted) {
  const page = await open(browser, "./", { javaScriptEnabled: scripted });
  const field = page.getByRole("searchbox", { name: "Search" });
  if (scripted) {
    await page.keyboard.press("/");
    assert.equal(await field.evaluate((element) => element === document.activeElement), true);
    // A slash that is typed into a field stays there.
    await page.getByRole("searchbox", { name: "Account" }).focus();
    await page.keyboard.press("/");
    assert.equal(await page.getByRole("searchbox", { name: "Account" }).inputValue(), "/");
    await page.getByRole("searchbox", { name: "Account" }).fill("");
  }
  await field.fill("OLD");
  await field.press("Enter");
  await page.waitForURL(/q=OLD/);
  assert.deepEqual(await texts(page, "#syncs tbody .sync > .name"), ["old"]);
  assert.equal(await field.inputValue(), "OLD");
  const link = await page.locator("#syncs tbody .sync > .name").getAttribute("href");
  assert.match(link, /^\.\/sync\?account=\d{12}&region=[a-z0-9-]+&type=SyncToDestination&name=old$/);
  await close(page, scripted);
  checked.push(scripted ? "search" : "search without script");
}

async function hostileTexts(browser) {
  const page = await open(browser, "./?status=trouble");
  const all = await page.locator("main").innerText();
  assert.ok(all.includes("<img src=x onerror=window.pwned=1>"), "hostile names are text");
  assert.ok(all.includes("<script>window.pwned=2</script>"), "hostile messages are text");
  assert.equal(await page.locator("main img, main script, main iframe").count(), 0);
  // Collapsed texts can be expanded with the keyboard.
  const advice = page.locator("details.advice").first();
  await advice.locator("summary").press("Enter");
  assert.ok(await advice.locator("p").isVisible());
  await close(page);
  checked.push("hostile texts");
}

async function widths(browser) {
  for (const width of [320, 390, 768, 1280, 1920]) {
    const page = await open(browser, "./?status=trouble", { viewport: { width, height: 800 } });
    const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(excess <= 0, `${excess} pixels wider than ${width}`);
    await close(page);
  }
  const page = await open(browser, "./", { javaScriptEnabled: false });
  assert.equal(await page.locator("#settings").isVisible(), false, "settings that need a script are hidden without one");
  await close(page, false);
  checked.push("widths");
}

/** What a page says at the top, and what it has to show further below. */
const STATES = {
  well: { title: /^SSM Sync Exporter$/, headline: "healthy", text: /^No problems: / },
  quota: { title: /^\(1\) SSM/, headline: "quota_used", text: /^The quota of syncs is used up in 1 target\.$/, trouble: "#quotas tbody .where" },
  empty: { title: /^SSM Sync Exporter$/, headline: "no_syncs", text: /^No resource data syncs found in /, visible: "#nothing-found" },
  starting: { title: /^SSM Sync Exporter$/, headline: "not_collected", text: /^Waiting for the first collection of / },
  unreachable: { title: /^\(2\) SSM/, headline: "down", text: /^2 of 2 targets are down\.$/, trouble: "#causes article h3" },
  unexpected: { title: /^\(3\) Expectation without targets · /, headline: "not_as_expected", text: /^2 targets are not as expected\.$/, trouble: "#violations tbody .name" },
  nodes: { title: /^\(\d\) SSM/, headline: "stale", text: /^2 syncs are stale; 3 targets are not as expected\.$/, trouble: "#syncs tbody .sync .name", visible: "#managed-nodes" },
  large: { title: /^\([\d,]+\) SSM/, headline: /failed|down/, text: / failed/, trouble: "#syncs tbody .sync .name" },
  unlisted: { title: /^\(1\) Organization not listed · /, headline: "warning", text: /^No problems so far: /, trouble: ".headline .notice" },
  reload: { title: /^\(1\) Reload failed · /, headline: "warning", text: /^No problems: /, trouble: ".headline .notice" },
};

/** Checks a state in both themes, on wide and narrow screens. */
async function state(browser, name, base) {
  const { title, headline, text, trouble, visible } = STATES[name];
  for (const [colorScheme, width, height] of [["light", 1280, 900], ["dark", 1280, 900], ["light", 390, 844]]) {
    const page = await open(browser, "./", { base, colorScheme, viewport: { width, height } });
    const where = `${name}, ${colorScheme}, ${width}`;
    assert.match(await page.title(), title, where);
    assert.match(await page.locator("h1").innerText(), text, where);
    const classes = await page.locator(".headline").getAttribute("class");
    assert.match(classes, headline instanceof RegExp ? headline : new RegExp(`^headline ${headline}$`), where);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0, where);
    assert.deepEqual(await lowContrastTexts(page), [], where);
    if (visible) assert.ok(await page.locator(visible).isVisible(), where);
    if (trouble) {
      const box = await page.locator(trouble).first().boundingBox();
      assert.ok(box.y + box.height <= height, `${where}: the first trouble ends at ${box.y + box.height}`);
    }
    // The names of regions are on one line each, and not clipped.
    const broken = await page.locator(".grid thead th a").evaluateAll((links) =>
      links.filter((link) => link.getClientRects().length !== 1 || link.scrollWidth > link.clientWidth + 1
        || link.scrollHeight > link.clientHeight + 1).map((link) => link.textContent));
    assert.deepEqual(broken, [], where);
    if (process.env.TEST_SCREENSHOTS) {
      await page.screenshot({ path: join(process.env.TEST_SCREENSHOTS, `${name}-${colorScheme}-${width}.png`), fullPage: width > 400 });
    }
    await close(page);
  }
  checked.push(`state ${name}`);
}

async function screenshots(browser, directory) {
  for (const [name, options] of [
    ["light", { colorScheme: "light" }],
    ["dark", { colorScheme: "dark" }],
    ["narrow", { viewport: { width: 390, height: 844 } }],
    ["without-script", { javaScriptEnabled: false }],
  ]) {
    const page = await open(browser, process.env.TEST_SCREENSHOT_PATH ?? "./", { refresh: null, ...options });
    await page.screenshot({ path: join(directory, `${name}.png`), fullPage: true });
    if (name === "light") {
      // The screenshot for the README, without the section about the exporter.
      const height = Math.floor((await page.locator("#about").boundingBox()).y);
      await page.screenshot({ path: join(directory, "status.png"), fullPage: true, clip: { x: 0, y: 0, width: 1280, height } });
    }
    await page.context().close();
  }
}

const persistentContext = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.TEST_CHROMIUM, args: flags, headless: true,
});
try {
  // The checks open contexts of their own, so that they share no storage.
  const browser = persistentContext.browser();
  if (account !== undefined) {
    for (const scripted of [true, false]) {
      await filters(browser, scripted);
      await paging(browser, scripted);
      await search(browser, scripted);
    }
    await themes(browser);
    await refreshes(browser);
    await hostileTexts(browser);
    await widths(browser);
    for (const argument of states) await state(browser, ...argument.split(/=(.*)/, 2));
  }
  if (process.env.TEST_SCREENSHOTS) await screenshots(browser, process.env.TEST_SCREENSHOTS);
  assert.deepEqual(failures, []);
  console.log(`checked: ${checked.join(", ")}`);
} finally {
  await persistentContext.close();
  await rm(profile, { recursive: true, force: true });
}
