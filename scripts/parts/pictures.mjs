// Takes a picture of each dashboard: pictures.mjs URL FOLDER_OF_DASHBOARDS FOLDER_OF_PICTURES
import { readFileSync, readdirSync } from 'node:fs';
import { chromium } from 'playwright-core';

const [url, boards, pictures] = process.argv.slice(2);
// What a dashboard is looked at for: a handler needs one to be chosen, a trace an id.
const trace = async () => (await (await fetch(`${url}/api/v2/traces?limit=200&lookback=900000`)).json())
  .sort((a, b) => b.length - a.length)[0][0].traceId;
const MORE = { handler: async () => '&var-segment=helloworld', traces: async () => `&var-trace=${await trace()}` };

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars', '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1'],
});
for (const file of readdirSync(boards).sort()) {
  const name = file.replace('.json', '');
  const { uid } = JSON.parse(readFileSync(`${boards}/${file}`));
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  const more = MORE[name] ? await MORE[name]() : '';
  await page.goto(`${url}/d/${uid}?from=now-5m${more}`, { waitUntil: 'load' });
  await page.locator('[data-panel]').first().waitFor();
  // Panels draw themselves as they come into view.
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width: 1280, height: Math.min(height + 200, 4000) });
  await page.waitForFunction(() => !document.querySelector('[data-state=waiting]'), null, { timeout: 60_000 });
  await page.waitForTimeout(1_500);
  const end = await page.evaluate(() => Math.max(...[...document.querySelectorAll('[data-panel]')].map((one) => one.getBoundingClientRect().bottom)) + scrollY);
  await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true, clip: { x: 0, y: 0, width: 1280, height: Math.ceil(end) + 24 } });
  await page.close();
}
await browser.close();
