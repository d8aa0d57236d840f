// Lines, bars and points over time; also bar charts whose x is a time.
import { html, useMemo, useState } from '../../vendor/preact.js';
import { Chart } from '../../parts/chart.js';
import { NAMES, calc } from '../calcs.js';
import { displayName, numbersOf, timeOf } from '../frames.js';
import { colour, links, seriesColour } from '../field.js';
import { unit } from '../units.js';
import { Menu } from './menu.js';

/** Frames as the chart's series. */
export function lines(frames, options = {}) {
  const out = [];
  for (const frame of frames) {
    const time = timeOf(frame);
    if (!time) continue;
    for (const field of numbersOf(frame)) {
      const { config } = field;
      const custom = config.custom ?? {};
      const hidden = custom.hideFrom?.viz;
      if (hidden) continue;
      const points = time.values.map((t, i) => [t / 1000, field.values[i]]);
      const stacked = custom.stacking?.mode && custom.stacking.mode !== 'none';
      out.push({
        label: displayName(field, frame), field, frame, points, colour: seriesColour(config, out.length, calc('lastNotNull', field.values)),
        draw: custom.drawStyle ?? 'line', fill: custom.drawStyle === 'bars' ? Math.max(custom.fillOpacity ?? 70, 50) : custom.fillOpacity ?? 0, width: custom.lineWidth ?? 1.5,
        stack: stacked ? custom.stacking.group || 'A' : undefined, percent: stacked && custom.stacking.mode === 'percent', negative: custom.transform === 'negative-Y', axis: custom.axisPlacement === 'right' ? 'right' : undefined, axisLabel: custom.axisLabel || undefined, bare: custom.axisPlacement === 'hidden',
        binary: /^(bytes|kbytes|mbytes|gbytes|binBps|KiBs|MiBs)$/.test(config.unit ?? ''), unit: stacked && custom.stacking.mode === 'percent' ? (v) => unit('percentunit')(v) : (v) => unit(config.unit)(v, config.decimals ?? undefined), dash: custom.lineStyle?.fill === 'dash' ? custom.lineStyle.dash ?? [8, 6] : undefined,
        spanGaps: custom.spanNulls === true || custom.spanNulls > 0, curve: custom.lineInterpolation, quiet: custom.hideFrom?.legend,
      });
    }
  }
  if (options.legend?.sortBy) out.sort((a, b) => ((calc(sortCalc(options), a.points.map(([, v]) => v)) ?? 0) - (calc(sortCalc(options), b.points.map(([, v]) => v)) ?? 0)) * (options.legend.sortDesc ? -1 : 1));
  return out;
}

const sortCalc = ({ legend }) => Object.keys(NAMES).find((key) => NAMES[key] === legend.sortBy) ?? legend.sortBy.toLowerCase();

/** Lines and areas of the thresholds, if they are to be drawn: [{ value, colour, line, area: up to where }]. */
function thresholds(config) {
  const mode = config.custom?.thresholdsStyle?.mode ?? 'off';
  if (mode === 'off' || config.thresholds?.mode === 'percentage') return [];
  const steps = config.thresholds?.steps ?? [];
  return steps.map((step, i) => ({ value: step.value ?? -Infinity, colour: colour(step.color), line: /line|dashed/.test(mode) && step.value !== null && step.value !== undefined,
    area: /area/.test(mode) ? steps[i + 1]?.value ?? Infinity : undefined }));
}

/** The ends that an axis must have, and those that it should at least reach: { min, max, softMin, softMax }. */
function ends(series) {
  const configs = series.map((one) => one.field.config);
  const first = (pick) => configs.map(pick).find((v) => v !== undefined && v !== null && v !== '');
  return { min: first((c) => c.min), max: first((c) => c.max), softMin: first((c) => c.custom?.axisSoftMin), softMax: first((c) => c.custom?.axisSoftMax) };
}

export function TimeSeries({ panel, frames, dots, scope, marks, height, sync }) {
  const [picked, setPicked] = useState(null);
  const series = useMemo(() => lines(frames, panel.options), [frames]);
  const defaults = series[0]?.field.config ?? panel.fieldConfig?.defaults ?? {};
  const limits = useMemo(() => thresholds(defaults), [frames]);
  const edges = useMemo(() => ['left', 'right'].map((side) => ends(series.filter((one) => (one.axis ?? 'left') === side))), [series]);
  const { legend = {} } = panel.options;
  const asRows = legend.displayMode === 'table' || legend.calcs?.length;
  const columns = asRows ? (legend.calcs?.length ? legend.calcs : []).map((name) => ({ name: NAMES[name] ?? name, of: (values) => calc(name, values) })) : true;
  const shown = legend.showLegend !== false && legend.displayMode !== 'hidden';
  const rows = series.filter((one) => !one.quiet).length;
  const room = shown && rows > 1 ? (asRows ? Math.min(rows * 26 + 24, height * 0.4) : Math.min(Math.ceil(rows / 4) * 24, 52)) : 0;
  const follow = series.some((one) => one.field.config.links?.length);
  const pick = (one, value, time) => setPicked(links(one.field.config, scope, { name: one.label, labels: one.field.labels, value, text: one.unit(value), time }));
  return html`<${Chart} series=${series} label=${panel.title || 'series'} height=${Math.max(80, height - room)} legendRoom=${room} legend=${shown && (columns.length === 0 ? true : columns)}
      unit=${(v) => unit(defaults.unit)(v, defaults.decimals ?? undefined)} from=${scope.from} to=${scope.to} edges=${edges}
      log=${defaults.custom?.scaleDistribution?.type === 'log'} limits=${limits} marks=${marks} dots=${dots} sync=${sync} onPick=${follow ? pick : undefined} />
    ${follow && html`<${Menu} items=${picked} close=${() => setPicked(null)} />`}`;
}
