//! `sightline dlq list|show|replay|drop`: text for a person, or JSON lines for a program.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

use clap::{Args as ClapArgs, Subcommand};

use super::{Choice, DeadLetters, Letter, Settings};
use crate::logs::envelope::Envelope;

/// Records that a back end refused for good
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One line for each dead letter, oldest first
    List {
        #[command(flatten)]
        choice: Chosen,
        /// JSON lines
        #[arg(long)]
        json: bool,
    },
    /// One dead letter whole: reason, place and record
    Show {
        /// Its number, as `list` shows it
        number: u64,
    },
    /// Send dead letters another time; a running agent takes them within a second, another at its start
    Replay {
        #[command(flatten)]
        choice: Chosen,
    },
    /// Remove dead letters for good
    Drop {
        #[command(flatten)]
        choice: Chosen,
    },
}

#[derive(Debug, ClapArgs)]
struct Chosen {
    /// These letters only
    numbers: Vec<u64>,
    /// All letters
    #[arg(long, conflicts_with = "numbers")]
    all: bool,
    /// Letters of this lane only: logs or spans
    #[arg(long)]
    lane: Option<String>,
    /// Letters whose reason holds this text only
    #[arg(long)]
    reason: Option<String>,
}

impl Chosen {
    fn choice(&self) -> Choice {
        let numbers: BTreeSet<u64> = self.numbers.iter().copied().collect();
        Choice { numbers, lane: self.lane.clone(), reason: self.reason.clone() }
    }

    /// A command that changes something wants to be told what.
    fn explicit(&self) -> io::Result<Choice> {
        if self.numbers.is_empty() && !self.all && self.lane.is_none() && self.reason.is_none() {
            let message = "say which letters: numbers, --lane, --reason, or --all";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(self.choice())
    }
}

/// Runs the command on the dead letters in `dir` and writes what it has to say to `out`. What it returns is for a person only:
/// that there is nothing to list.
pub fn main(
    args: &Args,
    dir: &Path,
    settings: &Settings,
    out: &mut dyn Write,
) -> io::Result<Option<&'static str>> {
    if matches!(args.command, Command::List { .. }) && !dir.exists() {
        return Ok(Some("no dead letters"));
    }
    let letters = DeadLetters::open(dir, settings)?;
    let mut listed = true;
    match &args.command {
        Command::List { choice, json } => {
            let choice = choice.choice();
            listed = false;
            for letter in letters.list()?.iter().filter(|letter| choice.takes(letter)) {
                listed = true;
                if *json {
                    serde_json::to_writer(&mut *out, letter)?;
                    writeln!(out)?;
                } else {
                    let Letter { number, time, lane, exporter, reason, .. } = letter;
                    // Some back ends explain themselves over several lines.
                    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
                    writeln!(out, "{number}  {time}  {lane}  {exporter}  {}  {reason}", place(letter))?;
                }
            }
        }
        Command::Show { number } => {
            let all = letters.list()?;
            let letter = all.iter().find(|letter| letter.number == *number).ok_or_else(|| {
                let message = format!("there is no dead letter {number}; see `sightline dlq list`");
                io::Error::new(io::ErrorKind::NotFound, message)
            })?;
            show(letter, out)?;
        }
        Command::Replay { choice } => {
            let count = letters.request_replay(&choice.explicit()?)?;
            let letters = if count == 1 { "letter is on its" } else { "letters are on their" };
            writeln!(out, "{count} dead {letters} way back to the queue")?;
        }
        Command::Drop { choice } => {
            let count = letters.drop_letters(&choice.explicit()?)?;
            writeln!(out, "{count} dead {} removed", if count == 1 { "letter" } else { "letters" })?;
        }
    }
    Ok((!listed).then_some("no such dead letters"))
}

/// Where a record was going: a log's data stream, or nothing to say.
fn place(letter: &Letter) -> &str {
    match letter.lane.as_str() {
        "logs" => Envelope::decode(&letter.payload).map_or("-", |envelope| envelope.stream),
        _ => "-",
    }
}

fn show(letter: &Letter, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "number:   {}\ntime:     {}\nlane:     {}", letter.number, letter.time, letter.lane)?;
    writeln!(out, "exporter: {}\nreason:   {}", letter.exporter, letter.reason)?;
    let envelope = Envelope::decode(&letter.payload).filter(|_| letter.lane == "logs");
    if let Some(envelope) = &envelope {
        writeln!(out, "stream:   {}\nid:       {}", envelope.stream, envelope.id)?;
    }
    let record = envelope.map_or(letter.payload.as_slice(), |envelope| envelope.document);
    match serde_json::from_slice::<serde_json::Value>(record) {
        Ok(value) => writeln!(out, "record:\n{value:#}"),
        Err(_) => writeln!(out, "record (not JSON):\n{}", String::from_utf8_lossy(record)),
    }
}
