// Node's OpenTelemetry SDK against a running agent, over gRPC and HTTP, in protobuf and JSON.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { SpanKind, SpanStatusCode, context, trace as api } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { AggregationTemporalityPreference } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { OTLPTraceExporter as GrpcSpans } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as HttpSpans } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

import { records, sample, trace } from './agent.mjs';

const { AGENT_GRPC: grpc, AGENT_HTTP: http } = process.env;
const resource = (service) => resourceFromAttributes({ 'service.name': service, 'service.version': '4.5.6' });

for (const [name, exporter] of [
  ['node-grpc', new GrpcSpans({ url: grpc })],
  ['node-http', new HttpSpans({ url: `${http}/v1/traces` })],
]) {
  test(`traces by ${name}`, async () => {
    const provider = new NodeTracerProvider({
      resource: resource(name),
      spanProcessors: [new BatchSpanProcessor(exporter)],
    });
    const tracer = provider.getTracer('clients');
    const parent = tracer.startSpan('GET /kittens', { kind: SpanKind.SERVER });
    const within = api.setSpan(context.active(), parent);
    const child = tracer.startSpan('select', { kind: SpanKind.CLIENT, attributes: { 'peer.service': 'db', n: 7 } }, within);
    child.setStatus({ code: SpanStatusCode.ERROR });
    child.end();
    parent.end();
    await provider.forceFlush();
    await provider.shutdown();
    const { traceId, spanId } = parent.spanContext();
    const spans = await trace(traceId, 2);
    assert.equal(spans['GET /kittens'].id, spanId);
    assert.equal(spans['GET /kittens'].traceId, traceId);
    assert.equal(spans['GET /kittens'].localEndpoint.serviceName, name);
    assert.equal(spans.select.parentId, spanId);
    assert.equal(spans.select.remoteEndpoint.serviceName, 'db');
    assert.equal(spans.select.tags.n, '7');
    assert.equal(spans.select.tags['otel.status_code'], 'ERROR');
    assert.ok('error' in spans.select.tags);
  });
}

test('logs in JSON over HTTP', async () => {
  const exporter = new OTLPLogExporter({ url: `${http}/v1/logs` });
  const provider = new LoggerProvider({
    resource: resource('node-logs'),
    processors: [new SimpleLogRecordProcessor({ exporter })],
  });
  provider.getLogger('kittens').emit({
    severityNumber: SeverityNumber.ERROR,
    body: 'no fish',
    attributes: { 'exception.type': 'Hunger', 'http.response.status_code': 503 },
  });
  await provider.forceFlush();
  await provider.shutdown();
  const [record] = await records('service.name:node-logs', 1);
  const flat = JSON.stringify(record);
  assert.equal(record.message, 'no fish');
  for (const part of ['"error"', 'Hunger', '4.5.6', '503']) assert.ok(flat.includes(part), `${part} in ${flat}`);
  assert.equal(record.status, 503);
});

for (const [name, preference] of [
  ['node_cumulative', AggregationTemporalityPreference.CUMULATIVE],
  ['node_delta', AggregationTemporalityPreference.DELTA],
]) {
  test(`metrics ${name}`, async () => {
    const exporter = new OTLPMetricExporter({ url: `${http}/v1/metrics`, temporalityPreference: preference });
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
    const provider = new MeterProvider({ resource: resource(name), readers: [reader] });
    const meter = provider.getMeter('clients');
    const meals = meter.createCounter(`${name}.meals`);
    const wait = meter.createHistogram(`${name}.wait`, { unit: 's' });
    for (const n of [3, 4]) {
      meals.add(n, { kind: 'fish' });
      wait.record(n / 4);
      await provider.forceFlush();
    }
    await sample(`${name}_meals_total`, 7, 'kind="fish"');
    await sample(`${name}_wait_seconds_count`, 2);
    await sample(`${name}_wait_seconds_sum`, 1.75);
    await provider.shutdown();
  });
}
