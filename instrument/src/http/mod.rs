//! HTTP: the layer that watches each request, from its head to the end of its answer's body.

pub(crate) mod access;
pub(crate) mod body;
pub(crate) mod compact;
pub(crate) mod connections;
pub(crate) mod heads;
pub(crate) mod layer;
pub(crate) mod method;
pub(crate) mod redact;
pub(crate) mod source;
