// What a query gives: a frame of named columns of one length, { name, refId, fields: [{ name, type, values, labels }] }.

export const lengthOf = (frame) => frame.fields[0]?.values.length ?? 0;
export const timeOf = (frame) => frame.fields.find((field) => field.type === 'time');
export const numbersOf = (frame) => frame.fields.filter((field) => field.type === 'number');

/** `{a="b", c="d"}` without the metric's name. */
export function labelText(labels) {
  const { __name__: name = '', ...rest } = labels ?? {};
  const inside = Object.entries(rest).map(([k, v]) => `${k}="${v}"`).join(', ');
  return inside ? `${name}{${inside}}` : name;
}

/** A series over time: times in ms. */
export const series = (name, labels, points, refId) => ({
  name, refId, fields: [
    { name: 'Time', type: 'time', values: points.map(([t]) => t) },
    { name: 'Value', type: 'number', values: points.map(([, v]) => v), labels, display: name },
  ],
});

/** Rows of objects as a frame; columns in order of appearance. */
export function table(rows, refId, types = {}) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const fields = names.map((name) => {
    const values = rows.map((row) => row[name] ?? null);
    const known = values.find((v) => v !== null);
    return { name, values, labels: {}, type: types[name] ?? (typeof known === 'number' ? 'number' : typeof known === 'boolean' ? 'boolean' : 'string') };
  });
  return { name: '', refId, fields };
}

/** What people read above a column or beside a line. */
export const displayName = (field, frame) => field.config?.displayName || field.display || (field.name === 'Value' && frame?.name) || field.name;

/** A row as [[name, value]], for links. */
export const rowAt = (frame, i) => frame.fields.map((field) => [displayName(field, frame), field.values[i]]);
