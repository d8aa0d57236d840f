//! Puts the crate's layers under `tracing` and `log`, and people's text on standard error for development.

use crate::instrument::Instrument;
use crate::logs::layer::LogLayer;
use std::io::Write;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{Registry, registry::LookupSpan};

/// All that the crate wants to hear of `tracing`: events as records, spans for OpenTelemetry, and the console.
pub(crate) fn layers<S>(instrument: &Instrument) -> impl Layer<S> + Send + Sync
where
    S: tracing_core::Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
{
    let console = instrument
        .settings()
        .console
        .then(|| tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(true).compact());
    Layer::and_then(Layer::and_then(bridge::<S>(instrument), console), LogLayer::new(instrument.clone()))
}

#[cfg(feature = "otlp")]
fn bridge<S>(instrument: &Instrument) -> Option<impl Layer<S> + use<S>>
where
    S: tracing_core::Subscriber + for<'s> LookupSpan<'s>,
{
    let layer = || crate::traces::bridge::layer(instrument.settings(), &instrument.0.spans);
    instrument.0.spans.open.then(|| spans_only::SpansOnly(layer()))
}

#[cfg(not(feature = "otlp"))]
#[expect(clippy::extra_unused_type_parameters, reason = "the other form needs it")]
fn bridge<S>(_: &Instrument) -> Option<tracing_subscriber::layer::Identity> {
    None
}

/// Sets the process's subscriber and the bridge from `log`. An error means that there is one already.
pub(crate) fn install(instrument: &Instrument) -> Result<(), ()> {
    let subscriber = Registry::default().with(layers(instrument));
    tracing::subscriber::set_global_default(subscriber).map_err(|_| ())?;
    // A logger that is set already keeps its records to itself; that is for the service to choose.
    let _ = tracing_log::LogTracer::init();
    Ok(())
}

/// A line for whoever watches the service start.
pub(crate) fn to_console(text: &str) {
    let _ = writeln!(std::io::stderr(), "sightline: {text}");
}

#[cfg(feature = "otlp")]
mod spans_only {
    //! tracing-opentelemetry without events: those are log records here, joined to the span by its ids.

    use std::any::TypeId;
    use tracing_core::span::{Attributes, Id, Record};
    use tracing_core::{Dispatch, Subscriber};
    use tracing_subscriber::layer::{Context, Layer};

    pub(super) struct SpansOnly<L>(pub(super) L);

    impl<S: Subscriber, L: Layer<S>> Layer<S> for SpansOnly<L> {
        fn on_register_dispatch(&self, subscriber: &Dispatch) {
            self.0.on_register_dispatch(subscriber);
        }

        fn on_layer(&mut self, subscriber: &mut S) {
            self.0.on_layer(subscriber);
        }

        fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
            let _below = crate::traces::bridge::parent().map(opentelemetry::Context::attach);
            self.0.on_new_span(attributes, id, context);
        }

        fn on_record(&self, span: &Id, values: &Record<'_>, context: Context<'_, S>) {
            self.0.on_record(span, values, context);
        }

        fn on_follows_from(&self, span: &Id, follows: &Id, context: Context<'_, S>) {
            self.0.on_follows_from(span, follows, context);
        }

        fn on_enter(&self, id: &Id, context: Context<'_, S>) {
            self.0.on_enter(id, context);
            crate::current::span_entered(true);
        }

        fn on_exit(&self, id: &Id, context: Context<'_, S>) {
            self.0.on_exit(id, context);
            crate::current::span_entered(false);
        }

        fn on_close(&self, id: Id, context: Context<'_, S>) {
            self.0.on_close(id, context);
        }

        #[allow(unsafe_code)]
        // SAFETY: whoever asks for tracing-opentelemetry's layer gets it; the pointer lives as long as `self`.
        unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
            unsafe { self.0.downcast_raw(id) }
        }
    }
}
