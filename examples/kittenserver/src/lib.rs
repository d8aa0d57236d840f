//! kittenserver.
