// Draws the dashboards with Grafana's libraries in Chromium.
//
// Usage: node draw.mjs MODULES CHROMIUM PROMETHEUS_URL NOW DIRECTORY

import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';

const [modules, chromium, url, now, target] = process.argv.slice(2);
const packages = join(modules, 'node_modules');
const require = createRequire(join(modules, 'package.json'));
const esbuild = require('esbuild');
const playwright = require('playwright-core');

// Wide enough for every column of every table.
const WIDTH = 1680;
// Tables outside of the viewport have no rows.
const HEIGHT = 3000;
const HERE = import.meta.dirname;
const GRAFANA = join(HERE, '../../deploy/grafana');
const ORIGIN = 'http://pictures.test';

const SYNC = {
  account: { value: '222233334444', text: 'staging 222233334444' },
  region: { value: 'eu-west-1', text: 'eu-west-1' },
  type: { value: 'SyncToDestination', text: 'SyncToDestination' },
  sync: { value: 'patch-compliance', text: 'patch-compliance' },
};
const ANY = { datasource: { value: 'prometheus', text: 'Prometheus' }, limit: { value: '50', text: '50' } };

// Each picture shows the rows of a dashboard's grid from `from` to `to`.
const PICTURES = [
  { name: 'fleet', dashboard: 'fleet', values: ANY, from: 0, to: 38 },
  { name: 'fleet-more', dashboard: 'fleet', values: ANY, from: 38, to: Infinity },
  { name: 'sync', dashboard: 'sync', values: { ...ANY, ...SYNC }, from: 0, to: Infinity },
];

async function bundle() {
  const { outputFiles } = await esbuild.build({
    entryPoints: [join(HERE, 'page/main.jsx')],
    bundle: true,
    write: false,
    outdir: '/',
    entryNames: 'page',
    minify: true,
    jsx: 'automatic',
    loader: { '.ttf': 'empty' },
    nodePaths: [packages],
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    logLevel: 'error',
  });
  const entry = ({ path, contents }) => [path, Buffer.from(contents)];
  return new Map(outputFiles.map(entry));
}

const PAGE = `<!doctype html><meta charset="utf-8"><title>dashboard</title>
<script>window.__grafana_public_path__ = '${ORIGIN}/public/'</script>
<link rel="stylesheet" href="/page.css"><div id="root"></div><script src="/page.js"></script>`;

// The fonts that Grafana's application would serve. Those that are not here are not used.
const FONTS = { 'Inter-Regular': 'inter-latin-400-normal', 'Inter-Medium': 'inter-latin-500-normal' };

// The icon or font that Grafana's application would serve at a path.
async function libraryFile(pathname) {
  const name = basename(pathname, extname(pathname));
  if (FONTS[name]) {
    const body = await readFile(join(packages, `@fontsource/inter/files/${FONTS[name]}.woff2`));
    return { contentType: 'font/woff2', body };
  }
  if (!pathname.startsWith('/public/build/img/')) {
    return null;
  }
  // The library uses this icon, but does not contain it.
  const icon = pathname.replace('angle-double-left', 'angle-double-right');
  const svg = await readFile(join(packages, '@grafana/ui/dist/public', icon.slice('/public/build'.length)), 'utf8');
  const mirrored = '$1<g transform="matrix(-1 0 0 1 24 0)">$2</g>$3';
  const body = icon === pathname ? svg : svg.replace(/(<svg[^>]*>)(.*)(<\/svg>)/s, mirrored);
  return { contentType: 'image/svg+xml', body };
}

// Serves the page, the icons of Grafana's library, and the API of Prometheus.
async function serve(route, bundled) {
  const { pathname } = new URL(route.request().url());
  if (pathname === '/') {
    return route.fulfill({ contentType: 'text/html', body: PAGE });
  }
  if (bundled.has(pathname)) {
    const contentType = pathname.endsWith('.css') ? 'text/css' : 'text/javascript';
    return route.fulfill({ contentType, body: bundled.get(pathname) });
  }
  // Through this process, because a page may not connect to addresses of the local host.
  if (pathname.startsWith('/api/v1/')) {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const answer = await fetch(url + pathname, { method: 'POST', headers, body: route.request().postData() });
    return route.fulfill({ status: answer.status, contentType: 'application/json', body: await answer.text() });
  }
  const asset = await libraryFile(pathname);
  return asset ? route.fulfill(asset) : route.fulfill({ status: 204 });
}

async function draw(browser, bundled, { name, dashboard, values, from, to }) {
  const json = await readFile(join(GRAFANA, `${dashboard}.json`), 'utf8');
  const viewport = { width: WIDTH, height: HEIGHT };
  const context = await browser.newContext({ timezoneId: 'UTC', locale: 'en-GB', viewport });
  await context.route(`${ORIGIN}/**`, (route) => serve(route, bundled));
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.stack));
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  await page.goto(ORIGIN);
  await page.evaluate((what) => window.draw(what), {
    dashboard: JSON.parse(json),
    now: Number(now),
    values,
    from,
    to: Number.isFinite(to) ? to : 1e9,
    header: from === 0,
    width: WIDTH,
  });
  await page.evaluate(() => document.fonts.ready);
  await page.waitForLoadState('networkidle');
  await page.waitForTimeout(1000);
  if (errors.length > 0) {
    throw new Error(`${name}: ${errors.join('\n')}`);
  }
  await page.locator('#root').screenshot({ path: join(target, `${name}.png`) });
  await context.close();
}

const bundled = await bundle();
const browser = await playwright.chromium.launch({ executablePath: chromium, args: ['--no-sandbox'] });
try {
  for (const picture of PICTURES) {
    await draw(browser, bundled, picture);
  }
} finally {
  await browser.close();
}
