// Services: rate, errors, p99, health and version of each, worst first.
import { html } from '../vendor/preact.js';
import { href } from '../location.js';
import { query, queryRange, useData } from '../api.js';
import { range, rateWindow, step } from '../time.js';
import { percent, seconds, short } from '../format.js';
import { Alerts } from '../parts/alerts.js';
import { Chart, Spark } from '../parts/chart.js';
import { failures, slow } from '../parts/handlers.js';
import { deploys } from '../parts/marks.js';
import { Scroll } from '../parts/scroll.js';
import { Nothing, State } from '../parts/state.js';

const HEALTH = ['ok', 'degraded', 'failed'];
const by = (rows, key = 'service') => new Map(rows.map((row) => [row.metric[key], row.value]));

async function load(signal) {
  const { from, to, seconds: length } = range();
  const s = step(length);
  // Rates of now, not averages of the whole range; panics are counted over all of it.
  const window = `${Math.max(60, Math.min(Math.round(length / 15), 3600))}s`;
  const handlers = `group="handlers"`;
  const rates = `sum by (service) (rate(instrument_outcomes_total{${handlers}}[W]))`;
  const [marks, rate, errors, p99, health, version, panics, trend, errorTrend, p99Trend] = await Promise.all([
    deploys(from, to, null, signal),
    query(rates.replace('W', window), to, signal),
    query(`sum by (service) (rate(instrument_outcomes_total{${handlers},outcome=~"failed|error|panic"}[${window}]))`, to, signal),
    query(`histogram_quantile(0.99, sum by (service, le) (rate(instrument_timing_seconds_bucket{${handlers}}[${window}])))`, to, signal),
    query('max by (service) (instrument_health_status)', to, signal),
    query('max by (service, version) (instrument_build_info)', to, signal),
    query(`sum by (service) (increase(instrument_outcomes_total{${handlers},outcome="panic"}[${Math.round(length)}s]))`, to, signal),
    queryRange(rates.replace('W', rateWindow(s)), from, to, s, signal),
    queryRange(`(sum by (service) (rate(instrument_outcomes_total{${handlers},outcome=~"failed|error|panic"}[${rateWindow(s)}])) or 0 * ${rates.replace('W', rateWindow(s))}) / (${rates.replace('W', rateWindow(s))} > 0)`, from, to, s, signal),
    queryRange(`histogram_quantile(0.99, sum by (service, le) (rate(instrument_timing_seconds_bucket{${handlers}}[${rateWindow(s)}])))`, from, to, s, signal),
  ]);
  const [errorsBy, p99By, healthBy, panicsBy] = [errors, p99, health, panics].map((rows) => by(rows));
  const versionBy = new Map(version.map((row) => [row.metric.service, row.metric.version]));
  const trendBy = new Map(trend.map((one) => [one.metric.service, one.points]));
  const names = new Set([...by(rate).keys(), ...versionBy.keys(), ...healthBy.keys()].filter(Boolean));
  const rateBy = by(rate);
  const rows = [...names].map((name) => ({
    name,
    rate: rateBy.get(name) ?? 0,
    ratio: rateBy.get(name) ? (errorsBy.get(name) ?? 0) / rateBy.get(name) : NaN,
    p99: p99By.get(name),
    health: healthBy.get(name),
    version: versionBy.get(name),
    panics: panicsBy.get(name) ?? 0,
    trend: trendBy.get(name) ?? [],
  }));
  rows.sort((a, b) => (b.health ?? 0) - (a.health ?? 0) || (b.ratio || 0) - (a.ratio || 0) || b.rate - a.rate);
  const series = (found) => found.map((one) => ({ label: one.metric.service, points: one.points }));
  return { rows, charts: [['Requests per second', series(trend), (v) => `${short(v)}/s`], ['Share of failures', series(errorTrend), percent], ['p99', series(p99Trend), seconds]], window, from, to, marks };
}

export function Home({ every, stamp, params }) {
  const state = useData(load, [stamp, params.toString()], every, { none: ({ rows, charts }) => !rows.length || charts.some(([, series]) => !series.length) });
  return html`
    <h1>Services</h1>
    <${Alerts} every=${every} stamp=${stamp} />
    <${State} ...${state} empty=${state.data?.rows.length === 0 && html`<${Nothing} what="services" kind="metric"
        why="A service appears with its first metric of the form service.group.segment.outcome." />`}>
      <${Services} ...${state.data} />
    <//>`;
}

function Services({ rows, charts, from, to, marks }) {
  return html`
    <${Scroll} label="services"><table class="rows">
      <thead><tr><th scope="col">Service</th><th scope="col">Health</th><th scope="col" class="n">Requests/s</th>
        <th scope="col" class="n">Errors</th><th scope="col" class="n">p99</th><th scope="col" class="n">Panics</th>
        <th scope="col">Traffic</th><th scope="col">Version</th><th scope="col">Look at</th></tr></thead>
      <tbody>${rows.map((row) => html`<tr key=${row.name}>
        <th scope="row"><a data-row href=${href('/explore', { service: row.name })}>${row.name}</a></th>
        <td><span class=${`badge ${HEALTH[row.health] ?? 'unknown'}`}>${HEALTH[row.health] ?? 'unknown'}</span></td>
        <td class="n">${short(row.rate)}</td>
        <td class=${`n ${row.ratio > 0.05 ? 'bad' : row.ratio > 0.01 ? 'warn' : ''}`}>${row.ratio > 0 ? html`<a href=${failures(row.name)} aria-label=${`failures of ${row.name}: ${percent(row.ratio)}`}>${percent(row.ratio)}</a>` : percent(row.ratio)}</td>
        <td class=${`n ${row.p99 > 0.5 ? 'warn' : ''}`}>${row.p99 > 0 ? html`<a href=${slow(row.name, row.p99)} aria-label=${`slow requests of ${row.name}: p99 ${seconds(row.p99)}`}>${seconds(row.p99)}</a>` : seconds(row.p99)}</td>
        <td class=${`n ${row.panics > 0.5 ? 'bad' : ''}`}>${row.panics > 0.5
          ? html`<a href=${href('/panics', { service: row.name })}>${short(Math.round(row.panics))}</a>` : '0'}</td>
        <td><${Spark} points=${row.trend} label=${`traffic of ${row.name}`} /></td>
        <td>${row.version ?? '–'}</td>
        <td class="links"><a href=${href('/logs', { q: `service.name:"${row.name}"` })}>logs</a>
          ${' '}<a href=${href('/traces', { service: row.name })}>traces</a>
          ${' '}<a href=${href('/d/sightline-service', { 'var-service': row.name })}>dashboard</a></td>
      </tr>`)}</tbody></table><//>
    <div class="cards three">${charts.map(([title, series, unit]) => html`<section class="card"><h2>${title}</h2>
      <${Chart} series=${series} label=${`${title} by service`} unit=${unit} from=${from} to=${to} marks=${marks} height=${190} /></section>`)}</div>`;
}
