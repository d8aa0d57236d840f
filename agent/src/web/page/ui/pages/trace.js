// One trace: its waterfall, and the log records of the same id on the same axis.
import { html, useRef } from '../vendor/preact.js';
import { href } from '../location.js';
import { getJson, search, useData } from '../api.js';
import { clock, seconds } from '../format.js';
import { State } from '../parts/state.js';
import { Waterfall } from '../parts/waterfall.js';
import { Line } from './logs.js';
import { summary } from './traces.js';

/** Milliseconds in which parts of a trace may still come. */
const YOUNG = 60000;

async function load(id, signal) {
  const spans = await getJson(`/api/v2/trace/${encodeURIComponent(id)}`, signal).catch((error) => {
    if (signal.aborted) throw error;
    return [];
  });
  const logs = await search('logs-*', {
    query: { bool: { filter: [{ term: { 'trace.id': id } }] } }, size: 500, sort: [{ '@timestamp': 'asc' }],
  }, signal);
  return { spans, hits: logs.hits.hits };
}

export function Trace({ id, stamp, every }) {
  // Spans, records and the stack of a panic come one after the other: a young trace is asked for again, an old one stands still.
  const still = useRef(false);
  const state = useData((signal) => load(id, signal), [id, stamp], every, { held: () => still.current, none: ({ spans }) => !spans.length });
  const born = Math.min(...(state.data?.spans ?? []).map((span) => (span.timestamp ?? Infinity) / 1000));
  still.current = Number.isFinite(born) && Date.now() - born > YOUNG;
  const spans = state.data?.spans ?? [];
  const hits = state.data?.hits ?? [];
  const about = spans.length ? summary(spans) : null;
  const request = spans.map((s) => s.tags?.['http.request.id']).find(Boolean);
  const service = about?.root.localEndpoint?.serviceName ?? hits.map(({ _source }) => _source['service.name'] ?? _source.service?.name).find(Boolean);
  const marks = hits.map((hit) => ({
    at: Date.parse(hit._source['@timestamp']), level: hit._source['log.level'] ?? '', text: hit._source.message ?? '', panic: Boolean(hit._source['error.fingerprint'] ?? hit._source.error?.fingerprint),
  }));
  const panicked = marks.some((mark) => mark.panic);
  return html`
    <h1>${about?.root.name ?? 'Trace'} <small class="id">${id}</small></h1>
    <${State} ...${state} empty=${state.data && !spans.length && !hits.length && html`<p class="empty">No span and no log record has this
        id. It may not have arrived yet, or it is older than the store keeps (spans 7 days, logs 30).</p>`}>
      ${about && html`<p class="note">${clock(about.start)} · ${seconds(about.length)} · ${about.count} spans · ${about.services.join(', ')}
        ${panicked && html` · <span class="badge failed">panic</span>`}</p>`}
      <p class="links">${request && about && html`<a href=${href('/logs', { q: `request_id:"${request}"`, from: about.start - 60000, to: about.start + about.length * 1000 + 60000 })}>logs of this request</a>`}
        ${service && html` <a href=${href('/explore', { service })}>metrics of ${service}</a>`}
        ${panicked && html` <a href=${href('/panics', { service })}>panics of ${service}</a>`}</p>
      ${about ? html`<${Waterfall} spans=${spans} marks=${marks} />` : html`<p class="empty">No span of this trace is here yet: it was not sampled, or they come in a moment.</p>`}
      <h2>Logs of this trace</h2>
      ${hits.length ? html`<ol class="records">${hits.map((hit) => html`<${Line} key=${hit._id} hit=${hit} />`)}</ol>`
        : html`<p class="empty">No log record has this trace id.</p>`}
    <//>`;
}
