// Elasticsearch targets: records as rows or log lines, buckets over time as series, buckets of terms as a table.
import { search } from '../api.js';
import { flatten } from '../parts/record.js';
import { step } from '../time.js';
import { series, table } from './frames.js';
import { interpolate } from './text.js';

const NAMES = { count: 'Count', avg: 'Average', sum: 'Sum', max: 'Max', min: 'Min', cardinality: 'Unique Count', percentiles: 'p', extended_stats: 'Extended Stats', logs: 'Logs', raw_data: 'Raw Data', raw_document: 'Raw Document' };
const RECORDS = ['logs', 'raw_data', 'raw_document'];
const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800 };

/** The frames of one target. */
export async function records(target, scope, signal) {
  const time = target.timeField || '@timestamp';
  const filter = [{ range: { [time]: { gte: scope.from, lte: scope.to, format: 'epoch_millis' } } }];
  const text = interpolate(target.query ?? '', scope, 'lucene').trim();
  if (text && text !== '*') filter.push({ query_string: { query: text, analyze_wildcard: true } });
  const metrics = (target.metrics?.length ? target.metrics : [{ id: '1', type: 'count' }]).filter((one) => !one.hide);
  const raw = metrics.find((one) => RECORDS.includes(one.type));
  const query = { bool: { filter } };
  if (raw) {
    const size = Math.min(Number(raw.settings?.size ?? raw.settings?.limit) || 100, 500);
    const body = await search('logs-*', { query, size, sort: [{ [time]: raw.settings?.sortDirection ?? 'desc' }] }, signal);
    const hits = body.hits.hits;
    if (!hits.length) return [];
    const rows = hits.map((hit) => Object.fromEntries(flatten(hit._source)));
    rows.forEach((row) => (row[time] = Date.parse(row[time])));
    return [{ ...table(rows, target.refId, { [time]: 'time' }), hits, query: text }];
  }
  const buckets = (target.bucketAggs ?? []).map((one) => ({ ...one, field: interpolate(one.field ?? '', scope) }));
  const body = await search('logs-*', { query, size: 0, track_total_hits: true, aggs: nest(buckets, metrics, scope) }, signal);
  if (!buckets.length) {
    const rows = metrics.map((metric) => [nameOf(metric, metrics), valueOf(metric, { ...body.aggregations, doc_count: body.hits.total.value })]);
    return [table([Object.fromEntries(rows)], target.refId)];
  }
  return buckets.at(-1).type === 'date_histogram' ? overTime(body.aggregations, buckets, metrics, target) : asTable(body.aggregations, buckets, metrics, target);
}

const keyOf = (bucket) => `b${bucket.id}`;
const measured = (metrics) => Object.fromEntries(metrics.filter((one) => one.type !== 'count').map((one) => [`m${one.id}`, { [one.type]: { field: one.field, ...(one.type === 'percentiles' && { percents: (one.settings?.percents ?? ['95']).map(Number) }) } }]));

function nest(buckets, metrics, scope) {
  if (!buckets.length) return measured(metrics);
  const [first, ...rest] = buckets;
  return { [keyOf(first)]: { ...bucketOf(first, scope), aggs: nest(rest, metrics, scope) } };
}

function bucketOf({ type, field, settings = {} }, scope) {
  if (type === 'date_histogram') {
    const asked = /^(\d+)(ms|s|m|h|d|w)$/.exec(interpolate(settings.interval ?? 'auto', scope));
    const length = asked ? Number(asked[1]) * UNITS[asked[2]] : step((scope.to - scope.from) / 1000, 60, 1);
    return { date_histogram: { field: field || '@timestamp', fixed_interval: `${Math.max(1, Math.round(length))}s`, min_doc_count: Number(settings.min_doc_count ?? 0), extended_bounds: { min: scope.from, max: scope.to } } };
  }
  if (type === 'histogram') return { histogram: { field, interval: Number(settings.interval) || 1000, min_doc_count: Number(settings.min_doc_count ?? 0) } };
  if (type === 'filters') return { filters: { filters: Object.fromEntries((settings.filters ?? []).map((one) => [one.label || one.query, { query_string: { query: interpolate(one.query, scope, 'lucene') || '*' } }])) } };
  if (type !== 'terms') throw new Error(`buckets of the type '${type}' are not known here`);
  const by = settings.orderBy === '_term' ? '_key' : /^\d+$/.test(settings.orderBy ?? '') ? `m${settings.orderBy}` : settings.orderBy || '_count';
  return { terms: { field, size: Number(settings.size) || 500, order: { [by]: settings.order ?? 'desc' }, min_doc_count: Number(settings.min_doc_count) || 1 } };
}

const listOf = (found, bucket) => {
  const { buckets } = found?.[keyOf(bucket)] ?? { buckets: [] };
  return Array.isArray(buckets) ? buckets : Object.entries(buckets).map(([key, one]) => ({ key, ...one }));
};

function valueOf(metric, bucket) {
  if (metric.type === 'count') return bucket.doc_count;
  const found = bucket[`m${metric.id}`];
  if (metric.type === 'percentiles') return Object.values(found?.values ?? {})[0] ?? null;
  return found?.value ?? null;
}

function nameOf(metric, metrics) {
  const name = metric.type === 'percentiles' ? `p${metric.settings?.percents?.[0] ?? 95}` : NAMES[metric.type] ?? metric.type;
  return metrics.filter((one) => one.type === metric.type).length > 1 ? `${name} ${metric.field ?? ''}`.trim() : name;
}

function overTime(aggregations, buckets, metrics, target) {
  const out = [];
  const visit = (found, [first, ...rest], path) => {
    if (rest.length) {
      listOf(found, first).forEach((bucket) => visit(bucket, rest, { ...path, [first.field || 'filter']: bucket.key_as_string ?? String(bucket.key) }));
      return;
    }
    for (const metric of metrics) {
      const words = [...Object.values(path), ...(metrics.length > 1 || !Object.keys(path).length ? [nameOf(metric, metrics)] : [])];
      const name = target.alias ? target.alias.replace(/\{\{\s*([^}]+?)\s*\}\}/g, (_, key) => path[key.replace(/^term /, '')] ?? (key === 'metric' ? nameOf(metric, metrics) : '')) : words.join(' ');
      out.push(series(name, path, listOf(found, first).map((bucket) => [bucket.key, valueOf(metric, bucket)]), target.refId));
    }
  };
  visit(aggregations, buckets, {});
  return out.filter((one) => one.fields[1].values.some((v) => v));
}

function asTable(aggregations, buckets, metrics, target) {
  const rows = [];
  const visit = (found, [first, ...rest], row) => listOf(found, first).forEach((bucket) => {
    const next = { ...row, [first.field || 'filter']: bucket.key_as_string ?? bucket.key };
    if (rest.length) visit(bucket, rest, next);
    else rows.push({ ...next, ...Object.fromEntries(metrics.map((metric) => [nameOf(metric, metrics), valueOf(metric, bucket)])) });
  });
  visit(aggregations, buckets, {});
  return rows.length ? [table(rows, target.refId)] : [];
}
