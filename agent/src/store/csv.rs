//! Comma-separated values of records, for spreadsheets. Pure.

use serde_json::{Map, Value};

use super::events::record::lookup;

/// A field of a record as text; empty if it has none.
pub(super) fn cell(source: &Map<String, Value>, name: &str) -> String {
    match lookup(source, name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Appends one line of CSV. A value that a spreadsheet would take for a formula is made text.
pub(super) fn row<'a>(out: &mut String, values: impl Iterator<Item = &'a str>) {
    for (n, value) in values.enumerate() {
        if n > 0 {
            out.push(',');
        }
        let formula = value.starts_with(['=', '+', '@', '\t', '\r'])
            || (value.starts_with('-') && value.parse::<f64>().is_err());
        if formula || value.contains(['"', ',', '\n', '\r']) {
            out.push('"');
            if formula {
                out.push('\'');
            }
            out.push_str(&value.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(value);
        }
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    #[test]
    fn cells_are_quoted_and_never_formulas() {
        let mut line = String::new();
        super::row(&mut line, ["a", "b,c", "say \"hi\"\n", "=1+1", "-5", "-x", ""].into_iter());
        assert_eq!(line, "a,\"b,c\",\"say \"\"hi\"\"\n\",\"'=1+1\",-5,\"'-x\",\r\n");
    }
}
