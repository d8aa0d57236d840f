//! Stacks: addresses noted by the thread that falls, names found later by another, memory given back afterwards.
//!
//! The standard library's own symbols stay in memory for good: a hundred megabytes and more for a large service. These
//! are let go once no panic has come for a while. `unsafe` because it unwinds and speaks to the allocator.
#![allow(unsafe_code)]

use std::fmt::Write;
use std::path::Path;

/// Frames that are noted, at most.
const FRAMES: usize = 128;

/// Addresses of one thread's calls, the innermost first.
#[derive(Debug, Clone)]
pub(crate) struct Stack(Vec<usize>);

impl Stack {
    /// That of this thread. Takes no lock, and allocates once.
    #[inline(never)]
    pub(crate) fn capture() -> Self {
        let mut addresses = Vec::with_capacity(FRAMES);
        let note = |frame: &backtrace::Frame| {
            addresses.push(frame.ip() as usize);
            addresses.len() < FRAMES
        };
        // SAFETY: what has to be synchronised is Windows' debug library alone; elsewhere the unwinder may be used by all threads at once.
        #[cfg(not(windows))]
        unsafe {
            backtrace::trace_unsynchronized(note);
        }
        #[cfg(windows)]
        backtrace::trace(note);
        Stack(addresses)
    }

    /// As the standard library prints it: `N: function`, then `at path:line:column` where that is known. Slow the first
    /// time: the program's debugging symbols are read.
    pub(crate) fn print(&self) -> String {
        let mut out = String::new();
        for (n, address) in self.0.iter().enumerate() {
            let mut named = false;
            backtrace::resolve(*address as *mut std::ffi::c_void, |symbol| {
                named = true;
                match symbol.name() {
                    Some(name) => drop(writeln!(out, "{n:4}: {name:#}")),
                    None => drop(writeln!(out, "{n:4}: <unknown>")),
                }
                if let (Some(file), Some(line)) = (symbol.filename(), symbol.lineno()) {
                    let _ = write!(out, "             at {}:{line}", shown(file).display());
                    if let Some(column) = symbol.colno() {
                        let _ = write!(out, ":{column}");
                    }
                    out.push('\n');
                }
            });
            if !named {
                let _ = writeln!(out, "{n:4}: <unknown>");
            }
        }
        out
    }
}

/// Below the working directory as `./…`.
fn shown(file: &Path) -> std::borrow::Cow<'_, Path> {
    match std::env::current_dir().ok().and_then(|here| file.strip_prefix(here).ok()) {
        Some(below) => Path::new(".").join(below).into(),
        None => file.into(),
    }
}

/// Forgets the symbols, and gives their memory back to the system where the allocator would keep it.
pub(crate) fn forget_symbols() {
    backtrace::clear_symbol_cache();
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it may be called at any time by any thread; for other allocators than glibc's it does nothing.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panics::fingerprint::frames;

    #[inline(never)]
    fn somewhere_known() -> Stack {
        let stack = Stack::capture();
        // So that the call above is no tail call.
        assert!(!stack.0.is_empty());
        stack
    }

    #[test]
    fn names_are_found_and_found_again_after_they_were_forgotten() {
        let stack = somewhere_known();
        let printed = stack.print();
        let all = frames(&printed);
        let own = all.iter().find(|f| f.function.ends_with("stack::tests::somewhere_known"));
        let at = own.unwrap_or_else(|| panic!("{printed}")).at.unwrap();
        assert!(at.contains("src/panics/stack.rs:"), "{at}");
        forget_symbols();
        assert_eq!(stack.print(), printed);
    }
}
