//! The spans lane: OTLP and Zipkin in, Zipkin v2 JSON spans out to the queue.
