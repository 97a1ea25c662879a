//! From the tree as written to the tree that is compiled, in Oniguruma's order, because the order shows in the result:
//!
//! 1. texts that stand next to each other are joined (before case is folded: `(?i)s(?:s)` matches a sharp s),
//! 2. in a pattern with named groups the others do not capture,
//! 3. references are checked,
//! 4. case-insensitive texts become sets and alternatives, look-behinds are checked and divided by length.

use super::ast::{BackReference, Node, Repeat};
use super::case_fold;
use super::parser::Parsed;
use super::quirks;
use crate::{Error, Result};
use std::cmp::Ordering;

/// The longest look-behind in characters.
const MAX_LOOK_BEHIND: u64 = 65_535;

/// A tree ready to be compiled.
#[derive(Debug)]
pub(super) struct Tuned {
    pub(super) root: Node,
    /// The number of capturing groups, or 0 if nothing refers to them.
    pub(super) groups: u32,
}

/// Makes a parsed pattern ready.
pub(super) fn tune(pattern: &str, parsed: Parsed) -> Result<Tuned> {
    let error = |construct: &str, message: &str| Error::Pattern {
        pattern: pattern.to_owned(),
        construct: construct.to_owned(),
        message: message.to_owned(),
    };
    let Parsed { mut root, mut groups, named } = parsed;
    join_texts(&mut root);
    if named > 0 {
        if root.any(&|node| matches!(node, Node::BackReference(reference) if !reference.by_name)) {
            return Err(error("\\1", "groups cannot be referred to by number when there are named ones"));
        }
        if named != groups {
            let mut numbers = vec![0; groups as usize + 1];
            root = name_only(root, &mut numbers, &mut 0).map_err(|()| error("{n}", "the counts multiply to too large a number"))?.0;
            renumber(&mut root, &numbers);
            groups = named;
        }
    }
    let missing =
        |node: &Node| matches!(node, Node::BackReference(reference) if reference.groups.iter().any(|&group| group > groups));
    if root.any(&missing) {
        return Err(error("\\1", "there is no such group"));
    }
    if !root.any(&|node| matches!(node, Node::BackReference(_))) {
        groups = 0;
    }
    let root = expand(root, false).map_err(|(construct, message)| error(construct, message))?;
    if let Some((construct, message)) = quirks::find(&root) {
        return Err(error(construct, message));
    }
    Ok(Tuned { root, groups })
}

/// Joins texts that stand next to each other in a list and treat case alike.
fn join_texts(node: &mut Node) {
    if let Node::List(parts) = node {
        let mut joined: Vec<Node> = Vec::with_capacity(parts.len());
        for part in parts.drain(..) {
            match (part, joined.last_mut()) {
                (Node::Text { codes: more, fold }, Some(Node::Text { codes, fold: before })) if *before == fold => {
                    codes.extend(more)
                }
                (part, _) => joined.push(part),
            }
        }
        *parts = joined;
    }
    match node {
        Node::List(parts) | Node::Alternatives(parts) => parts.iter_mut().for_each(join_texts),
        Node::Repeat(Repeat { body, .. })
        | Node::Group { body, .. }
        | Node::Options(body)
        | Node::Atomic(body)
        | Node::Look { body, .. } => join_texts(body),
        Node::Condition { test, then, otherwise } => {
            join_texts(test);
            then.iter_mut().chain(otherwise).for_each(|part| join_texts(part));
        }
        Node::Text { .. }
        | Node::Set(_)
        | Node::Any { .. }
        | Node::Anchor(_)
        | Node::BackReference(_)
        | Node::Keep
        | Node::Never => {}
    }
}

/// Takes the unnamed groups away and numbers the others anew; says whether the node itself was such a group. A repetition
/// that comes to stand directly over another is merged with it.
fn name_only(node: Node, numbers: &mut [u32], next: &mut u32) -> std::result::Result<(Node, bool), ()> {
    Ok(match node {
        Node::Group { named: false, body, .. } => (name_only(*body, numbers, next)?.0, true),
        Node::Group { number, named: true, body } => {
            *next += 1;
            let new = *next;
            if let Some(entry) = numbers.get_mut(number as usize) {
                *entry = new;
            }
            (Node::Group { number: new, named: true, body: Box::new(name_only(*body, numbers, next)?.0) }, false)
        }
        Node::Repeat(repeat) => match name_only(*repeat.body, numbers, next)? {
            (Node::Repeat(inner), true) => (Repeat { body: Box::new(Node::empty()), ..repeat }.merge(inner)?, false),
            (body, _) => (Node::Repeat(Repeat { body: Box::new(body), ..repeat }), false),
        },
        node => (node.try_map_parts(&mut |part| Ok(name_only(part, numbers, next)?.0))?, false),
    })
}

/// Lets the references refer to the new numbers.
fn renumber(node: &mut Node, numbers: &[u32]) {
    if let Node::BackReference(BackReference { groups, .. }) = node {
        groups.iter_mut().for_each(|group| *group = numbers.get(*group as usize).copied().unwrap_or(0));
        groups.retain(|&group| group > 0);
        return;
    }
    match node {
        Node::List(parts) | Node::Alternatives(parts) => parts.iter_mut().for_each(|part| renumber(part, numbers)),
        Node::Repeat(Repeat { body, .. })
        | Node::Group { body, .. }
        | Node::Options(body)
        | Node::Atomic(body)
        | Node::Look { body, .. } => renumber(body, numbers),
        Node::Condition { test, then, otherwise } => {
            renumber(test, numbers);
            then.iter_mut().chain(otherwise).for_each(|part| renumber(part, numbers));
        }
        Node::Text { .. }
        | Node::Set(_)
        | Node::Any { .. }
        | Node::Anchor(_)
        | Node::BackReference(_)
        | Node::Keep
        | Node::Never => {}
    }
}

/// What is wrong: a construct and the reason.
type Wrong = (&'static str, &'static str);

/// Folds case and checks look-behinds, inside out.
fn expand(node: Node, in_look_behind: bool) -> std::result::Result<Node, Wrong> {
    Ok(match node {
        Node::Text { codes, fold: true } if !codes.is_empty() => case_fold::text(&codes, in_look_behind),
        Node::Look { behind: true, negative, body } => {
            check_look_behind(&body, negative)?;
            look_behind(expand(*body, true)?, negative)?
        }
        Node::Look { behind: false, negative, body } => {
            if body.any(&|node| matches!(node, Node::Keep)) {
                return Err(("\\K", "it is not supported inside a look-around"));
            }
            Node::Look { behind: false, negative, body: Box::new(expand(*body, in_look_behind)?) }
        }
        Node::Repeat(Repeat { body, least, most, greedy }) => {
            let body = expand(*body, in_look_behind)?;
            match &body {
                // A repeated short text is a text, for what a look-behind may contain.
                Node::Text { codes, .. } if least > 1 && most == Some(least) && bytes_of(codes) * u64::from(least) <= 100 => {
                    Node::Text { codes: codes.repeat(least as usize), fold: false }
                }
                _ => Node::Repeat(Repeat { body: Box::new(body), least, most, greedy }),
            }
        }
        node => node.try_map_parts(&mut |part| expand(part, in_look_behind))?,
    })
}

/// The length of a text in bytes.
fn bytes_of(codes: &[u32]) -> u64 {
    codes.iter().map(|&code| char::from_u32(code).map_or(3, char::len_utf8) as u64).sum()
}

/// What may not stand in a look-behind.
fn check_look_behind(body: &Node, negative: bool) -> std::result::Result<(), Wrong> {
    use super::ast::Anchor::{LastLineEnd, TextEnd};
    let forbidden = |node: &Node| match node {
        Node::Look { behind, negative: inner, .. } => !behind || (*inner && !negative),
        Node::Anchor(anchor) => matches!(anchor, TextEnd | LastLineEnd),
        Node::Group { .. } => negative,
        _ => false,
    };
    if body.any(&forbidden) {
        return Err(("(?<", "this look-behind contains what a look-behind cannot contain"));
    }
    if body.any(&|node| matches!(node, Node::BackReference(_))) {
        return Err(("(?<", "back-references in a look-behind are not supported"));
    }
    if body.any(&|node| matches!(node, Node::Keep)) {
        return Err(("\\K", "it is not supported inside a look-around"));
    }
    Ok(())
}

/// A look-behind; one whose alternatives have fixed lengths that differ is divided into one for each.
fn look_behind(mut body: Node, negative: bool) -> std::result::Result<Node, Wrong> {
    match &mut body {
        Node::Alternatives(branches) => branches.iter_mut().try_for_each(drop_optional_head)?,
        body => drop_optional_head(body)?,
    }
    let length = length(&body);
    if length.least > MAX_LOOK_BEHIND || length.most.is_some_and(|most| most > MAX_LOOK_BEHIND) {
        return Err(("(?<", "this look-behind is longer than 65535 characters"));
    }
    if length.least == 0 && length.sure {
        return Ok(if negative { Node::Never } else { Node::empty() });
    }
    if length.is_fixed() {
        return Ok(Node::Look { behind: true, negative, body: Box::new(body) });
    }
    // Of a condition at the end Oniguruma takes the test for what the look-behind has to end with.
    if body.any(&|node| matches!(node, Node::Condition { .. })) {
        return Err(("(?<", "conditions and \\R in a look-behind of variable length are not supported"));
    }
    Ok(match body {
        // That the first alternative has a fixed length is not asked for.
        Node::Alternatives(branches) if branches[1..].iter().all(|branch| self::length(branch).is_fixed()) => {
            let looks = branches.into_iter().map(|branch| look_behind(branch, negative)).collect::<std::result::Result<_, _>>()?;
            if negative {
                Node::List(looks)
            } else {
                Node::Alternatives(looks)
            }
        }
        body => Node::Look { behind: true, negative, body: Box::new(body) },
    })
}

/// At the start of a look-behind the least count of a simple repetition does: what is before it does not matter. As in the
/// reference it is an error if nothing is left.
fn drop_optional_head(body: &mut Node) -> std::result::Result<(), Wrong> {
    let simple = |node: &mut Node| match node {
        Node::Repeat(repeat) if matches!(*repeat.body, Node::Text { .. } | Node::Set(_) | Node::Any { .. }) => {
            repeat.most = Some(repeat.least);
            repeat.least == 0
        }
        _ => false,
    };
    match body {
        Node::List(parts) => {
            if parts.iter_mut().all(simple) {
                return Err(("(?<", "this look-behind has only optional parts"));
            }
            Ok(())
        }
        body => {
            simple(body);
            Ok(())
        }
    }
}

/// How many characters a node matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Length {
    pub(super) least: u64,
    /// None: without limit.
    pub(super) most: Option<u64>,
    /// Whether the least number is sure to match: there is no anchor, look-around or group.
    sure: bool,
}

impl Length {
    const NONE: Self = Self::fixed(0);
    const UNSURE: Self = Self { sure: false, ..Self::NONE };

    const fn fixed(length: u64) -> Self {
        Self { least: length, most: Some(length), sure: true }
    }

    pub(super) fn is_fixed(self) -> bool {
        self.most == Some(self.least)
    }

    fn then(self, next: Self) -> Self {
        let most = self.most.zip(next.most).map(|(a, b)| a.saturating_add(b));
        Self { least: self.least.saturating_add(next.least), most, sure: self.sure && next.sure }
    }

    fn or(self, other: Self) -> Self {
        let sure = match self.least.cmp(&other.least) {
            Ordering::Less => self.sure,
            Ordering::Equal => self.sure || other.sure,
            Ordering::Greater => other.sure,
        };
        Self { least: self.least.min(other.least), most: self.most.zip(other.most).map(|(a, b)| a.max(b)), sure }
    }
}

/// How many characters `node` matches; of a back-reference nothing is known.
pub(super) fn length(node: &Node) -> Length {
    match node {
        Node::Text { codes, .. } => Length::fixed(codes.len() as u64),
        Node::Set(_) | Node::Any { .. } => Length::fixed(1),
        Node::List(parts) => parts.iter().map(length).fold(Length::NONE, Length::then),
        Node::Alternatives(branches) => branches.iter().map(length).reduce(Length::or).unwrap_or(Length::NONE),
        Node::Repeat(Repeat { body, least, most, .. }) => {
            if *most == Some(0) {
                return Length::NONE;
            }
            let body = length(body);
            let most = most.zip(body.most).map(|(most, length)| length.saturating_mul(u64::from(most)));
            Length { least: body.least.saturating_mul(u64::from(*least)), most, ..body }
        }
        Node::Group { body, .. } => Length { sure: false, ..length(body) },
        Node::Options(body) | Node::Atomic(body) => length(body),
        Node::Condition { test, then, otherwise } => {
            let part = |part: &Option<Box<Node>>| part.as_deref().map_or(Length::NONE, length);
            length(test).then(part(then)).or(part(otherwise))
        }
        Node::Keep | Node::Never => Length::NONE,
        Node::Look { .. } | Node::Anchor(_) => Length::UNSURE,
        Node::BackReference(reference) if reference.check => Length::UNSURE,
        Node::BackReference(_) => Length { most: None, ..Length::UNSURE },
    }
}
