// Every dashboard that ships, and two of foreign shape: each panel is drawn, or says in words why there is nothing.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { eventually, picture, violations } from './support.mjs';

/** Panels whose good answer is none, or whose series are made elsewhere. Nothing else may be empty. */
const MAY_BE_EMPTY = {
  'sightline-home': ['Firing alerts', 'Targets up', 'Pages that failed'],
  'sightline-handler': ['Slow calls', 'Errors and warnings'],
  'sightline-agent': ['Sent again, by reason', 'Dead letters', 'Dropped, by reason', 'Refused input, by reason', 'Elasticsearch: disk left'],
  'sightline-security': ['Addresses that guess'],
  'sightline-traces': ['Trace', 'Its log records', 'Slow requests'],
};

/** [{ type, state, title, text }] of all panels, each brought into sight. */
async function panels(page) {
  await page.locator('[data-panel]').first().waitFor();
  for (const fold of await page.locator('.fold[aria-expanded=false]').all()) await fold.click();
  await eventually('every panel has its answer', () => page.evaluate(() => {
    const waiting = document.querySelector('[data-state=waiting]');
    waiting?.scrollIntoView();
    return !waiting;
  }), 20);
  return page.$$eval('[data-panel]', (list) => list.map((one) => ({ type: one.dataset.panel, state: one.dataset.state, title: one.querySelector('h2')?.textContent ?? '', text: one.innerText })));
}

export function dashboards({ open, close, get, folder }) {
  describe('dashboards', { concurrency: false }, () => {
    // Charts of long ranges look at whole half minutes, and a rate needs two samples before one.
    before(() => eventually('a minute of samples', async () => {
      const { data } = await get(`/api/v1/query?query=${encodeURIComponent('max(count_over_time(sightline_received_total[5m]))')}`);
      return Number(data.result[0]?.value[1]) >= 7;
    }, 90));
    // Recorded from what was recorded: two rounds of rules.
    before(() => eventually('the error budget', async () => (await get('/api/v1/query?query=instrument:error_budget:left30d')).data.result.length, 120));

    for (const name of readdirSync(folder).sort()) {
      const { uid, title } = JSON.parse(readFileSync(`${folder}/${name}`));
      test(`${name} is drawn with data`, async () => {
        const page = await open(`/d/${uid}`);
        const list = await panels(page);
        assert.equal(await page.locator('h1').textContent(), title);
        const wrong = list.filter((one) => one.state !== 'drawn' && !(one.state === 'empty' && MAY_BE_EMPTY[uid]?.includes(one.title)));
        assert.deepEqual(wrong, []);
        for (const one of list.filter((panel) => panel.state === 'empty')) assert.match(one.text, /No data because|paste a trace id|no record carries|half a second|none in this range|no errors/, one.title);
        assert.equal(await page.locator('[data-unsupported]').count(), 0);
        await page.evaluate(() => scrollTo(0, 0));
        await picture(page, `dashboard-${name.replace('.json', '')}`);
        await close(page);
      });
    }

    test('filters narrow, and links carry them and the range', async () => {
      const page = await open('/d/sightline-service?from=now-15m');
      const pick = page.locator('.field', { hasText: 'service' });
      await pick.locator('summary').click();
      await pick.getByLabel('kittenserver').click();
      await page.waitForURL(/var-service=kittenserver/);
      await pick.locator('summary', { hasText: 'kittenserver' }).waitFor();
      await page.locator('.ways').getByRole('link', { name: 'Handler' }).click();
      await page.waitForURL(/sightline-handler\?.*var-service=kittenserver.*from=now-15m/);
      await page.locator('[data-state=drawn]').first().waitFor();
      await close(page);
    });

    test('a measurement in a chart leads to its trace', async () => {
      const page = await open('/d/sightline-handler?from=now-15m');
      const dot = page.locator('[data-panel=timeseries]', { hasText: 'Duration' }).locator('.dot').first();
      await dot.waitFor();
      const way = await dot.getAttribute('href');
      assert.match(way, /^\/traces\/[0-9a-f]{32}/);
      await dot.dispatchEvent('click');
      await page.waitForURL(/\/traces\/[0-9a-f]{32}/);
      await page.locator('.waterfall .span').first().waitFor();
      await close(page);
    });

    test('a row of a table leads to the trace it names', async () => {
      const page = await open('/d/sightline-traces?from=now-1h');
      const cell = page.locator('[data-panel=table]', { hasText: 'Failed requests' }).locator('tbody a').first();
      await cell.click();
      await page.waitForURL(/var-trace=[0-9a-f]{32}/);
      await page.locator('[data-panel=traces] .waterfall .span').first().waitFor();
      await picture(page, 'dashboard-traces-one');
      await close(page);
    });

    test('a machine dashboard of foreign make is drawn', async () => {
      const page = await open('/d/test-node');
      const list = await panels(page);
      assert.equal(await page.locator('h1').textContent(), 'Machine box-1');
      assert.deepEqual(list.filter((one) => one.state !== 'drawn'), []);
      const titles = list.map((one) => one.title);
      assert.ok(titles.includes('Traffic of eth0') && titles.includes('Traffic of eth1'), `repeated by device: ${titles}`);
      const text = list.map((one) => one.text).join('\n');
      // Words for values, a computed column, an exception's name, Markdown that is not mark-up.
      for (const part of [/3\.\d d/, /Used/, /28 GiB/, /kernel/, /two/]) assert.match(text, part);
      assert.equal(await page.locator('.markdown script').count(), 0);
      const nodes = await page.locator('[data-panel=nodeGraph] .node').allTextContents();
      assert.ok(nodes.some((one) => one.includes('kittenserver')), `who calls whom: ${nodes}`);
      await page.evaluate(() => scrollTo(0, 0));
      await picture(page, 'dashboard-node');
      await close(page);
    });

    test('a dashboard of the oldest form is drawn, and what is unknown is framed and named', async () => {
      const page = await open('/d/go-process');
      const list = await panels(page);
      const odd = list.filter((one) => one.state !== 'drawn');
      assert.deepEqual(odd.map((one) => one.title), ['Hexagons', 'From elsewhere']);
      assert.match(odd[0].text, /Not supported here: the panel type 'grafana-polystat-panel'[\s\S]*go_goroutines/);
      assert.match(odd[1].text, /Not supported here: the data source 'loki'/);
      assert.match(list.find((one) => one.title === 'State').text, /UP/);
      await page.evaluate(() => scrollTo(0, 0));
      await picture(page, 'dashboard-go');
      await close(page);
    });

    test('expressions are computed, shares and sums are drawn, and an expression in SQL is named', async () => {
      const page = await open('/d/test-expressions');
      const list = await panels(page);
      const of = (title) => list.find((one) => one.title === title);
      assert.deepEqual(list.filter((one) => one.state !== 'drawn'), [], 'every panel');
      assert.match(of('Share of failures').text, /bang/);
      assert.doesNotMatch(of('Share of failures').text, /kittens/, 'what has no failures is left out by its values');
      assert.match(of('Worst share').text, /100 %/);
      assert.match(of('Over ten percent').text, /too many/);
      assert.match(of('The same numbers').text, /kittens/);
      assert.match(of('In SQL').text, /not shown: an expression \(sql\)/);
      assert.match(of('Sums below').text, /Total/);
      await page.evaluate(() => scrollTo(0, 0));
      await picture(page, 'dashboard-expressions');
      await close(page);
    });

    test('a file that is no dashboard is named in the list', async () => {
      const { dashboards: all, refused } = await get('/api/dashboards');
      assert.equal(all.length, 14);
      assert.ok(all.every((one) => one.panels > 0), JSON.stringify(all.map((one) => [one.uid, one.panels])));
      assert.deepEqual(refused.map((one) => one.split(':')[0]), ['broken.json']);
      const page = await open('/dashboards');
      await page.locator('.boards a', { hasText: 'Machine' }).waitFor();
      await page.getByText('broken.json').waitFor();
      await picture(page, 'dashboards');
      await close(page);
    });

    test('a dashboard works in the dark and on a phone', async () => {
      const page = await open('/d/sightline-service', { colorScheme: 'dark', viewport: { width: 360, height: 740 } });
      await panels(page);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 360);
      await picture(page, 'phone-dashboard');
      await close(page);
      const wide = await open('/d/sightline-home', { colorScheme: 'dark' });
      await panels(wide);
      assert.deepEqual(await violations(wide), []);
      await close(wide);
    });
  });
}
