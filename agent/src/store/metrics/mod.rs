//! The store of metrics: series by labels, samples in memory and on disk, for as long as the settings say.
//!
//! Two hours live in memory, packed, beside a log from which a killed agent reads them back. Each window is then
//! sealed into a block of samples and one of five-minute roll-ups; blocks are joined by day, and dropped by age and size.

mod bits;
mod block;
mod chunk;
mod codec;
mod disk;
mod events;
mod exemplars;
pub mod exposition;
pub mod glob;
mod head;
pub mod labels;
mod maintain;
pub mod matcher;
mod metadata;
mod native;
mod open;
mod read;
mod rollup;
mod rounds;
pub mod settings;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod wal;
mod write;
mod written;

pub(crate) use events::{samples_dropped, write_answered};
pub use exemplars::Exemplar;
pub use glob::glob_to_selector;
pub use maintain::Stats;
pub use metadata::Metadatum;
pub use open::OpenError;
pub use settings::Settings;
pub use store::{NativeWalk, Store, Walk};
pub use write::{Refusal, Refused, Taken, WrittenSeries};
