//! What was done to each object, told as it happens, and what the whole amounts to.

use super::wait::GaveUp;

/// How it went with one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// It was as it should be.
    Unchanged,
    /// It was not there.
    Created,
    /// It was different.
    Updated,
    /// It is not as it should be, and why.
    Failed(String),
    /// The server cannot hold it, and that is allowed.
    Skipped(&'static str),
}

/// What the whole amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Everything is as it should be.
    Done,
    /// Something is not.
    Differs,
    /// A server was not there in time.
    Unavailable,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Report {
    entries: Vec<(String, Change)>,
    unavailable: bool,
}

impl Report {
    /// Tells and keeps what happened to `object`.
    pub(super) fn note(&mut self, object: impl Into<String>, change: Change) {
        let object = object.into();
        match &change {
            Change::Unchanged => say(&format!("unchanged  {object}")),
            Change::Created => say(&format!("created    {object}")),
            Change::Updated => say(&format!("updated    {object}")),
            Change::Skipped(why) => say(&format!("skipped    {object}: {why}")),
            Change::Failed(why) => say(&format!("FAILED     {object}: {why}")),
        }
        self.entries.push((object, change));
    }

    /// The server `what` was not there in time, or does not let us in.
    pub(super) fn gave_up(&mut self, what: &str, ended: GaveUp) {
        match ended {
            GaveUp::Late(why) => {
                say(&format!("FAILED     {why}"));
                self.unavailable = true;
            }
            GaveUp::Refused(why) => {
                say(&format!("FAILED     {why}"));
                self.entries.push((what.to_owned(), Change::Failed(why)));
            }
        }
    }

    /// Tells the sum.
    pub(super) fn close(&self) {
        let count = |f: fn(&Change) -> bool| self.entries.iter().filter(|(_, change)| f(change)).count();
        say(&format!(
            "{} created, {} updated, {} unchanged, {} skipped, {} failed",
            count(|c| *c == Change::Created),
            count(|c| *c == Change::Updated),
            count(|c| *c == Change::Unchanged),
            count(|c| matches!(c, Change::Skipped(_))),
            count(|c| matches!(c, Change::Failed(_))),
        ));
    }

    /// What the whole amounts to.
    pub(super) fn outcome(&self) -> Outcome {
        if self.unavailable {
            Outcome::Unavailable
        } else if self.entries.iter().any(|(_, change)| matches!(change, Change::Failed(_))) {
            Outcome::Differs
        } else {
            Outcome::Done
        }
    }

    /// What happened, in order.
    #[cfg(test)]
    pub(super) fn entries(&self) -> &[(String, Change)] {
        &self.entries
    }
}

#[allow(clippy::print_stdout, reason = "the command's own output")]
pub(super) fn say(text: &str) {
    println!("{text}");
}
