// Panics: grouped by fingerprint, with how often, since when, and one sample with its stack and request.
import { html } from '../vendor/preact.js';
import { href, set } from '../location.js';
import { getJson, useData } from '../api.js';
import { range } from '../time.js';
import { ago, clock, short } from '../format.js';
import { Spark } from '../parts/chart.js';
import { flatten } from '../parts/record.js';
import { State } from '../parts/state.js';

function load(params, signal) {
  const { from, to } = range();
  const fields = { from, to };
  if (params.get('service')) fields.service = params.get('service');
  return getJson(`/api/panics?${new URLSearchParams(fields)}`, signal);
}

export function Panics({ params, every, stamp }) {
  const state = useData((signal) => load(params, signal), [stamp, params.toString()], every);
  const groups = state.data?.groups ?? [];
  const chosen = params.get('fingerprint');
  return html`
    <h1>Panics</h1>
    ${params.get('service') && html`<p class="note">of ${params.get('service')} <button class="quiet small" onClick=${() => set({ service: null })}>show all</button></p>`}
    <${State} ...${state} empty=${state.data && !groups.length && html`<p class="empty">No panic in this time range. That is how it should be.</p>`}>
      <ol class="panics">${groups.map((group) => html`<${Group} key=${group.fingerprint} group=${group} open=${chosen === group.fingerprint || groups.length === 1} />`)}</ol>
    <//>`;
}

/** [{ name, count }], most frequent first, as one line. */
const names = (values = []) => values.map((one) => one.name).join(', ');

function Group({ group, open }) {
  const sample = Object.fromEntries(flatten(group.sample?.source ?? {}));
  const trace = group.sample?.trace_id ?? sample['trace.id'];
  const request = group.sample?.request_id ?? sample['http.request.id'];
  const stack = group.sample?.stack ?? sample['error.stack_trace'];
  return html`<li class="panic"><details open=${open}>
    <summary data-row><strong>${group.message ?? sample['error.message'] ?? group.fingerprint}</strong>
      <span class="note">${names(group.services)} · ${short(group.count)} ${group.count === 1 ? 'time' : 'times'} · last ${ago(group.last_seen)}</span>
      <${Spark} points=${(group.trend ?? []).map(([at, count]) => [at / 1000, count])} label="how often over time" colour="var(--bad)" /></summary>
    <p class="links">${trace && html`<a href=${href(`/traces/${trace}`)}>trace</a>`}
      ${request && html` <a href=${href('/logs', { q: `request_id:"${request}"` })}>logs of the request</a>`}
      <a href=${href('/logs', { q: `error.fingerprint:"${group.fingerprint}"` })}>every report</a></p>
    <dl class="facts">
      <dt>First seen</dt><dd>${clock(group.first_seen, false)}</dd><dt>Last seen</dt><dd>${clock(group.last_seen, false)}</dd>
      <dt>Versions</dt><dd>${names(group.versions) || '–'}</dd>
      <dt>Request</dt><dd>${[sample['http.request.method'] ?? sample.method, sample['url.path'], sample['url.query'] && `?${sample['url.query']}`].filter(Boolean).join(' ') || 'none: it happened outside a request'}</dd>
      <dt>Where</dt><dd>${sample['labels.location'] ?? sample['error.location'] ?? sample['labels.panic_location'] ?? '–'}</dd>
      <dt>Thread</dt><dd>${sample['process.thread.name'] ?? sample['labels.thread'] ?? '–'}</dd>
    </dl>
    ${stack && html`<pre class="stack" tabindex="0" role="group" aria-label="stack">${stack}</pre>`}
  </details></li>`;
}
