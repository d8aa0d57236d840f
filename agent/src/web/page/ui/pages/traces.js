// Traces: find them by service, name, duration, error or tag; newest first.
import { html, useRef } from '../vendor/preact.js';
import { href, set } from '../location.js';
import { getJson, useData } from '../api.js';
import { range } from '../time.js';
import { clock, seconds } from '../format.js';
import { Held, reading } from '../parts/reading.js';
import { Scroll } from '../parts/scroll.js';
import { Nothing, State } from '../parts/state.js';

/** Root span (or the earliest), length and what stands out, of one trace's spans. */
export function summary(spans) {
  const start = Math.min(...spans.map((s) => s.timestamp ?? Infinity));
  const end = Math.max(...spans.map((s) => (s.timestamp ?? 0) + (s.duration ?? 0)));
  const ids = new Set(spans.map((s) => s.id));
  const root = spans.find((s) => !s.parentId) ?? spans.find((s) => !ids.has(s.parentId)) ?? spans[0];
  const services = [...new Set(spans.map((s) => s.localEndpoint?.serviceName).filter(Boolean))];
  return {
    id: spans[0].traceId, root, start: start / 1000, length: Math.max(0, end - start) / 1e6, count: spans.length, services,
    errors: spans.filter((s) => s.tags?.error !== undefined).length,
  };
}

async function load(params, signal) {
  const { from, to } = range();
  const fields = { endTs: to, lookback: to - from, limit: Number(params.get('limit')) || 50 };
  const named = { service: 'serviceName', name: 'spanName' };
  for (const [key, name] of Object.entries(named)) if (params.get(key)) fields[name] = params.get(key);
  const least = Number(params.get('least'));
  if (least > 0) fields.minDuration = Math.round(least * 1000);
  const annotations = [params.get('errors') && 'error', params.get('tag')].filter(Boolean).join(' and ');
  if (annotations) fields.annotationQuery = annotations;
  const [traces, services] = await Promise.all([
    getJson(`/api/v2/traces?${new URLSearchParams(fields)}`, signal),
    getJson('/api/v2/services', signal),
  ]);
  return { rows: traces.filter((t) => t.length).map(summary), services, limit: fields.limit };
}

/** By which column, and how; the newest first unless the address says otherwise. */
const ORDERS = { start: (a, b) => b.start - a.start, length: (a, b) => b.length - a.length, count: (a, b) => b.count - a.count };

export function Traces({ params, every, stamp }) {
  const list = useRef(null);
  const filtered = ['service', 'name', 'least', 'tag', 'errors'].some((key) => params.get(key));
  const asked = [...params].filter(([key]) => key !== 'order').join('&');
  const state = useData((signal) => load(params, signal), [stamp, asked], every, { held: () => reading(list.current), none: (data) => !data.rows.length });
  const submit = (event) => {
    event.preventDefault();
    const data = new FormData(event.target);
    set(Object.fromEntries(['service', 'name', 'least', 'tag', 'errors'].map((key) => [key, data.get(key)])));
  };
  const services = [...new Set([...(state.data?.services ?? []), params.get('service')].filter(Boolean))];
  return html`
    <h1>Traces</h1>
    <form class="search" role="search" onSubmit=${submit}>
      <label>Service <select name="service" value=${params.get('service') ?? ''}>
        <option value="">all</option>${services.map((name) => html`<option value=${name}>${name}</option>`)}</select></label>
      <label>Name <input name="name" value=${params.get('name') ?? ''} placeholder="get /kittens" /></label>
      <label>At least <input name="least" inputmode="decimal" size="5" value=${params.get('least') ?? ''} /> ms</label>
      <label>Tag <input name="tag" type="search" value=${params.get('tag') ?? ''} placeholder="http.request.id=…" /></label>
      <label><input type="checkbox" name="errors" value="1" checked=${Boolean(params.get('errors'))} /> errors only</label>
      <button>Search</button>
    </form>
    <${State} ...${state} empty=${state.data?.rows.length === 0 && (filtered
        ? html`<p class="empty">No trace in this time range matches. <a href=${href('/traces')}>Show all</a></p>`
        : html`<${Nothing} what="traces" kind="span" />`)}>
      <${Rows} ...${state.data} order=${params.get('order')} list=${list} waiting=${state.waiting} />
    <//>`;
}

function Rows({ rows, limit, order, list, waiting }) {
  const longest = Math.max(...rows.map((row) => row.length), 1e-9);
  const by = ORDERS[order] ? order : 'start';
  const sorted = [...rows].sort(ORDERS[by]);
  const head = (key, text) => html`<th scope="col" class=${key === 'start' ? '' : 'n'} aria-sort=${by === key ? 'descending' : 'none'}>
    <button class="quiet head" onClick=${() => set({ order: key === 'start' ? null : key })}>${text}${by === key ? ' ↓' : ''}</button></th>`;
  return html`<p class="note">${rows.length === limit ? `the newest ${limit}` : rows.length} ${rows.length === 1 ? 'trace' : 'traces'}<${Held} waiting=${waiting} /></p>
    <div ref=${list}><${Scroll} label="traces"><table class="rows traces">
    <thead><tr>${head('start', 'Started')}<th scope="col">Trace</th>${head('length', 'Duration')}<th scope="col"><span class="hidden">Share of the longest</span></th>
      ${head('count', 'Spans')}<th scope="col">Services</th></tr></thead>
    <tbody>${sorted.map((row) => html`<tr key=${row.id}>
      <td><time>${clock(row.start)}</time></td>
      <th scope="row"><a data-row href=${href(`/traces/${row.id}`)}>${row.root.name || row.id}</a>
        ${row.errors > 0 && html` <span class="badge failed">${row.errors} ${row.errors === 1 ? 'error' : 'errors'}</span>`}</th>
      <td class="n">${seconds(row.length)}</td>
      <td class="share"><meter min="0" max="1" value=${row.length / longest} aria-label="share of the longest"></meter></td>
      <td class="n">${row.count}</td><td>${row.services.join(', ')}</td>
    </tr>`)}</tbody></table><//></div>
    ${rows.length === limit && limit < 1000 && html`<button onClick=${() => set({ limit: Math.min(1000, limit * 4) })}>Show more</button>`}`;
}
