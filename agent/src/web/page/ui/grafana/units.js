// Numbers as Grafana's unit ids want them: `percentunit`, `s`, `decbytes`, … An unknown id is shown as a suffix, never lost.

const trim = (value, decimals) => (Number.isInteger(decimals) ? value.toFixed(Math.max(0, Math.min(decimals, 12)))
  : String(Number(value.toPrecision(Math.abs(value) >= 100 ? Math.max(3, Math.ceil(Math.log10(Math.abs(value)))) : 3))));

/** Scales by steps of `base` through the prefixes. `from` is the prefix that the number comes in. */
const scaled = (base, prefixes, suffix, from = 0) => (value, decimals) => {
  let [n, at] = [value, from];
  while (Math.abs(n) >= base && at < prefixes.length - 1) [n, at] = [n / base, at + 1];
  return `${trim(n, decimals)} ${prefixes[at]}${suffix}`.trimEnd();
};
const SI = ['', 'k', 'M', 'G', 'T', 'P', 'E'];
const IEC = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const si = (suffix, from) => scaled(1000, SI, suffix, from);
const iec = (suffix, from) => scaled(1024, IEC, suffix, from);
const plain = (suffix = '') => (value, decimals) => `${trim(value, decimals)}${suffix}`;

const STEPS = [[31536000, 'y'], [604800, 'w'], [86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's'], [1e-3, 'ms'], [1e-6, 'µs'], [1e-9, 'ns']];

/** A length of time that comes in units of `size` seconds. */
const time = (size) => (value, decimals) => {
  const s = value * size;
  if (s === 0) return '0 s';
  const [unit, name] = STEPS.find(([least]) => Math.abs(s) >= least) ?? STEPS.at(-1);
  return `${trim(s / unit, decimals)} ${name}`;
};

const two = (n) => String(Math.floor(n)).padStart(2, '0');
const clock = (size) => (value) => `${two((value * size) / 3600)}:${two(((value * size) / 60) % 60)}:${two((value * size) % 60)}`;
const date = (value) => new Date(value < 1e11 ? value * 1000 : value);
const iso = (value) => {
  const at = date(value);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
};
const fromNow = (value) => {
  const s = (Date.now() - value) / 1000;
  return s >= 0 ? `${time(1)(s, 0)} ago` : `in ${time(1)(-s, 0)}`;
};
const perSecond = (what) => (value, decimals) => `${si('')(value, decimals)} ${what}`;
const words = (yes, no) => (value) => (value ? yes : no);

const UNITS = {
  none: plain(), string: plain(), short: si(''), sishort: si(''), locale: (v, d) => v.toLocaleString(undefined, Number.isInteger(d) ? { maximumFractionDigits: d } : {}),
  percent: plain(' %'), percentunit: (v, d) => `${trim(v * 100, d)} %`, humidity: plain(' %H'), dB: plain(' dB'),
  hex: (v) => Math.round(v).toString(16), hex0x: (v) => `0x${Math.round(v).toString(16)}`, sci: (v, d) => v.toExponential(Number.isInteger(d) ? d : 2),
  bytes: iec('B'), kbytes: iec('B', 1), mbytes: iec('B', 2), gbytes: iec('B', 3), tbytes: iec('B', 4),
  decbytes: si('B'), deckbytes: si('B', 1), decmbytes: si('B', 2), decgbytes: si('B', 3), dectbytes: si('B', 4),
  bits: iec('b'), decbits: si('b'),
  Bps: si('B/s'), binBps: iec('B/s'), bps: si('b/s'), binbps: iec('b/s'), KBs: si('B/s', 1), KiBs: iec('B/s', 1), MBs: si('B/s', 2), MiBs: iec('B/s', 2),
  GBs: si('B/s', 3), Kbits: si('b/s', 1), Mbits: si('b/s', 2), Gbits: si('b/s', 3), pps: perSecond('p/s'),
  ns: time(1e-9), 'µs': time(1e-6), us: time(1e-6), ms: time(1e-3), s: time(1), m: time(60), h: time(3600), d: time(86400),
  dtdurations: time(1), dtdurationms: time(1e-3), dthms: clock(1), dtdhms: clock(1), clocks: clock(1), clockms: clock(1e-3), timeticks: time(0.01),
  ops: perSecond('ops/s'), reqps: perSecond('req/s'), rps: perSecond('reads/s'), wps: perSecond('writes/s'), iops: perSecond('io/s'),
  cps: perSecond('c/s'), eps: perSecond('events/s'), mps: perSecond('msg/s'), recps: perSecond('rec/s'), rowsps: perSecond('rows/s'),
  opm: perSecond('ops/min'), rpm: perSecond('reads/min'), wpm: perSecond('writes/min'), cpm: perSecond('c/min'),
  bool: words('True', 'False'), bool_yes_no: words('Yes', 'No'), bool_on_off: words('On', 'Off'),
  dateTimeAsIso: iso, dateTimeAsIsoNoDateIfToday: iso, dateTimeAsUS: iso, dateTimeAsLocal: iso, dateTimeAsSystem: iso, dateTimeFromNow: fromNow,
  hertz: si('Hz'), rotrpm: plain(' rpm'), celsius: plain(' °C'), fahrenheit: plain(' °F'), kelvin: plain(' K'), watt: si('W'), kwatt: si('W', 1),
  watth: si('Wh'), joule: si('J'), volt: si('V'), mvolt: plain(' mV'), amp: si('A'), mamp: plain(' mA'), ohm: si('Ω'), pressurepa: si('Pa'),
  lengthm: si('m'), massg: si('g'), velocityms: plain(' m/s'),
  currencyUSD: (v, d) => `$${si('')(v, d)}`, currencyEUR: (v, d) => `€${si('')(v, d)}`, currencyGBP: (v, d) => `£${si('')(v, d)}`,
};

/** `id` as a function (value, decimals) → text. */
export function unit(id) {
  const known = UNITS[id || 'none'];
  const format = known ?? other(id);
  return (value, decimals) => {
    if (value === null || value === undefined || Number.isNaN(value)) return '–';
    if (typeof value !== 'number') return String(value);
    if (!Number.isFinite(value)) return value > 0 ? '∞' : '-∞';
    return format(value, decimals);
  };
}

function other(id) {
  const [kind, rest] = [id.slice(0, id.indexOf(':')), id.slice(id.indexOf(':') + 1)];
  if (kind === 'suffix') return plain(` ${rest}`);
  if (kind === 'prefix') return (v, d) => `${rest}${plain()(v, d)}`;
  if (kind === 'si') return si(rest);
  if (kind === 'count') return (v, d) => `${si('')(v, d)} ${rest}`;
  if (kind === 'currency') return (v, d) => `${rest}${plain()(v, d)}`;
  if (kind === 'time') return iso;
  return plain(` ${id}`);
}
