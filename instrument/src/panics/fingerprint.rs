//! What makes two panics the same: the message without its numbers and ids, and the topmost frames of the service's own.

/// Frames that take part.
const FRAMES: usize = 3;

/// One frame of a printed stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) function: &'a str,
    /// `path:line:column`, if known.
    pub(crate) at: Option<&'a str>,
}

/// Reads what `std::backtrace` prints: a line `N: function`, then perhaps a line `at path:line:column`.
pub(crate) fn frames(stack: &str) -> Vec<Frame<'_>> {
    let mut frames: Vec<Frame<'_>> = Vec::new();
    for line in stack.lines() {
        let line = line.trim_start();
        if let Some(at) = line.strip_prefix("at ") {
            if let Some(frame) = frames.last_mut() {
                frame.at = Some(at);
            }
        } else if let Some((number, function)) = line.split_once(": ")
            && number.bytes().all(|b| b.is_ascii_digit())
        {
            frames.push(Frame { function: without_hash(function.trim()), at: None });
        }
    }
    frames
}

/// Whether a frame is of the service rather than of the language, a dependency or this crate's plumbing.
pub(crate) fn in_app(frame: &Frame<'_>) -> bool {
    let Some(at) = frame.at else { return false };
    const FOREIGN: [&str; 4] = ["/rustc/", "/.cargo/registry/", "/.cargo/git/", "/rustlib/"];
    !FOREIGN.iter().any(|f| at.contains(f))
        && !frame.function.starts_with("sightline_instrument::")
        && !frame.function.starts_with("<sightline_instrument::")
}

/// Where the panic's own machinery ends: the frames before are the same in each stack.
pub(crate) fn below_panic<'a, 'b>(frames: &'b [Frame<'a>]) -> &'b [Frame<'a>] {
    let last = frames.iter().rposition(|f| {
        f.function.contains("rust_begin_unwind")
            || f.function.contains("begin_panic_handler")
            || f.function.starts_with("core::panicking::")
            || f.function.starts_with("std::panicking::begin_panic")
    });
    last.map_or(frames, |at| &frames[at + 1..])
}

fn without_hash(function: &str) -> &str {
    match function.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => name,
        _ => function,
    }
}

/// The message with each number, hexadecimal id and quoted text blanked.
pub(crate) fn normal(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut rest = message;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_word(c) != is_word(first)).unwrap_or(rest.len());
        let word = &rest[..end];
        if is_word(first) && word.bytes().any(|b| b.is_ascii_digit()) {
            out.push('#');
        } else {
            out.push_str(word);
        }
        rest = &rest[end..];
    }
    out
}

/// Sixteen hexadecimal digits, the same for panics of the same kind, from one build to the next.
pub(crate) fn of(message: &str, frames: &[Frame<'_>], location: Option<&str>) -> String {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    hash.add(&normal(message));
    let own: Vec<_> = below_panic(frames).iter().filter(|f| in_app(f)).take(FRAMES).collect();
    for frame in &own {
        hash.add(frame.function);
    }
    // Without symbols the file still tells panics apart; its line would change with each edit.
    if own.is_empty() {
        hash.add(location.and_then(|l| l.split(':').next()).unwrap_or_default());
    }
    format!("{:016x}", hash.0)
}

struct Fnv(u64);

impl Fnv {
    fn add(&mut self, text: &str) {
        for b in text.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: &str = "   0: std::backtrace::Backtrace::force_capture\n   1: rust_begin_unwind\n             at /rustc/abc/library/std/src/panicking.rs:697:5\n   2: core::panicking::panic_fmt\n             at /rustc/abc/library/core/src/panicking.rs:75:14\n   3: kittens::store::pick::h0123456789abcdef\n             at ./src/store.rs:10:5\n   4: tokio::runtime::task::run\n             at /builder/.cargo/registry/src/x/tokio-1/src/lib.rs:1:1\n   5: kittens::main\n             at ./src/main.rs:3:1\n";

    #[test]
    fn a_printed_stack_is_read() {
        let frames = frames(STACK);
        assert_eq!(frames.len(), 6);
        assert_eq!(frames[3], Frame { function: "kittens::store::pick", at: Some("./src/store.rs:10:5") });
        let own: Vec<_> = below_panic(&frames).iter().filter(|f| in_app(f)).map(|f| f.function).collect();
        assert_eq!(own, ["kittens::store::pick", "kittens::main"]);
    }

    #[test]
    fn numbers_and_ids_do_not_make_a_new_kind() {
        assert_eq!(normal("index 17 of 3"), "index # of #");
        assert_eq!(normal("order 550e8400-e29b-41d4-a716-446655440000: gone"), "order #: gone");
        let f = frames(STACK);
        assert_eq!(of("index 17 of 3", &f, None), of("index 4 of 99", &f, None));
        assert_ne!(of("index 17 of 3", &f, None), of("no kitten", &f, None));
        assert_ne!(of("index 17 of 3", &f, None), of("index 17 of 3", &[], Some("src/a.rs:1:1")));
    }
}
