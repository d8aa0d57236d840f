// Expression targets (`__expr__`): math, reduce, resample, threshold and classic conditions over what other targets of the panel gave. Pure.
import { calc } from './calcs.js';
import { labelText, numbersOf, series, timeOf } from './frames.js';
import { evaluate } from './math.js';

const KINDS = ['math', 'reduce', 'resample', 'threshold', 'classic_conditions'];

/** Letters of the targets that an expression needs. */
export function needs(target) {
  const text = String(target.expression ?? '');
  if (target.type === 'classic_conditions') return (target.conditions ?? []).map((one) => one.query?.params?.[0]).filter(Boolean);
  if (target.type !== 'math') return text ? [text.replace(/^\$\{?|\}$/g, '')] : [];
  return [...new Set([...text.matchAll(/\$(?:\{([^}]+)\}|(\w+))/g)].map(([, braced, bare]) => braced ?? bare))];
}

/** Whether `target` is an expression that nobody has written here. */
export const unknown = (target) => !KINDS.includes(target.type ?? 'math');

/**
 * What a target gave, as items { labels, points: [[ms, number]] } for series and { labels, value } for single numbers.
 * A row of a table is a number whose labels are its texts; an instant answer is one, too.
 */
export function items(frames) {
  return frames.flatMap((frame) => {
    const time = timeOf(frame);
    const texts = frame.fields.filter((field) => field.type === 'string');
    return numbersOf(frame).flatMap((field) => {
      const { __name__: _, ...labels } = field.labels ?? {};
      if (!time || texts.length) return field.values.map((value, i) => ({ labels: { ...labels, ...Object.fromEntries(texts.map((one) => [one.name, one.values[i]])) }, value }));
      if (frame.instant) return [{ labels, value: field.values.at(-1) ?? null }];
      return [{ labels, points: time.values.map((t, i) => [t, field.values[i]]) }];
    });
  });
}

/** The items of an expression; `given` holds those of the other targets by letter. */
export function compute(target, given, scope) {
  const { type = 'math', settings = {} } = target;
  if (type === 'math') return evaluate(String(target.expression ?? ''), given);
  if (type === 'classic_conditions') return [{ labels: {}, value: conditions(target.conditions ?? [], given) }];
  const [letter] = needs(target);
  const from = given.get(letter);
  if (!from) throw new Error(`it needs the target '${letter ?? ''}', which is not there`);
  if (type === 'reduce') return from.map((one) => ({ labels: one.labels, value: reduced(one, target.reducer ?? 'last', settings) }));
  if (type === 'resample') return from.map((one) => ({ labels: one.labels, points: resampled(one, target, scope) }));
  const { evaluator } = target.conditions?.[0] ?? {};
  return from.map((one) => map(one, (v) => (v === null ? null : Number(outside(evaluator ?? {}, v)))));
}

const map = (one, change) => (one.points ? { ...one, points: one.points.map(([t, v]) => [t, change(v)]) } : { ...one, value: change(one.value ?? null) });

/** The items as frames: series as they are, numbers as a series of one point. */
export const framesOf = (list, refId, at) => list.map(({ labels, points, value }) => {
  const values = Object.values(labels);
  return { ...series(values.length === 1 ? String(values[0]) : labelText(labels) || refId, labels, points ?? [[at, value]], refId), ...(!points && { instant: true }) };
});

function reduced({ points, value }, reducer, { mode, replaceWithValue }) {
  let values = points ? points.map(([, v]) => v) : [value];
  const bad = (v) => v === null || !Number.isFinite(v);
  if (mode === 'dropNN') values = values.filter((v) => !bad(v));
  else if (mode === 'replaceNN') values = values.map((v) => (bad(v) ? Number(replaceWithValue ?? 0) : v));
  else if (values.some(bad) && !['last', 'count'].includes(reducer)) return null;
  return values.length || reducer === 'count' ? calc(reducer, values) : null;
}

const UNITS = { ms: 1, s: 1000, m: 60000, h: 3600000, d: 86400000 };

/** One value each `window`: of several in it what `downsampler` says, of none what `upsampler` says. */
function resampled({ points, value }, { window = '', downsampler = 'mean', upsampler = 'fillna' }, { from, to }) {
  const [, count, unit] = /^(\d+)(ms|s|m|h|d)$/.exec(window) ?? [];
  const step = Number(count) * UNITS[unit];
  if (!(step > 0) || (to - from) / step > 50000) throw new Error(`'${window}' is no window to resample by`);
  const all = points ?? [[to, value]];
  const out = [];
  let [i, last] = [0, null];
  for (let end = from; end <= to; end += step) {
    const inside = [];
    for (; i < all.length && all[i][0] <= end; i += 1) {
      inside.push(all[i][1]);
      last = all[i][1];
    }
    out.push([end, inside.length ? calc(downsampler, inside) : { pad: last, backfilling: all[i]?.[1] ?? null }[upsampler] ?? null]);
  }
  return out;
}

/** Whether a value crosses what an evaluator names. */
function outside({ type, params = [] }, value) {
  const [a, b] = params.map(Number);
  return { gt: value > a, lt: value < a, eq: value === a, ne: value !== a, gte: value >= a, lte: value <= a, within_range: value > a && value < b, outside_range: value < a || value > b,
    within_range_included: value >= a && value <= b, outside_range_included: value <= a || value >= b, no_value: value === null }[type] ?? false;
}

function conditions(list, given) {
  return Number(list.reduce((so, { query, reducer, evaluator, operator }, i) => {
    const now = (given.get(query?.params?.[0]) ?? []).some((one) => outside(evaluator ?? {}, reduced(one, reducer?.type ?? 'last', { mode: 'dropNN' })));
    return i ? (operator?.type === 'or' ? so || now : so && now) : now;
  }, false));
}
