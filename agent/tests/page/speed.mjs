// How soon the page is there: first paint of the home page, and a dashboard of twenty panels from the click to the last line drawn.
// Not a test: `just page-speed` prints medians. The machine has to be quiet for them to mean anything.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { demo, eventually, launch, tab } from './support.mjs';

const TIMES = Number(process.env.TIMES ?? 11);
const folder = mkdtempSync(join(tmpdir(), 'sightline-boards-'));
const questions = [
  'sum by (segment) (rate(instrument_outcomes_total{group="handlers"}[$__rate_interval]))',
  'histogram_quantile(0.99, sum by (le, segment) (rate(instrument_timing_seconds_bucket[$__rate_interval])))',
  'sum by (outcome) (rate(instrument_outcomes_total[$__rate_interval]))',
  'max by (group, segment, measure) (instrument_gauge)',
];
writeFileSync(join(folder, 'twenty.json'), JSON.stringify({
  uid: 'twenty', title: 'Twenty panels', time: { from: 'now-15m', to: 'now' },
  panels: Array.from({ length: 20 }, (_, i) => ({
    id: i + 1, type: 'timeseries', title: `Panel ${i + 1}`, gridPos: { x: (i % 4) * 6, y: Math.floor(i / 4) * 6, w: 6, h: 6 },
    datasource: { type: 'prometheus', uid: 'prometheus' }, targets: [{ refId: 'A', expr: questions[i % 4], legendFormat: '__auto', range: true }],
  })),
}));

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const say = (what, list) => console.log(`${what}: median ${median(list).toFixed(0)} ms of ${list.length} (${Math.min(...list).toFixed(0)} to ${Math.max(...list).toFixed(0)})`);

const [agent, browser] = await Promise.all([demo(folder), launch()]);
try {
  await eventually('rates', async () => (await (await fetch(`${agent.url}/api/v1/query?query=${encodeURIComponent('sum(rate(instrument_outcomes_total[1m]))')}`)).json()).data.result.length, 90);
  const [paint, rows, drawn, warm] = [[], [], [], []];
  for (let i = 0; i < TIMES; i += 1) {
    // A context of its own each: nothing is in the browser's cache.
    const context = await browser.newContext({ viewport: { width: 1600, height: 1500 } });
    const page = await tab(context, agent.url);
    await page.goto(`${agent.url}/`);
    await page.locator('tbody tr').first().waitFor();
    rows.push(await page.evaluate(() => performance.now()));
    paint.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime));
    const all = () => page.waitForFunction(() => document.querySelectorAll('[data-state=drawn] canvas').length === 20, null, { polling: 'raf' });
    await page.goto(`${agent.url}/d/twenty`);
    await all();
    drawn.push(await page.evaluate(() => performance.now()));
    // Within the page, as a person comes to it: from the list by a click.
    await page.goto(`${agent.url}/dashboards`);
    const link = page.locator('.boards a', { hasText: 'Twenty panels' });
    await link.waitFor();
    const before = await page.evaluate(() => performance.now());
    await link.click();
    await all();
    warm.push(await page.evaluate(() => performance.now()) - before);
    await context.close();
  }
  say('first paint of the home page, nothing cached', paint);
  say('services listed with their figures', rows);
  say('twenty panels, page loaded anew', drawn);
  say('twenty panels, from the list by a click', warm);
} finally {
  await browser.close();
  await agent.stop();
  rmSync(folder, { recursive: true });
}
