// The agent itself: is it ready, what came in and went out, what was lost and why, and how far it is from its bounds.
import { html } from '../vendor/preact.js';
import { getJson, query, queryRange, useData } from '../api.js';
import { range, rateWindow, step } from '../time.js';
import { ago, bytes, seconds, short } from '../format.js';
import { Chart } from '../parts/chart.js';
import { Scroll } from '../parts/scroll.js';
import { State } from '../parts/state.js';

const LANES = ['metrics', 'logs', 'spans'];

/** An API that this build of the agent may not have. */
const maybe = (promise) => promise.catch(() => null);

async function load(signal) {
  const { from, to, seconds: length } = range();
  const s = step(length);
  // 503 is an answer here: it says what is not ready.
  const ready = await (await fetch('/-/ready', { signal })).json();
  const [own, stats, top, rates, pages] = await Promise.all([
    query('{__name__=~"sightline_.+"}', undefined, signal),
    maybe(getJson('/api/store/stats', signal)),
    maybe(getJson('/api/v1/sightline/top?n=10', signal)),
    queryRange(`sum by (lane) (rate(sightline_received_total[${rateWindow(s)}]))`, from, to, s, signal),
    maybe(query('sum by (integration) (alertmanager_notifications_total)', undefined, signal)),
  ]);
  return { ready, own, stats, top, rates, pages, from, to };
}

export function Agent({ every, stamp, params }) {
  const state = useData(load, [stamp, params.toString()], every);
  return html`<h1>Agent</h1><${State} ...${state}><${Facts} ...${state.data} /><//>`;
}

function Facts({ ready, own, stats, top, rates, pages, from, to }) {
  const all = (name, labels = {}) => own.filter((one) => one.metric.__name__ === `sightline_${name}` && Object.entries(labels).every(([k, v]) => one.metric[k] === v));
  const sum = (name, labels) => all(name, labels).reduce((n, one) => n + one.value, 0);
  const one = (name, labels) => all(name, labels)[0]?.value;
  const reasons = own.filter(({ metric, value }) => metric.reason && metric.lane && value > 0);
  return html`
    <p><span class=${`badge ${ready.status === 'ready' ? 'ok' : 'failed'}`}>${ready.status}</span>
      <span class="note"> ${all('build_info')[0]?.metric.version ?? ''} · ${bytes(one('process_resident_bytes'))} resident · ${seconds(one('process_cpu_seconds_total') ?? one('process_cpu_seconds'))} of CPU · ${short(one('process_open_fds'))} open files</span></p>
    <${Scroll} label="parts of the agent"><table class="rows"><caption>Parts</caption><tbody>${ready.checks.map((check) => html`<tr>
      <th scope="row">${check.name}</th><td><span class=${`badge ${check.ready ? 'ok' : 'failed'}`}>${check.ready ? 'ready' : 'not ready'}</span></td><td>${check.detail.replace(/(\d+\.\d)\d+s/, '$1 s')}</td></tr>`)}
      <tr><th scope="row">paging</th><td><span class="badge">${pages?.length ? 'seen' : 'not configured'}</span></td><td>${pages?.length ? 'Alertmanager sends notifications'
        : 'alerts of this agent show on the page and page nobody; to be paged run Prometheus with Alertmanager and put a key into the file that PAGERDUTY_ROUTING_KEY_FILE names there'}</td></tr></tbody></table><//>
    <h2>Ledger</h2>
    <p class="note">received + recovered = exported + dead letters + dropped + queued, always</p>
    <${Scroll} label="ledger"><table class="rows"><thead><tr><th scope="col">Lane</th>${['Received', 'Exported', 'Dead letters', 'Dropped', 'Queued', 'Refused input', 'Unaccounted for'].map((name) => html`<th scope="col" class="n">${name}</th>`)}</tr></thead>
      <tbody>${LANES.map((lane) => html`<tr><th scope="row">${lane}</th>
        ${['received_total', 'exported_total', 'dead_lettered_total', 'dropped_total', 'queued', 'rejected_total'].map((name) => html`<td class=${`n ${/dead|dropped/.test(name) && sum(name, { lane }) > 0 ? 'bad' : ''}`}>${short(sum(name, { lane }))}</td>`)}
        <td class=${`n ${one('ledger_difference', { lane }) ? 'bad' : ''}`}>${short(one('ledger_difference', { lane }))}</td></tr>`)}</tbody></table><//>
    ${reasons.length > 0 ? html`<h2>Lost or refused, by reason</h2><${Scroll} label="reasons"><table class="rows"><thead><tr><th scope="col">What</th><th scope="col">Lane</th><th scope="col">Reason</th><th scope="col" class="n">Count</th></tr></thead>
      <tbody>${reasons.sort((a, b) => b.value - a.value).map(({ metric, value }) => html`<tr><th scope="row">${metric.__name__.replace(/^sightline_|_total$/g, '').replace(/_/g, ' ')}</th><td>${metric.lane}</td><td>${metric.reason.replace(/_/g, ' ')}</td><td class="n">${short(value)}</td></tr>`)}</tbody></table><//>`
      : html`<p class="note">Nothing was dropped, refused or dead-lettered since the agent started.</p>`}
    <h2>Received each second</h2>
    <${Chart} series=${rates.map(({ metric, points }) => ({ label: metric.lane, points }))} label="records received each second by lane" unit=${(v) => `${short(v)}/s`} height=${150} from=${from} to=${to} />
    <${Limits} stats=${stats} one=${one} />
    <${Offenders} top=${top} />
    <details><summary>Every figure of the agent (${own.length})</summary><${Scroll} label="figures"><table class="rows"><tbody>${own.map(({ metric: { __name__: name, ...labels }, value }) => html`<tr><th scope="row">${name}</th>
      <td>${Object.entries(labels).map(([k, v]) => `${k}=${v}`).join(' ')}</td><td class="n">${name.includes('bytes') ? bytes(value) : name.includes('seconds') ? seconds(value) : short(value)}</td></tr>`)}</tbody></table><//></details>`;
}

/** How much of each bound is used. */
function Limits({ stats, one }) {
  if (!stats) return null;
  const rows = [...['logs', 'spans'].map((lane) => {
    const { bytes: used, max_bytes: most, records, first_ms: first, max_age_seconds: age, damaged_parts: damaged } = stats[lane];
    return { name: lane, used, most, text: `${bytes(used)} of ${bytes(most)}`, more: `${short(records)} records${first ? `, the oldest ${ago(first)}` : ''}; kept ${seconds(age)}${damaged ? `; ${damaged} damaged parts were set aside` : ''}` };
  }), {
    name: 'metrics', used: 0, most: 0, text: bytes(one('store_metric_disk_bytes')), more: `${short(one('store_metric_series'))} series, ${bytes(one('store_metric_memory_bytes'))} in memory`,
  }, {
    name: 'free disk', used: stats.disk.min_free_bytes, most: stats.disk.free_bytes, text: bytes(stats.disk.free_bytes), more: `below ${bytes(stats.disk.min_free_bytes)} nothing more is stored`,
  }];
  return html`<h2>Store and limits</h2><${Scroll} label="limits"><table class="rows"><thead><tr><th scope="col">What</th><th scope="col">Used</th><th scope="col"><span class="hidden">share</span></th><th scope="col">More</th></tr></thead>
    <tbody>${rows.map((row) => html`<tr><th scope="row">${row.name}</th><td>${row.text}</td><td class="share">${row.most > 0 && html`<meter min="0" max="1" low="0.7" high="0.9" optimum="0" value=${Math.min(1, row.used / row.most)} aria-label=${`share of the bound of ${row.name}`}></meter>`}</td><td>${row.more}</td></tr>`)}</tbody></table><//>`;
}

/** The metrics with the most series, and how far the budget of series is used. */
function Offenders({ top }) {
  if (!top) return null;
  const bars = [['series', top.series, top.series_limit, short], ['memory of series', top.bytes, top.bytes_limit, bytes]];
  return html`<h2>Worst offenders</h2>
    <p class="note">${bars.map(([name, used, most, format]) => html`<span>${name} ${format(used)} of ${format(most)} <meter min="0" max="1" low="0.7" high="0.9" optimum="0" value=${most ? Math.min(1, used / most) : 0} aria-label=${`share of the bound of ${name}`}></meter> </span>`)} at most ${short(top.series_per_metric_limit)} series a metric</p>
    <${Scroll} label="metrics with the most series"><table class="rows"><thead><tr><th scope="col">Metric</th><th scope="col">Type</th><th scope="col" class="n">Series</th><th scope="col" class="n">Turned away</th><th scope="col" class="n">Samples/s</th><th scope="col">Values by label</th></tr></thead>
      <tbody>${top.top.map((one) => html`<tr><th scope="row">${one.metric}</th><td>${one.type}</td><td class="n">${short(one.series)}</td><td class=${`n ${one.folded ? 'bad' : ''}`}>${short(one.folded)}</td><td class="n">${short(one.samples_per_second)}</td>
        <td>${(one.labels ?? []).slice(0, 4).map((label) => `${label.label} ${label.values}`).join(', ')}</td></tr>`)}</tbody></table><//>`;
}
