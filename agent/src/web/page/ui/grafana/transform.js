// Transformations between a panel's queries and its drawing. Those that nobody has written here are named, so that the panel can say so.
import { calc, NAMES } from './calcs.js';
import { displayName, lengthOf, timeOf } from './frames.js';

/** Applies `steps` to `frames`: { frames, unknown: [id] }. */
export function transform(frames, steps = []) {
  const unknown = [];
  let out = frames;
  for (const step of steps) {
    if (step.disabled) continue;
    const apply = STEPS[step.id];
    if (apply) out = apply(out, step.options ?? {});
    else unknown.push(step.id);
  }
  return { frames: out, unknown };
}

const called = (field, frame) => [field.name, displayName(field, frame)];
const pattern = (text) => {
  try {
    const [, inside, flags] = /^\/(.*)\/([a-z]*)$/.exec(text) ?? [null, text, ''];
    return new RegExp(inside, flags);
  } catch {
    return /$^/;
  }
};
const each = (change) => (frames, options) => frames.map((frame) => change(frame, options));

function keepFields(frame, { include, exclude }) {
  const hit = (rule, field) => (rule.names?.length && called(field, frame).some((name) => rule.names.includes(name)))
    || (rule.pattern && called(field, frame).some((name) => pattern(rule.pattern).test(name)));
  return { ...frame, fields: frame.fields.filter((field) => (include?.names || include?.pattern ? hit(include, field) : true) && !(exclude && hit(exclude, field))) };
}

function organize(frame, { excludeByName = {}, indexByName = {}, renameByName = {}, includeByName = {} }) {
  const asked = Object.values(includeByName).some(Boolean);
  const look = (map, field) => called(field, frame).map((name) => map[name]).find((v) => v !== undefined);
  const fields = frame.fields.filter((field) => !look(excludeByName, field) && (!asked || look(includeByName, field)));
  const place = new Map(frame.fields.map((field, i) => [field, look(indexByName, field) ?? 1000 + i]));
  fields.sort((a, b) => place.get(a) - place.get(b));
  return { ...frame, fields: fields.map((field) => (look(renameByName, field) ? { ...field, name: look(renameByName, field), display: look(renameByName, field) } : field)) };
}

/** One table of all: rows that agree in every shared text column are one row. */
function merge(frames) {
  if (frames.length < 2) return frames;
  const fields = new Map();
  for (const frame of frames) for (const field of frame.fields) if (!fields.has(field.name)) fields.set(field.name, { ...field, values: [] });
  const keys = [...fields.values()].filter((field) => frames.every((frame) => !lengthOf(frame) || frame.fields.some((one) => one.name === field.name))).map((field) => field.name);
  const rows = new Map();
  frames.forEach((frame, at) => {
    for (let i = 0; i < lengthOf(frame); i += 1) {
      const row = Object.fromEntries(frame.fields.map((field) => [field.name, field.values[i]]));
      const key = JSON.stringify(keys.length ? keys.map((name) => row[name]) : [at, i]);
      rows.set(key, { ...rows.get(key), ...row });
    }
  });
  const list = [...rows.values()];
  return [{ name: '', refId: frames[0].refId, fields: [...fields.values()].map((field) => ({ ...field, values: list.map((row) => row[field.name] ?? null) })) }];
}

function join(frames, { byField, mode = 'outer' }) {
  const wanted = byField || 'Time';
  const places = frames.map((frame) => frame.fields.find((field) => called(field, frame).includes(wanted)) ?? (byField ? null : timeOf(frame)));
  const [kept, on] = [frames.filter((_, i) => places[i]), places.filter(Boolean)];
  if (!kept.length) return frames;
  const counts = new Map();
  on.forEach((field) => new Set(field.values).forEach((v) => counts.set(v, (counts.get(v) ?? 0) + 1)));
  let keys = [...counts.keys()].filter((v) => mode !== 'inner' || counts.get(v) === kept.length);
  if (on[0].type === 'time') keys = keys.sort((a, b) => a - b);
  const fields = [{ ...on[0], values: keys }];
  const often = new Map();
  kept.forEach((frame, i) => frame.fields.forEach((field) => field !== on[i] && often.set(field.name, (often.get(field.name) ?? 0) + 1)));
  kept.forEach((frame, i) => {
    const at = new Map(on[i].values.map((v, n) => [v, n]));
    for (const field of frame.fields) {
      if (field === on[i]) continue;
      // What several tables have is told apart by their place, as Grafana does.
      const twice = often.get(field.name) > 1;
      fields.push({ ...field, name: twice ? `${field.name} ${i + 1}` : field.name, display: field.display ?? (twice ? frame.name || undefined : undefined),
        values: keys.map((v) => (at.has(v) ? field.values[at.get(v)] : null)) });
    }
  });
  return [{ name: '', refId: kept[0].refId, fields }];
}

function reduce(frames, { reducers = ['max'], mode, includeTimeField, labelsToFields }) {
  if (mode === 'reduceFields') {
    return frames.map((frame) => ({ ...frame, fields: frame.fields.filter((f) => f.type === 'number').map((f) => ({ ...f, values: [calc(reducers[0], f.values)] })) }));
  }
  const rows = frames.flatMap((frame) => frame.fields.filter((f) => f.type === 'number' || (includeTimeField && f.type === 'time')).map((field) => [field, frame]));
  const keys = labelsToFields ? [...new Set(rows.flatMap(([field]) => Object.keys(field.labels ?? {})))] : [];
  const column = (name, type, values) => ({ name, type, values, labels: {} });
  return [{ name: '', fields: [column('Field', 'string', rows.map(([field, frame]) => displayName(field, frame))),
    ...keys.map((key) => column(key, 'string', rows.map(([field]) => field.labels?.[key] ?? null))),
    ...reducers.map((name) => column(NAMES[name] ?? name, 'number', rows.map(([field]) => calc(name, field.values))))] }];
}

const pickRows = (frame, order) => ({ ...frame, fields: frame.fields.map((field) => ({ ...field, values: order.map((i) => field.values[i]) })) });
const compare = (a, b) => (a === b ? 0 : a === null ? 1 : b === null ? -1 : a < b ? -1 : 1);

function sortBy(frame, { sort = [] }) {
  const order = [...Array(lengthOf(frame)).keys()];
  for (const { field, desc } of [...sort].reverse()) {
    const column = frame.fields.find((one) => called(one, frame).includes(field));
    if (column) order.sort((a, b) => compare(column.values[a], column.values[b]) * (desc ? -1 : 1));
  }
  return pickRows(frame, order);
}

function groupBy(frame, { fields = {} }) {
  const rule = (field) => fields[field.name] ?? fields[displayName(field, frame)];
  const keys = frame.fields.filter((field) => rule(field)?.operation === 'groupby');
  if (!keys.length) return frame;
  const groups = new Map();
  for (let i = 0; i < lengthOf(frame); i += 1) {
    const key = JSON.stringify(keys.map((field) => field.values[i]));
    groups.set(key, [...(groups.get(key) ?? []), i]);
  }
  const rows = [...groups.values()];
  const counted = frame.fields.filter((field) => rule(field)?.operation === 'aggregate').flatMap((field) => (rule(field).aggregations ?? []).map((name) => ({
    name: `${displayName(field, frame)} (${name})`, type: 'number', labels: {}, values: rows.map((at) => calc(name, at.map((i) => field.values[i]))),
  })));
  return { ...frame, fields: [...keys.map((field) => ({ ...field, values: rows.map((at) => field.values[at[0]]) })), ...counted] };
}

const MATHS = { '+': (a, b) => a + b, '-': (a, b) => a - b, '*': (a, b) => a * b, '/': (a, b) => a / b };

function calculate(frame, { mode = 'reduceRow', binary, unary, cumulative, reduce: rows, alias, replaceFields }) {
  const value = (side) => {
    const name = typeof side === 'object' ? side?.matcher?.options ?? side?.fixed : side;
    const field = frame.fields.find((one) => called(one, frame).includes(name));
    return field ? (i) => field.values[i] : () => Number(name);
  };
  let values;
  if (mode === 'binary' && binary) {
    const [left, right] = [value(binary.left), value(binary.right)];
    values = [...Array(lengthOf(frame)).keys()].map((i) => (left(i) === null || right(i) === null ? null : (MATHS[binary.operator] ?? MATHS['+'])(left(i), right(i))));
  } else if (mode === 'reduceRow') {
    const from = frame.fields.filter((field) => field.type === 'number' && (!rows?.include?.length || called(field, frame).some((name) => rows.include.includes(name))));
    values = [...Array(lengthOf(frame)).keys()].map((i) => calc(rows?.reducer ?? 'sum', from.map((field) => field.values[i])));
  } else if (mode === 'unary' && unary) {
    const change = { abs: Math.abs, exp: Math.exp, ln: Math.log, floor: Math.floor, ceil: Math.ceil, round: Math.round, percent: (v) => v * 100 }[unary.operator];
    const from = value(typeof unary.fieldName === 'string' ? unary.fieldName : unary.field);
    values = [...Array(lengthOf(frame)).keys()].map((i) => (typeof from(i) === 'number' && change ? change(from(i)) : null));
  } else if (mode === 'index') values = [...Array(lengthOf(frame)).keys()];
  else if (mode === 'cumulativeFunctions' && cumulative) {
    const from = value(cumulative.field);
    let total = 0;
    values = [...Array(lengthOf(frame)).keys()].map((i) => (total += Number(from(i)) || 0) / (cumulative.reducer === 'mean' ? i + 1 : 1));
  } else return frame;
  const name = alias || { binary: 'Result', unary: `${unary?.operator}(${unary?.fieldName ?? ''})`, index: 'Row', cumulativeFunctions: 'Total' }[mode] || (NAMES[rows?.reducer] ?? 'Total');
  const added = { name, type: 'number', labels: {}, values };
  return { ...frame, fields: replaceFields ? [...frame.fields.filter((f) => f.type === 'time'), added] : [...frame.fields, added] };
}

function filterRows(frame, { filters = [], type = 'include', match = 'any' }) {
  const test = ({ fieldName, config }) => {
    const field = frame.fields.find((one) => called(one, frame).includes(fieldName));
    const to = config?.options?.value;
    const rules = {
      isNull: (v) => v === null, isNotNull: (v) => v !== null, greater: (v) => v > Number(to), greaterOrEqual: (v) => v >= Number(to), lower: (v) => v < Number(to),
      lowerOrEqual: (v) => v <= Number(to), equal: (v) => String(v) === String(to), notEqual: (v) => String(v) !== String(to), regex: (v) => pattern(to ?? '').test(v),
      range: (v) => v >= config.options.from && v <= config.options.to, substring: (v) => String(v).includes(to),
    };
    return (i) => Boolean(field && rules[config?.id]?.(field.values[i]));
  };
  const tests = filters.map(test);
  const hit = (i) => (match === 'all' ? tests.every((one) => one(i)) : tests.some((one) => one(i)));
  return pickRows(frame, [...Array(lengthOf(frame)).keys()].filter((i) => hit(i) === (type === 'include')));
}

const renamed = (frame, { regex, renamePattern = '' }) => ({ ...frame, fields: frame.fields.map((field) => {
  const name = displayName(field, frame);
  return field.type !== 'time' && regex && pattern(regex).test(name) ? { ...field, display: name.replace(pattern(regex), renamePattern) } : field;
}) });

function labelsToFields(frames) {
  return frames.map((frame) => ({ ...frame, fields: frame.fields.flatMap((field) => {
    const labels = Object.entries(field.labels ?? {}).filter(([key]) => key !== '__name__');
    return field.type === 'number' && labels.length
      ? [...labels.map(([name, value]) => ({ name, type: 'string', labels: {}, values: field.values.map(() => value) })), { ...field, labels: {}, display: undefined }] : [field];
  }) }));
}

const rowsOfSeries = (frames) => [{ name: '', fields: [['Time', 'time'], ['Metric', 'string'], ['Value', 'number']].map(([name, type]) => ({ name, type, labels: {},
  values: frames.flatMap((frame) => {
    const [time, value] = [timeOf(frame), frame.fields.find((f) => f.type === 'number')];
    return value ? value.values.map((v, i) => ({ Time: time?.values[i] ?? null, Metric: displayName(value, frame), Value: v })[name]) : [];
  }) })) }];

/** Columns read as another type: numbers in texts, times in numbers. */
function convert(frame, { conversions = [] }) {
  const to = { number: (v) => (v === '' || v === null || Number.isNaN(Number(v)) ? null : Number(v)), string: (v) => (v === null ? null : String(v)), boolean: (v) => Boolean(v) && v !== 'false',
    time: (v) => (v === null ? null : typeof v === 'number' ? v : Date.parse(v)) };
  return { ...frame, fields: frame.fields.map((field) => {
    const type = conversions.find((one) => called(field, frame).includes(one.targetField))?.destinationType;
    return to[type] && type !== field.type ? { ...field, type, values: field.values.map(to[type]) } : field;
  }) };
}

/** Values of one column as columns, those of another as rows. */
function matrix(frame, { columnField = 'Time', rowField = 'Time', valueField = 'Value' }) {
  const [column, row, value] = [columnField, rowField, valueField].map((name) => frame.fields.find((field) => called(field, frame).includes(name)));
  if (!column || !row || !value) return frame;
  const [across, down] = [column, row].map((field) => [...new Set(field.values)]);
  const cells = new Map(value.values.map((v, i) => [JSON.stringify([column.values[i], row.values[i]]), v]));
  return { ...frame, fields: [{ ...row, name: `${rowField}\\${columnField}`, display: undefined, values: down },
    ...across.map((name) => ({ ...value, name: String(name), display: undefined, values: down.map((at) => cells.get(JSON.stringify([name, at])) ?? null) }))] };
}

/** Each row as a column: its first text names it, its first number is its value. */
function rowsToColumns(frame) {
  const [name, value] = [frame.fields.find((field) => field.type === 'string'), frame.fields.find((field) => field.type === 'number')];
  return name && value ? { ...frame, fields: name.values.map((text, i) => ({ ...value, name: String(text), display: undefined, values: [value.values[i]] })) } : frame;
}

/** One frame for each combination of values of the named columns. */
function partition(frame, { fields = [] }) {
  const keys = frame.fields.filter((field) => called(field, frame).some((name) => fields.includes(name)));
  if (!keys.length) return [frame];
  const groups = new Map();
  for (let i = 0; i < lengthOf(frame); i += 1) {
    const key = JSON.stringify(keys.map((field) => field.values[i]));
    groups.set(key, [...(groups.get(key) ?? []), i]);
  }
  return [...groups].map(([key, order]) => ({ ...pickRows({ ...frame, fields: frame.fields.filter((field) => !keys.includes(field)) }, order), name: JSON.parse(key).join(' ') }));
}

const STEPS = {
  convertFieldType: each(convert), groupingToMatrix: each(matrix), rowsToFields: each(rowsToColumns), partitionByValues: (frames, options) => frames.flatMap((frame) => partition(frame, options)),
  filterFieldsByName: each(keepFields), organize: each(organize), merge, joinByField: join, seriesToColumns: join, reduce, sortBy: each(sortBy), groupBy: each(groupBy),
  calculateField: each(calculate), filterByValue: each(filterRows), renameByRegex: each(renamed), labelsToFields, seriesToRows: rowsOfSeries,
  limit: each((frame, { limitField = 10 }) => pickRows(frame, [...Array(Math.min(Number(limitField), lengthOf(frame))).keys()])),
  filterByRefId: (frames, { include }) => frames.filter((frame) => !include || pattern(`^(?:${include})$`).test(frame.refId ?? '')),
  concatenate: (frames) => [{ name: '', fields: frames.flatMap((frame) => frame.fields) }],
  prepareTimeSeries: (frames) => frames,
};
