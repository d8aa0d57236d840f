// Which component draws which type of panel. What is not here is framed and named.
import { TimeSeries } from './timeseries.js';
import { BarGauge, Gauge, Stat } from './stat.js';
import { Table } from './table.js';
import { Heatmap } from './heatmap.js';
import { States } from './states.js';
import { BarChart, Pie } from './pie.js';
import { Text } from './text.js';
import { Logs } from './logs.js';
import { Graph, Trace } from './trace.js';

/** Type → { draw, filled: whether the frames hold anything to draw (default: any value) }. */
export const PANELS = {
  timeseries: { draw: TimeSeries }, stat: { draw: Stat }, gauge: { draw: Gauge }, bargauge: { draw: BarGauge }, table: { draw: Table }, heatmap: { draw: Heatmap },
  'state-timeline': { draw: States }, 'status-history': { draw: States }, piechart: { draw: Pie }, barchart: { draw: BarChart }, text: { draw: Text, still: true },
  logs: { draw: Logs, filled: (frames) => frames.some((frame) => frame.hits?.length) },
  traces: { draw: Trace, filled: (frames) => frames.some((frame) => frame.spans) },
  nodeGraph: { draw: Graph, filled: (frames) => frames.some((frame) => frame.links?.length) },
};
