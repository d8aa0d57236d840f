// The service map: who calls whom, how often, how often in vain, and how long it takes; a table says the same.
import { html } from '../vendor/preact.js';
import { href } from '../location.js';
import { getJson, query, useData } from '../api.js';
import { range } from '../time.js';
import { percent, seconds, short } from '../format.js';
import { ServiceGraph } from '../parts/graph.js';
import { Scroll } from '../parts/scroll.js';
import { Nothing, State } from '../parts/state.js';

async function load(signal) {
  const { from, to, seconds: length } = range();
  const [links, known, calls] = await Promise.all([
    getJson(`/api/v2/dependencies?${new URLSearchParams({ endTs: Math.round(to), lookback: Math.round(to - from), durations: 'true' })}`, signal),
    getJson(`/api/services?${new URLSearchParams({ from: Math.round(from), to: Math.round(to) })}`, signal),
    // What leaves a process without spans of the far side (a database, say) is known by its timings.
    query(`sum by (service, group) (increase(instrument_timing_seconds_count{group!~"handlers|auth|health|process|"}[${Math.round(length)}s])) > 0`, to, signal).catch(() => []),
  ]);
  const leaving = 'group!~"handlers|auth|health|process|"';
  const each = (rows) => new Map(rows.map(({ metric, value }) => [`${metric.service} ${metric.group}`, value]));
  const ask = (expr) => (calls.length ? query(expr.replaceAll('[all]', `[${Math.round(length)}s]`), to, signal).then(each, () => new Map()) : new Map());
  const [errors, p50, p99] = await Promise.all([
    ask(`sum by (service, group) (increase(instrument_outcomes_total{${leaving},outcome=~"failed|error|panic"}[all]))`),
    ...[0.5, 0.99].map((q) => ask(`histogram_quantile(${q}, sum by (service, group, le) (rate(instrument_timing_seconds_bucket{${leaving}}[all])))`)),
  ]);
  const measured = calls.filter(({ metric }) => metric.service).map(({ metric: { service, group }, value }) => {
    const [e, low, high] = [errors, p50, p99].map((found) => found.get(`${service} ${group}`));
    return { parent: service, child: group, callCount: Math.round(value), errorCount: Math.round(e ?? 0), p50: low * 1e6, p99: high * 1e6, measured: true };
  });
  const named = new Set(links.map((link) => `${link.parent} ${link.child}`));
  return { links: [...links, ...measured.filter((one) => !named.has(`${one.parent} ${one.child}`))], services: new Map(known.services.map((one) => [one.service, one])), length };
}

export function ServiceMap({ every, stamp, params }) {
  const state = useData(load, [stamp, params.toString()], every && Math.max(every, 10000), { none: ({ links }) => !links.length });
  return html`<h1>Service map</h1><${State} ...${state} empty=${state.data?.links.length === 0 && html`<${Nothing} what="calls between services" kind="span" why="A link appears when a span names another service." />`}>
    <${Drawn} ...${state.data} /><//>`;
}

function Drawn({ links, services, length }) {
  const rate = (count) => `${short(count / length)}/s`;
  const note = (name) => {
    const spans = services.get(name)?.spans;
    return spans ? `${rate(spans.count)} spans · p99 ${seconds(spans.p99_us / 1e6)}` : '';
  };
  return html`
    <${ServiceGraph} links=${links} note=${note} />
    <p class="legend"><span>thicker: more calls</span><span class="bad-key">red: more than 5 % fail</span></p>
    <${Scroll} label="calls between services"><table class="rows"><caption>Calls</caption><thead><tr><th scope="col">From</th><th scope="col">To</th><th scope="col" class="n">Calls</th><th scope="col" class="n">Mean rate</th><th scope="col" class="n">Errors</th>
      <th scope="col" class="n">p50</th><th scope="col" class="n">p99</th><th scope="col">Known from</th></tr></thead><tbody>${links.map((link) => {
        const share = (link.errorCount ?? 0) / (link.callCount || 1);
        return html`<tr><th scope="row"><a data-row href=${href('/traces', { service: link.parent })}>${link.parent}</a></th><td>${link.child}</td><td class="n">${short(link.callCount)}</td><td class="n">${rate(link.callCount)}</td>
          <td class=${`n ${share > 0.05 ? 'bad' : share > 0.01 ? 'warn' : ''}`}>${percent(share)}</td><td class="n">${seconds(link.p50 === undefined ? undefined : link.p50 / 1e6)}</td><td class="n">${seconds(link.p99 === undefined ? undefined : link.p99 / 1e6)}</td><td>${link.measured ? 'timings' : 'spans'}</td></tr>`;
      })}</tbody></table><//>`;
}
