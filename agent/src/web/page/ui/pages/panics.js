// Panics: grouped by fingerprint, with how often, since when, and one sample with its stack and request.
import { html } from '../vendor/preact.js';
import { href, set } from '../location.js';
import { getJson, useData } from '../api.js';
import { range } from '../time.js';
import { ago, clock, seconds, short } from '../format.js';
import { Chart, Spark } from '../parts/chart.js';
import { deploys } from '../parts/marks.js';
import { flatten } from '../parts/record.js';
import { State } from '../parts/state.js';

async function load(params, signal) {
  const { from, to } = range();
  const fields = { from, to };
  if (params.get('service')) fields.service = params.get('service');
  const [{ groups }, marks] = await Promise.all([getJson(`/api/panics?${new URLSearchParams(fields)}`, signal), deploys(from, to, params.get('service'), signal)]);
  return { groups, marks, from, to };
}

/** The deploy of one of the group's services that came last before its first report; a mark is late by up to a step of its query. */
const STEP = 30000;
const before = (group, marks) => marks.filter(({ at, labels }) => at <= group.first_seen + STEP && group.services?.some((one) => one.name === labels.service)).sort((a, b) => b.at - a.at)[0];

export function Panics({ params, every, stamp }) {
  const state = useData((signal) => load(params, signal), [stamp, params.toString()], every);
  const groups = state.data?.groups ?? [];
  const chosen = params.get('fingerprint');
  return html`
    <h1>Panics</h1>
    ${params.get('service') && html`<p class="note">of ${params.get('service')} <button class="quiet small" onClick=${() => set({ service: null })}>show all</button></p>`}
    <${State} ...${state} empty=${state.data && !groups.length && html`<p class="empty">No panic in this time range. That is how it should be.</p>`}>
      <ol class="panics">${groups.map((group) => html`<${Group} key=${group.fingerprint} group=${group} ...${state.data} open=${chosen === group.fingerprint || groups.length === 1} />`)}</ol>
    <//>`;
}

/** [{ name, count }], most frequent first, as one line. */
const names = (values = []) => values.map((one) => one.name).join(', ');

function Group({ group, open, marks, from, to }) {
  const sample = Object.fromEntries(flatten(group.sample?.source ?? {}));
  const trace = group.sample?.trace_id ?? sample['trace.id'];
  const request = group.sample?.request_id ?? sample['http.request.id'];
  const stack = group.sample?.stack ?? sample['error.stack_trace'];
  const service = group.services?.[0]?.name;
  const deploy = before(group, marks);
  const own = marks.filter(({ labels }) => group.services?.some((one) => one.name === labels.service));
  return html`<li class="panic"><details open=${open}>
    <summary data-row><strong>${group.message ?? sample['error.message'] ?? group.fingerprint}</strong>
      <span class="note">${names(group.services)} · ${short(group.count)} ${group.count === 1 ? 'time' : 'times'} · last ${ago(group.last_seen)}</span>
      <${Spark} points=${(group.trend ?? []).map(([at, count]) => [at / 1000, count])} label="how often over time" colour="var(--bad)" /></summary>
    <p class="links">${trace && html`<a href=${href(`/traces/${trace}`)}>trace</a>`}
      ${request && html` <a href=${href('/logs', { q: `request_id:"${request}"` })}>logs of the request</a>`}
      <a href=${href('/logs', { q: `error.fingerprint:"${group.fingerprint}"` })}>every report</a>
      ${service && html` <a href=${href('/explore', { service })}>metrics of ${service}</a> <a href=${href('/d/sightline-trends', { 'var-service': service })}>deploys</a>`}</p>
    <${Chart} series=${[{ label: 'panics', colour: '#d93025', points: (group.trend ?? []).map(([at, count]) => [at / 1000, count]) }]} bars height=${90} label=${`reports of ${group.message ?? group.fingerprint}`} from=${from} to=${to} marks=${own} />
    <dl class="facts">
      <dt>First seen</dt><dd>${clock(group.first_seen, false)}</dd><dt>Last seen</dt><dd>${clock(group.last_seen, false)}</dd>
      <dt>Versions</dt><dd>${names(group.versions) || '–'}${deploy ? ` · ${deploy.labels.version} was deployed ${clock(deploy.at, false)}, ${deploy.at < group.first_seen ? `${seconds(Math.round((group.first_seen - deploy.at) / 1000))} before the first report` : 'as the first report came'}` : ''}</dd>
      <dt>Request</dt><dd>${[sample['http.request.method'] ?? sample.method, sample['url.path'], sample['url.query'] && `?${sample['url.query']}`].filter(Boolean).join(' ') || 'none: it happened outside a request'}</dd>
      <dt>Where</dt><dd>${sample['labels.location'] ?? sample['error.location'] ?? sample['labels.panic_location'] ?? '–'}</dd>
      <dt>Thread</dt><dd>${sample['process.thread.name'] ?? sample['labels.thread'] ?? '–'}</dd>
    </dl>
    ${stack && html`<pre class="stack" tabindex="0" role="group" aria-label="stack">${stack}</pre>`}
  </details></li>`;
}
