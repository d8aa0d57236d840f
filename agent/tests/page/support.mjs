// The demo as a child process, a browser that can reach nothing else, and what every test asks of a page.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Where pictures go; the folder is not part of the checkout. */
export const ARTIFACTS = process.env.SIGHTLINE_ARTIFACTS ?? 'artifacts';
mkdirSync(ARTIFACTS, { recursive: true });

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Polls `look` until it gives something; what it threw last is in the error. */
export async function eventually(what, look, seconds = 60) {
  const until = Date.now() + seconds * 1000;
  let last = 'nothing';
  while (Date.now() < until) {
    try {
      const found = await look();
      if (found) return found;
    } catch (error) {
      last = error.message;
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error(`${what}: not within ${seconds} s; last: ${last}`);
}

/** `sightline demo` on a free port, with the dashboards of a folder: { url, stop }. */
export async function demo(dashboards = 'boards') {
  const binary = process.env.SIGHTLINE_BIN;
  if (!binary) throw new Error('SIGHTLINE_BIN names no binary; run scripts/test-page');
  const port = await freePort();
  const child = spawn(binary, ['demo', '--listen', `127.0.0.1:${port}`, '--traffic', '25', '--dashboards', dashboards, ...(process.env.SIGHTLINE_PAGE ? ['--page', process.env.SIGHTLINE_PAGE] : [])], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  const url = `http://127.0.0.1:${port}`;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await eventually(`the demo is ready (${output})`, async () => (await fetch(`${url}/-/ready`)).ok);
  return {
    url,
    child,
    stop: async () => {
      child.kill('SIGINT');
      const code = await ended;
      if (code !== 0) throw new Error(`the demo ended with ${code}: ${output}`);
    },
  };
}

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1'],
  });
}

/** A tab that remembers what went wrong in it: script errors, failed requests, requests to elsewhere. */
export async function tab(browser, url, options = {}) {
  const page = await browser.newPage(browser.newContext ? { viewport: { width: 1280, height: 900 }, ...options } : undefined);
  page.wrong = [];
  page.on('pageerror', (error) => page.wrong.push(`script error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') page.wrong.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) page.wrong.push(`request to ${request.url()}`);
  });
  return page;
}

/** What axe finds, as lines that name the rule and the element. */
export async function violations(page) {
  // Through the debugger, as the page's own policy allows no foreign script.
  const { violations: found } = await page.evaluate(`${axe}; axe.run(document, { resultTypes: ['violations'] })`);
  return found.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target.join(' ')}: ${node.failureSummary}`));
}

export const picture = (page, name) => page.screenshot({ path: join(ARTIFACTS, `${name}.png`) });
