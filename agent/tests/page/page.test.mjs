// Each page as a person uses it, on live data.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dashboards } from './dashboards.mjs';
import { feed } from './feed.mjs';
import { oncall } from './oncall.mjs';
import { demo, eventually, freePort, launch, picture, tab, violations } from './support.mjs';

let agent;
let browser;
let stopFeed;

const get = async (path) => (await fetch(agent.url + path)).json();

before(async () => {
  [agent, browser] = await Promise.all([demo(), launch()]);
  stopFeed = await feed(agent.url);
  // Long enough for rates to exist and for the first panic of the mixture.
  await eventually('rates, traces and a panic', async () => {
    const rate = await get(`/api/v1/query?query=${encodeURIComponent('sum(rate(instrument_outcomes_total[1m]))')}`);
    const [traces, panics] = [await get('/api/v2/traces?limit=5&lookback=3600000'), await get(`/api/panics?from=${Date.now() - 3600000}&to=${Date.now()}`)];
    return rate.data.result.length && traces.length && panics.groups.length;
  }, 120);
});

after(async () => {
  stopFeed?.();
  await browser?.close();
  await agent?.stop();
});

async function open(path, options) {
  const page = await tab(browser, agent.url, options);
  await page.goto(agent.url + path, { waitUntil: 'load' });
  return page;
}

/** Nothing went wrong and nobody is shut out. */
async function close(page) {
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(page.wrong, []);
  await page.close();
}

describe('the page', { concurrency: false }, () => {
  test('home lists the service with its figures', async () => {
    const page = await open('/');
    const row = page.locator('tbody tr', { hasText: 'kittenserver' });
    await row.waitFor();
    await page.waitForFunction(() => [...document.querySelectorAll('tbody tr')].some((tr) => / (ms|s)$/.test(tr.cells[4].textContent)));
    const cells = await row.locator('th, td').allTextContents();
    assert.ok(parseFloat(cells[2]) > 0, `a rate: ${cells}`);
    assert.match(cells[1], /ok|degraded|failed/);
    assert.match(cells[3], /%$/);
    await picture(page, 'home');
    await close(page);
  });

  test('a query as people type it finds the POSTs that succeeded', async () => {
    const page = await open('/logs');
    await page.locator('.record').first().waitFor();
    await page.getByRole('searchbox').fill('status:200 AND method:POST');
    await page.keyboard.press('Enter');
    await page.waitForURL(/q=status/);
    await page.locator('ol[data-query="status:200 AND method:POST"] .record').first().waitFor();
    await page.locator('.line').first().click();
    const fields = await page.locator('.fields').first().innerText();
    assert.match(fields, /status\s+200/);
    assert.match(fields, /method\s+POST/);
    await picture(page, 'logs');
    await close(page);
  });

  test('a mistake in a query is explained', async () => {
    const page = await open('/logs?q=status:%5B200%20TO');
    const alert = page.getByRole('alert');
    await alert.waitFor();
    // In words, and at its place.
    assert.match(await alert.textContent(), /column 15/);
    assert.match(await alert.locator('pre').textContent(), /^status:\[200 TO\n {14}▲$/);
    // The refused request itself is in the console; nothing else is.
    page.wrong = page.wrong.filter((line) => !line.includes('status of 400'));
    await close(page);
  });

  test('a value of the side bar narrows the search', async () => {
    const page = await open('/logs');
    await page.locator('aside button.link').first().click();
    await page.waitForURL(/q=/);
    await page.locator('.record').first().waitFor();
    await close(page);
  });

  test('new records arrive by themselves, and can be held still', async () => {
    const page = await open('/logs?q=status:200');
    await page.getByRole('button', { name: 'Live' }).click();
    await page.waitForURL(/live=1/);
    await page.locator('.tail .record').nth(5).waitFor();
    await picture(page, 'live-tail');
    await page.getByRole('button', { name: 'Pause' }).click();
    const first = await page.locator('.tail .record').first().textContent();
    const seen = await page.locator('.tail-bar .note').textContent();
    await page.waitForFunction((old) => document.querySelector('.tail-bar .note').textContent !== old, seen);
    assert.equal(await page.locator('.tail .record').first().textContent(), first, 'nothing moves while it is held');
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.waitForFunction((old) => document.querySelector('.tail .record').textContent !== old, first);
    assert.ok((await page.locator('.tail .record').count()) <= 300);
    await close(page);
  });

  test('what a search finds can be downloaded', async () => {
    const page = await open('/logs?q=status:200%20AND%20method:POST');
    await page.getByText('Download').click();
    for (const [name, first] of [['NDJSON', /^\{.*"status":200/], ['CSV', /^"?'?@timestamp"?,.*status/]]) {
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: new RegExp(name) }).click()]);
      let text = '';
      for await (const part of await download.createReadStream()) text += part;
      assert.match(text, first);
      assert.ok(text.trim().split('\n').length > 5);
    }
    await close(page);
  });

  test('a record shows what was said just before and after', async () => {
    const page = await open('/logs?q=method:POST');
    await page.locator('.line').nth(8).click();
    await page.getByRole('button', { name: 'before and after' }).click();
    await page.locator('.around .here').waitFor();
    assert.ok((await page.locator('.around .record').count()) >= 6);
    await close(page);
  });

  test('security names the address that tries and the accounts it tries', async () => {
    const page = await open('/security');
    await page.locator('tbody tr', { hasText: '192.0.2.66' }).first().waitFor();
    await picture(page, 'security');
    await page.getByRole('link', { name: '192.0.2.66' }).first().click();
    await page.waitForURL(/logs\?.*source\.ip/);
    await page.locator('.record').first().waitFor();
    await close(page);
  });

  test('the map shows who calls whom, and a table says the same', async () => {
    const page = await open('/map');
    await page.locator('tbody tr', { hasText: 'sqlite' }).waitFor();
    const cells = await page.locator('tbody tr', { hasText: 'sqlite' }).locator('td').allTextContents();
    assert.match(cells.join(' '), /\/s .*%.*(ms|s) .*(ms|s)/);
    assert.ok((await page.locator('.graph .edge').count()) >= 2);
    await picture(page, 'map');
    await close(page);
  });

  test('nothing found says why', async () => {
    const page = await open('/explore?expr=no_such_series_total');
    await page.getByText('no_such_series_total has never arrived').waitFor();
    await close(page);
  });

  test('an empty page names the ports of this very agent', async () => {
    const { checks } = await get('/-/ready');
    const port = (name, what) => new RegExp(`${what} [\\d.]+:(\\d+)`).exec(checks.find((check) => check.name === name).detail)[1];
    for (const [path, text] of [['/logs', `nc -w1 127.0.0.1 ${port('logs', 'tcp')}`], ['/traces', `http://127.0.0.1:${port('zipkin', 'http')}/api/v2/spans`]]) {
      const page = await open(`${path}?from=1000000000000&to=1000000060000`);
      await page.locator('.command pre', { hasText: text }).waitFor();
      await close(page);
    }
  });

  test('the page may load and run nothing but what the agent serves', async () => {
    const answer = await fetch(`${agent.url}/`, { headers: { accept: 'text/html' } });
    const policy = answer.headers.get('content-security-policy');
    assert.match(policy, /default-src 'self'/);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
    const text = await answer.text();
    assert.doesNotMatch(text, /<script(?![^>]*src=)|style=|https?:\/\//);
  });

  test('beyond loopback the page asks for the token that was printed once', async () => {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'sightline-token-'));
    const child = spawn(process.env.SIGHTLINE_BIN, ['run'], { env: { ...process.env, SIGHTLINE_WEB__LISTEN: `0.0.0.0:${port}`, SIGHTLINE_DATA_DIR: folder }, stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
    // As another machine would name it; on this one a name of its own needs no token.
    const ask = (path, headers) => new Promise((resolve, reject) => request({ host: '127.0.0.1', port, path, headers: { host: 'agent.example', accept: 'text/html', ...headers } }, (answer) => {
      answer.resume();
      resolve({ status: answer.statusCode, cookie: answer.headers['set-cookie']?.[0] });
    }).once('error', reject).end());
    try {
      const token = await eventually(`a token (${output})`, () => /[0-9a-f]{32}/.exec(output)?.[0]);
      await eventually('the page answers', () => ask('/-/healthy').then(({ status }) => status === 200));
      assert.equal(output.split(token).length, 2, 'the token is printed once');
      assert.equal((await ask('/')).status, 401);
      assert.equal((await ask('/api/dashboards', { authorization: 'Bearer 0' })).status, 401);
      const { status, cookie } = await ask(`/?token=${token}`);
      assert.equal(status, 200);
      assert.match(cookie, /HttpOnly; SameSite=Strict/);
      assert.equal((await ask('/api/dashboards', { cookie: cookie.split(';')[0] })).status, 200);
    } finally {
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true });
    }
  });

  test('from a panic to its trace, its logs and its metrics', async () => {
    const page = await open('/panics');
    const panic = page.locator('.panic').first();
    await panic.waitFor();
    if (!(await panic.locator('details').evaluate((d) => d.open))) await panic.locator('summary').click();
    assert.match(await panic.locator('pre.stack').innerText(), /kittenserver/);
    await picture(page, 'panics');
    await panic.getByRole('link', { name: 'trace', exact: true }).click();
    await page.locator('.waterfall .span').first().waitFor();
    await page.locator('.records .record').first().waitFor();
    assert.ok(await page.locator('.badge.failed').count());
    assert.ok(await page.locator('.panic-mark').count(), 'the panic is on the time axis');
    await picture(page, 'trace-of-a-panic');
    assert.deepEqual(await violations(page), []);
    await page.getByRole('link', { name: /logs of this request/ }).click();
    await page.waitForURL(/logs\?.*request_id/);
    await page.locator('.record').first().waitFor();
    await page.goBack();
    await page.getByRole('link', { name: /metrics of/ }).click();
    await page.locator('.card canvas').first().waitFor();
    await close(page);
  });

  test('a trace with depth is a waterfall that closes and opens', async () => {
    const page = await open('/traces?name=get%20/upstream&from=now-1h');
    await page.locator('tbody a').first().click();
    await page.locator('.waterfall .span').nth(2).waitFor();
    const before = await page.locator('.waterfall .span').count();
    await picture(page, 'trace');
    await page.getByRole('button', { name: 'children' }).first().click();
    assert.ok((await page.locator('.waterfall .span').count()) < before);
    await close(page);
  });

  test('metrics are drawn, by card and by query', async () => {
    const page = await open('/explore');
    await page.locator('.card canvas').first().waitFor();
    await page.getByRole('combobox', { name: 'PromQL' }).fill('sum by (segment) (rate(instrument_calls_total[1m]))');
    await page.keyboard.press('Enter');
    await page.waitForURL(/expr=/);
    await page.locator('.card canvas').first().waitFor();
    await picture(page, 'metrics');
    // A native histogram is drawn as its quantiles.
    await page.getByRole('combobox', { name: 'PromQL' }).fill('sum(rate(instrument_timing_seconds[1m]))');
    await page.keyboard.press('Enter');
    await page.waitForURL(/timing_seconds/);
    await page.locator('.card').getByRole('button', { name: /0\.99$/ }).waitFor();
    await page.locator('.card canvas').first().waitFor();
    await close(page);
  });

  test('the agent shows its ledger', async () => {
    const page = await open('/agent');
    await page.locator('tbody tr', { hasText: 'spans' }).first().waitFor();
    for (const heading of ['Ledger', 'Store and limits', 'Worst offenders']) await page.getByRole('heading', { name: heading }).waitFor();
    await page.locator('tbody tr', { hasText: 'instrument_timing_seconds' }).first().waitFor();
    assert.match(await page.locator('tbody tr', { hasText: 'paging' }).textContent(), /not configured/);
    await picture(page, 'agent');
    await close(page);
  });

  test('keys go where they say', async () => {
    const page = await open('/');
    await page.locator('tbody tr').first().waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('l');
    await page.waitForURL(/\/logs/);
    await page.keyboard.press('/');
    assert.equal(await page.evaluate(() => document.activeElement.type), 'search');
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor();
    await close(page);
  });

  test('j and k walk through the rows, and Enter opens one', async () => {
    const page = await open('/traces?from=now-1h');
    await page.locator('tbody [data-row]').nth(2).waitFor();
    const at = () => page.evaluate(() => [...document.querySelectorAll('[data-row]')].indexOf(document.activeElement));
    const seen = [];
    for (const key of ['j', 'j', 'k', 'k', 'k']) {
      await page.keyboard.press(key);
      seen.push(await at());
    }
    assert.deepEqual(seen, [0, 1, 0, 0, 0]);
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/traces\/[0-9a-f]{32}/);
    await page.locator('.waterfall .span').first().waitFor();
    await close(page);
  });

  test('a new version is marked on every time axis', async () => {
    const ready = await get('/-/ready');
    const [, host, port] = /udp ([\d.]+):(\d+)/.exec(ready.checks.find((check) => check.name === 'statsd').detail);
    const socket = createSocket('udp4');
    const announce = (version) => socket.send(`shop.process.build.info:1|g|#environment:demo,host:here,version:${version}`, Number(port), host);
    const versions = async () => (await get(`/api/v1/query?query=${encodeURIComponent('group by (version) (instrument_build_info{service="shop"})')}`)).data.result.map((one) => one.metric.version).sort();
    announce('1.0.0');
    await eventually('the first version', async () => (await versions()).includes('1.0.0'));
    announce('1.1.0');
    await eventually('the second version', async () => (await versions()).includes('1.1.0'));
    const page = await open('/');
    const marks = await eventually('both are marked', async () => {
      const found = await page.evaluate(async () => {
        const base = document.querySelector('script[type=module]').src.replace(/app\.js$/, '');
        const { deploys } = await import(`${base}parts/marks.js`);
        return deploys(Date.now() - 900000, Date.now(), 'shop');
      });
      return found.length >= 2 && found;
    });
    assert.deepEqual(marks.map((mark) => mark.text).sort(), ['1.0.0', '1.1.0']);
    assert.ok(marks[0].at <= marks[1].at && marks.every((mark) => Math.abs(mark.at - Date.now()) < 300000), JSON.stringify(marks));
    socket.close();
    await close(page);
  });

  test('what fires is on the first screen, with the way to its dashboard', async () => {
    const page = await tab(browser, agent.url);
    const alert = { labels: { alertname: 'ErrorBudgetFastBurn', severity: 'critical', service: 'shop' }, state: 'firing', activeAt: new Date(Date.now() - 90000).toISOString(), value: '0.2',
      annotations: { summary: 'shop burns its error budget', dashboard_url: 'http://localhost:3000/d/sightline-service?var-service=shop', runbook_url: 'https://example.org/runbook' } };
    await page.route('**/api/v1/alerts', (route) => route.fulfill({ json: { status: 'success', data: { alerts: [{ ...alert, state: 'pending', labels: { ...alert.labels, alertname: 'Later' } }, alert] } } }));
    await page.goto(agent.url);
    const list = page.getByRole('region', { name: 'Alerts' });
    await list.waitFor();
    assert.match(await list.innerText(), /1 alert fires[\s\S]*critical[\s\S]*shop burns its error budget[\s\S]*pending/);
    assert.equal(await list.getByRole('link', { name: 'runbook' }).first().getAttribute('href'), 'https://example.org/runbook');
    await picture(page, 'alerts');
    assert.deepEqual(await violations(page), []);
    await list.getByRole('link', { name: 'dashboard' }).first().click();
    await page.waitForURL(/\/d\/sightline-service\?var-service=shop/);
    await close(page);
  });

  for (const path of ['/', '/logs', '/traces', '/panics', '/explore', '/security', '/map', '/dashboards', '/agent']) {
    test(`${path} works in the dark and on a phone`, async () => {
      const page = await open(path, { colorScheme: 'dark', viewport: { width: 360, height: 740 } });
      await page.locator('h1').waitFor();
      await page.waitForLoadState('networkidle').catch(() => {});
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 360, `the page is ${width} px wide`);
      await picture(page, `phone-${path.slice(1) || 'home'}`);
      await close(page);
    });
  }
});

dashboards({ open, close, get, folder: process.env.SIGHTLINE_DASHBOARDS });
oncall({ open, close, bare: (options) => tab(browser, agent.url, options), url: () => agent.url });
