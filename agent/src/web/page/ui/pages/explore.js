// Metrics: the timings and outcomes of a service at a glance, and any PromQL beside them.
import { html } from '../vendor/preact.js';
import { set } from '../location.js';
import { getJson, query, queryRange, useData } from '../api.js';
import { range, rateWindow, step } from '../time.js';
import { seconds, short } from '../format.js';
import { Chart } from '../parts/chart.js';
import { deploys } from '../parts/marks.js';
import { Why } from '../parts/why.js';
import { Nothing, State } from '../parts/state.js';

/** What a person wants to know first of a service, as PromQL. */
export const CARDS = [
  ['Requests per second', (m, w) => `sum by (segment) (rate(instrument_outcomes_total{${m},group="handlers"}[${w}]))`, (v) => `${short(v)}/s`],
  ['Errors per second', (m, w) => `sum by (segment, outcome) (rate(instrument_outcomes_total{${m},group="handlers",outcome=~"failed|error|panic"}[${w}])) > 0`, (v) => `${short(v)}/s`],
  ['p99 of handlers', (m, w) => `histogram_quantile(0.99, sum by (le, segment) (rate(instrument_timing_seconds_bucket{${m},group="handlers"}[${w}])))`, seconds],
  ['p99 of what it calls', (m, w) => `histogram_quantile(0.99, sum by (le, group, segment) (rate(instrument_timing_seconds_bucket{${m},group!="handlers"}[${w}])))`, seconds],
  ['Health (0 ok, 1 degraded, 2 failed)', (m) => `max by (check) (instrument_health_status{${m}})`, short],
  ['Gauges', (m) => `max by (group, segment, measure) (instrument_gauge{${m}})`, short],
];

const name = (metric) => {
  const { __name__: own, ...labels } = metric;
  const text = Object.entries(labels).map(([k, v]) => (['segment', 'check', 'service'].includes(k) ? v : `${k}=${v}`)).join(' ');
  return [own, text].filter(Boolean).join(' ') || 'value';
};

async function ranged(expr, service, signal) {
  const { from, to, seconds: length } = range();
  const [result, marks] = await Promise.all([queryRange(expr, from, to, step(length), signal), deploys(from, to, service, signal)]);
  return { from, to, marks, series: result.map((one) => ({ label: name(one.metric), points: one.points })) };
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
  }, [stamp], every * 6);
  const chosen = service || names.data?.services[0] || '';
  const submit = (event) => {
    event.preventDefault();
    set({ expr: new FormData(event.target).get('expr') });
  };
  return html`
    <h1>Metrics</h1>
    <form class="search" role="search" onSubmit=${submit}>
      <label class="hidden" for="expr">PromQL</label>
      <input id="expr" name="expr" type="search" list="names" value=${expr} spellcheck="false" autocomplete="off"
        placeholder="PromQL: sum by (segment) (rate(instrument_calls_total[1m]))" />
      <datalist id="names">${(names.data?.metrics ?? []).slice(0, 2000).map((one) => html`<option value=${one} />`)}</datalist>
      <button>Draw</button>
      ${names.data?.services.length > 0 && html`<label>Service <select value=${chosen} onChange=${(e) => set({ service: e.target.value })}>
        ${names.data.services.map((one) => html`<option value=${one}>${one}</option>`)}</select></label>`}
    </form>
    ${expr && html`<${Card} title=${expr} expr=${expr} unit=${short} every=${every} stamp=${stamp} params=${params} tall />`}
    <${State} ...${names} empty=${names.data?.services.length === 0 && !expr && html`<${Nothing} what="metrics" kind="metric" />`}>
      <div class="cards">${chosen && CARDS.map(([title, make, unit]) => html`<${Card} key=${title + chosen} title=${title} service=${chosen} unit=${unit}
        expr=${make(`service="${chosen}"`, rateWindow(step(range().seconds)))} every=${every} stamp=${stamp} params=${params} />`)}</div>
    <//>`;
}

function Card({ title, expr, unit, every, stamp, params, tall, service }) {
  const state = useData((signal) => ranged(expr, service, signal), [expr, stamp, params.get('from'), params.get('to')], every);
  return html`<section class="card"><h2>${title}</h2>
    <${State} ...${state} asked=${tall && expr} empty=${state.data && !state.data.series.length && html`<${Why} exprs=${[expr]} from=${state.data.from} to=${state.data.to} />`}><${Chart} ...${state.data} label=${title} unit=${unit} height=${tall ? 280 : 170} /><//>
    ${!tall && html`<button class="quiet small" onClick=${() => set({ expr })}>open the query</button>`}</section>`;
}
