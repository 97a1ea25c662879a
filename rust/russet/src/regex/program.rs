//! What a pattern is compiled to.

use super::ast::Anchor;
use super::charset::{ByteSet, Class};
use memchr::memmem::Finder;

/// No index.
pub(super) const NONE: u32 = u32::MAX;

/// One instruction. Indices refer to the program's tables, addresses to its instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inst {
    /// One byte.
    Byte(u8),
    /// The bytes `start..end` of the literals.
    Literal { start: u32, end: u32 },
    /// One character of a class.
    Class(u32),
    /// Characters of a class, see [`Run`].
    Run(u32),
    /// Two ways to go on, see [`Split`].
    Split(u32),
    /// Goes on elsewhere.
    Jump(u32),
    /// A place.
    Anchor(Anchor),
    /// The next character is (not) of a class; it is not consumed.
    Ahead { class: u32, not: bool },
    /// The character before is (not) of a class.
    Behind { class: u32, not: bool },
    /// Starts a part that is left by one [`Inst::Leave`] only.
    Enter { kind: Part, leave: u32 },
    /// Ends such a part.
    Leave(Part),
    /// Goes back so many characters.
    Back(u32),
    /// Goes back at least and at most so many characters ([`NONE`]: without limit), the fewest first.
    BackRange { least: u32, most: u32 },
    /// The position where the look-behind is.
    AtLimit,
    /// Notes where an iteration starts in a register.
    IterationStart(u32),
    /// Leaves the loop for `exit` if the iteration that the register notes was empty.
    IterationEnd { register: u32, exit: u32 },
    /// Sets a register to the position.
    Save(u32),
    /// What a group matched, again.
    BackReference(u32),
    /// Whether a group matched.
    Check(u32),
    /// Does not match.
    Fail,
    /// The end.
    Match,
}

/// The parts that are entered and left as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Goes on at the end of the part.
    Atomic,
    /// The same; if the part does not match, goes on at the address.
    Condition { otherwise: u32 },
    /// Goes on where the part started.
    Look,
    /// The same if the part does not match.
    NotLook,
    /// As `Look`, for a part that has to end where it was entered.
    LookBehind,
    /// As `NotLook`, for such a part.
    NotLookBehind,
}

/// How a run gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunKind {
    /// As many as possible, then fewer.
    Greedy,
    /// As few as possible, then more.
    Lazy,
    /// As many as possible and no fewer.
    Possessive,
}

/// A repeated class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) class: u32,
    pub(super) least: u32,
    /// [`NONE`]: without limit.
    pub(super) most: u32,
    pub(super) kind: RunKind,
    /// What is remembered of it, or [`NONE`].
    pub(super) memo: u32,
    /// The bytes that can follow, or [`NONE`] if any or the end may.
    pub(super) follow: u32,
}

/// A choice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    pub(super) first: u32,
    pub(super) second: u32,
    /// The bytes with which each way can start, or [`NONE`] if it may match without one.
    pub(super) first_bytes: u32,
    pub(super) second_bytes: u32,
    /// What is remembered of it, or [`NONE`].
    pub(super) memo: u32,
}

/// A reference to groups.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub(super) groups: Vec<u32>,
    pub(super) fold: bool,
}

/// A compiled pattern.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) insts: Vec<Inst>,
    pub(super) classes: Vec<Class>,
    pub(super) runs: Vec<Run>,
    pub(super) splits: Vec<Split>,
    pub(super) references: Vec<Reference>,
    pub(super) literals: Vec<u8>,
    pub(super) byte_sets: Vec<ByteSet>,
    /// For each memo the registers that must not be at its position for it to count, as a range of `guard_registers`.
    pub(super) guards: Vec<(u32, u32)>,
    pub(super) guard_registers: Vec<u32>,
    /// Register 0 is the start of the match; then iterations, then starts and ends of groups.
    pub(super) registers: u32,
    /// The first register of the groups.
    pub(super) first_group: u32,
    /// Whether registers have to be right after a part is left: there are groups, or `\K`.
    pub(super) keeps_registers: bool,
    /// Whether a search can be remembered: no back-references.
    pub(super) remembers: bool,
    /// Whether the number of steps is limited, because it is not bounded otherwise.
    pub(super) limited: bool,
    /// Whether there are parts.
    pub(super) has_parts: bool,
    /// Whether `\G` is used.
    pub(super) uses_search_start: bool,
    /// The bytes with which a match starts, or None if it may be empty.
    pub(super) start_bytes: Option<ByteSet>,
    /// Finds the bytes with which every match starts, if there are such.
    pub(super) prefix: Option<Finder<'static>>,
    /// A match starts where the text starts.
    pub(super) anchored: bool,
}
