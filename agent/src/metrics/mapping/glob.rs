//! Finds the rule for a dotted name among globs: a trie by dot-separated parts, walked once for each new name.
//!
//! `*` stands for exactly one part. A walk visits no node of the trie twice, so no set of globs makes it explode.

use std::collections::HashMap;

use super::Slot;

/// The rules of one file that match by glob.
#[derive(Debug, Clone)]
pub(super) struct Globs {
    nodes: Vec<Node>,
    /// Takes the first rule of the file; otherwise the one that is literal furthest to the left.
    ordered: bool,
}

#[derive(Debug, Clone)]
struct Node {
    literal: HashMap<Box<str>, u32>,
    star: Option<u32>,
    /// The first rule that ends here, by type.
    ends: [u32; Slot::COUNT],
    /// The first rule that ends here or below, by type: what a walk into this node can win at best.
    best: [u32; Slot::COUNT],
}

const NONE: u32 = u32::MAX;

impl Node {
    fn new() -> Self {
        Node { literal: HashMap::new(), star: None, ends: [NONE; Slot::COUNT], best: [NONE; Slot::COUNT] }
    }
}

impl Globs {
    /// No rules yet.
    pub(super) fn new(ordered: bool) -> Self {
        Globs { nodes: vec![Node::new()], ordered }
    }

    /// Adds `glob` as rule number `rule` for the types of `slots`. Rules come in the order of the file.
    pub(super) fn add(&mut self, glob: &str, slots: &[Slot], rule: u32) {
        let mut at = 0;
        self.claim(at, slots, rule, false);
        for part in glob.split('.') {
            let next =
                if part == "*" { self.nodes[at].star } else { self.nodes[at].literal.get(part).copied() };
            at = match next {
                Some(next) => next as usize,
                None => {
                    let new = self.nodes.len() as u32;
                    self.nodes.push(Node::new());
                    if part == "*" {
                        self.nodes[at].star = Some(new);
                    } else {
                        self.nodes[at].literal.insert(part.into(), new);
                    }
                    new as usize
                }
            };
            self.claim(at, slots, rule, false);
        }
        self.claim(at, slots, rule, true);
    }

    fn claim(&mut self, node: usize, slots: &[Slot], rule: u32, ends: bool) {
        let node = &mut self.nodes[node];
        let firsts = if ends { &mut node.ends } else { &mut node.best };
        for &slot in slots {
            let first = &mut firsts[slot as usize];
            *first = rule.min(*first);
        }
    }

    /// The number of the rule that takes `name`.
    pub(super) fn find(&self, name: &str, slot: Slot) -> Option<u32> {
        if self.nodes[0].best[slot as usize] == NONE {
            return None;
        }
        let parts: Vec<&str> = name.split('.').collect();
        let mut won = NONE;
        // Depth first, literal before `*`: the stack holds the `*` branches still to be tried.
        let mut stack = vec![(0_usize, 0_usize)];
        while let Some((node, depth)) = stack.pop() {
            let node = &self.nodes[node];
            if node.best[slot as usize] >= won {
                continue;
            }
            if depth == parts.len() {
                won = won.min(node.ends[slot as usize]);
                if !self.ordered && won != NONE {
                    break;
                }
                continue;
            }
            stack.extend(node.star.map(|next| (next as usize, depth + 1)));
            stack.extend(node.literal.get(parts[depth]).map(|&next| (next as usize, depth + 1)));
        }
        (won != NONE).then_some(won)
    }

    /// The trie as a graph in the DOT language, one edge a line.
    pub(super) fn dot(&self, out: &mut impl std::fmt::Write) -> std::fmt::Result {
        writeln!(out, "digraph g {{\nrankdir=LR")?;
        writeln!(out, "node [ label=\"\",style=filled,fillcolor=white,shape=circle ]")?;
        let mut next = 1;
        for slot in Slot::ALL {
            let start = next;
            next += 1;
            writeln!(out, "0 -> {start}  [label = \"{}\"];", slot.name())?;
            writeln!(out, "{start} [color=\"#D6B656\",fillcolor=\"#FFF2CC\"];")?;
            let mut todo = vec![(0_usize, start)];
            while let Some((node, number)) = todo.pop() {
                let node = &self.nodes[node];
                let mut edges: Vec<(&str, u32)> = node.literal.iter().map(|(k, &v)| (&**k, v)).collect();
                edges.extend(node.star.map(|to| ("*", to)));
                edges.sort_unstable();
                for (label, to) in edges {
                    if self.nodes[to as usize].best[slot as usize] == NONE {
                        continue;
                    }
                    writeln!(out, "{number} -> {next}  [label = \"{label}\"];")?;
                    if self.nodes[to as usize].ends[slot as usize] != NONE {
                        writeln!(out, "{next} [color=\"#82B366\",fillcolor=\"#D5E8D4\"];")?;
                    }
                    todo.push((to as usize, next));
                    next += 1;
                }
            }
        }
        writeln!(out, "0 [color=\"#a94442\",fillcolor=\"#f2dede\"];\n}}")
    }
}

/// The parts of `name` that the `*` of `glob` stand for, in order. Only for a name that the glob matches.
pub(super) fn captures<'n>(glob: &str, name: &'n str) -> Vec<&'n str> {
    glob.split('.').zip(name.split('.')).filter(|(part, _)| *part == "*").map(|(_, found)| found).collect()
}

/// Whether `glob` is one: parts of letters, digits, `_` and `-`, or `*` alone; no digit or `-` first in the first
/// part, no `-` first in the others.
pub(super) fn is_valid(glob: &str) -> bool {
    glob.split('.').enumerate().all(|(index, part)| {
        let mut bytes = part.bytes();
        part == "*"
            || bytes
                .next()
                .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || (index > 0 && b.is_ascii_digit()))
                && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::{Globs, captures, is_valid};
    use crate::metrics::mapping::Slot;

    fn globs(ordered: bool, list: &[&str]) -> Globs {
        let mut globs = Globs::new(ordered);
        for (rule, glob) in list.iter().enumerate() {
            globs.add(glob, &Slot::ALL, rule as u32);
        }
        globs
    }

    #[test]
    fn the_first_rule_of_the_file_wins() {
        let g = globs(true, &["a.*.c", "a.b.*", "a.b.c", "*.b.c", "*"]);
        for (name, rule) in [
            ("a.b.c", Some(0)),
            ("a.b.d", Some(1)),
            ("x.b.c", Some(3)),
            ("one", Some(4)),
            ("", Some(4)),
            ("a..c", Some(0)),
            ("a.b", None),
            ("a.b.c.d", None),
        ] {
            assert_eq!(g.find(name, Slot::Counter), rule, "{name}");
        }
    }

    #[test]
    fn without_ordering_the_most_literal_wins() {
        let g = globs(false, &["*.*.*", "a.*.c", "a.b.*", "*.b.c"]);
        for (name, rule) in [("a.b.c", 2), ("a.x.c", 1), ("x.b.c", 3), ("a.x.y", 0), ("a.b.q", 2)] {
            assert_eq!(g.find(name, Slot::Gauge), Some(rule), "{name}");
        }
    }

    #[test]
    fn backtracks_out_of_a_literal_that_leads_nowhere() {
        for ordered in [true, false] {
            let g = globs(ordered, &["a.b.c.d", "a.*.c.e", "*.b.c.f"]);
            assert_eq!(g.find("a.b.c.e", Slot::Counter), Some(1));
            assert_eq!(g.find("a.b.c.f", Slot::Counter), Some(2));
            assert_eq!(g.find("a.b.c.g", Slot::Counter), None);
        }
    }

    #[test]
    fn a_rule_can_end_inside_a_longer_one() {
        let g = globs(true, &["a.*.b", "a.*", "a"]);
        assert_eq!(g.find("a.q", Slot::Counter), Some(1));
        assert_eq!(g.find("a", Slot::Counter), Some(2));
        assert_eq!(g.find("a.q.b", Slot::Counter), Some(0));
    }

    #[test]
    fn rules_of_another_type_do_not_match() {
        let mut g = Globs::new(true);
        g.add("a.*", &[Slot::Observer], 0);
        g.add("a.*", &[Slot::Gauge], 1);
        g.add("a.*", &Slot::ALL, 2);
        assert_eq!(g.find("a.b", Slot::Observer), Some(0));
        assert_eq!(g.find("a.b", Slot::Gauge), Some(1));
        assert_eq!(g.find("a.b", Slot::Counter), Some(2));
    }

    #[test]
    fn many_stars_are_walked_once() {
        let list: Vec<String> = (0..2000).map(|i| format!("*.*.*.*.*.*.*.*.*.n{i}")).collect();
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        let g = globs(true, &list);
        assert_eq!(g.find("a.a.a.a.a.a.a.a.a.n1999", Slot::Counter), Some(1999));
        assert_eq!(g.find("a.a.a.a.a.a.a.a.a.x", Slot::Counter), None);
    }

    #[test]
    fn captures_are_what_the_stars_stand_for() {
        assert_eq!(captures("a.*.c.*", "a.b.c."), ["b", ""]);
        assert_eq!(captures("a", "a"), [""; 0]);
    }

    #[test]
    fn only_clean_globs_are_valid() {
        for good in ["*", "a", "_a", "a-b.c", "a.*.b", "a.1b", "*.*", "a.9", "a._", "A-.B-"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "1a", "-a", "a..b", "a.", ".a", "a*", "a.b*", "a.-b", "a b", "a.é", "**", "a:b"] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
