// Metrics: the timings and outcomes of a service at a glance, and any PromQL beside them.
import { html } from '../vendor/preact.js';
import { href, set } from '../location.js';
import { getJson, query, queryRange, useData } from '../api.js';
import { dotted } from '../names.js';
import { range, rateWindow, step } from '../time.js';
import { bytes, percent, seconds, short } from '../format.js';
import { Chart } from '../parts/chart.js';
import { FAILED, Handlers } from '../parts/handlers.js';
import { deploys } from '../parts/marks.js';
import { Why } from '../parts/why.js';
import { Nothing, State } from '../parts/state.js';

/** What a person wants to know first of a service, as PromQL. */
export const CARDS = [
  ['Requests per second', (m, w) => `sum by (segment) (rate(instrument_outcomes_total{${m},group="handlers"}[${w}]))`, (v) => `${short(v)}/s`],
  ['Errors per second', (m, w) => `sum by (segment, outcome) (rate(instrument_outcomes_total{${m},group="handlers",outcome=~"${FAILED}"}[${w}])) > 0`, (v) => `${short(v)}/s`],
  ['p99 of handlers', (m, w) => `histogram_quantile(0.99, sum by (le, segment) (rate(instrument_timing_seconds_bucket{${m},group="handlers"}[${w}])))`, seconds],
  ['p99 of what it calls', (m, w) => `histogram_quantile(0.99, sum by (le, group, segment) (rate(instrument_timing_seconds_bucket{${m},group!="handlers"}[${w}])))`, seconds],
  ['Health (0 ok, 1 degraded, 2 failed)', (m) => `max by (check) (instrument_health_status{${m}})`, short],
];

/** Gauges that share a unit share a chart, so that bytes do not flatten counts: title, which measures, how they are written. */
const GAUGES = [['Gauges in bytes', 'measure=~".*bytes"', bytes], ['Gauges in seconds', 'measure=~".*seconds"', seconds], ['Shares', 'measure=~"share|ratio"', percent],
  ['Other gauges', 'measure!~".*bytes|.*seconds|share|ratio"', short]]
  .map(([title, which, unit]) => [title, (m) => `max by (group, segment, measure) (instrument_gauge{${m},${which}})`, unit]);

/** Labels whose value says enough without their name, in the order in which people say them. */
const PLAIN = ['service', 'group', 'segment', 'measure', 'check', 'outcome'];
const name = (metric) => {
  const { __name__: own, ...labels } = metric;
  const plain = PLAIN.filter((key) => labels[key]).map((key) => labels[key]);
  const rest = Object.entries(labels).filter(([key]) => !PLAIN.includes(key)).map(([k, v]) => `${k}=${v}`);
  return [own, ...plain, ...rest].filter(Boolean).join(' ') || 'value';
};

/** The unit of an expression, as far as the name of what it asks for says so; a quotient or a comparison has none. */
export function unitOf(expr) {
  const rate = /\b(i?rate|deriv)\s*\(/.test(expr);
  const each = (unit) => (rate ? (v) => `${unit(v)}/s` : unit);
  if (/[/<>]|[=!]=|^\s*(count|group|absent)\b/.test(expr.replace(/\{[^}]*\}/g, ''))) return short;
  if (/histogram_quantile/.test(expr)) return /_seconds(_bucket)?\b/.test(expr) ? seconds : /_bytes(_bucket)?\b/.test(expr) ? bytes : short;
  if (/_bytes(_total)?\b/.test(expr)) return each(bytes);
  return /_seconds\b/.test(expr) && !rate ? seconds : each(short);
}

async function ranged(expr, unit, signal) {
  const { from, to, seconds: length } = range();
  const result = await queryRange(expr, from, to, step(length), signal);
  // The quantiles of a histogram are what was observed, whether it is one of a rate or not.
  const native = result.some((one) => one.native) && (/_seconds\b/.test(expr) ? seconds : /_bytes\b/.test(expr) ? bytes : short);
  const series = result.map((one) => ({ label: name(one.metric), points: one.points, binary: (native || unit) === bytes }));
  return { from, to, series, ...(native && { unit: native }) };
}

export function Explore({ params, every, stamp }) {
  const service = params.get('service') ?? '';
  const expr = params.get('expr') ?? '';
  const names = useData(async (signal) => {
    const [services, metrics] = await Promise.all([
      query('group by (service) ({__name__=~"instrument_.+",service!=""})', undefined, signal),
      getJson('/api/v1/label/__name__/values', signal),
    ]);
    return { services: services.map((one) => one.metric.service).sort(), metrics: metrics.data };
  }, [stamp], every * 6, { none: ({ services }) => !services.length });
  const chosen = service || names.data?.services[0] || '';
  const { data: marks = [] } = useData((signal) => deploys(range().from, range().to, expr ? null : chosen, signal), [chosen, expr, stamp, params.get('from'), params.get('to')], every * 3);
  const meant = dotted(expr, rateWindow(step(range().seconds)));
  const cards = expr ? [] : [...CARDS, ...GAUGES];
  const submit = (event) => {
    event.preventDefault();
    set({ expr: new FormData(event.target).get('expr') });
  };
  return html`
    <h1>Metrics</h1>
    <form class="search" role="search" onSubmit=${submit}>
      <label class="hidden" for="expr">PromQL</label>
      <input id="expr" name="expr" type="search" list="names" value=${expr} spellcheck="false" autocomplete="off"
        placeholder="PromQL, or a name as services send it: *.handlers.*.failed" />
      <datalist id="names">${(names.data?.metrics ?? []).slice(0, 2000).map((one) => html`<option value=${one} />`)}</datalist>
      <button>Draw</button>
      ${names.data?.services.length > 0 && html`<label>Service <select value=${chosen} onChange=${(e) => set({ service: e.target.value })}>
        ${names.data.services.map((one) => html`<option value=${one}>${one}</option>`)}</select></label>`}
    </form>
    ${meant && html`<p class="note">As PromQL: <button class="link" onClick=${() => set({ expr: meant })}>${meant}</button></p>`}
    ${expr && html`<${Card} title=${expr} expr=${meant ?? expr} unit=${unitOf(meant ?? expr)} every=${every} stamp=${stamp} params=${params} marks=${marks ?? []} tall />`}
    <${State} ...${names} empty=${names.data?.services.length === 0 && !expr && html`<${Nothing} what="metrics" kind="metric" />`}>
      ${chosen && !expr && html`<p class="links">
          ${html`<a href=${href('/d/sightline-service', { 'var-service': chosen })}>dashboard</a>`} <a href=${href('/logs', { q: `service.name:"${chosen}"` })}>logs</a>
          ${' '}<a href=${href('/traces', { service: chosen })}>traces</a> <a href=${href('/panics', { service: chosen })}>panics</a></p>
        <${Handlers} service=${chosen} every=${every} stamp=${stamp} params=${params} />`}
      ${expr ? html`<p><button class="quiet" onClick=${() => set({ expr: null })}>back to the charts of ${chosen || 'the services'}</button></p>` : null}
      <div class="cards">${chosen && cards.map(([title, make, unit]) => html`<${Card} key=${title + chosen} title=${title} unit=${unit} marks=${marks ?? []}
        expr=${make(`service="${chosen}"`, rateWindow(step(range().seconds)))} every=${every} stamp=${stamp} params=${params} />`)}</div>
    <//>`;
}

function Card({ title, expr, unit, every, stamp, params, tall, marks }) {
  const state = useData((signal) => ranged(expr, unit, signal), [expr, stamp, params.get('from'), params.get('to')], every, { none: ({ series }) => !series.length });
  return html`<section class="card"><h2>${title}</h2>
    <${State} ...${state} asked=${tall && title === expr && expr} empty=${state.data && !state.data.series.length && html`<${Why} exprs=${[expr]} from=${state.data.from} to=${state.data.to} />`}><${Chart} unit=${unit} ...${state.data} marks=${marks} label=${title} height=${tall ? 280 : 170} /><//>
    ${!tall && html`<button class="quiet small" onClick=${() => set({ expr })}>open the query</button>`}</section>`;
}
