//! Grafana's dashboards as types: what a panel shows and why, without the JSON around it.
//!
//! Only the panel types that our own page can draw too are offered, since it renders the same files.

mod board;
mod panel;
mod render;

pub use board::{Board, Variable};
pub use panel::{Kind, Panel, Query, Step, Unit};
