// A time series chart (uPlot) with a legend and a tooltip, and its figures as a table for those who cannot see it.
import { html, useEffect, useRef, useState } from '../vendor/preact.js';
import { href, set } from '../location.js';
import { clock, short } from '../format.js';
import { COLOURS, align, options, shares, stack } from './plot.js';
import { Scroll } from './scroll.js';

export { COLOURS };

const MOST = 60;

/**
 * props: series [{ label, points: [[s, v]], colour?, draw?: line|bars|points, fill?: 0..100, width?, stack?: group, negative?, axis?: right, unit?, dash? }],
 * unit (value → text), height, label, bars and stack (for all), legend: true|false|[{ name, of: values → number }] for columns, legendRoom in px,
 * marks [{ at: ms, text, colour? }] for deploys, dots [{ at: s, value, trace, text }] for single measurements with a trace, limits [{ value, colour }], from/to in ms so that gaps at the ends show, onPick(series, time).
 */
export function Chart(props) {
  const { series, unit = short, height = 180, label, bars, legend = true, marks = [], from, to } = props;
  const box = useRef(null);
  const tip = useRef(null);
  const [table, setTable] = useState(false);
  const [off, setOff] = useState(new Set());
  const lines = series.slice(0, MOST).map((one, i) => ({
    ...one, colour: one.colour ?? COLOURS[i % COLOURS.length], draw: one.draw ?? (bars ? 'bars' : 'line'),
    stack: one.stack ?? (props.stack ? 'all' : undefined), fill: one.fill ?? (bars ? 85 : props.stack ? 35 : 0),
  })).filter((one) => !off.has(one.label));
  const raw = shares(align(lines), lines);
  const { data, bands } = stack(raw, lines);
  // What the chart's hooks read: a new answer changes it in place, so that a pointer, a tooltip or a stretch that is being drawn stay.
  const now = useRef({});
  now.current = { ...props, lines, raw, unit, marks, limits: props.limits ?? [], dots: props.dots ?? [] };
  const drawn = useRef(null);
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const shape = JSON.stringify([table, height, label, dark, props.log, props.sync, Boolean(props.onPick), lines.map(({ points, field, frame, unit: own, ...look }) => [look, own?.(1234.5)])]);
  useEffect(() => {
    if (table || !box.current || !lines.length) return undefined;
    // A canvas understands no light-dark(): the figure's own colour is the resolved one.
    const ink = getComputedStyle(box.current).color;
    const chart = new uPlot(options({
      now: () => now.current, lines, bands, unit, height, ink, log: props.log, sync: props.sync, width: box.current.clientWidth || 400,
      hooks: {
        draw: [(u) => placeDots(u, now.current.dots, lines[0].unit ?? unit)],
        setCursor: [(u) => showTip(u, tip.current, now.current)],
        // Dragging over a stretch of time looks at that stretch.
        setSelect: [(u) => {
          if (u.select.width < 8) return;
          const edge = (px) => String(Math.round(u.posToVal(px, 'x') * 1000));
          set({ from: edge(u.select.left), to: edge(u.select.left + u.select.width) });
        }],
      },
    }), data, box.current);
    const watch = new ResizeObserver(() => chart.setSize({ width: box.current?.clientWidth || 400, height }));
    watch.observe(box.current);
    if (props.onPick) chart.over.addEventListener('click', () => pick(chart, now.current));
    drawn.current = { chart, data };
    return () => {
      drawn.current = null;
      watch.disconnect();
      chart.destroy();
    };
  }, [shape]);
  useEffect(() => {
    const { chart, data: old } = drawn.current ?? {};
    if (!chart || old === data) return;
    chart.setData(data);
    if (chart.cursor.left >= 0) showTip(chart, tip.current, now.current);
  }, [series, off, from, to, marks.length, props.dots]);
  if (!series.length) return html`<p class="empty">No data in this range.</p>`;
  const toggle = (name) => setOff((old) => {
    const next = new Set(old);
    if (!next.delete(name)) next.add(name);
    return next;
  });
  return html`
    <figure class="chart">
      ${table ? html`<${ChartTable} series=${series} unit=${unit} label=${label} />`
        : html`<div class="plot" ref=${box} role=${props.dots?.length ? 'group' : 'img'} aria-label=${`Chart: ${label}. ${series.length} series.`}><div class="tip" ref=${tip} hidden></div></div>`}
      <button class="quiet small as-table" aria-pressed=${table} aria-label=${`${label} as a table`} onClick=${() => setTable(!table)}>${table ? 'chart' : 'table'}</button>
      ${legend && !table && (series.length > 1 || Array.isArray(legend)) && html`<${Legend} series=${series} off=${off} toggle=${toggle} columns=${Array.isArray(legend) ? legend : []} unit=${unit} room=${props.legendRoom} />`}
      ${series.length > MOST && html`<span class="note">${MOST} of ${series.length} series are drawn</span>`}
    </figure>`;
}

function Legend({ series, off, toggle, columns, unit, room }) {
  const high = room ? { maxHeight: `${room}px` } : null;
  const item = (one, i) => html`<button class="quiet key" aria-pressed=${!off.has(one.label)} onClick=${() => toggle(one.label)}>
    <i style=${{ background: one.colour ?? COLOURS[i % COLOURS.length] }}></i>${one.label}</button>`;
  if (!columns.length) return html`<div class="keys" style=${high}>${series.slice(0, MOST).map(item)}</div>`;
  return html`<div class="keys as-rows" style=${high}><table><thead><tr><th scope="col"><span class="hidden">series</span></th>${columns.map((c) => html`<th scope="col" class="n">${c.name}</th>`)}</tr></thead>
    <tbody>${series.slice(0, MOST).map((one, i) => html`<tr><th scope="row">${item(one, i)}</th>${columns.map((c) => html`<td class="n">${(one.unit ?? unit)(c.of(one.points.map(([, v]) => v)))}</td>`)}</tr>`)}</tbody></table></div>`;
}

/** The values under the pointer, largest first. Written without a render: it follows the mouse. */
function showTip(u, tip, { lines, raw, unit }) {
  const { idx, left, top } = u.cursor;
  if (!tip) return;
  // Charts that only follow another one's pointer show the line, not the box.
  if (idx === null || idx === undefined || left < 0 || !u.over.matches(':hover')) {
    tip.hidden = true;
    return;
  }
  const rows = lines.map((one, i) => [one, raw[i + 1][idx]]).filter(([, v]) => v !== null && v !== undefined).sort((a, b) => b[1] - a[1]);
  tip.replaceChildren(...[[null, clock(raw[0][idx] * 1000, false)], ...rows.slice(0, 12)].map(([one, value]) => {
    const row = document.createElement('div');
    if (!one) return Object.assign(row, { textContent: value, className: 'when' });
    const [dot, name, figure] = ['i', 'span', 'b'].map((tag) => document.createElement(tag));
    dot.style.background = one.colour;
    name.textContent = one.label;
    figure.textContent = (one.unit ?? unit)(Math.abs(value) === -value && one.negative ? -value : value);
    row.append(dot, name, figure);
    return row;
  }));
  if (rows.length > 12) tip.append(`and ${rows.length - 12} more`);
  tip.hidden = false;
  const wide = tip.offsetWidth;
  const room = u.over.clientWidth - left > wide + 24;
  tip.style.left = `${Math.max(0, u.over.offsetLeft + (room ? left + 14 : left - wide - 14))}px`;
  tip.style.top = `${Math.max(0, Math.min(top, u.over.clientHeight - 20))}px`;
}

/** Dots that lead to the trace behind a measurement; what lies above the chart stands at its upper edge. */
function placeDots(u, dots, unit) {
  u.over.querySelectorAll('.dot').forEach((old) => old.remove());
  for (const { at, value, trace, text } of dots) {
    const [x, y] = [u.valToPos(at, 'x'), Math.max(0, u.valToPos(value, 'y'))];
    if (!(x >= 0 && x <= u.over.clientWidth && y <= u.over.clientHeight)) continue;
    const dot = Object.assign(document.createElement('a'), { className: 'dot', href: href(`/traces/${trace}`), title: `${text} ${unit(value)}: open the trace`, tabIndex: -1 });
    dot.setAttribute('aria-label', dot.title);
    dot.style.left = `${x}px`;
    dot.style.top = `${y}px`;
    u.over.append(dot);
  }
}

/** Which line was clicked: the nearest at that moment. */
function pick(u, { lines, raw, onPick }) {
  const { idx, top } = u.cursor;
  if (idx === null || idx === undefined || u.select.width >= 8) return;
  const near = lines.map((one, i) => [one, raw[i + 1][idx], Math.abs(u.valToPos(u.data[i + 1][idx] ?? Infinity, one.axis === 'right' ? 'y2' : 'y') - top)])
    .filter(([, v, far]) => v !== null && v !== undefined && Number.isFinite(far)).sort((a, b) => a[2] - b[2])[0];
  if (near) onPick(near[0], near[1], raw[0][idx] * 1000);
}

function ChartTable({ series, unit, label }) {
  return html`<${Scroll} label=${label}><table class="rows"><caption>${label}</caption>
    <thead><tr><th scope="col">Series</th><th scope="col" class="n">Last</th><th scope="col" class="n">Least</th><th scope="col" class="n">Most</th></tr></thead>
    <tbody>${series.map((one) => {
      const values = one.points.map(([, v]) => v).filter(Number.isFinite);
      const of = (v) => (one.unit ?? unit)(v);
      return html`<tr><th scope="row">${one.label}</th><td class="n">${of(values.at(-1))}</td>
        <td class="n">${of(values.length ? Math.min(...values) : NaN)}</td><td class="n">${of(values.length ? Math.max(...values) : NaN)}</td></tr>`;
    })}</tbody></table><//>`;
}

/** A line without axes, for table cells. */
export function Spark({ points, label, colour = 'var(--accent)', fill, wide = 96, high = 22 }) {
  if (!points || points.length < 2) return html`<span class="spark" aria-hidden="true"></span>`;
  const values = points.map(([, v]) => v).filter(Number.isFinite);
  const [least, most] = [Math.min(0, ...values), Math.max(...values, 1e-12)];
  const [t0, t1] = [points[0][0], points.at(-1)[0]];
  const place = points.filter(([, v]) => Number.isFinite(v)).map(([t, v]) => `${(((t - t0) / (t1 - t0)) * wide).toFixed(1)},${(high - 1 - ((v - least) / (most - least)) * (high - 3)).toFixed(1)}`);
  return html`<svg class="spark" viewBox="0 0 ${wide} ${high}" preserveAspectRatio="none" width=${wide} height=${high} role="img" aria-label=${label}>
    ${fill && html`<polygon points=${`0,${high} ${place.join(' ')} ${wide},${high}`} fill=${colour} opacity="0.15" />`}
    <polyline points=${place.join(' ')} fill="none" stroke=${colour} stroke-width="1.5" vector-effect="non-scaling-stroke" /></svg>`;
}
