//! The twin of the compiler and the matcher: walks the tree recursively, with what follows as a closure.
//!
//! Exponential on hard inputs and recursive in the text; for tests only.

use super::ast::{Anchor, BackReference, Node, Repeat};
use super::case_fold;
use super::compiler::{size, COPY_LIMIT};
use super::properties;
use super::tune::{length, Tuned};
use std::collections::HashMap;
use std::ops::Range;

/// What follows: whether it leads to the end from a position.
type Then<'t> = dyn FnMut(usize, &mut State) -> bool + 't;

#[derive(Clone)]
struct State {
    start: usize,
    groups: HashMap<u32, (Option<usize>, Option<usize>)>,
    /// Where a look-behind ends.
    limit: usize,
}

struct Walk<'t> {
    text: &'t str,
    search_start: usize,
    groups: bool,
}

/// All matches, iterated as the reference does.
pub(super) fn find_iter(tuned: &Tuned, text: &str) -> Vec<Range<usize>> {
    let (mut found, mut position, mut last_end) = (Vec::new(), 0, None);
    while position <= text.len() {
        let walk = Walk { text, search_start: position, groups: tuned.groups > 0 };
        let starts = (position..=text.len()).filter(|&start| text.is_char_boundary(start));
        let Some(range) = starts.into_iter().find_map(|start| walk.attempt(&tuned.root, start)) else { break };
        if range.is_empty() && last_end == Some(range.end) {
            position += text[position..].chars().next().map_or(1, char::len_utf8);
            continue;
        }
        position = range.end;
        last_end = Some(range.end);
        found.push(range);
    }
    found
}

impl Walk<'_> {
    fn attempt(&self, root: &Node, start: usize) -> Option<Range<usize>> {
        let mut range = None;
        let mut state = State { start, groups: HashMap::new(), limit: self.text.len() };
        self.node(root, start, &mut state, &mut |end, state| {
            range = Some(state.start..end);
            true
        });
        range
    }

    fn next(&self, position: usize, limit: usize) -> Option<char> {
        self.text.get(position..limit)?.chars().next()
    }

    /// Whether `body` matches from `position` on, on its own; where it ends and what it left.
    fn alone(&self, body: &Node, position: usize, state: &State) -> Option<(usize, State)> {
        let mut result = None;
        self.node(body, position, &mut state.clone(), &mut |end, state| {
            result = Some((end, state.clone()));
            true
        });
        result
    }

    fn node(&self, node: &Node, position: usize, state: &mut State, then: &mut Then<'_>) -> bool {
        match node {
            Node::Text { codes, .. } => {
                let mut next = position;
                for &code in codes {
                    match self.next(next, state.limit) {
                        Some(char) if u32::from(char) == code => next += char.len_utf8(),
                        _ => return false,
                    }
                }
                then(next, state)
            }
            Node::Set(set) => match self.next(position, state.limit) {
                Some(char) if set.contains(u32::from(char)) => then(position + char.len_utf8(), state),
                _ => false,
            },
            Node::Any { newline } => match self.next(position, state.limit) {
                Some(char) if *newline || char != '\n' => then(position + char.len_utf8(), state),
                _ => false,
            },
            Node::List(parts) => self.list(parts, position, state, then),
            Node::Alternatives(branches) => branches.iter().any(|branch| {
                let mut trial = state.clone();
                self.node(branch, position, &mut trial, then)
            }),
            Node::Repeat(repeat) => self.repeat(repeat, 0, position, state, then),
            Node::Group { number, body, .. } => {
                let mut state = state.clone();
                state.groups.entry(*number).or_default().0 = Some(position);
                self.node(body, position, &mut state, &mut |end, state| {
                    let mut state = state.clone();
                    state.groups.entry(*number).or_default().1 = Some(end);
                    then(end, &mut state)
                })
            }
            Node::Options(body) => self.node(body, position, state, then),
            Node::Atomic(body) => match self.alone(body, position, state) {
                Some((end, mut state)) => then(end, &mut state),
                None => false,
            },
            Node::Condition { test, then: yes, otherwise } => match self.alone(test, position, state) {
                Some((end, mut state)) => match yes {
                    Some(yes) => self.node(yes, end, &mut state, then),
                    None => then(end, &mut state),
                },
                None => match otherwise {
                    Some(otherwise) => self.node(otherwise, position, state, then),
                    None => then(position, state),
                },
            },
            Node::Look { behind: false, negative, body } => match (self.alone(body, position, state), negative) {
                (Some((_, mut state)), false) => then(position, &mut state),
                (None, true) => then(position, state),
                _ => false,
            },
            Node::Look { behind: true, negative, body } => {
                let limit = if length(body).is_fixed() { state.limit } else { position };
                let starts = (0..=position).rev().filter(|&start| self.text.is_char_boundary(start));
                let inner = State { limit, ..state.clone() };
                let found = starts.into_iter().find_map(|start| {
                    let count = self.text[start..position].chars().count() as u64;
                    let length = length(body);
                    if count < length.least || length.most.is_some_and(|most| count > most) {
                        return None;
                    }
                    let mut result = None;
                    self.node(body, start, &mut inner.clone(), &mut |end, state| {
                        if end == position {
                            result = Some(state.clone());
                        }
                        end == position
                    });
                    result
                });
                match (found, negative) {
                    (Some(mut found), false) => {
                        found.limit = state.limit;
                        then(position, &mut found)
                    }
                    (None, true) => then(position, state),
                    _ => false,
                }
            }
            Node::Anchor(anchor) => self.is_at(*anchor, position, state.limit) && then(position, state),
            Node::BackReference(reference) => self.back_reference(reference, position, state, then),
            Node::Never => false,
            Node::Keep => then(position, &mut State { start: position, ..state.clone() }),
        }
    }

    fn list(&self, parts: &[Node], position: usize, state: &mut State, then: &mut Then<'_>) -> bool {
        match parts {
            [] => then(position, state),
            [first, rest @ ..] => self.node(first, position, state, &mut |next, state| self.list(rest, next, state, then)),
        }
    }

    /// Iteration number `done` of a repetition, and those after it.
    fn repeat(&self, repeat: &Repeat, done: u32, position: usize, state: &mut State, then: &mut Then<'_>) -> bool {
        let Repeat { body, least, most, greedy } = repeat;
        let body_size = size(body);
        if body_size == 0 || *most == Some(0) {
            return then(position, state);
        }
        // Whether an empty iteration is the last one.
        let copied = match most {
            None if *least == 1 => done == 0 && body_size <= COPY_LIMIT,
            None => done < *least && body_size * u64::from(*least) <= COPY_LIMIT,
            Some(most) => *greedy && (*most == 1 || (body_size + 1) * u64::from(*most) <= COPY_LIMIT),
        };
        let run = |state: &mut State, then: &mut Then<'_>| {
            self.node(body, position, &mut state.clone(), &mut |next, state| {
                if next == position && !copied {
                    then(next, state)
                } else {
                    self.repeat(repeat, done + 1, next, state, then)
                }
            })
        };
        let more = most.is_none_or(|most| done < most);
        if done < *least {
            return run(state, then);
        }
        if *greedy {
            (more && run(state, then)) || then(position, state)
        } else {
            then(position, &mut state.clone()) || (more && run(state, then))
        }
    }

    fn is_at(&self, anchor: Anchor, position: usize, limit: usize) -> bool {
        let (before, after) = (self.text[..position].chars().next_back(), self.text[position..].chars().next());
        match anchor {
            Anchor::TextStart => before.is_none(),
            Anchor::TextEnd => after.is_none(),
            Anchor::LastLineEnd => after.is_none() || &self.text[position..] == "\n",
            Anchor::LineStart => before.is_none() || (before == Some('\n') && after.is_some()),
            Anchor::LineEnd => after.is_none_or(|char| char == '\n'),
            Anchor::SearchStart => position == self.search_start,
            Anchor::WordBoundary { ascii, not } => {
                // At the start of the text, not beyond the end of a look-behind.
                let after = after.filter(|_| position > 0 || limit > 0);
                let word = properties::word();
                let is_word =
                    |char: Option<char>| char.is_some_and(|char| word.contains(u32::from(char)) && (!ascii || char.is_ascii()));
                (is_word(before) != is_word(after)) != not
            }
        }
    }

    fn back_reference(&self, reference: &BackReference, position: usize, state: &mut State, then: &mut Then<'_>) -> bool {
        assert!(self.groups);
        for group in reference.groups.iter().rev() {
            let Some((Some(start), Some(end))) = state.groups.get(group).copied() else { continue };
            if reference.check {
                return then(position, state);
            }
            let held = self.text.get(start..end).unwrap_or_default();
            let rest = &self.text[position..state.limit];
            if rest.len() < held.len() {
                continue;
            }
            let (next, equal) = if reference.fold {
                let next = case_fold::same(held, rest);
                (position + next.unwrap_or(0), next.is_some())
            } else {
                (position + held.len(), rest.starts_with(held))
            };
            if equal {
                return then(next, state);
            }
        }
        false
    }
}
