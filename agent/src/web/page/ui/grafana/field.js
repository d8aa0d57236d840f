// How one column is shown: its unit, words for values, colours by threshold, links; the panel's defaults and their exceptions.
import { unit } from './units.js';
import { calc } from './calcs.js';
import { displayName } from './frames.js';
import { interpolate } from './text.js';

/** Colours by the names that Grafana gives them. */
const NAMED = { green: '#22a559', yellow: '#d9a404', red: '#d93025', orange: '#e8710a', blue: '#3b82f6', purple: '#8b5cf6', gray: '#8a919e', grey: '#8a919e', white: '#cfd4dc', black: '#30343c', text: '#8a919e', transparent: 'transparent' };
export const PALETTE = ['#3b82f6', '#e8710a', '#12a150', '#c026d3', '#d93025', '#0891b2', '#8b5cf6', '#a16207', '#db2777', '#64748b'];

/** A CSS colour that a canvas understands. */
export function colour(name) {
  if (!name) return PALETTE[0];
  return NAMED[name.replace(/^(super-light|light|semi-dark|dark)-/, '')] ?? name;
}

/** The nearest tone of ours, in which text can be read on both schemes: green, yellow, red, orange, blue, purple or plain. */
export function tone(name) {
  const plain = (name ?? '').replace(/^(super-light|light|semi-dark|dark)-/, '');
  if (['green', 'yellow', 'red', 'orange', 'blue', 'purple'].includes(plain)) return plain;
  const rgb = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})/i.exec(plain)?.slice(1).map((x) => parseInt(x, 16))
    ?? /^rgba?\((\d+)[, ]+(\d+)[, ]+(\d+)/.exec(plain)?.slice(1).map(Number);
  if (!rgb) return 'plain';
  const [most, least] = [Math.max(...rgb), Math.min(...rgb)];
  if (most - least < 40) return 'plain';
  const [r, g, b] = rgb.map((x) => (x - least) / (most - least));
  const hue = most === rgb[0] ? ((g - b) * 60 + 360) % 360 : most === rgb[1] ? (b - r) * 60 + 120 : (r - g) * 60 + 240;
  return hue < 18 || hue > 330 ? 'red' : hue < 40 ? 'orange' : hue < 68 ? 'yellow' : hue < 170 ? 'green' : hue < 255 ? 'blue' : 'purple';
}

function matches({ id, options }, field, frame) {
  // Its name before any exception gave it another.
  const names = [field.name, displayName({ ...field, config: undefined }, frame)];
  if (id === 'byName') return names.includes(options);
  if (id === 'byNames') return names.some((name) => (options?.names ?? []).includes(name)) !== (options?.mode === 'exclude');
  if (id === 'byValue') {
    const [{ reducer, op = '>=', value = 0 } = {}, to] = [options, calc(options?.reducer ?? 'lastNotNull', field.values)];
    return reducer && field.type === 'number' ? { '>=': Number(to) >= value, '>': to > value, '<=': to <= value, '<': to < value, '==': Number(to) === value, '!=': Number(to) !== value }[op] ?? false : false;
  }
  if (id === 'byType') return options === field.type;
  if (id === 'byFrameRefID' || id === 'byQuery') return options === frame.refId;
  if (id === 'byRegexp') {
    const [, inside, flags] = /^\/(.*)\/([a-z]*)$/.exec(options ?? '') ?? [null, options ?? '', ''];
    try {
      return names.some((name) => new RegExp(inside, flags).test(name));
    } catch {
      return false;
    }
  }
  return false;
}

/** The settings of a column: the panel's defaults and what its overrides change. */
export function configure(panel, field, frame) {
  const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
  const config = { ...defaults, custom: { ...defaults.custom } };
  for (const { matcher, properties = [] } of overrides) {
    if (!matches(matcher ?? {}, field, frame)) continue;
    for (const { id, value } of properties) {
      if (id.startsWith('custom.')) config.custom[id.slice(7)] = value;
      else config[id] = value;
    }
  }
  // A time comes as a time whatever unit the numbers beside it have.
  if (field.type === 'time' && !String(config.unit ?? '').startsWith('date')) config.unit = 'dateTimeAsIso';
  return config;
}

/** Frames whose columns carry their settings. */
export const configured = (panel, frames) => frames.map((frame) => ({ ...frame, fields: frame.fields.map((field) => ({ ...field, config: configure(panel, field, frame) })) }));

function mapped(mappings = [], value) {
  for (const { type, options = {}, ...old } of mappings) {
    if (type === 'value' && Object.hasOwn(options, String(value))) return options[String(value)];
    if (type === 'range' && typeof value === 'number' && value >= (options.from ?? -Infinity) && value <= (options.to ?? Infinity)) return options.result;
    if (type === 'special') {
      const { match } = options;
      const hit = { null: value === null, nan: Number.isNaN(value), 'null+nan': value === null || Number.isNaN(value), true: value === true, false: value === false, empty: value === '' }[match];
      if (hit) return options.result;
    }
    if (type === 'regex' && value !== null) {
      try {
        const inside = String(options.pattern).replace(/^\/(.*)\/$/, '$1');
        if (new RegExp(inside).test(String(value))) return { ...options.result, text: options.result?.text && String(value).replace(new RegExp(inside), options.result.text) };
      } catch {
        // A pattern that is none matches nothing.
      }
    }
    if (type === 1 && String(old.value) === String(value)) return { text: old.text };
    if (type === 2 && Number(old.from) <= value && Number(old.to) >= value) return { text: old.text };
  }
  return null;
}

/** The colour that a number has by its thresholds. */
export function byThreshold(config, value) {
  const { mode, steps = [] } = config.thresholds ?? {};
  const [low, high] = [config.min ?? 0, config.max ?? 100];
  const at = mode === 'percentage' ? ((value - low) / (high - low || 1)) * 100 : value;
  let found = steps[0]?.color ?? 'green';
  for (const step of steps) if (step.value === null || step.value === undefined || at >= step.value) found = step.color;
  return found;
}

/** A value as { text, colour (Grafana's name, or null), missing }. */
export function shown(config, value) {
  const word = mapped(config.mappings, value);
  const missing = value === null || value === undefined || Number.isNaN(value);
  const text = word?.text ?? (missing ? '–' : typeof value === 'number' ? unit(config.unit)(value, config.decimals ?? undefined) : typeof value === 'object' ? JSON.stringify(value) : String(value));
  const mode = config.color?.mode ?? 'thresholds';
  const own = mode === 'fixed' ? config.color.fixedColor : mode === 'thresholds' && typeof value === 'number' && !missing ? byThreshold(config, value) : null;
  return { text, colour: word?.color ?? own, missing, mapped: Boolean(word) };
}

/** A series' own colour: fixed, or its place in the palette. */
export function seriesColour(config, index, lastValue) {
  const mode = config.color?.mode;
  if ((mode === 'fixed' || mode === 'shades') && config.color.fixedColor) return colour(config.color.fixedColor);
  if (mode === 'thresholds' && typeof lastValue === 'number') return colour(byThreshold(config, lastValue));
  return PALETTE[index % PALETTE.length];
}

/** The links of a value, ready to follow: [{ title, url, blank }]. */
export function links(config, scope, data) {
  return (config.links ?? []).filter((one) => one.url).map((one) => ({
    title: interpolate(one.title || 'link', { ...scope, data }), ...home(interpolate(one.url, { ...scope, data })), blank: one.targetBlank,
  }));
}

/**
 * Links to programs that this page stands in for lead to its own pages: Kibana's Discover to the logs, Zipkin's traces to the traces.
 * What carries a scheme other than http(s) leads nowhere.
 */
export function home(url) {
  const trace = /\/zipkin\/traces\/([0-9a-fA-F]*)/.exec(url);
  if (trace) return { url: trace[1] ? `/traces/${trace[1]}` : '/traces', ours: 'In Traces' };
  const query = /\/app\/discover.*?query:\(language:lucene,query:'((?:[^'!]|!.)*)'/.exec(url);
  if (query) {
    const time = /from:'([^']+)',to:'([^']+)'/.exec(url);
    const fields = { q: query[1].replace(/!(.)/g, '$1'), ...(time && { from: String(Date.parse(time[1])), to: String(Date.parse(time[2])) }) };
    return { url: `/logs?${new URLSearchParams(fields)}`, ours: 'In Logs' };
  }
  return { url: /^(https?:)?\/|^[?#]|^\w[\w./-]*(\?|$)/i.test(url) ? url : '#' };
}
