//! Which records between the cursor and the reader are dealt with: they finish in any order and are
//! acknowledged in theirs.

use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Window {
    /// Everything before is dealt with.
    base: u64,
    done: VecDeque<bool>,
}

impl Window {
    pub(super) fn new(base: u64) -> Self {
        Window { base, done: VecDeque::new() }
    }

    /// One past the last record that is dealt with along with all before it.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// Records from the first that is still open.
    pub(super) fn span(&self) -> usize {
        self.done.len()
    }

    /// `seq` is dealt with.
    pub(super) fn finish(&mut self, seq: u64) {
        let Some(at) = seq.checked_sub(self.base) else { return };
        let at = at as usize;
        if at >= self.done.len() {
            self.done.resize(at + 1, false);
        }
        self.done[at] = true;
        if at == 0 {
            let ready = self.done.iter().take_while(|done| **done).count();
            self.done.drain(..ready);
            self.base += ready as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Window;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn moves_past_what_is_finished_and_no_further(order in Just((10u64..60).collect::<Vec<_>>()).prop_shuffle()) {
            let mut window = Window::new(10);
            let mut finished = std::collections::BTreeSet::new();
            for seq in order {
                window.finish(seq);
                finished.insert(seq);
                let first_open = (10..).find(|s| !finished.contains(s)).unwrap();
                prop_assert_eq!(window.base(), first_open);
            }
            prop_assert_eq!((window.base(), window.span()), (60, 0));
        }
    }
}
