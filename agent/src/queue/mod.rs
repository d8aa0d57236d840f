//! The one queue: a segmented log on disk, the same for every exporter.
