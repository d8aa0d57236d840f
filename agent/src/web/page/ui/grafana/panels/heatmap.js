// Buckets over time: how many fell where, as colour. Cumulative buckets (`le`) are taken apart first.
import { html, useEffect, useRef, useState } from '../../vendor/preact.js';
import { Scroll } from '../../parts/scroll.js';
import { tick } from '../../parts/plot.js';
import { clock } from '../../format.js';
import { displayName, numbersOf, timeOf } from '../frames.js';
import { unit } from '../units.js';

/** { times, rows: [{ name, bound, values }] } lowest bucket first. `cumulative` buckets become their differences. */
export function buckets(frames) {
  const times = [...new Set(frames.flatMap((frame) => timeOf(frame)?.values ?? []))].sort((a, b) => a - b);
  const at = new Map(times.map((t, i) => [t, i]));
  let rows = frames.flatMap((frame) => numbersOf(frame).map((field) => {
    const values = new Array(times.length).fill(null);
    timeOf(frame)?.values.forEach((t, i) => (values[at.get(t)] = field.values[i]));
    const name = field.labels?.le ?? displayName(field, frame);
    return { name, le: field.labels?.le !== undefined, bound: /inf/i.test(name) ? Infinity : Number(name), values };
  }));
  rows.sort((a, b) => a.bound - b.bound);
  if (rows.length && rows.every((row) => row.le)) {
    rows = rows.map((row, i) => ({ ...row, values: row.values.map((v, t) => (v === null ? null : Math.max(0, v - (rows[i - 1]?.values[t] ?? 0)))) }));
  }
  // Empty buckets at both ends only take room.
  const used = rows.map((row) => row.values.some((v) => v > 0));
  const [first, last] = [used.indexOf(true), used.lastIndexOf(true)];
  return { times, rows: first < 0 ? [] : rows.slice(first, last + 1) };
}

const TICKS = [10, 30, 60, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800];
const RAMP = [[254, 237, 222], [253, 190, 133], [253, 141, 60], [217, 71, 1], [127, 39, 4]];

/** 0..1 as a colour from light to dark. */
function shade(f) {
  const at = Math.min(RAMP.length - 1.001, Math.max(0, f) * (RAMP.length - 1));
  const [low, high, rest] = [RAMP[Math.floor(at)], RAMP[Math.floor(at) + 1], at % 1];
  return `rgb(${low.map((c, i) => Math.round(c + (high[i] - c) * rest)).join(',')})`;
}

export function Heatmap({ panel, frames, scope, height }) {
  const box = useRef(null);
  const [over, setOver] = useState(null);
  const [table, setTable] = useState(false);
  const { times, rows } = buckets(frames);
  const format = unit(panel.options.yAxis?.unit ?? panel.yAxis?.format ?? panel.fieldConfig?.defaults?.unit ?? 'short');
  const most = Math.max(...rows.flatMap((row) => row.values.map((v) => v ?? 0)), 1e-12);
  const [left, bottom] = [64, 22];
  const high = Math.max(90, height - 24);
  const step = times.length > 1 ? Math.min(...times.slice(1).map((t, i) => t - times[i])) : 60000;
  useEffect(() => {
    const canvas = box.current;
    if (!canvas || table) return undefined;
    const draw = () => {
      const [wide, ratio] = [canvas.parentElement.clientWidth, devicePixelRatio || 1];
      [canvas.width, canvas.height] = [wide * ratio, high * ratio];
      canvas.style.width = `${wide}px`;
      canvas.style.height = `${high}px`;
      const ctx = canvas.getContext('2d');
      ctx.scale(ratio, ratio);
      const x = (t) => left + ((t - scope.from) / (scope.to - scope.from)) * (wide - left);
      const row = (high - bottom) / rows.length;
      rows.forEach((one, i) => one.values.forEach((v, n) => {
        if (!v || v < 1e-9) return;
        ctx.fillStyle = shade(Math.sqrt(v / most));
        ctx.fillRect(x(times[n] - step) + 0.5, high - bottom - (i + 1) * row + 0.5, Math.max(1, x(times[n]) - x(times[n] - step) - 1), row - 1);
      }));
      ctx.fillStyle = getComputedStyle(canvas).color;
      ctx.font = '11px system-ui';
      ctx.textAlign = 'right';
      const each = Math.ceil(16 / row);
      rows.forEach((one, i) => i % each === 0 && ctx.fillText(Number.isFinite(one.bound) ? format(one.bound) : one.bound === Infinity ? '∞' : one.name, left - 6, high - bottom - i * row - row / 2 + 4));
      ctx.textAlign = 'center';
      const length = (scope.to - scope.from) / 1000;
      const by = TICKS.find((one) => length / one <= Math.max(2, (wide - left) / 80)) ?? 604800;
      for (let t = Math.ceil(scope.from / 1000 / by) * by; t <= scope.to / 1000; t += by) ctx.fillText(tick(t, by), Math.min(x(t * 1000), wide - 18), high - 6);
    };
    draw();
    const watch = new ResizeObserver(draw);
    watch.observe(canvas.parentElement);
    return () => watch.disconnect();
  }, [frames, table, height]);
  const follow = (event) => {
    const { left: x0, width } = box.current.getBoundingClientRect();
    const at = scope.from + ((event.clientX - x0 - left) / (width - left)) * (scope.to - scope.from);
    const n = times.findIndex((t) => t >= at && t - step <= at);
    const i = Math.floor((high - bottom - event.offsetY) / ((high - bottom) / rows.length));
    setOver(n >= 0 && rows[i] ? `${clock(times[n], false)} · ${i ? format(rows[i - 1].bound) : '0'} to ${Number.isFinite(rows[i].bound) ? format(rows[i].bound) : '∞'}: ${unit('short')(rows[i].values[n] ?? 0)}` : null);
  };
  return html`<figure class="chart heatmap">${table
    ? html`<${Scroll} label=${panel.title}><table class="rows"><caption>${panel.title}: calls by duration over the range</caption><thead><tr><th scope="col">Up to</th><th scope="col" class="n">Count</th></tr></thead>
        <tbody>${rows.map((row) => html`<tr><th scope="row">${Number.isFinite(row.bound) ? format(row.bound) : '∞'}</th><td class="n">${unit('short')(row.values.reduce((a, b) => a + (b ?? 0), 0))}</td></tr>`)}</tbody></table><//>`
    : html`<div><canvas ref=${box} role="img" aria-label=${`Heatmap: ${panel.title}. ${rows.length} buckets.`} onMouseMove=${follow} onMouseLeave=${() => setOver(null)}></canvas></div>`}
    <button class="quiet small as-table" aria-pressed=${table} aria-label=${`${panel.title} as a table`} onClick=${() => setTable(!table)}>${table ? 'chart' : 'table'}</button>
    <figcaption class="note">${over ?? 'darker: more'}</figcaption></figure>`;
}
