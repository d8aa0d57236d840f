// The handlers of one service, the failing ones first, each with the way to its failures, its slow requests and its dashboard.
import { html } from '../vendor/preact.js';
import { href } from '../location.js';
import { query, queryRange, useData } from '../api.js';
import { range, rateWindow, step } from '../time.js';
import { percent, seconds, short } from '../format.js';
import { Spark } from './chart.js';
import { Scroll } from './scroll.js';

/** Ends that count as a failure everywhere on the page. */
export const FAILED = 'failed|error|panic';

/** Log records of failures: of a service, or of one of its handlers. */
export const failures = (service, handler) => href('/logs', { q: [`service.name:"${service}"`, handler && `handler:"${handler}"`, 'event.outcome:failure'].filter(Boolean).join(' AND ') });

/** Traces that took at least `least` seconds, the longest first. */
export const slow = (service, least, handler) => href('/traces', { service, tag: handler && `segment=${handler}`, least: least > 0 ? Number((least * 900).toPrecision(2)) : null, order: 'length' });

async function load(service, signal) {
  const { from, to, seconds: length } = range();
  const s = step(length, 60);
  const all = `[${Math.round(length)}s]`;
  const of = (more = '') => `{service="${service}",group="handlers"${more}}`;
  const ended = (more, window) => `sum by (segment) (increase(instrument_outcomes_total${of(more)}${window}))`;
  const [total, failed, panics, p50, p99, trend] = await Promise.all([
    query(ended('', all), to, signal), query(ended(`,outcome=~"${FAILED}"`, all), to, signal), query(ended(',outcome="panic"', all), to, signal),
    ...[0.5, 0.99].map((q) => query(`histogram_quantile(${q}, sum by (segment, le) (rate(instrument_timing_seconds_bucket${of()}${all})))`, to, signal)),
    queryRange(`sum by (segment) (rate(instrument_outcomes_total${of(`,outcome=~"${FAILED}"`)}[${rateWindow(s)}]))`, from, to, s, signal),
  ]);
  const each = (rows) => new Map(rows.map(({ metric, value }) => [metric.segment, value]));
  const [bad, thrown, middle, late] = [failed, panics, p50, p99].map(each);
  const lines = new Map(trend.map(({ metric, points }) => [metric.segment, points]));
  return total.filter(({ value }) => value > 0).map(({ metric: { segment: name }, value }) => ({
    name, rate: value / length, failed: bad.get(name) ?? 0, share: (bad.get(name) ?? 0) / value, panics: thrown.get(name) ?? 0, p50: middle.get(name), p99: late.get(name), trend: lines.get(name),
  })).sort((a, b) => b.failed - a.failed || b.rate - a.rate);
}

export function Handlers({ service, every, stamp, params }) {
  const { data } = useData((signal) => load(service, signal), [service, stamp, params.get('from'), params.get('to')], every, { none: (rows) => !rows.length });
  if (!data?.length) return null;
  return html`<section aria-label="Handlers"><h2>Handlers of ${service} over the whole range</h2><${Scroll} label="handlers"><table class="rows">
    <thead><tr><th scope="col">Handler</th><th scope="col" class="n">Requests/s</th><th scope="col" class="n">Failed</th><th scope="col" class="n">Share</th><th scope="col">When</th>
      <th scope="col" class="n">p50</th><th scope="col" class="n">p99</th><th scope="col" class="n">Panics</th><th scope="col">Look at</th></tr></thead>
    <tbody>${data.map((row) => html`<tr key=${row.name}>
      <th scope="row"><a data-row href=${href('/d/sightline-handler', { 'var-service': service, 'var-segment': row.name })}>${row.name}</a></th>
      <td class="n">${short(row.rate)}</td>
      <td class="n">${row.failed >= 0.5 ? html`<a href=${failures(service, row.name)}>${short(Math.round(row.failed))}</a>` : '0'}</td>
      <td class=${`n ${row.share > 0.05 ? 'bad' : row.share > 0.01 ? 'warn' : ''}`}>${percent(row.share)}</td>
      <td>${row.failed >= 0.5 && html`<${Spark} points=${row.trend} label=${`failures of ${row.name}`} colour="var(--bad)" />`}</td>
      <td class="n">${seconds(row.p50)}</td>
      <td class="n"><a href=${slow(service, row.p99, row.name)} aria-label=${`slow requests of ${row.name}, p99 ${seconds(row.p99)}`}>${seconds(row.p99)}</a></td>
      <td class=${`n ${row.panics > 0.5 ? 'bad' : ''}`}>${row.panics > 0.5 ? html`<a href=${href('/panics', { service })}>${short(Math.round(row.panics))}</a>` : '0'}</td>
      <td class="links"><a href=${href('/logs', { q: `service.name:"${service}" AND handler:"${row.name}"` })}>logs</a>
        ${' '}<a href=${href('/traces', { service, tag: `segment=${row.name}` })}>traces</a>
        ${row.failed >= 0.5 && html` <a href=${href('/traces', { service, tag: `segment=${row.name}`, errors: '1' })}>failed traces</a>`}</td>
    </tr>`)}</tbody></table><//></section>`;
}
