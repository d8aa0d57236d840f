// The page as somebody on call keeps it open: the way from a number to its cause, and what a refresh may not disturb.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { picture, violations } from './support.mjs';

/** `open` gives a tab at a path, `bare` one that is nowhere yet, `close` asks whether anything went wrong in it. */
export function oncall({ open, close, bare, url }) {
  describe('on call', { concurrency: false }, () => {
    test('from a rise of errors to the handler, its logs, the trace, the panic and the deploy', async () => {
      const page = await open('/');
      await page.getByRole('link', { name: /^failures of kittenserver/ }).waitFor();
      await page.getByRole('link', { name: 'kittenserver', exact: true }).click();
      const row = page.getByRole('region', { name: 'Handlers' }).locator('tbody tr', { hasText: 'bang' });
      await row.waitFor();
      assert.match(await row.innerText(), /100 %/);
      await picture(page, 'handlers');
      assert.deepEqual(await violations(page), []);
      await row.locator('td').nth(1).getByRole('link').click();
      await page.waitForURL(/logs\?q=.*bang.*failure/);
      await page.locator('.record .line').first().click();
      await page.locator('.fields').getByRole('link', { name: 'trace', exact: true }).click();
      await page.getByRole('link', { name: 'panics of kittenserver' }).click();
      const panic = page.locator('.panic').first();
      await panic.waitFor();
      await panic.locator('.facts', { hasText: /\S+ was deployed/ }).waitFor();
      await panic.locator('canvas').waitFor();
      await panic.getByRole('link', { name: 'deploys' }).click();
      await page.waitForURL(/sightline-trends\?.*var-service=kittenserver/);
      await close(page);
    });

    test('an answer that is still empty is asked for again long before the next refresh', async () => {
      const page = await bare();
      let asked = 0;
      await page.route('**/api/v1/query_range', (route) => ((asked += 1) <= 12 ? route.fulfill({ json: { status: 'success', data: { resultType: 'matrix', result: [] } } }) : route.continue()));
      // A refresh each ten minutes: it cannot be what fills the charts.
      await page.goto(`${url()}/?refresh=600`);
      await page.getByText('No data in this range').first().waitFor();
      await page.locator('.cards canvas').nth(2).waitFor();
      await close(page);
    });

    test('a refresh changes a chart in place', async () => {
      const page = await open('/explore?refresh=2');
      await page.locator('.card canvas').first().waitFor();
      await page.evaluate(() => document.querySelectorAll('.card .uplot').forEach((one) => (one.dataset.seen = 'yes')));
      await page.locator('.card .u-over').first().hover();
      for (let i = 0; i < 3; i += 1) await page.waitForResponse(/query_range/);
      await page.waitForTimeout(300);
      assert.ok(await page.locator('.card .uplot[data-seen=yes]').count() >= 4, 'the charts are those of before');
      assert.ok(await page.locator('.card .tip:not([hidden])').count() >= 1, 'what the pointer shows stays');
      await close(page);
    });

    test('a list holds still while somebody points at it, and goes on afterwards', async () => {
      for (const [path, row] of [['/logs?refresh=2', '.record'], ['/traces?refresh=2', 'table.traces tbody tr']]) {
        const page = await open(path);
        await page.locator(row).nth(2).hover();
        await page.getByText('held still while you read').waitFor();
        const first = await page.locator(row).first().innerText();
        await page.waitForTimeout(500);
        assert.equal(await page.locator(row).first().innerText(), first);
        await page.mouse.move(5, 5);
        await page.waitForFunction(([where, old]) => document.querySelector(where).innerText !== old, [row, first]);
        await close(page);
      }
    });

    test('traces are put in order, and more of them are shown', async () => {
      const page = await open('/traces?from=now-1h&refresh=0');
      await page.getByRole('button', { name: 'Duration' }).click();
      await page.waitForURL(/order=length/);
      const shares = await page.locator('table.traces meter').evaluateAll((all) => all.map((one) => one.value));
      assert.ok(shares.length === 50 && shares.every((one, i) => !i || one <= shares[i - 1]), shares.join(' '));
      await page.getByRole('button', { name: 'Show more' }).click();
      await page.locator('table.traces tbody tr').nth(60).waitFor();
      await close(page);
    });

    test('time is zoomed out of and moved along by keys', async () => {
      const page = await open('/logs');
      await page.locator('.record').first().waitFor();
      await page.keyboard.press('z');
      await page.waitForURL(/from=now-1800s/);
      await page.keyboard.press(',');
      await page.waitForURL(/from=\d+&to=\d+/);
      await page.keyboard.press('.');
      await page.waitForURL(/from=now-1800s$/);
      await close(page);
    });

    test('a name with wildcards is drawn, and shown as PromQL', async () => {
      const page = await open('/explore');
      await page.getByRole('combobox', { name: 'PromQL' }).fill('*.handlers.*.failed');
      await page.keyboard.press('Enter');
      await page.locator('.card .key', { hasText: 'kittenserver login' }).waitFor();
      await page.getByRole('button', { name: /^sum by \(service, segment\)/ }).click();
      await page.waitForURL(/expr=sum/);
      await page.locator('.card .key', { hasText: 'kittenserver login' }).waitFor();
      await close(page);
    });

    test('a click elsewhere and Escape close a menu', async () => {
      const page = await open('/logs');
      const menu = page.locator('details.menu', { hasText: 'Download' });
      for (const leave of [() => page.locator('h1').click(), () => page.keyboard.press('Escape')]) {
        await menu.locator('summary').click();
        await menu.getByRole('link', { name: /CSV/ }).waitFor();
        await leave();
        await menu.getByRole('link', { name: /CSV/ }).waitFor({ state: 'hidden' });
      }
      await close(page);
    });

    test('an agent that is gone is named, and what was shown stays', async () => {
      const page = await open('/?refresh=2');
      await page.locator('tbody tr').first().waitFor();
      await page.route('**/api/**', (route) => route.abort());
      await page.getByText('does not answer: is it running?').first().waitFor();
      assert.ok(await page.locator('tbody tr').count());
      await page.unroute('**/api/**');
      await page.getByText('does not answer').first().waitFor({ state: 'detached' });
      page.wrong = page.wrong.filter((line) => !line.includes('net::ERR_FAILED'));
      await close(page);
    });
  });
}
