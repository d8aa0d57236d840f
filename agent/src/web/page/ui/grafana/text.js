// Variables and macros in queries, titles and links: `$x`, `[[x]]`, `${x}`, `${x:format}`, `${__field.labels.x}`.

const escapeRegex = (text) => String(text).replace(/[\\^$*+?.()|[\]{}/]/g, '\\$&');
const quoteLucene = (text) => `"${String(text).replace(/["\\]/g, '\\$&')}"`;
const list = (value) => (Array.isArray(value) ? value : [value]);

/** How a value, or several, is written. The formats that Grafana names, each (values, variable) → text. */
const FORMATS = {
  raw: (v) => v.join(','),
  csv: (v) => v.join(','),
  pipe: (v) => v.join('|'),
  text: (v) => v.join(' + '),
  json: (v) => JSON.stringify(v.length === 1 ? v[0] : v),
  glob: (v) => (v.length === 1 ? v[0] : `{${v.join(',')}}`),
  regex: (v) => (v.length === 1 ? escapeRegex(v[0]) : `(${v.map(escapeRegex).join('|')})`),
  lucene: (v) => (v.length === 1 ? quoteLucene(v[0]) : `(${v.map(quoteLucene).join(' OR ')})`),
  doublequote: (v) => v.map((one) => JSON.stringify(String(one))).join(','),
  singlequote: (v) => v.map((one) => `'${String(one).replace(/'/g, "\\'")}'`).join(','),
  sqlstring: (v) => v.map((one) => `'${String(one).replace(/'/g, "''")}'`).join(','),
  percentencode: (v) => encodeURIComponent(v.length === 1 ? v[0] : `{${v.join(',')}}`),
  queryparam: (v, variable) => v.map((one) => `var-${variable.name}=${encodeURIComponent(one)}`).join('&'),
};
/** Inside `label=~"…"` a backslash has to be doubled. */
const promRegex = (v) => FORMATS.regex(v).replace(/\\/g, '\\\\');

/** The values that stand for a variable's choice; All stands for each of its options. */
export function chosen(variable) {
  const values = list(variable.value);
  if (!values.includes('$__all')) return values;
  return variable.options.map((one) => one.value).filter((one) => one !== '$__all');
}

function written(variable, format, language) {
  const all = list(variable.value).includes('$__all');
  if (format === 'queryparam') return FORMATS.queryparam(list(variable.value), variable);
  if (format === 'text') return all ? 'All' : FORMATS.text(list(variable.text ?? variable.value));
  if (all && variable.allValue) return variable.allValue;
  const values = chosen(variable);
  if (all && !values.length) return language === 'lucene' ? '*' : '.*';
  if (format && FORMATS[format]) return FORMATS[format](values, variable);
  if (!variable.multi && !variable.includeAll) return values.join(',');
  if (language === 'promql') return promRegex(values);
  if (language === 'lucene') return FORMATS.lucene(values);
  return FORMATS.glob(values);
}

/** Text with its variables and macros replaced. `scope`: { variables, macros, data }; what nobody knows stays as it is. */
export function interpolate(text, scope, language) {
  if (typeof text !== 'string' || !/[$[]/.test(text)) return text;
  return text.replace(/\$\{([^}]+)\}|\[\[(\w+)(?::(\w+))?\]\]|\$(\w+)/g, (whole, braced, old, oldFormat, bare) => {
    const found = braced !== undefined ? inBraces(braced, scope, language) : byName(old ?? bare, oldFormat, scope, language);
    return found === undefined ? whole : String(found);
  });
}

function byName(name, format, scope, language) {
  const variable = scope.variables?.find((one) => one.name === name);
  // The choice 'auto' of an interval is the panel's own step.
  if (String(variable?.value).startsWith('$__auto_interval')) return scope.macros?.__interval ?? '1m';
  if (variable) return written(variable, format, language);
  const macro = scope.macros?.[name];
  return typeof macro === 'function' ? macro(format) : macro;
}

/** `name`, `name:format`, `__from:date:iso`, `__field.labels.x`, `__data.fields["X"]`. */
function inBraces(inside, scope, language) {
  const path = /^(__(?:field|series|value|data|cell)[\w]*)(.*)$/.exec(inside);
  if (path && scope.data) return lookUp(path[1], path[2], scope.data);
  const [name, ...format] = inside.split(':');
  return byName(name.split('.')[0], format.join(':') || undefined, scope, language);
}

function lookUp(root, rest, data) {
  const parts = [...rest.matchAll(/\.([\w@-]+)|\["([^"]+)"\]|\['([^']+)'\]|\[(\d+)\]/g)].map((m) => m[1] ?? m[2] ?? m[3] ?? Number(m[4]));
  const format = rest.match(/:(\w+)$/)?.[1];
  if (root === '__series' || (root === '__field' && parts[0] === 'name')) return data.name ?? '';
  if (root === '__field' && parts[0] === 'labels') {
    return parts.length > 1 ? encode(data.labels?.[parts.slice(1).join('.')] ?? '', format)
      : Object.entries(data.labels ?? {}).map(([k, v]) => `${k}="${v}"`).join(', ');
  }
  if (root === '__value') return encode({ raw: data.value, numeric: data.value, text: data.text, time: data.time }[parts[0] ?? 'raw'] ?? '', format);
  if (root === '__data' && parts[0] === 'fields') {
    const wanted = parts.slice(1).filter((one) => one !== 'text' && one !== 'numeric').join('.');
    const at = typeof parts[1] === 'number' ? parts[1] : data.row?.findIndex(([name]) => name === wanted);
    return encode(data.row?.[at]?.[1] ?? '', format);
  }
  return '';
}

const encode = (value, format) => (format === 'percentencode' || format === 'queryparam' ? encodeURIComponent(value) : value);

/** What the dashboard's range and a panel's step mean as macros. Times in ms, `step` in s. */
export function macros({ from, to, fromText, toText, step, scrape = 10, title }) {
  const length = Math.round((to - from) / 1000);
  const rate = Math.max(step + scrape, 4 * scrape);
  const edge = (at) => (format) => (!format ? at : format === 'date' || format === 'date:iso' ? new Date(at).toISOString()
    : format === 'date:seconds' ? Math.round(at / 1000) : new Date(at).toISOString());
  return {
    __interval: `${step}s`, __interval_ms: step * 1000, interval: `${step}s`, __rate_interval: `${rate}s`, __rate_interval_ms: rate * 1000,
    __range: `${length}s`, __range_s: length, __range_ms: to - from, __from: edge(from), __to: edge(to), __name: 'Value', __dashboard: title,
    __url_time_range: `from=${encodeURIComponent(fromText)}&to=${encodeURIComponent(toText)}`, __org: '1', __user: 'user', __timezone: 'browser', timeFilter: '',
  };
}

/** All choices as URL parameters, for links that carry the filters. */
export const asParameters = (variables) => variables.filter((one) => one.hide !== 2 || one.type !== 'textbox')
  .flatMap((one) => list(one.value).filter((v) => v !== undefined).map((v) => [`var-${one.name}`, v]));
