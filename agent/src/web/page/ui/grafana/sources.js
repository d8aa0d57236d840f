// Queries of a panel, sent to the agent's public APIs: Prometheus, Elasticsearch and Zipkin; all give frames.
import { getJson, query, queryRange } from '../api.js';
import { compute, framesOf, items, needs, unknown } from './expressions.js';
import { labelText, series, table } from './frames.js';
import { interpolate } from './text.js';
import { records } from './elasticsearch.js';

const MOST_DOTS = 40;
const KINDS = ['prometheus', 'elasticsearch', 'zipkin'];
const ALIKE = { opensearch: 'elasticsearch', 'grafana-opensearch-datasource': 'elasticsearch', 'grafana-amazonprometheus-datasource': 'prometheus', mimir: 'prometheus', 'victoriametrics-datasource': 'prometheus', tempo: 'zipkin', jaeger: 'zipkin' };

/** Which of our APIs a target means; otherwise its own word for it, for the frame that names it. */
export function sourceOf(target, panel, variables = []) {
  const source = target?.datasource ?? panel?.datasource;
  const uid = typeof source === 'string' ? source : source?.uid;
  const type = typeof source === 'object' && source?.type;
  if (type && type !== 'datasource') return ALIKE[type] ?? type;
  if (uid === '-- Dashboard --' || uid === '__expr__') return uid;
  const variable = /^\$\{?(\w+)\}?$/.exec(uid ?? '')?.[1];
  const chosen = variable && variables.find((one) => one.name === variable);
  if (chosen?.type === 'datasource') return ALIKE[chosen.query] ?? chosen.query;
  if (target?.expr !== undefined) return 'prometheus';
  if (target?.metrics || target?.bucketAggs) return 'elasticsearch';
  return KINDS.find((kind) => (uid ?? '').toLowerCase().includes(kind)) ?? (uid === 'logs' ? 'elasticsearch' : uid && uid !== 'default' && !variable ? uid : 'prometheus');
}

/** { frames, errors, foreign: [what nobody here can answer], dots: [traces behind single measurements] } of all the targets of a panel. `scope` holds its variables, macros and range. */
export async function ask(panel, scope, signal) {
  const out = { frames: [], errors: [], foreign: [], dots: [] };
  const targets = panel.targets.map((target, i) => ({ ...target, refId: target.refId ?? String.fromCharCode(65 + i) }));
  const answers = new Map();
  await Promise.all(targets.map(async (target) => {
    const { refId } = target;
    const kind = sourceOf(target, panel, scope.variables);
    try {
      if (kind === 'prometheus') {
        const [frames, dots] = await Promise.all([promql(target, panel, scope, signal), target.exemplar ? exemplars(target, scope, signal) : []]);
        out.dots.push(...dots);
        answers.set(refId, frames);
      } else if (kind === 'elasticsearch') answers.set(refId, await records(target, scope, signal));
      else if (kind === 'zipkin') answers.set(refId, await traces(target, scope, signal));
      else if (kind !== '__expr__') out.foreign.push(`the data source '${kind}'`);
      else if (unknown(target)) out.foreign.push(`an expression (${target.type})`);
    } catch (error) {
      if (signal?.aborted) throw error;
      out.errors.push(`${refId}: ${error.message}`);
    }
  }));
  expressions(targets.filter((target) => sourceOf(target, panel, scope.variables) === '__expr__' && !unknown(target)), answers, scope, out);
  out.frames = targets.filter((target) => !target.hide).flatMap((target) => answers.get(target.refId) ?? []);
  return out;
}

/** Computes each expression once those that it needs are there; what needs one that failed is left out with it. */
function expressions(waiting, answers, scope, out) {
  const given = new Map([...answers].map(([refId, frames]) => [refId, items(frames)]));
  let left = waiting;
  while (left.length) {
    const ready = left.filter((target) => needs(target).every((letter) => given.has(letter) || !left.some((other) => other.refId === letter)));
    if (!ready.length) {
      out.errors.push(`${left.map((target) => target.refId).join(', ')}: each needs the other`);
      return;
    }
    for (const target of ready) {
      try {
        const list = compute({ ...target, expression: interpolateLetters(target.expression, scope, answers) }, given, scope);
        given.set(target.refId, list);
        answers.set(target.refId, framesOf(list, target.refId, scope.to));
      } catch (error) {
        out.errors.push(`${target.refId}: ${error.message}`);
      }
    }
    left = left.filter((target) => !ready.includes(target));
  }
}

/** `$A` is a target before it is a variable. */
const interpolateLetters = (text, scope, answers) => interpolate(text, { ...scope, variables: scope.variables.filter((one) => !answers.has(one.name)) });

const seconds = (text) => {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)?$/.exec(String(text ?? '').replace(/^[<>]=?/, ''));
  return match ? Number(match[1]) * { ms: 1e-3, s: 1, m: 60, h: 3600, d: 86400, w: 604800 }[match[2] ?? 's'] : 0;
};
export { seconds as lengthInSeconds };

/** Panels that draw rows rather than times; there an instant query is a table if it says so. */
const isTable = (panel) => panel.type === 'table';

async function promql(target, panel, scope, signal) {
  const own = Math.max(scope.step, seconds(interpolate(target.interval ?? '', scope)));
  const expr = interpolate(target.expr ?? '', scope, 'promql');
  if (!expr.trim()) return [];
  const many = panel.targets.length > 1;
  if (target.instant && !(target.range && !isTable(panel))) {
    const rows = await query(expr, scope.to, signal);
    const asTable = isTable(panel) && target.format !== 'time_series';
    if (!asTable) return rows.map((one) => ({ ...series(legend(target, one.metric, expr), one.metric, [[scope.to, one.value]], target.refId), instant: true }));
    const value = many ? `Value #${target.refId}` : 'Value';
    return rows.length ? [table(rows.map((one) => ({ Time: scope.to, ...one.metric, [value]: one.value })), target.refId, { Time: 'time', [value]: 'number' })] : [];
  }
  const found = await queryRange(expr, scope.from, scope.to, own, signal);
  if (isTable(panel) && target.format === 'table') {
    const value = many ? `Value #${target.refId}` : 'Value';
    const rows = found.flatMap((one) => one.points.map(([t, v]) => ({ Time: t * 1000, ...one.metric, [value]: v })));
    return rows.length ? [table(rows, target.refId, { Time: 'time', [value]: 'number' })] : [];
  }
  return found.map((one) => ({ ...series(legend(target, one.metric, expr), one.metric, one.points.map(([t, v]) => [t * 1000, v]), target.refId), step: own, expr }));
}

/** Of the traces that stand behind measurements the slowest of each stretch of time; without them the panel is drawn all the same. */
async function exemplars(target, scope, signal) {
  const fields = { query: interpolate(target.expr ?? '', scope, 'promql'), start: scope.from / 1000, end: scope.to / 1000 };
  const { data } = await getJson(`/api/v1/query_exemplars?${new URLSearchParams(fields)}`, signal).catch(() => ({ data: [] }));
  const slowest = new Map();
  for (const { seriesLabels, exemplars: list } of data) {
    for (const { labels, value, timestamp } of list) {
      const trace = labels.trace_id ?? labels.traceID;
      const stretch = Math.floor((timestamp * 1000 - scope.from) / ((scope.to - scope.from) / MOST_DOTS));
      if (!trace || !(Number(value) > (slowest.get(stretch)?.value ?? -Infinity))) continue;
      slowest.set(stretch, { at: timestamp, value: Number(value), trace, text: seriesLabels.segment ?? seriesLabels.__name__ ?? '' });
    }
  }
  return [...slowest.values()];
}

/** `legendFormat` with its labels; `__auto` and nothing are the labels themselves. */
function legend({ legendFormat }, labels, expr) {
  if (legendFormat && legendFormat !== '__auto') return legendFormat.replace(/\{\{\s*([^}\s]+)\s*\}\}/g, (_, name) => labels[name] ?? '').trim() || labelText(labels) || expr;
  const { __name__: name, ...rest } = labels;
  const values = Object.values(rest);
  return values.length === 1 && !name ? values[0] : labelText(labels) || expr;
}

async function traces(target, scope, signal) {
  const { queryType = 'traceID' } = target;
  const text = interpolate(target.query ?? '', scope).trim();
  if (queryType === 'traceID' || queryType === 'traceId') {
    if (!text) return [];
    const spans = await getJson(`/api/v2/trace/${encodeURIComponent(text)}`, signal).catch((error) => {
      if (/not found/.test(error.message)) return [];
      throw error;
    });
    return spans.length ? [{ name: text, refId: target.refId, spans, fields: [] }] : [];
  }
  if (queryType === 'dependencies' || queryType === 'serviceMap') {
    const links = await getJson(`/api/v2/dependencies?${new URLSearchParams({ endTs: scope.to, lookback: scope.to - scope.from, durations: 'true' })}`, signal);
    return [{ name: '', refId: target.refId, links, fields: [] }];
  }
  const found = await getJson(`/api/v2/traces?${new URLSearchParams({ endTs: scope.to, lookback: scope.to - scope.from, limit: 20, ...(target.serviceName && { serviceName: interpolate(target.serviceName, scope) }) })}`, signal);
  const rows = found.filter((spans) => spans.length).map((spans) => ({ Trace: spans[0].traceId, Name: spans[0].name, Service: spans[0].localEndpoint?.serviceName, Start: spans[0].timestamp / 1000, Duration: (spans[0].duration ?? 0) / 1000 }));
  return rows.length ? [table(rows, target.refId, { Start: 'time' })] : [];
}
