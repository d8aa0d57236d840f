//! The spans lane: OTLP and Zipkin in, Zipkin v2 JSON spans out to the queue.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::hooks::ExemplarHook;
use crate::receive::http;
use crate::receive::listen::{self, Door};
use crate::receive::sink::Sink;
use crate::receive::tls::Certificates;

pub mod intake;
pub mod otlp;
pub mod protobuf;
pub mod receive;
pub mod sample;
pub mod settings;
pub mod span;
pub mod zipkin;

pub use crate::receive::otlp::StartError;
pub use intake::Intake;
pub use settings::Settings;

/// The lane at work.
pub struct Handle {
    intake: Intake,
    open: Vec<(&'static str, SocketAddr)>,
    tasks: Vec<JoinHandle<()>>,
}

impl Handle {
    /// The entrance; the OTLP receivers take it as `otlp::Traces(handle.intake())`.
    pub fn intake(&self) -> Intake {
        self.intake.clone()
    }

    /// Where it listens: `http` and the address, if it is open.
    pub fn open(&self) -> &[(&'static str, SocketAddr)] {
        &self.open
    }

    /// Waits until the requests under way are answered, at most `deadline`. That begins when the `stop` given to
    /// [`start`] turns true.
    pub async fn stopped(self, deadline: Duration) {
        if !listen::joined(self.tasks, deadline).await {
            tracing::warn!("zipkin connections were still open at the deadline");
        }
    }
}

/// Starts the Zipkin receiver; OTLP is served by [`crate::receive::otlp`].
pub async fn start(
    settings: &Settings,
    exemplar: Option<ExemplarHook>,
    sink: Arc<dyn Sink>,
    stop: watch::Receiver<bool>,
) -> Result<Handle, StartError> {
    let intake = Intake::new(settings.sampling.clone(), exemplar, sink);
    let (mut open, mut tasks) = (Vec::new(), Vec::new());
    let zipkin = &settings.zipkin;
    if let Some(listener) = listen::bind(&zipkin.listen, "spans.zipkin.listen").await? {
        open.extend(listener.local_addr().ok().map(|at| ("http", at)));
        let door = Door {
            receiver: "zipkin",
            listener,
            access: Arc::new(zipkin.access.clone()),
            limits: zipkin.limits.clone(),
            tls: Certificates::read(&zipkin.tls, "spans.zipkin.tls", &[b"h2", b"http/1.1"])?,
        };
        tasks.push(http::serve(door, receive::router(intake.clone(), zipkin.limits.clone()), stop));
    }
    Ok(Handle { intake, open, tasks })
}
