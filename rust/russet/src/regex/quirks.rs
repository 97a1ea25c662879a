//! Patterns for which the reference's own search goes wrong, to be refused.
//!
//! Oniguruma decides where a match can start from a summary of the pattern, and in two places the summary is wrong: a
//! condition without an alternative counts as empty, so that what follows is looked for at the wrong distance; and a `.*` at
//! the start stands for "if not here, then not before the next line", even after an assertion that may hold only later, as
//! in `\b.*x`. The matches that it then misses cannot be told from the pattern alone, and giving other matches is worse than
//! refusing: nobody's tokenizer has such a pattern so far.

use super::ast::{Anchor, Node, Repeat};
use super::tune::length;

/// What is wrong with `root`, if something is: a construct and the reason.
pub(super) fn find(root: &Node) -> Option<(&'static str, &'static str)> {
    if root.any(&|node| matches!(node, Node::Condition { otherwise: None, .. })) {
        return Some(("(?(", "conditions without an alternative are not supported"));
    }
    let mut start = Start { assertion: None, behind: false };
    match start.walk(root) {
        Leading::Wrong => Some((".*", "an assertion before a repeated dot at the start is not supported")),
        Leading::Empty | Leading::Other => None,
    }
}

/// What a part of the start of a pattern is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leading {
    /// It takes no characters: what follows is still the start.
    Empty,
    /// A repeated dot after an assertion.
    Wrong,
    /// Something else, which ends the start.
    Other,
}

/// The assertions at the start so far.
#[derive(Clone, Copy)]
struct Start {
    /// Whether there is one that a start in the middle of a line can fulfil when its line's start cannot.
    assertion: Option<Strength>,
    /// Whether there is a look-behind, which makes the reference careful.
    behind: bool,
}

/// How an assertion and a repeated dot go together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    /// Only a dot that matches line feeds must not follow: `^`.
    Lines,
    /// None may follow.
    Any,
}

impl Start {
    fn walk(&mut self, node: &Node) -> Leading {
        match node {
            Node::List(parts) => {
                for (index, part) in parts.iter().enumerate() {
                    let last = index + 1 == parts.len();
                    match self.walk(part) {
                        Leading::Empty => {}
                        // A dot that stops at line feeds does harm only if something follows that is looked for ahead.
                        Leading::Wrong if last && !dot_matches_all(part) => return Leading::Other,
                        other => return other,
                    }
                }
                Leading::Empty
            }
            Node::Alternatives(branches) => {
                let before = *self;
                let kinds: Vec<_> = branches
                    .iter()
                    .map(|branch| {
                        let mut start = before;
                        let kind = start.walk(branch);
                        self.assertion = self.assertion.max(start.assertion);
                        self.behind &= start.behind;
                        kind
                    })
                    .collect();
                // Only what holds for every branch holds for all.
                match kinds.as_slice() {
                    kinds if kinds.contains(&Leading::Wrong) && !kinds.contains(&Leading::Other) => Leading::Wrong,
                    kinds if kinds.iter().all(|kind| *kind == Leading::Empty) => Leading::Empty,
                    _ => Leading::Other,
                }
            }
            Node::Repeat(repeat @ Repeat { body, most, greedy, .. }) => match &**body {
                Node::Any { newline } if most.is_none() && *greedy => match self.assertion {
                    _ if self.behind => Leading::Other,
                    Some(Strength::Any) => Leading::Wrong,
                    Some(Strength::Lines) if *newline => Leading::Wrong,
                    _ => Leading::Other,
                },
                body if repeat.least > 0 => self.walk(body),
                body if length(body).most == Some(0) => Leading::Empty,
                _ => Leading::Other,
            },
            Node::Group { body, .. } | Node::Options(body) | Node::Atomic(body) => self.walk(body),
            Node::Look { behind, negative, .. } => {
                self.behind |= *behind && !negative;
                self.assert(Strength::Any)
            }
            Node::Anchor(Anchor::TextStart | Anchor::SearchStart) => Leading::Empty,
            Node::Anchor(Anchor::LineStart) => self.assert(Strength::Lines),
            Node::Anchor(_) => self.assert(Strength::Any),
            Node::Keep => Leading::Empty,
            Node::Text { codes, .. } if codes.is_empty() => Leading::Empty,
            Node::BackReference(_) => self.assert(Strength::Any),
            Node::Text { .. } | Node::Set(_) | Node::Any { .. } | Node::Condition { .. } | Node::Never => Leading::Other,
        }
    }

    fn assert(&mut self, strength: Strength) -> Leading {
        self.assertion = self.assertion.max(Some(strength));
        Leading::Empty
    }
}

/// Whether some dot in `node` matches line feeds.
fn dot_matches_all(node: &Node) -> bool {
    node.any(&|node| matches!(node, Node::Any { newline: true }))
}
