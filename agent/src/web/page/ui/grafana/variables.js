// A dashboard's variables: their options from the APIs, their choice from the URL.
import { getJson, query, search } from '../api.js';
import { labelText } from './frames.js';
import { interpolate } from './text.js';

const list = (value) => (Array.isArray(value) ? value : value === undefined || value === null ? [] : [value]);
const option = (value, text = value) => ({ value: String(value), text: String(text) });

/** All variables of a dashboard in order, each { name, label, type, hide, multi, includeAll, allValue, options, value, text, error }. */
export async function load(board, params, range, signal) {
  const out = [];
  for (const raw of board.templating?.list ?? []) {
    const variable = { name: raw.name, label: raw.label || raw.name, type: raw.type, hide: Number(raw.hide) || 0, multi: Boolean(raw.multi), includeAll: Boolean(raw.includeAll), allValue: raw.allValue || null, query: raw.query, options: [] };
    try {
      variable.options = await optionsOf(raw, { variables: out, ...range }, signal);
    } catch (error) {
      if (signal?.aborted) throw error;
      variable.error = error.message;
    }
    if (variable.includeAll) variable.options = [option('$__all', 'All'), ...variable.options];
    choose(variable, raw, params.getAll(`var-${raw.name}`));
    out.push(variable);
  }
  return out;
}

/** What the URL says; else what the file says, as long as it is an option; else the first. */
function choose(variable, raw, said) {
  const known = new Set(variable.options.map((one) => one.value));
  const free = variable.type === 'textbox' || variable.type === 'constant';
  let values = said.map((one) => (one === 'All' && variable.includeAll ? '$__all' : one));
  if (!values.length) {
    values = list(raw.current?.value).map(String).filter((one) => free || known.has(one));
    if (!values.length && !free) values = variable.includeAll ? ['$__all'] : variable.options.slice(0, 1).map((one) => one.value);
    if (!values.length && free) values = [typeof raw.query === 'string' ? raw.query : ''];
  }
  if (!variable.multi) values = values.slice(0, 1);
  // What a link brought along stays a choice, even if it has no data now.
  for (const value of values) if (!known.has(value) && !free && value !== '') variable.options.push(option(value));
  variable.value = variable.multi ? values : values[0] ?? '';
  variable.text = values.map((value) => variable.options.find((one) => one.value === value)?.text ?? value);
}

async function optionsOf(raw, scope, signal) {
  const text = typeof raw.query === 'string' ? raw.query : raw.query?.query ?? raw.definition ?? '';
  switch (raw.type) {
    case 'query':
      return filtered(await asked(interpolate(text || raw.definition || '', scope, 'promql'), raw, scope, signal), raw);
    case 'custom':
      return text.split(/(?<!\\),/).map((one) => one.trim().replace(/\\,/g, ',')).filter(Boolean).map((one) => {
        const [name, value] = one.split(/\s+:\s+/);
        return value ? option(value, name) : option(one);
      });
    case 'interval':
      return [...(raw.auto ? [option(`$__auto_interval_${raw.name}`, 'auto')] : []), ...text.split(',').map((one) => option(one.trim()))];
    case 'datasource':
      return [option(text || 'prometheus', { prometheus: 'Metrics of this agent', elasticsearch: 'Logs of this agent', zipkin: 'Traces of this agent' }[text] ?? text)];
    case 'textbox': case 'constant':
      return [option(text)];
    default:
      throw new Error(`variables of the type '${raw.type}' are not known here`);
  }
}

/** The strings that a query variable's question has for answers. */
async function asked(text, raw, { from, to, variables }, signal) {
  const [start, end] = [Math.floor(from / 1000), Math.ceil(to / 1000)];
  const values = async (label, match) => (await getJson(`/api/v1/label/${encodeURIComponent(label)}/values?${new URLSearchParams({ start, end, ...(match && { 'match[]': match }) })}`, signal)).data;
  const call = /^\s*(label_values|label_names|metrics|query_result)\(([\s\S]*)\)\s*$/.exec(text);
  if (call) {
    const [, name, inside] = call;
    if (name === 'label_values') {
      const parts = /^([\s\S]+),\s*(\w+)\s*$/.exec(inside);
      return parts ? values(parts[2], parts[1].trim()) : values(inside.trim());
    }
    if (name === 'label_names') return (await getJson(`/api/v1/labels?${new URLSearchParams({ start, end })}`, signal)).data;
    if (name === 'metrics') return (await values('__name__')).filter((one) => new RegExp(inside.trim() || '.*').test(one));
    return (await query(inside, to, signal)).map((one) => `${labelText(one.metric)} ${one.value} ${to}`);
  }
  if (/^\s*\{/.test(text)) {
    const wanted = JSON.parse(text);
    if (wanted.find !== 'terms') throw new Error(`'find: ${wanted.find}' is not known here`);
    const filter = [{ range: { '@timestamp': { gte: from, lte: to, format: 'epoch_millis' } } }];
    if (wanted.query) filter.push({ query_string: { query: interpolate(wanted.query, { variables }, 'lucene') } });
    const body = await search('logs-*', { size: 0, query: { bool: { filter } }, aggs: { values: { terms: { field: wanted.field, size: Number(wanted.size) || 500 } } } }, signal);
    return body.aggregations.values.buckets.map((one) => String(one.key));
  }
  if (!text.trim()) return [];
  return (await query(text, to, signal)).map((one) => labelText(one.metric) || String(one.value));
}

const SORTS = [null, (a, b) => (a.text < b.text ? -1 : 1), null, (a, b) => parseFloat(a.text) - parseFloat(b.text), null, (a, b) => (a.text.toLowerCase() < b.text.toLowerCase() ? -1 : 1), null, (a, b) => a.text.localeCompare(b.text, undefined, { numeric: true })];

function filtered(values, { regex, sort = 0 }) {
  let out = values.map((one) => option(one));
  if (regex) {
    const [, inside, flags] = /^\/([\s\S]*)\/([a-z]*)$/.exec(regex) ?? [null, regex, ''];
    const rule = new RegExp(inside, flags.replace('g', ''));
    out = out.flatMap((one) => {
      const found = rule.exec(one.text);
      if (!found) return [];
      const { value, text } = found.groups ?? {};
      const plain = found[1] ?? found[0];
      return [option(value ?? text ?? plain, text ?? value ?? plain)];
    });
  }
  out = [...new Map(out.map((one) => [one.value, one])).values()];
  const order = SORTS[sort] ?? SORTS[sort - 1];
  if (order) out.sort(order);
  return sort && sort % 2 === 0 ? out.reverse() : out;
}
