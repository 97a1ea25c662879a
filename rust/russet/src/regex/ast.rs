//! The syntax tree of a pattern.
//!
//! It keeps the shape that Oniguruma's parser gives, because meaning hangs on shape: which texts stand next to each other
//! (they fold together), what a quantifier's direct body is (nested quantifiers are merged), where a group ends.

use super::charset::CharSet;

/// A node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// A text. With `fold`, case is ignored.
    Text { codes: Vec<u32>, fold: bool },
    /// One character of a set.
    Set(CharSet),
    /// One character, but no line feed without `newline`.
    Any { newline: bool },
    /// One after the other.
    List(Vec<Node>),
    /// The first that leads to a match.
    Alternatives(Vec<Node>),
    /// A repetition; without `most`, any number of times.
    Repeat(Repeat),
    /// A capturing group.
    Group { number: u32, named: bool, body: Box<Node> },
    /// `(?i:...)` and the like: no meaning left, but a boundary for texts and quantifiers.
    Options(Box<Node>),
    /// `(?>...)`: the first way to match, and no other.
    Atomic(Box<Node>),
    /// `(?(...)...|...)`; also what `\R` is.
    Condition { test: Box<Node>, then: Option<Box<Node>>, otherwise: Option<Box<Node>> },
    /// A look-around.
    Look { behind: bool, negative: bool, body: Box<Node> },
    /// A place.
    Anchor(Anchor),
    /// What a group matched, again; or, with `check`, only whether one of the groups matched.
    BackReference(BackReference),
    /// `\K`: the match starts here.
    Keep,
    /// Does not match.
    Never,
}

/// A repetition.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Repeat {
    pub(super) body: Box<Node>,
    pub(super) least: u32,
    pub(super) most: Option<u32>,
    pub(super) greedy: bool,
}

/// A reference to groups: the last of them that matched counts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BackReference {
    pub(super) groups: Vec<u32>,
    pub(super) by_name: bool,
    pub(super) fold: bool,
    pub(super) check: bool,
    /// It stands inside the group that it refers to.
    pub(super) recursive: bool,
}

/// A place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    /// `\A`
    TextStart,
    /// `\z`
    TextEnd,
    /// `\Z`
    LastLineEnd,
    /// `^`
    LineStart,
    /// `$`
    LineEnd,
    /// `\G`
    SearchStart,
    /// `\b`, or `\B` with `not`.
    WordBoundary { ascii: bool, not: bool },
}

impl Node {
    /// The empty text.
    pub(super) fn empty() -> Self {
        Self::Text { codes: Vec::new(), fold: false }
    }

    /// Calls `visit` for each direct part.
    pub(super) fn for_each_part<'n>(&'n self, visit: &mut dyn FnMut(&'n Node)) {
        match self {
            Self::Text { .. }
            | Self::Set(_)
            | Self::Any { .. }
            | Self::Anchor(_)
            | Self::BackReference(_)
            | Self::Keep
            | Self::Never => {}
            Self::List(parts) | Self::Alternatives(parts) => parts.iter().for_each(visit),
            Self::Repeat(Repeat { body, .. })
            | Self::Group { body, .. }
            | Self::Options(body)
            | Self::Atomic(body)
            | Self::Look { body, .. } => visit(body),
            Self::Condition { test, then, otherwise } => {
                visit(test);
                then.iter().chain(otherwise).for_each(|part| visit(part));
            }
        }
    }

    /// Replaces each direct part by what `change` makes of it.
    pub(super) fn try_map_parts<E>(self, change: &mut dyn FnMut(Node) -> Result<Node, E>) -> Result<Self, E> {
        Ok(match self {
            Self::Text { .. }
            | Self::Set(_)
            | Self::Any { .. }
            | Self::Anchor(_)
            | Self::BackReference(_)
            | Self::Keep
            | Self::Never => self,
            Self::List(parts) => Self::List(parts.into_iter().map(change).collect::<Result<_, E>>()?),
            Self::Alternatives(parts) => Self::Alternatives(parts.into_iter().map(change).collect::<Result<_, E>>()?),
            Self::Repeat(repeat) => Self::Repeat(Repeat { body: Box::new(change(*repeat.body)?), ..repeat }),
            Self::Group { number, named, body } => Self::Group { number, named, body: Box::new(change(*body)?) },
            Self::Options(body) => Self::Options(Box::new(change(*body)?)),
            Self::Atomic(body) => Self::Atomic(Box::new(change(*body)?)),
            Self::Look { behind, negative, body } => Self::Look { behind, negative, body: Box::new(change(*body)?) },
            Self::Condition { test, then, otherwise } => Self::Condition {
                test: Box::new(change(*test)?),
                then: then.map(|node| change(*node).map(Box::new)).transpose()?,
                otherwise: otherwise.map(|node| change(*node).map(Box::new)).transpose()?,
            },
        })
    }

    /// Whether `test` holds for the node or one inside it.
    pub(super) fn any(&self, test: &dyn Fn(&Node) -> bool) -> bool {
        let mut found = test(self);
        self.for_each_part(&mut |part| found = found || part.any(test));
        found
    }
}

impl Repeat {
    /// Oniguruma's number of a common quantifier: `?` 0, `*` 1, `+` 2, `??` 3, `*?` 4, `+?` 5.
    fn kind(&self) -> Option<usize> {
        let base = match (self.least, self.most) {
            (0, Some(1)) => 0,
            (0, None) => 1,
            (1, None) => 2,
            _ => return None,
        };
        Some(if self.greedy { base } else { base + 3 })
    }

    /// Puts `body` under a quantifier as Oniguruma does when the body is itself a repetition: most pairs become one.
    /// The error is that the counts multiply to more than an `int` holds.
    pub(super) fn over(mut self, body: Repeat) -> Result<Node, ()> {
        match (body.kind(), self.kind()) {
            // `(?:a*){2,5}`: repeating what already repeats adds nothing, up to the least count.
            (Some(1 | 2), None) => {
                if self.greedy && self.most.is_some_and(|most| most > 1) {
                    self.most = Some(self.least.max(1));
                }
                Ok(Node::Repeat(Self { body: Box::new(Node::Repeat(body)), ..self }))
            }
            (Some(_), None) => Ok(Node::Repeat(Self { body: Box::new(Node::Repeat(body)), ..self })),
            _ => self.merge(body),
        }
    }

    /// Merges a quantifier with the repetition under it, where the pair has a shorter form.
    pub(super) fn merge(self, body: Repeat) -> Result<Node, ()> {
        let (Some(inner), Some(outer)) = (body.kind(), self.kind()) else {
            if self.most == Some(self.least) && body.most == Some(body.least) {
                let count = u64::from(self.least) * u64::from(body.least);
                let count = i32::try_from(count).map_err(|_| ())? as u32;
                return Ok(Node::Repeat(Self { body: body.body, least: count, most: Some(count), greedy: self.greedy }));
            }
            return Ok(Node::Repeat(Self { body: Box::new(Node::Repeat(body)), ..self }));
        };
        let one = |least, most, greedy| Ok(Node::Repeat(Self { body: body.body.clone(), least, most, greedy }));
        match MERGED[inner][outer] {
            Merged::Inner => Ok(Node::Repeat(body)),
            Merged::Star => one(0, None, true),
            Merged::Plus => one(1, None, true),
            Merged::LazyStar => one(0, None, false),
            Merged::LazyOption => one(0, Some(1), false),
            Merged::LazyOptionOfPlus => {
                let plus = Node::Repeat(Self { least: 1, most: None, greedy: true, ..body });
                Ok(Node::Repeat(Self { body: Box::new(plus), least: 0, most: Some(1), greedy: false }))
            }
            Merged::Both => Ok(Node::Repeat(Self { body: Box::new(Node::Repeat(body)), ..self })),
        }
    }
}

/// What a quantifier over a quantifier becomes.
#[derive(Clone, Copy)]
enum Merged {
    /// Both stay.
    Both,
    /// Only the inner one stays.
    Inner,
    Star,
    Plus,
    LazyStar,
    LazyOption,
    LazyOptionOfPlus,
}

/// Indexed by the kinds of the inner and the outer quantifier.
const MERGED: [[Merged; 6]; 6] = {
    use Merged::{Both, Inner, LazyOption, LazyOptionOfPlus, LazyStar, Plus, Star};
    [
        [Inner, Star, Star, LazyOption, LazyStar, Both],
        [Inner, Inner, Inner, LazyOptionOfPlus, LazyOptionOfPlus, Inner],
        [Star, Star, Inner, Both, LazyOptionOfPlus, Inner],
        [Inner, LazyStar, LazyStar, Inner, LazyStar, LazyStar],
        [Inner, Inner, Inner, Inner, Inner, Inner],
        [Both, Star, Plus, LazyStar, LazyStar, Inner],
    ]
};
