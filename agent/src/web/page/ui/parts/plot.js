// From series to what uPlot draws: one time axis, gaps where samples are missing, stacks, axes, marks. No DOM here but the canvas given.

/** Distinguishable in both schemes and by most colour-blind people. */
export const COLOURS = ['#3b82f6', '#e8710a', '#12a150', '#c026d3', '#d93025', '#0891b2', '#8b5cf6', '#a16207', '#db2777', '#64748b'];

/** The colour of deploys, everywhere. */
export const DEPLOY = '#8b5cf6';

/** [{ points: [[s, v]] }] on one time axis, as uPlot wants it; a time without any sample becomes a gap. */
export function align(series) {
  const times = [...new Set(series.flatMap((one) => one.points.map(([t]) => t)))].sort((a, b) => a - b);
  const least = times.reduce((step, t, i) => (i ? Math.min(step, t - times[i - 1]) : step), Infinity);
  const filled = times.flatMap((t, i) => (i && t - times[i - 1] > least * 1.6 ? [times[i - 1] + least, t] : [t]));
  const place = new Map(filled.map((t, i) => [t, i]));
  const columns = series.map((one) => {
    const column = new Array(filled.length).fill(null);
    for (const [t, v] of one.points) column[place.get(t)] = Number.isFinite(v) ? (one.negative ? -v : v) : null;
    return column;
  });
  return [filled, ...columns];
}

const stackOf = (one) => one.stack && `${one.stack}${one.negative ? '-' : ''}${one.axis ?? ''}`;

/** Columns of stacks that show shares as shares of their sum. */
export function shares(data, series) {
  const totals = new Map();
  data.slice(1).forEach((column, i) => series[i].percent && totals.set(stackOf(series[i]), column.map((v, at) => (totals.get(stackOf(series[i]))?.[at] ?? 0) + Math.abs(v ?? 0))));
  return totals.size ? [data[0], ...data.slice(1).map((column, i) => (series[i].percent ? column.map((v, at) => (v === null ? null : v / (totals.get(stackOf(series[i]))[at] || 1))) : column))] : data;
}

/** Sums within each stack, and the bands that keep each area above the one below. */
export function stack(data, series) {
  const [sums, above, bands] = [new Map(), new Map(), []];
  const columns = data.slice(1).map((column, i) => {
    const key = stackOf(series[i]);
    if (!key) return column;
    const total = sums.get(key) ?? new Array(data[0].length).fill(0);
    sums.set(key, total);
    if (above.has(key)) bands.push({ series: [i + 1, above.get(key)] });
    above.set(key, i + 1);
    const gap = column.every((v) => v === null);
    return column.map((v, at) => (gap ? null : (total[at] += v ?? 0)));
  });
  return { data: [data[0], ...columns], bands };
}

/** Samples without a neighbour: a line would not show them. */
export const lonely = (column) => column.flatMap((v, i) => (v !== null && (column[i - 1] ?? null) === null && (column[i + 1] ?? null) === null ? [i] : []));

const two = (n) => String(n).padStart(2, '0');

/** A tick `by` seconds from the next: the date from a day on, seconds below a minute. */
export function tick(at, by) {
  const time = new Date(at * 1000);
  if (by >= 86400) return `${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${two(time.getHours())}:${two(time.getMinutes())}${by < 60 ? `:${two(time.getSeconds())}` : ''}`;
}

const alpha = (colour, percent) => (/^#[0-9a-f]{6}$/i.test(colour) ? colour + Math.round(percent * 2.55).toString(16).padStart(2, '0') : colour);

/** Steps of an axis of bytes, so that its ticks are whole KiB, MiB, GiB. */
const POWERS = Array.from({ length: 60 }, (_, i) => 2 ** i);

/** The options for uPlot; `ink` is a colour that the canvas knows, `now()` gives what may change in place: { from, to, edges: [of the left axis, of the right], limits, marks }. */
export function options({ now, lines, bands, unit, height, width, ink, log, hooks, sync }) {
  const axis = { stroke: ink, grid: { stroke: 'rgba(128,128,128,.16)', width: 1 }, ticks: { show: false }, font: '11px system-ui' };
  const y = (right) => {
    const format = lines.find((one) => Boolean(one.axis === 'right') === right)?.unit ?? unit;
    const binary = lines.some((one) => one.binary && Boolean(one.axis === 'right') === right);
    const mine = lines.filter((one) => Boolean(one.axis === 'right') === right);
    const label = mine.find((one) => one.axisLabel)?.axisLabel;
    return { ...axis, ...(binary && { incrs: POWERS }), ...(label && { label, labelSize: 16, labelFont: '11px system-ui', labelGap: 0 }), ...(mine.length > 0 && mine.every((one) => one.bare) && { show: false }), scale: right ? 'y2' : 'y', side: right ? 1 : 3, grid: right ? { show: false } : axis.grid, values: (u, ticks) => ticks.map((v) => (v === null ? '' : format(v))),
      size: (u, values) => 14 + 6.4 * Math.max(3, ...(values ?? []).map((text) => String(text ?? '').length)) };
  };
  const right = lines.some((one) => one.axis === 'right');
  const scale = (side) => ({ distr: log ? 3 : 1, range: log ? undefined : (u, low, high) => extent(low, high, now().edges?.[side]) });
  const bars = (one) => one.draw === 'bars';
  return {
    width, height,
    legend: { show: false },
    cursor: { drag: { x: true, y: false, setScale: false }, focus: { prox: 24 }, points: { size: 6 }, ...(sync && { sync: { key: sync, setSeries: false } }) },
    focus: { alpha: 1 },
    scales: { x: { time: true, range: (u, first, last) => (now().from && now().to ? [now().from / 1000, now().to / 1000] : [first, last]) }, y: scale(0), ...(right && { y2: scale(1) }) },
    axes: [{ ...axis, space: 70, size: 26, values: (u, ticks, i, space, by) => ticks.map((t) => tick(t, by)) }, y(false), ...(right ? [y(true)] : [])],
    bands,
    series: [{}, ...lines.map((one, i) => ({
      label: one.label, scale: one.axis === 'right' ? 'y2' : 'y', stroke: one.colour, width: one.draw === 'points' ? 0 : bars(one) ? 0 : one.width ?? 1.5,
      fill: bars(one) ? alpha(one.colour, one.fill ?? 85) : one.fill ? alpha(one.colour, one.fill) : undefined,
      paths: bars(one) ? uPlot.paths.bars({ size: [0.88, 60] }) : one.curve === 'stepAfter' || one.curve === 'stepBefore' ? uPlot.paths.stepped({ align: one.curve === 'stepAfter' ? 1 : -1 }) : undefined,
      dash: one.dash, spanGaps: Boolean(one.spanGaps),
      points: { show: !bars(one), size: 4, fill: one.colour, filter: (u) => (one.draw === 'points' || bars(one) ? null : lonely(u.data[i + 1])) },
    }))],
    hooks: { ...hooks, draw: [(u) => drawLimits(u, now().limits), (u) => drawMarks(u, now().marks, ink), ...(hooks.draw ?? [])] },
  };
}

/** The ends of a y axis: what is asked for, zero, what it should reach at least, and some air. */
function extent(low, high, { min, max, softMin = Infinity, softMax = -Infinity } = {}) {
  const bottom = min ?? Math.min(0, low ?? 0, softMin);
  const most = Math.max(high ?? -Infinity, softMax);
  const top = max ?? ((high ?? 0) <= 0 && (low ?? 0) < 0 && softMax === -Infinity ? 0 : (Number.isFinite(most) && most) || 1);
  const air = max === undefined && top > 0 && top !== softMax ? Math.abs(top - bottom) * 0.08 : 0;
  return [low !== null && low < 0 && min === undefined && bottom === low ? low * 1.08 : bottom, top + air > bottom ? top + air : bottom + 1];
}

function drawLimits(u, limits) {
  const { left, top, width, height } = u.bbox;
  const inside = (y) => Math.min(top + height, Math.max(top, y));
  for (const { value, colour, line: drawn = true, area } of limits) {
    if (area !== undefined) {
      const [low, high] = [value, area].map((v) => inside(Number.isFinite(v) ? u.valToPos(v, 'y', true) : v > 0 ? top : top + height));
      u.ctx.save();
      u.ctx.globalAlpha = 0.1;
      u.ctx.fillStyle = colour;
      u.ctx.fillRect(left, high, width, low - high);
      u.ctx.restore();
    }
    const at = drawn && u.valToPos(value, 'y', true);
    if (drawn && at >= top && at <= top + height) line(u, colour, [6, 4], [left, at], [left + width, at]);
  }
}

/** Deploys and alerts: a dashed line each, and their names as long as they do not run into one another. */
function drawMarks(u, marks, ink) {
  const { left, top, width, height } = u.bbox;
  let free = -Infinity;
  for (const mark of [...marks].sort((a, b) => a.at - b.at)) {
    const x = u.valToPos(mark.at / 1000, 'x', true);
    if (x < left || x > left + width) continue;
    line(u, mark.colour ?? DEPLOY, [4, 4], [x, top], [x, top + height]);
    const wide = u.ctx.measureText(mark.text).width + 8;
    const back = x + wide > left + width;
    if ((back ? x - wide : x) < free) continue;
    u.ctx.save();
    u.ctx.fillStyle = ink;
    u.ctx.textAlign = back ? 'right' : 'left';
    u.ctx.textBaseline = 'top';
    u.ctx.fillText(mark.text, x + (u.ctx.textAlign === 'left' ? 4 : -4), top + 2);
    u.ctx.restore();
    free = back ? x : x + wide;
  }
}

function line(u, colour, dash, [x0, y0], [x1, y1]) {
  u.ctx.save();
  u.ctx.strokeStyle = colour;
  u.ctx.lineWidth = devicePixelRatio;
  u.ctx.setLineDash(dash);
  u.ctx.beginPath();
  u.ctx.moveTo(x0, y0);
  u.ctx.lineTo(x1, y1);
  u.ctx.stroke();
  u.ctx.restore();
}
