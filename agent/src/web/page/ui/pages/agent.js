// The agent itself: is it ready, what came in and went out, what was lost and why.
import { html } from '../vendor/preact.js';
import { query, useData } from '../api.js';
import { bytes, seconds, short } from '../format.js';
import { Scroll } from '../parts/scroll.js';
import { State } from '../parts/state.js';

async function load(signal) {
  // 503 is an answer here: it says what is not ready.
  const ready = await (await fetch('/-/ready', { signal })).json();
  const [ledger, totals, process] = await Promise.all([
    query('{__name__=~"sightline_(received|exported|dead_lettered|dropped|rejected)_total|sightline_queued"}', undefined, signal),
    query('{__name__=~"sightline_(queue|exporter|store|registry)_.+"}', undefined, signal),
    query('{__name__=~"sightline_process_.+"}', undefined, signal),
  ]);
  return { ready, ledger, totals, process };
}

const LANES = ['metrics', 'logs', 'spans'];

export function Agent({ every, stamp, params }) {
  const state = useData(load, [stamp, params.toString()], every);
  return html`<h1>Agent</h1><${State} ...${state}><${Facts} ...${state.data} /><//>`;
}

function Facts({ ready, ledger, totals, process }) {
  const sum = (name, lane) => ledger.filter((one) => one.metric.__name__ === name && one.metric.lane === lane).reduce((n, one) => n + one.value, 0);
  const reasons = ledger.filter((one) => one.metric.reason && one.value > 0);
  const figure = (name) => process.find((one) => one.metric.__name__ === `sightline_process_${name}`)?.value;
  return html`
    <p><span class=${`badge ${ready.status === 'ready' ? 'ok' : 'failed'}`}>${ready.status}</span>
      <span class="note"> ${bytes(figure('resident_bytes'))} resident · ${seconds(figure('cpu_seconds'))} of CPU · ${short(figure('open_fds'))} open files</span></p>
    <${Scroll} label="parts of the agent"><table class="rows"><caption>Parts</caption><tbody>${ready.checks.map((check) => html`<tr>
      <th scope="row">${check.name}</th><td><span class=${`badge ${check.ready ? 'ok' : 'failed'}`}>${check.ready ? 'ready' : 'not ready'}</span></td><td>${check.detail}</td></tr>`)}</tbody></table><//>
    <h2>Ledger</h2>
    <p class="note">received = exported + dead letters + dropped + queued, always</p>
    <${Scroll} label="ledger"><table class="rows"><thead><tr><th scope="col">Lane</th><th scope="col" class="n">Received</th><th scope="col" class="n">Exported</th>
      <th scope="col" class="n">Dead letters</th><th scope="col" class="n">Dropped</th><th scope="col" class="n">Queued</th><th scope="col" class="n">Refused input</th></tr></thead>
      <tbody>${LANES.map((lane) => html`<tr><th scope="row">${lane}</th>
        ${['received_total', 'exported_total', 'dead_lettered_total', 'dropped_total', 'queued', 'rejected_total'].map((name) => html`<td class="n">${short(sum(`sightline_${name}`, lane))}</td>`)}</tr>`)}</tbody></table><//>
    ${reasons.length > 0 && html`<h2>Reasons</h2><${Scroll} label="reasons"><table class="rows"><thead><tr><th scope="col">What</th><th scope="col">Lane</th><th scope="col">Reason</th><th scope="col" class="n">Count</th></tr></thead>
      <tbody>${reasons.map((one) => html`<tr><th scope="row">${one.metric.__name__.replace(/^sightline_|_total$/g, '')}</th><td>${one.metric.lane}</td><td>${one.metric.reason}</td><td class="n">${short(one.value)}</td></tr>`)}</tbody></table><//>`}
    ${totals.length > 0 && html`<h2>Figures</h2><${Scroll} label="figures"><table class="rows"><tbody>${totals.map((one) => {
      const { __name__: name, ...labels } = one.metric;
      const text = Object.entries(labels).map(([k, v]) => `${k}=${v}`).join(' ');
      return html`<tr><th scope="row">${name}</th><td>${text}</td><td class="n">${name.includes('bytes') ? bytes(one.value) : name.includes('seconds') ? seconds(one.value) : short(one.value)}</td></tr>`;
    })}</tbody></table><//>`}`;
}
