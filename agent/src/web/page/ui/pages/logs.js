// Logs: a search box, how many when and of what level, and the records, newest first.
import { html, useEffect, useRef, useState } from '../vendor/preact.js';
import { href, set } from '../location.js';
import { logQuery, search, useData } from '../api.js';
import { range, step } from '../time.js';
import { clock, short } from '../format.js';
import { Chart } from '../parts/chart.js';
import { deploys } from '../parts/marks.js';
import { Held, reading } from '../parts/reading.js';
import { Record } from '../parts/record.js';
import { Tail } from '../parts/tail.js';
import { Nothing, State } from '../parts/state.js';

export const LEVELS = { error: '#d93025', warn: '#e8710a', info: '#3b82f6', debug: '#64748b', trace: '#94a3b8' };

async function load(text, size, signal) {
  const { from, to, seconds } = range();
  const interval = step(seconds, 60, 1);
  const [marks, body] = await Promise.all([deploys(from, to, null, signal), search('logs-*', {
    query: logQuery(text, from, to),
    size,
    sort: [{ '@timestamp': 'desc' }],
    track_total_hits: true,
    aggs: {
      when: {
        date_histogram: { field: '@timestamp', fixed_interval: `${interval}s`, min_doc_count: 0, extended_bounds: { min: from, max: to } },
        aggs: { level: { terms: { field: 'log.level', size: 8 } } },
      },
      services: { terms: { field: 'service.name', size: 10 } },
      levels: { terms: { field: 'log.level', size: 8 } },
      handlers: { terms: { field: 'handler', size: 10 } },
      statuses: { terms: { field: 'status', size: 10 } },
    },
  }, signal)]);
  const levels = new Map();
  for (const bucket of body.aggregations?.when?.buckets ?? []) {
    for (const one of bucket.level?.buckets ?? []) {
      if (!levels.has(one.key)) levels.set(one.key, []);
      levels.get(one.key).push([bucket.key / 1000, one.doc_count]);
    }
  }
  const order = Object.keys(LEVELS);
  return {
    marks,
    found: text,
    hits: body.hits.hits,
    total: body.hits.total?.value ?? body.hits.hits.length,
    chart: [...levels].sort(([a], [b]) => order.indexOf(a) - order.indexOf(b)).map(([label, points]) => ({ label, points, colour: LEVELS[label] })),
    facets: [['service.name', 'services'], ['log.level', 'levels'], ['handler', 'handlers'], ['status', 'statuses']]
      .map(([field, name]) => ({ field, buckets: body.aggregations?.[name]?.buckets ?? [] })),
    from,
    to,
  };
}

/** Adds `field:value`, or its exclusion, to the query in the URL. */
export function narrow(text, field, value, exclude = false) {
  const quoted = typeof value === 'number' ? value : `"${String(value).replace(/["\\]/g, '\\$&')}"`;
  const clause = `${exclude ? 'NOT ' : ''}${field}:${quoted}`;
  return text?.trim() ? `${text.trim()} AND ${clause}` : clause;
}

export function Logs({ params, every, stamp }) {
  const text = params.get('q') ?? '';
  const size = Number(params.get('size')) || 100;
  // An open record would leave the list with the next answer.
  const open = useRef(0);
  const hold = (by) => (open.current += by);
  const live = params.get('live') === '1';
  const list = useRef(null);
  const state = useData((signal) => (live ? null : load(text, size, signal)), [stamp, params.toString()], live ? 0 : every, { held: () => open.current > 0 || reading(list.current), none: (data) => data.total === 0 });
  const submit = (event) => {
    event.preventDefault();
    set({ q: new FormData(event.target).get('q') });
  };
  return html`
    <h1>Logs</h1>
    <form role="search" onSubmit=${submit} class="search">
      <label class="hidden" for="q">Search logs</label>
      <input id="q" name="q" type="search" value=${text} spellcheck="false" autocomplete="off"
        placeholder='words, "a phrase", status:200 AND method:POST, message:/.*refused.*/' />
      <button>Search</button>
      <button type="button" aria-pressed=${live} class=${live ? 'on' : ''} onClick=${() => set({ live: live ? null : '1' })}>Live</button>
      <${Download} text=${text} />
    </form>
    ${live ? html`<${Tail} text=${text} />` : html`<${State} ...${state} asked=${text} empty=${state.data?.total === 0 && (text
        ? html`<p class="empty">No record in this time range matches. <a href=${href('/logs')}>Show all</a></p>`
        : html`<${Nothing} what="logs" kind="log" />`)}>
      <${Results} ...${state.data} text=${text} size=${size} hold=${hold} list=${list} waiting=${state.waiting} />
    <//>`}`;
}

/** Everything that the query finds in this range, as a file. */
function Download({ text }) {
  const { from, to } = range();
  const way = (format) => `/api/logs/export?${new URLSearchParams({ ...(text && { q: text }), from: Math.round(from), to: Math.round(to), format })}`;
  return html`<details class="menu"><summary>Download ▾</summary><div class="choices right"><a href=${way('ndjson')} download>NDJSON: whole records</a><a href=${way('csv')} download>CSV: the usual columns</a></div></details>`;
}

function Results({ hits, total, chart, facets, text, size, from, to, hold, marks, found, list, waiting }) {
  return html`
    <p class="note">${short(total)} ${total === 1 ? 'record' : 'records'}${total > hits.length ? `, the newest ${hits.length} below` : ''}<${Held} waiting=${waiting} /></p>
    <${Chart} series=${chart} bars stack legend=${false} height=${110} label="records by level" from=${from} to=${to} marks=${marks} />
    <div class="with-side">
      <aside aria-label="Most frequent values">${facets.filter((f) => f.buckets.length).map((facet) => html`
        <h2>${facet.field}</h2><ul>${facet.buckets.map((bucket) => html`<li>
          <button class="link" onClick=${() => set({ q: narrow(text, facet.field, bucket.key) })}>${facet.field === 'log.level' && html`<i class="dot" style=${{ background: LEVELS[bucket.key] }}></i> `}${String(bucket.key)}</button>
          <span class="count">${short(bucket.doc_count)}</span>
          <button class="quiet small" aria-label=${`exclude ${bucket.key}`} onClick=${() => set({ q: narrow(text, facet.field, bucket.key, true) })}>−</button>
        </li>`)}</ul>`)}</aside>
      <ol class="records" ref=${list} data-query=${found}>${hits.map((hit) => html`<${Line} key=${hit._id} hit=${hit} text=${text} hold=${hold} />`)}</ol>
    </div>
    ${total > hits.length && size < 1000 && html`<button onClick=${() => set({ size: size * 2 })}>Show more</button>`}`;
}

/** One record: a line that opens into all its fields. */
export function Line({ hit, text = '', hold }) {
  const [open, setOpen] = useState(false);
  useEffect(() => {
    if (!open || !hold) return undefined;
    hold(1);
    return () => hold(-1);
  }, [open]);
  const source = hit._source;
  const level = source['log.level'] ?? source.log?.level ?? '';
  const service = source['service.name'] ?? source.service?.name ?? '';
  return html`<li class=${`record ${level}`}>
    <button data-row class="line" aria-expanded=${open} onClick=${() => setOpen(!open)}>
      <time>${clock(Date.parse(source['@timestamp']))}</time>
      <span class=${`level ${level}`}>${level || '–'}</span>
      <span class="service">${service}</span>
      <span class="message">${source.message ?? source['error.message'] ?? JSON.stringify(source)}</span>
    </button>
    ${open && html`<${Record} hit=${hit} text=${text} />`}
  </li>`;
}
