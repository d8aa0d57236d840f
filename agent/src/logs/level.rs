//! Severities in every spelling, brought to the five words of `log.level`.

/// The scale that a number is of; the key that carries it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// pino and bunyan: 10 trace … 60 fatal. Below 8 it is read as syslog (GELF uses `level` so).
    Pino,
    /// Python's logging: 10 debug, 20 info, 30 warning, 40 error, 50 critical.
    Python,
    /// logback: 5000 trace, 10000 debug, 20000 info, 30000 warn, 40000 error.
    Logback,
    /// syslog: 0 emergency … 7 debug.
    Syslog,
    /// OpenTelemetry: 1–4 trace, 5–8 debug, 9–12 info, 13–16 warn, 17–24 error and fatal.
    Otel,
}

/// A word in any spelling: `WARN`, `Warning`, `I`, `INFO+2` (Go), `Information` (.NET), `crit`, …
pub fn word(text: &[u8]) -> Option<&'static str> {
    // The usual ones without any work.
    match text {
        b"info" | b"INFO" => return Some("info"),
        b"error" | b"ERROR" => return Some("error"),
        b"warn" | b"WARN" | b"WARNING" => return Some("warn"),
        b"debug" | b"DEBUG" => return Some("debug"),
        b"trace" | b"TRACE" => return Some("trace"),
        _ => {}
    }
    let trimmed = text.trim_ascii();
    // Go's slog writes levels between two names as a sum.
    let name = trimmed.split(|b| matches!(b, b'+' | b'-')).next().unwrap_or(trimmed);
    let mut lower = [0; 16];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"trace" | b"verbose" | b"vrb" | b"finest" | b"finer" | b"all" | b"silly" | b"v" | b"t" => "trace",
        b"debug" | b"dbg" | b"debg" | b"fine" | b"d" | b"config" => "debug",
        b"info" | b"inf" | b"information" | b"informational" | b"notice" | b"note" | b"log" | b"i"
        | b"http" | b"success" | b"default" => "info",
        b"warn" | b"warning" | b"wrn" | b"w" | b"caution" => "warn",
        b"error" | b"err" | b"eror" | b"e" | b"severe" | b"failure" | b"fatal" | b"ftl" | b"f"
        | b"critical" | b"crit" | b"c" | b"panic" | b"dpanic" | b"alert" | b"emerg" | b"emergency"
        | b"off" => "error",
        digits if digits.iter().all(u8::is_ascii_digit) && !digits.is_empty() => {
            return number(std::str::from_utf8(digits).ok()?.parse().ok()?, Scale::Pino);
        }
        _ => return None,
    })
}

/// A number on a scale.
pub fn number(value: u32, scale: Scale) -> Option<&'static str> {
    Some(match (scale, value) {
        (Scale::Syslog, 0..=3) | (Scale::Pino, 0..=3) => "error",
        (Scale::Syslog, 4) | (Scale::Pino, 4) => "warn",
        (Scale::Syslog, 5 | 6) | (Scale::Pino, 5 | 6) => "info",
        (Scale::Syslog, 7) | (Scale::Pino, 7) => "debug",
        (Scale::Pino, 8..=19) => "trace",
        (Scale::Pino, 20..=29) => "debug",
        (Scale::Pino, 30..=39) => "info",
        (Scale::Pino, 40..=49) => "warn",
        (Scale::Pino, 50..=100) => "error",
        (Scale::Python, 1..=9) => "trace",
        (Scale::Python, 10..=19) => "debug",
        (Scale::Python, 20..=29) => "info",
        (Scale::Python, 30..=39) => "warn",
        (Scale::Python, 40..=100) => "error",
        (Scale::Logback, 1..=5_000) => "trace",
        (Scale::Logback, 5_001..=10_000) => "debug",
        (Scale::Logback, 10_001..=20_000) => "info",
        (Scale::Logback, 20_001..=30_000) => "warn",
        (Scale::Logback, 30_001..=50_000) => "error",
        (Scale::Otel, 1..=4) => "trace",
        (Scale::Otel, 5..=8) => "debug",
        (Scale::Otel, 9..=12) => "info",
        (Scale::Otel, 13..=16) => "warn",
        (Scale::Otel, 17..=24) => "error",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Scale, number, word};

    #[test]
    fn reads_the_spellings_of_many_loggers() {
        for (level, spellings) in [
            ("trace", "TRACE Trace Verbose VRB finest silly"),
            ("debug", "DEBUG Debug DBG fine D DEBUG-2"),
            ("info", "INFO Info Information notice INFO+2 i 30 inf"),
            ("warn", "WARN Warning warning WRN W 40 WARN+1"),
            ("error", "ERROR err Fatal CRITICAL crit panic dpanic ALERT emerg severe 50 60 E ERROR+4"),
        ] {
            for spelling in spellings.split(' ') {
                assert_eq!(word(spelling.as_bytes()), Some(level), "{spelling}");
            }
        }
        for other in ["", "kittens", "an unusually long level", "-", "999"] {
            assert_eq!(word(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn one_number_means_what_its_logger_means() {
        assert_eq!(number(30, Scale::Pino), Some("info"));
        assert_eq!(number(30, Scale::Python), Some("warn"));
        assert_eq!(number(20_000, Scale::Logback), Some("info"));
        assert_eq!(number(6, Scale::Syslog), Some("info"));
        assert_eq!(number(6, Scale::Otel), Some("debug"));
        assert_eq!(number(3, Scale::Pino), Some("error"));
        assert_eq!(number(1000, Scale::Syslog), None);
    }
}
