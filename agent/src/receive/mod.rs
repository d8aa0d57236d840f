//! The shells that several lanes share: addresses, access, TLS, connections, HTTP and gRPC. They know no lane.

pub mod access;
pub mod address;
pub mod body;
pub mod events;
pub mod http;
pub mod listen;
pub mod otlp;
pub mod payloads;
pub mod settings;
pub mod sink;
pub mod stream;
pub mod tls;
