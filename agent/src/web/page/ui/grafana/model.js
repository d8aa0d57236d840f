// A classic Grafana dashboard as rows of panels: old forms read as the new ones, repeats unfolded.
import { needs } from './expressions.js';
import { chosen, interpolate } from './text.js';

const OLD_TYPES = { graph: 'timeseries', singlestat: 'stat', 'grafana-piechart-panel': 'piechart', 'table-old': 'table', 'grafana-singlestat-panel': 'stat', grafana_heatmap: 'heatmap', 'natel-discrete-panel': 'state-timeline', barchart: 'barchart' };

/** What is hidden is only asked for when an expression needs it. */
function asked(targets) {
  const wanted = new Set(targets.filter((one) => one.datasource?.uid === '__expr__' || one.datasource === '__expr__' || one.datasource?.type === '__expr__').flatMap(needs));
  return targets.filter((one) => !one.hide || wanted.has(one.refId));
}

/** A panel of any age in the form of today: { type, fieldConfig, options, targets, … }. */
function modern(panel) {
  const type = OLD_TYPES[panel.type] ?? panel.type;
  const out = { ...panel, type, options: panel.options ?? {}, fieldConfig: panel.fieldConfig ?? { defaults: {}, overrides: [] }, targets: asked(panel.targets ?? []) };
  if (panel.type === 'graph') {
    const stacked = panel.stack ? { mode: panel.percentage ? 'percent' : 'normal', group: 'A' } : { mode: 'none' };
    out.fieldConfig = { defaults: {
      unit: panel.yaxes?.[0]?.format, min: asNumber(panel.yaxes?.[0]?.min), max: asNumber(panel.yaxes?.[0]?.max), decimals: panel.decimals,
      custom: { drawStyle: panel.bars && !panel.lines ? 'bars' : 'line', lineWidth: panel.linewidth ?? 1, fillOpacity: (panel.fill ?? 1) * 10, stacking: stacked, spanNulls: panel.nullPointMode === 'connected', lineInterpolation: panel.steppedLine ? 'stepAfter' : undefined },
    }, overrides: (panel.seriesOverrides ?? []).map((one) => exception(one, panel.yaxes?.[1]?.format)) };
    const shown = panel.legend ?? {};
    out.options = { legend: { showLegend: shown.show !== false, displayMode: shown.alignAsTable ? 'table' : 'list', placement: shown.rightSide ? 'right' : 'bottom', calcs: ['min', 'max', 'avg', 'current', 'total'].filter((c) => shown[c]) } };
  }
  if (panel.type === 'singlestat' && !panel.fieldConfig) {
    const limits = String(panel.thresholds ?? '').split(',').filter(Boolean).map(Number);
    const colours = panel.colors ?? ['green', 'orange', 'red'];
    out.fieldConfig = { defaults: {
      unit: panel.format, decimals: panel.decimals, noValue: panel.nullText || undefined,
      thresholds: { mode: 'absolute', steps: [null, ...limits].map((value, i) => ({ value, color: colours[i] ?? colours.at(-1) })) },
      mappings: (panel.valueMaps ?? []).map(({ value, text }) => ({ type: 'value', options: { [value]: { text } } })),
    }, overrides: [] };
    out.options = { reduceOptions: { calcs: [panel.valueName ?? 'avg'] }, colorMode: panel.colorBackground ? 'background' : panel.colorValue ? 'value' : 'none', graphMode: panel.sparkline?.show ? 'area' : 'none' };
    if (panel.gauge?.show) {
      out.type = 'gauge';
      Object.assign(out.fieldConfig.defaults, { min: panel.gauge.minValue, max: panel.gauge.maxValue });
    }
  }
  if (type === 'text' && panel.content !== undefined) out.options = { mode: panel.mode ?? 'markdown', content: panel.content };
  return out;
}

const asNumber = (text) => (text === null || text === undefined || text === '' || Number.isNaN(Number(text)) ? undefined : Number(text));

/** An old series override as a new one. */
function exception({ alias = '', ...rules }, rightUnit) {
  const inside = /^\/.*\/\w*$/.test(alias);
  const value = { yaxis: ['custom.axisPlacement', rules.yaxis === 2 ? 'right' : 'auto'], fill: ['custom.fillOpacity', (rules.fill ?? 0) * 10], color: ['color', { mode: 'fixed', fixedColor: rules.color }],
    transform: ['custom.transform', rules.transform], bars: ['custom.drawStyle', rules.bars ? 'bars' : 'line'], stack: ['custom.stacking', { mode: rules.stack ? 'normal' : 'none', group: 'A' }], linewidth: ['custom.lineWidth', rules.linewidth] };
  return { matcher: { id: inside ? 'byRegexp' : 'byName', options: alias }, properties: Object.keys(rules).filter((key) => value[key]).map((key) => ({ id: value[key][0], value: value[key][1] })).concat(rules.yaxis === 2 && rightUnit ? { id: 'unit', value: rightUnit } : []) };
}

/** The oldest form keeps panels in rows of twelfths; places them in the grid of twenty-four. */
function fromRows(rows) {
  const out = [];
  let y = 0;
  for (const row of rows) {
    const height = Math.max(4, Math.round((parseInt(row.height, 10) || 250) / 38));
    out.push({ type: 'row', title: row.showTitle === false ? '' : row.title, collapsed: Boolean(row.collapse), panels: [], gridPos: { x: 0, y, w: 24, h: 1 }, repeat: row.repeat });
    y += 1;
    let x = 0;
    const into = row.collapse ? out.at(-1).panels : out;
    for (const panel of row.panels ?? []) {
      const w = Math.min(24, (panel.span ?? 12) * 2);
      if (x + w > 24) [x, y] = [0, y + height];
      into.push({ ...panel, gridPos: { x, y, w, h: height } });
      x += w;
    }
    y += height;
  }
  return out;
}

/** Library panels that an export brought along, and queries that one panel takes from another, in their place. */
function resolved(board, panels) {
  const all = panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
  const one = (panel) => {
    const { model } = board.__elements?.[panel.libraryPanel?.uid] ?? {};
    const own = model ? { ...model, id: panel.id, gridPos: panel.gridPos, title: panel.title ?? model.title } : panel;
    const of = own.targets?.find((target) => target.panelId !== undefined)?.panelId;
    const other = of !== undefined && (own.datasource?.uid ?? own.datasource) === '-- Dashboard --' && all.find((other) => other.id === of);
    const taken = other ? { ...own, targets: other.targets, datasource: other.datasource } : own;
    return taken.panels ? { ...taken, panels: taken.panels.map(one) } : taken;
  };
  return panels.map(one);
}

/** [{ title, collapsed, panels }] of a dashboard, `variables` deciding what is repeated. A panel carries the `scoped` variables of its copy. */
export function layout(board, variables) {
  const flat = resolved(board, board.panels ?? fromRows(board.rows ?? []));
  const rows = [{ title: '', key: 'top', collapsed: false, panels: [] }];
  const place = (panel) => panel.gridPos ?? { x: 0, y: 0, w: 12, h: 8 };
  const sorted = [...flat].sort((a, b) => place(a).y - place(b).y || place(a).x - place(b).x);
  for (const panel of sorted) {
    if (panel.type === 'row') rows.push({ title: panel.title, key: `row${panel.id ?? rows.length}`, collapsed: Boolean(panel.collapsed), panels: panel.panels ?? [], repeat: panel.repeat });
    else rows.at(-1).panels = [...rows.at(-1).panels, panel];
  }
  return rows.flatMap((row) => copies(row.repeat, variables).map(([scoped, value], i) => ({
    ...row, key: `${row.key}${value ?? ''}`, title: interpolate(row.title ?? '', { variables: scoped }), repeatIndex: i, panels: unfold(row.panels, scoped),
  }))).filter((row) => row.panels.length || row.title);
}

/** [[variables, value]] for each choice of the variable that something repeats by; once, unchanged, when it repeats by none. */
function copies(name, variables) {
  const variable = name && variables.find((one) => one.name === name);
  if (!variable) return [[variables, null]];
  const values = chosen(variable).slice(0, 50);
  return (values.length ? values : ['']).map((value) => [variables.map((one) => (one === variable ? { ...one, value, text: value, multi: false, includeAll: false } : one)), value]);
}

/** Panels in place, copies beside or below one another, y counted from the row's own top. */
function unfold(panels, variables) {
  const top = Math.min(...panels.map((panel) => panel.gridPos?.y ?? 0));
  const out = [];
  let shift = 0;
  for (const raw of panels) {
    const panel = modern(raw);
    const { x = 0, y = 0, w = 12, h = 8 } = panel.gridPos ?? {};
    const list = copies(panel.repeat, variables);
    const across = panel.repeatDirection !== 'v';
    const most = Math.min(panel.maxPerRow ?? 4, 24);
    const width = across && list.length > 1 ? Math.max(Math.floor(24 / Math.min(list.length, most)), 24 / most) : w;
    list.forEach(([scoped, value], i) => {
      const perRow = across ? Math.max(1, Math.floor(24 / width)) : 1;
      const down = Math.floor(i / perRow);
      out.push({ ...panel, key: `${panel.id ?? panel.title}${value ?? ''}-${out.length}`, scoped,
        at: { x: list.length > 1 && across ? (i % perRow) * width : x, y: y - top + shift + down * h, w: width, h } });
      if (i === list.length - 1) shift += down * h;
    });
  }
  return out;
}
