// A time series chart (uPlot), with its figures as a table for those who cannot see it.
import { html, useEffect, useRef, useState } from '../vendor/preact.js';
import { set } from '../location.js';
import { clock, short } from '../format.js';
import { Scroll } from './scroll.js';

/** Distinguishable in both schemes and by most colour-blind people. */
export const COLOURS = ['#3b82f6', '#e8710a', '#12a150', '#c026d3', '#d93025', '#0891b2', '#8b5cf6', '#a16207', '#db2777', '#64748b'];

/** [{ label, points }] on one time axis, as uPlot wants it. */
export function align(series) {
  const times = [...new Set(series.flatMap((one) => one.points.map(([t]) => t)))].sort((a, b) => a - b);
  const place = new Map(times.map((t, i) => [t, i]));
  const columns = series.map((one) => {
    const column = new Array(times.length).fill(null);
    for (const [t, v] of one.points) column[place.get(t)] = Number.isFinite(v) ? v : null;
    return column;
  });
  return [times, ...columns];
}

const two = (n) => String(n).padStart(2, '0');

/** A tick `by` seconds from the next: the date from a day on, seconds below a minute. */
function tick(at, by) {
  const time = new Date(at * 1000);
  if (by >= 86400) return `${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${two(time.getHours())}:${two(time.getMinutes())}${by < 60 ? `:${two(time.getSeconds())}` : ''}`;
}

function stacked(data) {
  const sums = new Array(data[0].length).fill(0);
  return [data[0], ...data.slice(1).map((column) => column.map((v, i) => (sums[i] += v ?? 0)))];
}

/**
 * props: series [{ label, points: [[s, v]], colour? }], unit (value → text), height, label, bars, stack,
 * marks [{ at: ms, text }] for deploys, from/to in ms so that gaps at the ends show.
 */
export function Chart({ series, unit = short, height = 180, label, bars, stack, legend = true, marks = [], from, to }) {
  const box = useRef(null);
  const [table, setTable] = useState(false);
  const lines = series.slice(0, 40);
  useEffect(() => {
    if (table || !box.current || !lines.length) return undefined;
    // A canvas understands no light-dark(): the figure's own colour is the resolved one.
    const ink = getComputedStyle(box.current).color;
    const raw = align(lines);
    const data = stack ? stacked(raw) : raw;
    const axis = { stroke: ink, grid: { stroke: 'rgba(128,128,128,.18)', width: 1 }, ticks: { show: false }, font: '11px system-ui' };
    const draw = (u) => {
      for (const mark of marks) {
        const x = u.valToPos(mark.at / 1000, 'x', true);
        if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
        u.ctx.save();
        u.ctx.strokeStyle = '#8b5cf6';
        u.ctx.setLineDash([4, 4]);
        u.ctx.beginPath();
        u.ctx.moveTo(x, u.bbox.top);
        u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
        u.ctx.stroke();
        u.ctx.fillStyle = ink;
        u.ctx.fillText(mark.text, x + 4, u.bbox.top + 10);
        u.ctx.restore();
      }
    };
    const chart = new uPlot({
      width: box.current.clientWidth || 400,
      height,
      legend: { show: legend && lines.length > 1 && lines.length <= 12, live: true },
      cursor: { drag: { x: true, y: false, setScale: false }, focus: { prox: 16 } },
      scales: { x: { time: true, range: from && to ? [from / 1000, to / 1000] : undefined }, y: { range: (u, low, high) => [Math.min(0, low ?? 0), (high || 1) * 1.08] } },
      axes: [{ ...axis, space: 70, values: (u, ticks, i, space, by) => ticks.map((t) => tick(t, by)) }, { ...axis, size: 62, values: (u, ticks) => ticks.map((v) => unit(v)) }],
      series: [{ value: (u, v) => (v == null ? '' : clock(v * 1000, false)) }, ...lines.map((one, i) => ({
        label: one.label,
        stroke: one.colour ?? COLOURS[i % COLOURS.length],
        width: bars ? 0 : 1.5,
        fill: bars || stack ? `${one.colour ?? COLOURS[i % COLOURS.length]}${bars ? 'cc' : '44'}` : undefined,
        paths: bars ? uPlot.paths.bars({ size: [0.9, 60] }) : undefined,
        points: { show: raw[0].length < 3 },
        value: (u, v, s, index) => (v == null ? '–' : unit(raw[s]?.[index] ?? v)),
      }))],
      hooks: {
        draw: [draw],
        // Dragging over a stretch of time looks at that stretch.
        setSelect: [(u) => {
          if (u.select.width < 8) return;
          const edge = (px) => String(Math.round(u.posToVal(px, 'x') * 1000));
          set({ from: edge(u.select.left), to: edge(u.select.left + u.select.width) });
        }],
      },
    }, stack ? [data[0], ...data.slice(1)] : data, box.current);
    const watch = new ResizeObserver(() => chart.setSize({ width: box.current?.clientWidth || 400, height }));
    watch.observe(box.current);
    return () => {
      watch.disconnect();
      chart.destroy();
    };
  });
  if (!lines.length) return html`<p class="empty">No data in this range.</p>`;
  return html`
    <figure class="chart">
      ${table ? html`<${ChartTable} series=${lines} unit=${unit} label=${label} />`
        : html`<div ref=${box} role="img" aria-label=${`Chart: ${label}. ${lines.length} series.`}></div>`}
      <button class="quiet small" aria-pressed=${table} onClick=${() => setTable(!table)}>${table ? 'chart' : 'table'}</button>
      ${series.length > lines.length && html`<span class="note">${lines.length} of ${series.length} series are drawn</span>`}
    </figure>`;
}

function ChartTable({ series, unit, label }) {
  return html`<${Scroll} label=${label}><table><caption>${label}</caption>
    <thead><tr><th scope="col">Series</th><th scope="col">Last</th><th scope="col">Least</th><th scope="col">Most</th></tr></thead>
    <tbody>${series.map((one) => {
      const values = one.points.map(([, v]) => v).filter(Number.isFinite);
      return html`<tr><th scope="row">${one.label}</th><td>${unit(values.at(-1))}</td>
        <td>${unit(values.length ? Math.min(...values) : NaN)}</td><td>${unit(values.length ? Math.max(...values) : NaN)}</td></tr>`;
    })}</tbody></table><//>`;
}

/** A line without axes, for table cells. */
export function Spark({ points, label, colour = 'var(--accent)' }) {
  if (!points || points.length < 2) return html`<span class="spark" aria-hidden="true"></span>`;
  const [w, h] = [96, 22];
  const most = Math.max(...points.map(([, v]) => v), 1e-12);
  const [t0, t1] = [points[0][0], points.at(-1)[0]];
  const path = points.map(([t, v]) => `${(((t - t0) / (t1 - t0)) * w).toFixed(1)},${(h - 1 - (v / most) * (h - 3)).toFixed(1)}`).join(' ');
  return html`<svg class="spark" viewBox="0 0 ${w} ${h}" width=${w} height=${h} role="img" aria-label=${label}>
    <polyline points=${path} fill="none" stroke=${colour} stroke-width="1.5" /></svg>`;
}
