// The dashboards' pure core, without a browser: variables and macros in text, units, transformations, layout.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

const ui = pathToFileURL(`${process.env.SIGHTLINE_UI}/`);
const [{ interpolate, macros }, { unit }, { transform }, { layout }, { calc }, { byThreshold, configure, home, shown }, { table, series }, { align, shares, stack }, { compute, items, needs }, { lines, quantile }] = await Promise.all(
  ['grafana/text.js', 'grafana/units.js', 'grafana/transform.js', 'grafana/model.js', 'grafana/calcs.js', 'grafana/field.js', 'grafana/frames.js', 'parts/plot.js', 'grafana/expressions.js', 'native.js'].map((name) => import(new URL(name, ui))),
);

const variable = (name, value, more = {}) => ({ name, value, text: value, options: [{ value: 'a.b' }, { value: 'c"d' }], multi: true, includeAll: true, ...more });
const scope = { variables: [variable('one', ['a.b']), variable('many', ['a.b', 'c"d']), variable('all', ['$__all']), variable('raw', 'x/y', { multi: false, includeAll: false }), variable('own', ['$__all'], { allValue: '.+' })], macros: macros({ from: 0, to: 3600000, fromText: 'now-1h', toText: 'now', step: 15 }) };

test('variables are written as the language needs them', () => {
  for (const [text, language, expected] of [
    ['x{a=~"$one"}', 'promql', 'x{a=~"a\\\\.b"}'],
    ['x{a=~"[[many]]"}', 'promql', 'x{a=~"(a\\\\.b|c"d)"}'],
    ['x{a=~"$all"}', 'promql', 'x{a=~"(a\\\\.b|c"d)"}'],
    ['x{a=~"$own"}', 'promql', 'x{a=~".+"}'],
    ['x{a="$raw"}', 'promql', 'x{a="x/y"}'],
    ['service:$many', 'lucene', 'service:("a.b" OR "c\\"d")'],
    ['service:$one', 'lucene', 'service:"a.b"'],
    ['${many:csv} ${many:pipe} ${many:json}', '', 'a.b,c"d a.b|c"d ["a.b","c\\"d"]'],
    ['${raw:percentencode}', '', 'x%2Fy'],
    ['/d/x?${many:queryparam}', '', '/d/x?var-many=a.b&var-many=c%22d'],
    ['$unknown ${unknown} $1', '', '$unknown ${unknown} $1'],
    ['[$__rate_interval] $__interval $__range ${__from:date:iso}', '', '[40s] 15s 3600s 1970-01-01T00:00:00.000Z'],
    ['?${__url_time_range}', '', '?from=now-1h&to=now'],
  ]) assert.equal(interpolate(text, scope, language), expected);
});

test('links see the value, its labels and its row', () => {
  const data = { name: 'n', labels: { segment: 'bang' }, value: 2, text: '2 s', row: [['Trace', 'abc'], ['Status', 500]] };
  assert.equal(interpolate('${__field.labels.segment} ${__value.raw} ${__data.fields["Trace"]} ${__data.fields.Status} ${__data.fields[0]} ${__series.name}', { ...scope, data }), 'bang 2 abc 500 abc n');
  assert.deepEqual(home('http://z:9411/zipkin/traces/abc').url, '/traces/abc');
  assert.match(home("http://k/app/discover#/?_g=(time:(from:'1970-01-01T00:00:00Z',to:'1970-01-01T01:00:00Z'))&_a=(query:(language:lucene,query:'a:\"b\"'))").url, /^\/logs\?q=a%3A%22b%22&from=0&to=3600000/);
  assert.equal(home('javascript:alert(1)').url, '#');
});

test('a native histogram is drawn as its quantiles', () => {
  const buckets = [[3, '-0.001', '0.001', '2'], [0, '1', '2', '4'], [0, '4', '8', '4']];
  assert.deepEqual([0, 0.4, 0.9, 1].map((q) => Number(quantile(q, buckets).toFixed(6))), [-0.001, 1.414214, 6.727171, 8]);
  assert.equal(quantile(0.5, undefined), null);
  const found = lines([
    { metric: { a: '1' }, values: [[1, '2']], histograms: [[2, { count: '10', sum: '30', buckets }], [3, { count: '0', sum: '0' }]] },
    { metric: { a: '2' }, value: [5, 'NaN'] },
  ]);
  assert.deepEqual(found.map((one) => [one.metric.quantile, one.points.length]), [[undefined, 1], ['0.5', 1], ['0.9', 1], ['0.99', 1], [undefined, 1]]);
  assert.deepEqual(lines([{ metric: {}, histogram: [2, { count: '0', sum: '0' }] }]), []);
});

test('units', () => {
  for (const [id, value, expected] of [
    ['s', 0.0123, '12.3 ms'], ['s', 90, '1.5 min'], ['ms', 1500, '1.5 s'], ['bytes', 1536, '1.5 KiB'], ['decbytes', 1500, '1.5 kB'], ['percentunit', 0.123, '12.3 %'],
    ['percent', 70, '70 %'], ['reqps', 1234, '1.23 k req/s'], ['short', 1234567, '1.23 M'], ['none', 12345, '12345'], ['bps', 8e6, '8 Mb/s'], ['suffix: cats', 3, '3  cats'],
    ['strange', 3, '3 strange'], ['bool_yes_no', 1, 'Yes'], ['s', NaN, '–'], ['s', null, '–'],
  ]) assert.equal(unit(id)(value), expected, id);
  assert.equal(unit('percent')(3.14159, 1), '3.1 %');
});

test('thresholds, words for values, exceptions by name', () => {
  const config = { thresholds: { mode: 'absolute', steps: [{ color: 'green', value: null }, { color: 'red', value: 1e-9 }] } };
  assert.deepEqual([byThreshold(config, 0), byThreshold(config, 1)], ['green', 'red']);
  assert.equal(byThreshold({ min: 0, max: 10, thresholds: { mode: 'percentage', steps: [{ color: 'a', value: null }, { color: 'b', value: 50 }] } }, 6), 'b');
  const mappings = [{ type: 'value', options: { 1: { text: 'running', color: 'blue' } } }, { type: 'range', options: { from: 2, to: 5, result: { text: 'some' } } }, { type: 'special', options: { match: 'null', result: { text: 'none' } } }];
  assert.deepEqual([1, 3, null, 9].map((v) => shown({ mappings }, v).text), ['running', 'some', 'none', '9']);
  const panel = { fieldConfig: { defaults: { unit: 's' }, overrides: [{ matcher: { id: 'byRegexp', options: '/^er/' }, properties: [{ id: 'unit', value: 'percent' }, { id: 'custom.axisPlacement', value: 'right' }] }] } };
  const frame = series('errors', {}, [[0, 1]]);
  assert.deepEqual(((c) => [c.unit, c.custom.axisPlacement])(configure(panel, frame.fields[1], frame)), ['percent', 'right']);
});

test('transformations join, order and compute; an unknown one is named', () => {
  const [a, b] = [table([{ m: '/', 'Value #A': 40 }, { m: '/home', 'Value #A': 200 }], 'A'), table([{ m: '/home', 'Value #B': 60 }, { m: '/', 'Value #B': 12 }], 'B')];
  const { frames: [out], unknown } = transform([a, b], [{ id: 'merge' }, { id: 'organize', options: { renameByName: { 'Value #A': 'Size', 'Value #B': 'Free' }, indexByName: { 'Value #B': 0 } } },
    { id: 'calculateField', options: { mode: 'binary', alias: 'Used', binary: { left: 'Size', operator: '-', right: 'Free' } } }, { id: 'sortBy', options: { sort: [{ field: 'Used', desc: true }] } }, { id: 'wonder' }]);
  assert.deepEqual(out.fields.map((f) => [f.name, f.values]), [['Free', [60, 12]], ['m', ['/home', '/']], ['Size', [200, 40]], ['Used', [140, 28]]]);
  assert.deepEqual(unknown, ['wonder']);
  const [reduced] = transform([series('x', { host: 'h' }, [[0, 1], [1, 5]])], [{ id: 'reduce', options: { reducers: ['max', 'mean'] } }]).frames;
  assert.deepEqual(reduced.fields.map((f) => f.values), [['x'], [5], [3]]);
  assert.deepEqual(['mean', 'current', 'p50', 'delta', 'range'].map((name) => calc(name, [1, null, 3, 2])), [2, 2, 2, 2, 2]);
});

test('rows, collapsed rows, repeats and the oldest form are laid out', () => {
  const variables = [variable('dev', ['$__all'])];
  const rows = layout({ panels: [
    { id: 1, type: 'graph', gridPos: { x: 0, y: 0, w: 12, h: 4 }, repeat: 'dev', title: 'x', yaxes: [{ format: 'bytes' }] },
    { id: 2, type: 'row', title: 'More $dev', collapsed: true, gridPos: { y: 4 }, panels: [{ id: 3, type: 'stat', gridPos: { x: 0, y: 5, w: 4, h: 4 } }] },
  ] }, variables);
  assert.deepEqual(rows[0].panels.map((p) => [p.type, p.at.x, p.at.w, p.scoped[0].value, p.fieldConfig.defaults.unit]), [['timeseries', 0, 12, 'a.b', 'bytes'], ['timeseries', 12, 12, 'c"d', 'bytes']]);
  assert.deepEqual([rows[1].collapsed, rows[1].panels[0].at.y], [true, 0]);
  const old = layout({ rows: [{ title: 'r', height: '250px', panels: [{ type: 'singlestat', span: 4, thresholds: '1,2', format: 's', gauge: { show: true } }, { type: 'graph', span: 8 }] }] }, []);
  assert.deepEqual(old[0].panels.map((p) => [p.type, p.at.x, p.at.w]), [['gauge', 0, 8], ['timeseries', 8, 16]]);
});

test('a missing sample is a gap, and stacks add up', () => {
  const data = align([{ points: [[0, 1], [10, 1], [40, 1]] }, { points: [[0, 2], [10, 2], [40, 2]] }]);
  assert.deepEqual(data, [[0, 10, 20, 40], [1, 1, null, 1], [2, 2, null, 2]]);
  const { data: sums, bands } = stack([[0, 1], [1, 2], [3, 4]], [{ stack: 'A' }, { stack: 'A' }]);
  assert.deepEqual([sums[2], bands], [[4, 6], [{ series: [2, 1] }]]);
});

test('expressions compute over what the other targets gave', () => {
  const given = new Map([
    ['A', items([series('a', { s: 'x' }, [[0, 1], [10, 4], [20, null]]), series('b', { s: 'y' }, [[0, 2], [10, 6], [20, 8]])])],
    ['B', items([series('x', { s: 'x', host: 'h' }, [[0, 2], [10, 8]])])],
    ['N', items([{ ...series('n', { s: 'y' }, [[20, 5]]), instant: true }])],
    ['T', items([table([{ s: 'x', Value: 7 }], 'T')])],
  ]);
  const math = (expression) => compute({ type: 'math', expression }, given, { from: 0, to: 20 });
  assert.deepEqual(math('$A / $B * 100'), [{ labels: { s: 'x', host: 'h' }, points: [[0, 50], [10, 50]] }]);
  assert.deepEqual(math('${A} - $N'), [{ labels: { s: 'y' }, points: [[0, -3], [10, 1], [20, 3]] }]);
  assert.deepEqual(math('$T + 1')[0], { labels: { s: 'x' }, value: 8 });
  for (const [text, value] of [['1 + 2 * 3', 7], ['-2 ** 2', -4], ['2 ** 3 ** 2', 512], ['(1 + 2) * 3 % 4', 1], ['!(3 > 2) || 1', 1], ['1 < 2 && 0', 0], ['abs(-3) + round(1.4)', 4], ['is_nan(nan())', 1], ['is_null(null)', 1], ['1.5e1', 15]]) {
    assert.deepEqual(math(text), [{ labels: {}, value }], text);
  }
  for (const [text, why] of [['$A +', /missing at the end/], ['(1', /expected \)/], ['$Z', /needs the target 'Z'/], ['sin(1)', /function 'sin' is not known/], ['1 2', /unexpected input at column/], ['1 # 2', /cannot be read/]]) assert.throws(() => math(text), why, text);
  const reduce = (reducer, mode) => compute({ type: 'reduce', expression: 'A', reducer, settings: { mode, replaceWithValue: 10 } }, given).map((one) => one.value);
  assert.deepEqual([reduce('sum'), reduce('sum', 'dropNN'), reduce('max', 'replaceNN'), reduce('count')], [[null, 16], [5, 16], [10, 8], [3, 3]]);
  assert.deepEqual(compute({ type: 'threshold', expression: '$N', conditions: [{ evaluator: { type: 'within_range', params: [4, 6] } }] }, given)[0].value, 1);
  assert.deepEqual(compute({ type: 'resample', expression: 'B', window: '5ms', downsampler: 'mean', upsampler: 'pad' }, given, { from: 0, to: 10 })[0].points, [[0, 2], [5, 2], [10, 8]]);
  assert.throws(() => compute({ type: 'resample', expression: 'B', window: '' }, given, { from: 0, to: 10 }), /no window/);
  const when = (type, params) => ({ query: { params: ['A'] }, reducer: { type: 'max' }, evaluator: { type, params }, operator: { type: 'and' } });
  assert.deepEqual([compute({ type: 'classic_conditions', conditions: [when('gt', [7])] }, given)[0].value, compute({ type: 'classic_conditions', conditions: [when('gt', [7]), when('lt', [1])] }, given)[0].value], [1, 0]);
  assert.deepEqual([needs({ type: 'math', expression: '$A + ${B} + $A' }), needs({ type: 'reduce', expression: '$A' }), needs({ type: 'threshold', expression: 'C' })], [['A', 'B'], ['A'], ['C']]);
});

test('hidden targets stay for expressions; shared queries and library panels are put in their place', () => {
  const [{ panels }] = layout({ __elements: { lib: { model: { type: 'stat', title: 'from the library', targets: [{ refId: 'A', expr: 'up' }] } } }, panels: [
    { id: 1, type: 'timeseries', title: 'one', gridPos: { x: 0, y: 0, w: 8, h: 4 }, targets: [{ refId: 'A', expr: 'a', hide: true }, { refId: 'B', expr: 'b', hide: true }, { refId: 'C', datasource: { uid: '__expr__' }, type: 'math', expression: '$A * 2' }] },
    { id: 2, type: 'stat', title: 'two', gridPos: { x: 8, y: 0, w: 8, h: 4 }, datasource: { uid: '-- Dashboard --' }, targets: [{ refId: 'A', panelId: 1 }] },
    { id: 3, title: 'three', gridPos: { x: 16, y: 0, w: 8, h: 4 }, libraryPanel: { uid: 'lib' } },
  ] }, []);
  assert.deepEqual(panels.map((one) => [one.type, one.title, one.targets.map((target) => target.refId).join('')]), [['timeseries', 'one', 'AC'], ['stat', 'two', 'AC'], ['stat', 'three', 'A']]);
});

test('shares of a stack, automatic intervals, exceptions by value', () => {
  assert.deepEqual(shares([[0, 1], [1, 0], [3, 0]], [{ stack: 'A', percent: true }, { stack: 'A', percent: true }]), [[0, 1], [0.25, 0], [0.75, 0]]);
  assert.equal(interpolate('[$step]', { ...scope, variables: [{ name: 'step', value: '$__auto_interval_step' }] }), '[15s]');
  const panel = { fieldConfig: { defaults: {}, overrides: [{ matcher: { id: 'byValue', options: { reducer: 'allIsZero', op: '>=', value: 1 } }, properties: [{ id: 'custom.hideFrom', value: { viz: true } }] }] } };
  const hidden = (points) => Boolean(configure(panel, series('x', {}, points).fields[1]).custom.hideFrom?.viz);
  assert.deepEqual([hidden([[0, 0], [1, 0]]), hidden([[0, 0], [1, 2]])], [true, false]);
});

test('more transformations: types, matrices, rows to fields, partitions, running sums', () => {
  const of = (rows, ...steps) => transform([table(rows)], steps).frames.map((frame) => frame.fields.map((f) => [f.name, f.values]));
  assert.deepEqual(of([{ a: '4' }, { a: 'x' }], { id: 'convertFieldType', options: { conversions: [{ targetField: 'a', destinationType: 'number' }] } }), [[['a', [4, null]]]]);
  assert.deepEqual(of([{ r: 'x', c: 'p', v: 1 }, { r: 'y', c: 'p', v: 2 }, { r: 'x', c: 'q', v: 3 }], { id: 'groupingToMatrix', options: { columnField: 'c', rowField: 'r', valueField: 'v' } }), [[['r\\c', ['x', 'y']], ['p', [1, 2]], ['q', [3, null]]]]);
  assert.deepEqual(of([{ n: 'up', v: 1 }, { n: 'down', v: 2 }], { id: 'rowsToFields' }), [[['up', [1]], ['down', [2]]]]);
  assert.deepEqual(of([{ h: 'a', v: 1 }, { h: 'b', v: 2 }], { id: 'partitionByValues', options: { fields: ['h'] } }), [[['v', [1]]], [['v', [2]]]]);
  assert.deepEqual(of([{ v: 1 }, { v: 2 }], { id: 'calculateField', options: { mode: 'cumulativeFunctions', cumulative: { field: 'v', reducer: 'sum' }, alias: 'so far' } })[0][1], ['so far', [1, 3]]);
});

test('dotted names are queries, and PromQL stays what it is', async () => {
  const { dotted } = await import(new URL('names.js', ui));
  for (const [text, expected] of [
    ['kittens.handlers.list.called', 'sum (rate(instrument_calls_total{service="kittens",group="handlers",segment="list"}[1m]))'],
    ['*.handlers.*.timing', 'histogram_quantile(0.99, sum by (service, segment, le) (rate(instrument_timing_seconds_bucket{group="handlers"}[1m])))'],
    ['prod.web?1.kittens.mysql.sel*.failed', 'sum by (host, segment) (rate(instrument_outcomes_total{environment="prod",host=~"web.1",service="kittens",group="mysql",segment=~"sel.*",outcome="failed"}[1m])) or max by (host, segment) (instrument_gauge{environment="prod",host=~"web.1",service="kittens",group="mysql",segment=~"sel.*",measure="failed"})'],
    ['kittenserver.helloworld.success', 'kittenserver_helloworld_success'],
    ['kittenserver.*', '{__name__=~"kittenserver_.*"}'],
    ['1.5', null], ['up', null], ['rate(x[1m])', null], ['a.b + c.d', null], ['x{a="b.c"}', null],
  ]) assert.equal(dotted(text, '1m'), expected, text);
});
