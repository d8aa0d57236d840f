// One number from many: the calculations that panels, legends and transformations name.

const numbers = (values) => values.filter((v) => typeof v === 'number' && Number.isFinite(v));
const last = (list) => (list.length ? list[list.length - 1] : null);
const sum = (list) => list.reduce((a, b) => a + b, 0);
const least = (list) => (list.length ? list.reduce((a, b) => Math.min(a, b)) : null);
const most = (list) => (list.length ? list.reduce((a, b) => Math.max(a, b)) : null);
const mean = (list) => (list.length ? sum(list) / list.length : null);
const present = (values) => values.filter((v) => v !== null && v !== undefined);
const quantile = (q) => (v) => {
  const list = numbers(v).sort((a, b) => a - b);
  return list.length ? list[Math.min(list.length - 1, Math.ceil(q * list.length) - 1)] : null;
};
const variance = (values) => {
  const [list, middle] = [numbers(values), mean(numbers(values))];
  return list.length ? sum(list.map((v) => (v - middle) ** 2)) / list.length : null;
};

const CALCS = {
  last: (v) => last(v) ?? null,
  lastNotNull: (v) => last(v.filter((one) => one !== null && one !== undefined && !Number.isNaN(one))),
  first: (v) => v[0] ?? null,
  firstNotNull: (v) => present(v)[0] ?? null,
  min: (v) => least(numbers(v)),
  max: (v) => most(numbers(v)),
  mean: (v) => mean(numbers(v)),
  sum: (v) => sum(numbers(v)),
  count: (v) => v.length,
  range: (v) => (numbers(v).length ? most(numbers(v)) - least(numbers(v)) : null),
  delta: (v) => numbers(v).reduce((total, one, i, all) => total + (i && one > all[i - 1] ? one - all[i - 1] : 0), 0),
  diff: (v) => (numbers(v).length ? last(numbers(v)) - numbers(v)[0] : null),
  diffperc: (v) => (numbers(v).length && numbers(v)[0] ? (last(numbers(v)) - numbers(v)[0]) / numbers(v)[0] : null),
  logmin: (v) => least(numbers(v).filter((one) => one > 0)),
  allIsNull: (v) => !present(v).length,
  allIsZero: (v) => v.every((one) => one === 0),
  changeCount: (v) => v.filter((one, i) => i && one !== v[i - 1]).length,
  distinctCount: (v) => new Set(v).size,
  uniqueValues: (v) => [...new Set(v)].join(', '),
  allValues: (v) => v.join(', '),
  stdDev: (v) => (variance(v) === null ? null : Math.sqrt(variance(v))),
  variance,
  median: quantile(0.5),
};
const OLD = { avg: 'mean', current: 'lastNotNull', total: 'sum' };

/** Headings of calculations. */
export const NAMES = { lastNotNull: 'Last *', last: 'Last', firstNotNull: 'First *', min: 'Min', max: 'Max', mean: 'Mean', sum: 'Total', count: 'Count', diff: 'Difference', range: 'Range' };

/** `name` of `values`; an unknown calculation is the last value. */
export function calc(name, values) {
  const wanted = OLD[name] ?? name;
  const percentile = /^p(\d{1,2})$/.exec(wanted);
  return (percentile ? quantile(Number(percentile[1]) / 100) : CALCS[wanted] ?? CALCS.lastNotNull)(values);
}
