//! A dashboard: rows of panels, the variables that filter them, and the links to the others.

use super::panel::Panel;

/// A filter at the top of a dashboard.
#[derive(Debug, Clone)]
pub enum Variable {
    /// Values of `label` on `metric`; several may be chosen, or all.
    Label { name: &'static str, label: &'static str, series: String },
    /// Free text.
    Text { name: &'static str, title: &'static str, value: &'static str },
    /// An address that links use; hidden.
    Address { name: &'static str, value: &'static str },
}

/// A dashboard. Its uid is also its file's name and must never change: links, bookmarks and alerts hold it.
#[derive(Debug, Clone)]
pub struct Board {
    pub(super) uid: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) variables: Vec<Variable>,
    pub(super) rows: Vec<(String, Vec<Panel>)>,
    pub(super) from: &'static str,
    pub(super) refresh: &'static str,
}

impl Board {
    /// An empty dashboard over the last hour.
    pub fn new(uid: &'static str, title: &'static str, description: &'static str) -> Self {
        Board {
            uid,
            title,
            description,
            variables: Vec::new(),
            rows: Vec::new(),
            from: "now-1h",
            refresh: "30s",
        }
    }

    /// The file's name without its folder.
    pub fn file(&self) -> String {
        format!("{}.json", self.uid.trim_start_matches("sightline-"))
    }

    /// Adds a filter.
    pub fn variable(mut self, variable: Variable) -> Self {
        self.variables.push(variable);
        self
    }

    /// Adds a row of panels; a row without a title has no heading.
    pub fn row(mut self, title: &str, panels: Vec<Panel>) -> Self {
        self.rows.push((title.to_owned(), panels));
        self
    }

    /// What is shown at first, such as `now-24h`, and how often it is asked again.
    pub fn range(mut self, from: &'static str, refresh: &'static str) -> Self {
        (self.from, self.refresh) = (from, refresh);
        self
    }
}
