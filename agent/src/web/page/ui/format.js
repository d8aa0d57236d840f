// Numbers and times for people.

/** 1234567 → 1.23 M; keeps three significant digits. */
export function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '-∞';
  const size = Math.abs(value);
  for (const [limit, suffix] of [[1e12, ' T'], [1e9, ' G'], [1e6, ' M'], [1e3, ' k']]) {
    if (size >= limit) return trim(value / limit) + suffix;
  }
  return trim(value);
}

const trim = (value) => (value === 0 ? '0' : String(Number(value.toPrecision(3))));

/** Seconds → 12 µs, 3.4 ms, 1.2 s, 5 min, 2 h. */
export function seconds(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  const size = Math.abs(value);
  if (size === 0) return '0 s';
  if (size < 1e-6) return `${trim(value * 1e9)} ns`;
  if (size < 1e-3) return `${trim(value * 1e6)} µs`;
  if (size < 1) return `${trim(value * 1e3)} ms`;
  if (size < 120) return `${trim(value)} s`;
  if (size < 7200) return `${trim(value / 60)} min`;
  if (size < 172800) return `${trim(value / 3600)} h`;
  return `${trim(value / 86400)} d`;
}

/** Bytes → 1.5 MiB. */
export function bytes(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  for (const [power, unit] of [[40, 'TiB'], [30, 'GiB'], [20, 'MiB'], [10, 'KiB']]) {
    if (Math.abs(value) >= 2 ** power) return `${trim(value / 2 ** power)} ${unit}`;
  }
  return `${trim(value)} B`;
}

/** 0.0123 → 1.23 %. */
export const percent = (value) => (value === null || value === undefined || Number.isNaN(value) ? '–' : `${trim(value * 100)} %`);

const two = (n) => String(n).padStart(2, '0');

/** 14:03:22.123 in local time, with the date when it is not today's. */
export function clock(ms, millis = true) {
  const at = new Date(ms);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const tail = millis ? `.${String(at.getMilliseconds()).padStart(3, '0')}` : '';
  const today = new Date().toDateString() === at.toDateString();
  return today ? time + tail : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}${tail}`;
}

/** How long ago, in one unit. */
export function ago(ms, now = Date.now()) {
  const s = Math.max(0, (now - ms) / 1000);
  return s < 2 ? 'just now' : `${seconds(s < 120 ? Math.round(s) : s).replace(/\.\d+/, '')} ago`;
}
