//! Secrets kept out of records: query parameters, headers and log fields whose names say that they are secret.

use crate::json;

/// What stands in a record where a secret was.
pub(crate) const BLANK: &str = "[redacted]";

/// Whether a word that makes a name secret wherever it stands begins here. By its first letter: names are looked at for
/// every header of every request.
fn secret_word(rest: &[u8]) -> bool {
    let words: &[&[u8]] = match rest.first() {
        Some(b'a') => &[b"authorization", b"apikey", b"accesskey"],
        Some(b'c') => &[b"cookie", b"credential"],
        Some(b'j') => &[b"jwt"],
        Some(b'p') => &[b"password", b"passwd"],
        Some(b's') => &[b"secret", b"signature"],
        Some(b't') => &[b"token"],
        _ => return false,
    };
    words.iter().any(|word| rest.starts_with(word))
}

/// Names that are secret as a whole; as parts of words they are harmless (`keyboard`, `signal`).
const SECRET_NAMES: [&str; 8] = ["key", "sig", "auth", "code", "pwd", "pin", "session", "sid"];

/// Whether a field, header or parameter of this name carries a secret. Case, `-` and `_` do not matter.
pub(crate) fn secret(name: &str) -> bool {
    let mut flat = [0u8; 48];
    let mut len = 0;
    for b in name.bytes() {
        if b == b'-' || b == b'_' || b == b'.' {
            continue;
        }
        if len == flat.len() {
            break;
        }
        flat[len] = b.to_ascii_lowercase();
        len += 1;
    }
    let flat = &flat[..len];
    SECRET_NAMES.iter().any(|n| flat == n.as_bytes()) || (0..flat.len()).any(|at| secret_word(&flat[at..]))
}

/// A query with the values of secret parameters blanked, at most 2 KiB of it.
pub(crate) fn query(query: &str) -> String {
    let mut out = String::with_capacity(query.len().min(2_048));
    for pair in json::cut(query, 2_048).split('&') {
        if !out.is_empty() {
            out.push('&');
        }
        match pair.split_once('=') {
            Some((name, _)) if secret(name) => {
                out.push_str(name);
                out.push('=');
                out.push_str(BLANK);
            }
            _ => out.push_str(pair),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_names_are_known_in_every_spelling() {
        for name in
            ["password", "X-Api-Key", "access_token", "Set-Cookie", "Authorization", "clientSecret", "sig"]
        {
            assert!(secret(name), "{name}");
        }
        for name in ["keyboard", "signal", "user", "content-type", "author", "encode", ""] {
            assert!(!secret(name), "{name}");
        }
    }

    #[test]
    fn queries_lose_their_secrets_only() {
        assert_eq!(query("a=1&token=abc&b&Password=x=y"), "a=1&token=[redacted]&b&Password=[redacted]");
    }
}
