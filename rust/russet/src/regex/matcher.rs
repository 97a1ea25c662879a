//! Runs a program on a text: backtracking with an explicit stack, and a memo that keeps it linear.
//!
//! The order in which ways are tried is the meaning of a pattern, so the matcher tries them in that order and takes the
//! first that leads to the end. As long as a search needs few steps for the distance it gets, that is all. Once it needs
//! more than [`STEPS_PER_BYTE`] a byte, the matcher begins to note states (a choice or run, and the position) from which
//! everything was tried in vain; a state that is met again fails at once, so each is worked out only once, and time is
//! O(text x program). (J. C. Davis, F. Servant, D. Lee: "Using selective memoization to defeat regular expression denial of
//! service", IEEE S&P 2021, has the idea; what follows is what it takes to keep the exact order of a backtracking engine.)
//!
//! - A state is noted when everything behind it has failed, not when it is first met: a loop may come back to a state that
//!   is still open, with different prospects (an empty iteration ends its loop). For the same reason a state at the very
//!   start of an iteration of such a loop is not noted.
//! - Atomic groups, look-arounds and conditions are parts: in them "failed" means that the end of the part is out of reach.
//!   When a part succeeds, the states on the way are the frames still on the stack. In a look-around they are noted as
//!   done: met again, the look-around succeeds. In an atomic part they are noted once what comes after the part has failed:
//!   met again, the part fails as a whole, without trying its other ways.
//! - A run over a class is one instruction and one frame, with a bit for each position where it could go on or stop.
//! - In a look-behind of variable length a state also depends on where it has to end, and with back-references on what
//!   groups hold: nothing is noted there. Steps are limited for patterns that have these.

use super::ast::Anchor;
use super::case_fold;
use super::charset::{char_before, decode, Class};
use super::memo::{Memo, Plane};
use super::program::{Inst, Part, Program, Run, RunKind, NONE};
use super::properties;
use crate::{Error, Result};
use std::ops::Range;

/// From so many steps a byte on, states are remembered.
const STEPS_PER_BYTE: u64 = 8;
/// So many steps are free.
const FREE_STEPS: u64 = 4_096;
/// The steps that one attempt to match may take where the number is limited.
const MAX_STEPS: u64 = 1_000_000;
/// The steps that a whole text may take there, for each of its bytes.
const MAX_STEPS_PER_BYTE: u64 = 200;
/// The most frames that the stack may hold.
const MAX_FRAMES: usize = 1 << 26;

/// What to go back to.
#[derive(Clone, Copy, Debug)]
struct Frame {
    kind: Kind,
    /// An address, or what the kind says.
    at: u32,
    a: u32,
    b: u32,
    c: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The second way of split `at`, at position `a`.
    Split,
    /// The same; the state is to be noted.
    SplitNoted,
    /// States of memo `at` from position `a` to `b` have failed once this is reached.
    Failed,
    /// The same for states on the way through an atomic part, what comes after which has failed.
    Done,
    /// Run at address `at`: from position `b` back to `a`.
    Run,
    /// The same; noted from position `a` on (or one later, for `RunNotedLater`), or if the run has a limit at `c`, up to `c`.
    RunNoted,
    RunNotedLater,
    /// Lazy run at address `at`: on from position `a`, `b` more times; from `c` on its states are noted in the noted kinds.
    Lazy,
    LazyNoted,
    LazyNotedLater,
    /// The start of a part, whose `Enter` is at `at`: its position, the stack index of the part around it, the limit there.
    Part,
    /// Look-behind: the instruction at `at`, one character before position `a`, `b` more times.
    Back,
    /// Register `at` was `a`.
    Register,
}

/// Buffers of a search.
#[derive(Debug)]
pub(super) struct Scratch {
    stack: Vec<Frame>,
    registers: Vec<u32>,
    memo: Memo,
    /// How many steps, and how many more a byte, until states are noted.
    pub(super) patience: (u64, u64),
    /// The steps of the last text, for tests.
    pub(super) steps: u64,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { stack: Vec::new(), registers: Vec::new(), memo: Memo::default(), patience: (FREE_STEPS, STEPS_PER_BYTE), steps: 0 }
    }
}

/// Calls `found` for each match of `program` in `text`, as the reference iterates: an empty match directly after a match is
/// passed over, and the search goes on one character later.
pub(super) fn find_iter(
    program: &Program,
    pattern: &str,
    text: &str,
    scratch: &mut Scratch,
    found: &mut dyn FnMut(Range<usize>) -> Result<()>,
) -> Result<()> {
    if u32::try_from(text.len()).is_err() {
        return Err(Error::Limit { what: "the length of a text to match", value: text.len() as u64, limit: u64::from(u32::MAX) });
    }
    let mut matcher = Matcher {
        program,
        pattern,
        text,
        bytes: text.as_bytes(),
        stack: &mut scratch.stack,
        registers: &mut scratch.registers,
        memo: &mut scratch.memo,
        patience: scratch.patience,
        noting: false,
        part: NONE,
        limit: text.len(),
        search_start: 0,
        steps: 0,
        furthest: 0,
    };
    let result = matcher.iterate(found);
    scratch.steps = matcher.steps;
    result
}

struct Matcher<'m> {
    program: &'m Program,
    pattern: &'m str,
    text: &'m str,
    bytes: &'m [u8],
    stack: &'m mut Vec<Frame>,
    registers: &'m mut Vec<u32>,
    memo: &'m mut Memo,
    patience: (u64, u64),
    /// Whether states are noted and looked up.
    noting: bool,
    /// The stack index of the innermost part's frame, or [`NONE`].
    part: u32,
    /// Where characters end: the end of the text, or where a look-behind has to end.
    limit: usize,
    search_start: usize,
    steps: u64,
    /// The furthest position at which a way ended.
    furthest: usize,
}

/// What is known of a state.
enum Known {
    Nothing,
    Failed,
    Done,
}

impl Matcher<'_> {
    fn iterate(&mut self, found: &mut dyn FnMut(Range<usize>) -> Result<()>) -> Result<()> {
        let (mut position, mut last_end) = (0, None);
        while position <= self.text.len() {
            let Some(range) = self.search(position)? else { break };
            if range.is_empty() && last_end == Some(range.end) {
                position += self.text[position..].chars().next().map_or(1, char::len_utf8);
                continue;
            }
            position = range.end;
            last_end = Some(range.end);
            found(range)?;
        }
        Ok(())
    }

    /// The first match that starts at `from` or later.
    fn search(&mut self, from: usize) -> Result<Option<Range<usize>>> {
        self.search_start = from;
        if self.noting {
            if self.program.uses_search_start {
                self.memo.clear();
            }
            self.memo.pass(from);
        }
        if self.program.anchored {
            return if from == 0 { self.attempt(0) } else { Ok(None) };
        }
        let mut start = from;
        loop {
            let Some(next) = self.candidate(start) else { return Ok(None) };
            if let Some(range) = self.attempt(next)? {
                return Ok(Some(range));
            }
            match self.bytes.get(next) {
                Some(_) => start = next + decode(self.bytes, next).1,
                None => return Ok(None),
            }
        }
    }

    /// The first position from `start` on at which a match can start.
    fn candidate(&self, start: usize) -> Option<usize> {
        let rest = &self.bytes[start..];
        let offset = match (&self.program.prefix, &self.program.start_bytes) {
            (Some(prefix), _) => prefix.find(rest)?,
            (None, Some(bytes)) => rest.iter().position(|&byte| bytes.contains(byte))?,
            (None, None) => 0,
        };
        Some(start + offset)
    }

    /// A match that starts at `start`.
    fn attempt(&mut self, start: usize) -> Result<Option<Range<usize>>> {
        self.stack.clear();
        self.registers.clear();
        self.registers.resize(self.program.registers as usize, NONE);
        self.registers[0] = start as u32;
        self.part = NONE;
        self.limit = self.bytes.len();
        let before = self.steps;
        let end = self.run(start, before)?;
        Ok(end.map(|end| self.registers[0] as usize..end))
    }

    /// Runs from `position` on; the end of the match. `before`: the steps until now.
    fn run(&mut self, mut position: usize, before: u64) -> Result<Option<usize>> {
        let program = self.program;
        let mut at = 0;
        loop {
            self.steps += 1;
            let goes_on = match program.insts[at as usize] {
                Inst::Byte(byte) => {
                    let goes_on = position < self.limit && self.bytes[position] == byte;
                    position += usize::from(goes_on);
                    goes_on
                }
                Inst::Literal { start, end } => {
                    let literal = &program.literals[start as usize..end as usize];
                    let goes_on = self.bytes[position..self.limit].starts_with(literal);
                    if goes_on {
                        position += literal.len();
                    }
                    goes_on
                }
                Inst::Class(class) => match program.classes[class as usize].match_at(self.bytes, position, self.limit) {
                    Some(length) => {
                        position += length;
                        true
                    }
                    None => false,
                },
                Inst::Run(run) => match self.start_run(&program.runs[run as usize], at, &mut position)? {
                    Known::Nothing => true,
                    Known::Failed => false,
                    Known::Done if self.finish_part(&mut at) => continue,
                    Known::Done => false,
                },
                Inst::Split(number) => match self.choose(number, &mut at, position)? {
                    Known::Nothing => continue,
                    Known::Failed => false,
                    Known::Done if self.finish_part(&mut at) => continue,
                    Known::Done => false,
                },
                Inst::Jump(target) => {
                    at = target;
                    continue;
                }
                Inst::Anchor(anchor) => self.is_at(anchor, position),
                Inst::Ahead { class, not } => {
                    program.classes[class as usize].match_at(self.bytes, position, self.bytes.len()).is_some() != not
                }
                Inst::Behind { class, not } => {
                    let is = position > 0 && {
                        let (code, _) = decode(self.bytes, char_before(self.bytes, position));
                        program.classes[class as usize].contains(code)
                    };
                    is != not
                }
                Inst::Enter { kind, .. } => {
                    self.push(Frame { kind: Kind::Part, at, a: position as u32, b: self.part, c: self.limit as u32 })?;
                    self.part = self.stack.len() as u32 - 1;
                    if matches!(kind, Part::LookBehind | Part::NotLookBehind) {
                        self.limit = position;
                    }
                    true
                }
                Inst::Leave(kind) => self.leave(kind, &mut position)?,
                Inst::Back(count) => self.go_back(&mut position, count),
                Inst::BackRange { least, most } => {
                    let goes_on = self.go_back(&mut position, least);
                    let more = if most == NONE { NONE } else { most - least };
                    if goes_on && more > 0 {
                        self.push(Frame { kind: Kind::Back, at: at + 1, a: position as u32, b: more, c: 0 })?;
                    }
                    goes_on
                }
                Inst::AtLimit => position == self.limit,
                Inst::IterationStart(register) | Inst::Save(register) => {
                    let old = self.registers[register as usize];
                    self.push(Frame { kind: Kind::Register, at: register, a: old, b: 0, c: 0 })?;
                    self.registers[register as usize] = position as u32;
                    true
                }
                Inst::IterationEnd { register, exit } => {
                    if self.registers[register as usize] == position as u32 {
                        at = exit;
                        continue;
                    }
                    true
                }
                Inst::BackReference(reference) => self.match_groups(reference, &mut position),
                Inst::Check(reference) => {
                    program.references[reference as usize].groups.iter().any(|&group| self.group(group).is_some())
                }
                Inst::Fail => false,
                Inst::Match => return Ok(Some(position)),
            };
            if goes_on {
                at += 1;
            } else {
                self.furthest = self.furthest.max(position);
                match self.backtrack(before)? {
                    Some((next, back)) => (at, position) = (next, back),
                    None => return Ok(None),
                }
            }
        }
    }

    fn push(&mut self, frame: Frame) -> Result<()> {
        if self.stack.len() >= MAX_FRAMES {
            return Err(self.limit_error(MAX_FRAMES as u64));
        }
        self.stack.push(frame);
        Ok(())
    }

    #[cold]
    fn limit_error(&self, limit: u64) -> Error {
        Error::PatternLimit { pattern: self.pattern.to_owned(), limit, length: self.bytes.len() }
    }

    /// What is known of the state `memo` at `position`.
    #[inline]
    fn known(&self, memo: u32, position: usize) -> Known {
        if self.memo.get(memo, Plane::Failed, position) {
            return Known::Failed;
        }
        if self.part != NONE && self.memo.get(memo, Plane::Done, position) {
            return Known::Done;
        }
        Known::Nothing
    }

    /// Whether a state may be noted at `position`: no loop around it had its iteration start here.
    fn counts(&self, memo: u32, position: usize) -> bool {
        let (start, end) = self.program.guards[memo as usize];
        let registers = &self.program.guard_registers[start as usize..end as usize];
        registers.iter().all(|&register| self.registers[register as usize] != position as u32)
    }

    /// Takes the first way of a split that can go on, and keeps the other in mind.
    fn choose(&mut self, number: u32, at: &mut u32, position: usize) -> Result<Known> {
        let split = self.program.splits[number as usize];
        let byte = if position < self.limit { Some(self.bytes[position]) } else { None };
        let first = self.can_start(split.first_bytes, byte);
        let second = self.can_start(split.second_bytes, byte);
        if self.noting && split.memo != NONE && self.counts(split.memo, position) {
            match self.known(split.memo, position) {
                Known::Nothing => {}
                known => return Ok(known),
            }
            let frame = if first && second {
                Frame { kind: Kind::SplitNoted, at: number, a: position as u32, b: 0, c: 0 }
            } else {
                Frame { kind: Kind::Failed, at: split.memo, a: position as u32, b: position as u32, c: 0 }
            };
            self.push(frame)?;
        } else if first && second {
            self.push(Frame { kind: Kind::Split, at: number, a: position as u32, b: 0, c: 0 })?;
        }
        *at = if first { split.first } else { split.second };
        Ok(if first || second { Known::Nothing } else { Known::Failed })
    }

    /// Whether a way that starts with one of `bytes` can go on.
    #[inline(always)]
    fn can_start(&self, bytes: u32, byte: Option<u8>) -> bool {
        bytes == NONE || byte.is_some_and(|byte| self.program.byte_sets[bytes as usize].contains(byte))
    }

    /// Starts a run at `position` and takes it as far as it goes first.
    fn start_run(&mut self, run: &Run, at: u32, position: &mut usize) -> Result<Known> {
        let program = self.program;
        let class = &program.classes[run.class as usize];
        let entry = *position;
        let noting = self.noting && run.memo != NONE;
        let counts = noting && self.counts(run.memo, entry);
        let bounded = run.most != NONE;
        if bounded && counts {
            match self.known(run.memo, entry) {
                Known::Nothing => {}
                known => return Ok(known),
            }
        }
        let mut low = entry;
        for _ in 0..run.least {
            match class.match_at(self.bytes, low, self.limit) {
                Some(length) => low += length,
                None => {
                    self.furthest = self.furthest.max(low);
                    return Ok(Known::Failed);
                }
            }
        }
        self.steps += u64::from(run.least);
        let more = if bounded { run.most - run.least } else { NONE };
        if run.kind == RunKind::Lazy {
            let kind = match (noting, counts) {
                (false, _) => Kind::Lazy,
                (true, true) => Kind::LazyNoted,
                // A run that is noted where it starts is not noted at all if it cannot be noted there.
                (true, false) if bounded => Kind::Lazy,
                (true, false) => Kind::LazyNotedLater,
            };
            if !bounded && noting && (low > entry || counts) {
                match self.known(run.memo, low) {
                    Known::Nothing => {}
                    known => return Ok(known),
                }
            }
            if more > 0 {
                let start = if bounded { entry } else { low };
                self.push(Frame { kind, at, a: low as u32, b: more, c: start as u32 })?;
            }
            *position = low;
            return Ok(Known::Nothing);
        }
        // From here on each position is a state of its own in a run without limit.
        let mut high = low;
        let mut known = Known::Nothing;
        if noting && !bounded {
            loop {
                if high > entry || counts {
                    known = self.known(run.memo, high);
                    if !matches!(known, Known::Nothing) {
                        break;
                    }
                }
                match class.match_at(self.bytes, high, self.limit) {
                    Some(length) => high += length,
                    None => break,
                }
                self.steps += 1;
            }
        } else {
            high = self.scan(class, low, more);
        }
        if let Known::Done = known {
            return Ok(Known::Done);
        }
        if let Known::Failed = known {
            // Neither stopping at `high` nor going on from there leads to the end; what is left is to stop before.
            if high == low || run.kind == RunKind::Possessive {
                if counts || low > entry {
                    self.memo.set(run.memo, Plane::Failed, low, high)?;
                }
                return Ok(Known::Failed);
            }
            high = char_before(self.bytes, high);
        }
        match run.kind {
            RunKind::Possessive => {
                if noting && (counts || !bounded) {
                    let first = if bounded {
                        entry
                    } else if counts {
                        low
                    } else {
                        low.max(entry + 1)
                    };
                    let last = if bounded { entry } else { high };
                    if first <= last {
                        self.push(Frame { kind: Kind::Failed, at: run.memo, a: first as u32, b: last as u32, c: 0 })?;
                    }
                }
            }
            _ => {
                let kind = match (noting, counts) {
                    (false, _) => Kind::Run,
                    (true, true) => Kind::RunNoted,
                    (true, false) if bounded => Kind::Run,
                    (true, false) => Kind::RunNotedLater,
                };
                if kind != Kind::Run || high > low {
                    let c = if bounded { entry } else { high };
                    self.push(Frame { kind, at, a: low as u32, b: high as u32, c: c as u32 })?;
                }
            }
        }
        *position = high;
        Ok(Known::Nothing)
    }

    /// The end of up to `more` characters of `class` from `position` on.
    fn scan(&mut self, class: &Class, mut position: usize, mut more: u32) -> usize {
        let start = position;
        while more > 0 {
            let Some(length) = class.match_at(self.bytes, position, self.limit) else { break };
            position += length;
            // No text has 2^32 characters, so a run without limit does not end here.
            more -= 1;
        }
        self.steps += (position - start) as u64;
        position
    }

    /// Goes back to the last way that is left. None: there is none.
    fn backtrack(&mut self, before: u64) -> Result<Option<(u32, usize)>> {
        self.check_steps(before)?;
        while let Some(frame) = self.stack.last_mut() {
            match frame.kind {
                Kind::Split | Kind::SplitNoted => {
                    let split = &self.program.splits[frame.at as usize];
                    let position = frame.a as usize;
                    if frame.kind == Kind::SplitNoted {
                        *frame = Frame { kind: Kind::Failed, at: split.memo, a: frame.a, b: frame.a, c: 0 };
                    } else {
                        self.stack.pop();
                    }
                    return Ok(Some((split.second, position)));
                }
                Kind::Failed | Kind::Done => {
                    let plane = if frame.kind == Kind::Failed { Plane::Failed } else { Plane::Done };
                    let (state, first, last) = (frame.at, frame.a as usize, frame.b as usize);
                    self.stack.pop();
                    self.memo.set(state, plane, first, last)?;
                }
                Kind::Run | Kind::RunNoted | Kind::RunNotedLater => {
                    if let Some(next) = self.shorten_run()? {
                        return Ok(Some(next));
                    }
                }
                Kind::Lazy | Kind::LazyNoted | Kind::LazyNotedLater => {
                    if let Some(next) = self.lengthen_run()? {
                        return Ok(Some(next));
                    }
                }
                Kind::Part => {
                    let Frame { at, a, b, c, .. } = *frame;
                    self.stack.pop();
                    (self.part, self.limit) = (b, c as usize);
                    if let Inst::Enter { kind, leave } = self.program.insts[at as usize] {
                        match kind {
                            Part::Condition { otherwise } => return Ok(Some((otherwise, a as usize))),
                            Part::NotLook | Part::NotLookBehind => return Ok(Some((leave + 1, a as usize))),
                            Part::Atomic | Part::Look | Part::LookBehind => {}
                        }
                    }
                }
                Kind::Back => {
                    let (at, mut position) = (frame.at, frame.a as usize);
                    if position == 0 {
                        self.stack.pop();
                        continue;
                    }
                    position = char_before(self.bytes, position);
                    frame.a = position as u32;
                    if frame.b != NONE {
                        frame.b -= 1;
                    }
                    if frame.b == 0 {
                        self.stack.pop();
                    }
                    return Ok(Some((at, position)));
                }
                Kind::Register => {
                    let (register, old) = (frame.at, frame.a);
                    self.stack.pop();
                    self.registers[register as usize] = old;
                }
            }
        }
        Ok(None)
    }

    /// The run on top of the stack gives back a character. None: it has none left and is taken away.
    fn shorten_run(&mut self) -> Result<Option<(u32, usize)>> {
        let Some(frame) = self.stack.last_mut() else { return Ok(None) };
        let Inst::Run(number) = self.program.insts[frame.at as usize] else { return Ok(None) };
        let run = &self.program.runs[number as usize];
        let (low, mut high) = (frame.a as usize, frame.b as usize);
        let start = high;
        while high > low {
            high = char_before(self.bytes, high);
            // Positions inside a run have a next byte.
            if run.follow == NONE || self.program.byte_sets[run.follow as usize].contains(self.bytes[high]) {
                frame.b = high as u32;
                let at = frame.at;
                if frame.kind == Kind::Run && high == low {
                    self.stack.pop();
                }
                self.steps += (start - high) as u64;
                return Ok(Some((at + 1, high)));
            }
        }
        self.steps += (start - high) as u64;
        let frame = *frame;
        self.stack.pop();
        self.note_run(&frame, run, Plane::Failed, frame.c as usize)?;
        Ok(None)
    }

    /// Notes the states of a greedy run, up to `last` where each position is one.
    fn note_run(&mut self, frame: &Frame, run: &Run, plane: Plane, last: usize) -> Result<()> {
        let low = frame.a as usize;
        match frame.kind {
            Kind::RunNoted if run.most != NONE => self.memo.set(run.memo, plane, frame.c as usize, frame.c as usize),
            Kind::RunNoted => self.memo.set(run.memo, plane, low, last),
            // Not at the position where the loop around started its iteration, which is `low` unless something was taken.
            Kind::RunNotedLater if run.least > 0 => self.memo.set(run.memo, plane, low, last),
            Kind::RunNotedLater => self.memo.set(run.memo, plane, low + 1, last),
            _ => Ok(()),
        }
    }

    /// The lazy run on top of the stack takes one more character. None: it cannot and is taken away.
    fn lengthen_run(&mut self) -> Result<Option<(u32, usize)>> {
        let Some(frame) = self.stack.last_mut() else { return Ok(None) };
        let Inst::Run(number) = self.program.insts[frame.at as usize] else { return Ok(None) };
        let run = &self.program.runs[number as usize];
        let position = frame.a as usize;
        if frame.b > 0 {
            if let Some(length) = self.program.classes[run.class as usize].match_at(self.bytes, position, self.limit) {
                frame.a = (position + length) as u32;
                if frame.b != NONE {
                    frame.b -= 1;
                }
                let frame = *frame;
                let next = position + length;
                if run.most == NONE && frame.kind != Kind::Lazy {
                    match self.known(run.memo, next) {
                        Known::Nothing => {}
                        Known::Failed => {
                            self.stack.pop();
                            self.note_lazy(&frame, run, Plane::Failed)?;
                            return Ok(None);
                        }
                        Known::Done => {
                            let mut at = frame.at;
                            // In an atomic part this takes the frame away with the part, so that nothing is left here.
                            return Ok(if self.finish_part(&mut at) { Some((at, next)) } else { None });
                        }
                    }
                }
                return Ok(Some((frame.at + 1, next)));
            }
        }
        let frame = *frame;
        self.stack.pop();
        self.note_lazy(&frame, run, Plane::Failed)?;
        Ok(None)
    }

    /// Notes the states of a lazy run.
    fn note_lazy(&mut self, frame: &Frame, run: &Run, plane: Plane) -> Result<()> {
        let (first, last) = (frame.c as usize, frame.a as usize);
        match frame.kind {
            Kind::LazyNoted if run.most != NONE => self.memo.set(run.memo, plane, first, first),
            Kind::LazyNoted => self.memo.set(run.memo, plane, first, last),
            Kind::LazyNotedLater if run.least > 0 => self.memo.set(run.memo, plane, first, last),
            Kind::LazyNotedLater => self.memo.set(run.memo, plane, first + 1, last),
            _ => Ok(()),
        }
    }

    /// Ends the innermost part at a state that is known to lead to its end. True: `at` is where to go on; false: the part
    /// fails as a whole, and is off the stack.
    fn finish_part(&mut self, at: &mut u32) -> bool {
        let frame = self.stack[self.part as usize];
        if let Inst::Enter { kind, leave } = self.program.insts[frame.at as usize] {
            if !matches!(kind, Part::Atomic | Part::Condition { .. }) {
                *at = leave;
                return true;
            }
        }
        self.drop_part(frame);
        false
    }

    /// Takes a part off the stack, with the registers as they were before it.
    fn drop_part(&mut self, frame: Frame) {
        let start = self.part as usize;
        while self.stack.len() > start {
            if let Some(Frame { kind: Kind::Register, at, a, .. }) = self.stack.pop() {
                self.registers[at as usize] = a;
            }
        }
        (self.part, self.limit) = (frame.b, frame.c as usize);
    }

    /// Leaves a part that has matched up to `position`. False: what follows is a failure.
    fn leave(&mut self, kind: Part, position: &mut usize) -> Result<bool> {
        let start = self.part as usize;
        let frame = self.stack[start];
        match kind {
            Part::Atomic | Part::Condition { .. } => {
                let mut keep = start;
                if self.noting || self.program.keeps_registers {
                    for index in start + 1..self.stack.len() {
                        let frame = self.stack[index];
                        if let Some(frame) = self.kept(frame) {
                            self.stack[keep] = frame;
                            keep += 1;
                        }
                    }
                }
                self.stack.truncate(keep);
                (self.part, self.limit) = (frame.b, frame.c as usize);
                Ok(true)
            }
            Part::Look | Part::LookBehind => {
                self.note_way(start)?;
                let mut keep = start;
                if self.program.keeps_registers {
                    for index in start + 1..self.stack.len() {
                        if self.stack[index].kind == Kind::Register {
                            self.stack[keep] = self.stack[index];
                            keep += 1;
                        }
                    }
                }
                self.stack.truncate(keep);
                (self.part, self.limit) = (frame.b, frame.c as usize);
                *position = frame.a as usize;
                Ok(true)
            }
            Part::NotLook | Part::NotLookBehind => {
                self.note_way(start)?;
                self.drop_part(frame);
                Ok(false)
            }
        }
    }

    /// What stays of a frame when the atomic part that it is in has matched: a register's old value, and that the state
    /// led to the end of the part.
    fn kept(&self, frame: Frame) -> Option<Frame> {
        let done =
            |memo, first: u32, last: u32| (first <= last).then_some(Frame { kind: Kind::Done, at: memo, a: first, b: last, c: 0 });
        match frame.kind {
            Kind::Register => self.program.keeps_registers.then_some(frame),
            Kind::SplitNoted => done(self.program.splits[frame.at as usize].memo, frame.a, frame.a),
            Kind::Failed => done(frame.at, frame.a, frame.b),
            Kind::RunNoted | Kind::RunNotedLater | Kind::LazyNoted | Kind::LazyNotedLater => {
                let Inst::Run(number) = self.program.insts[frame.at as usize] else { return None };
                let run = &self.program.runs[number as usize];
                let (first, last) = noted_way(&frame, run);
                done(run.memo, first, last)
            }
            _ => None,
        }
    }

    /// Notes the states on the way through a look-around that has matched; its frames are those above `start`.
    fn note_way(&mut self, start: usize) -> Result<()> {
        if !self.noting {
            return Ok(());
        }
        for index in start + 1..self.stack.len() {
            if let Some(Frame { kind: Kind::Done, at, a, b, .. }) = self.kept(self.stack[index]) {
                self.memo.set(at, Plane::Done, a as usize, b as usize)?;
            }
        }
        Ok(())
    }

    /// Begins to note states, or gives up, once there were too many steps.
    #[inline]
    fn check_steps(&mut self, before: u64) -> Result<()> {
        let patience = self.patience.0 + self.patience.1 * self.furthest as u64;
        if self.program.remembers && !self.noting && self.steps > patience {
            self.begin_to_note();
        }
        if self.program.limited {
            let total = MAX_STEPS + MAX_STEPS_PER_BYTE * self.bytes.len() as u64;
            if self.steps - before > MAX_STEPS || self.steps > total {
                return Err(self.limit_error(if self.steps > total { total } else { MAX_STEPS }));
            }
        }
        Ok(())
    }

    #[cold]
    fn begin_to_note(&mut self) {
        let planes = if self.program.has_parts { 2 } else { 1 };
        self.memo.start(self.program.guards.len(), planes, self.bytes.len());
        self.memo.pass(self.search_start);
        self.noting = true;
    }

    /// Goes back `count` characters; false if there are not so many.
    fn go_back(&self, position: &mut usize, count: u32) -> bool {
        for _ in 0..count {
            if *position == 0 {
                return false;
            }
            *position = char_before(self.bytes, *position);
        }
        true
    }

    fn is_at(&self, anchor: Anchor, position: usize) -> bool {
        let end = self.bytes.len();
        match anchor {
            Anchor::TextStart => position == 0,
            Anchor::TextEnd => position == end,
            Anchor::LastLineEnd => position == end || (position + 1 == end && self.bytes[position] == b'\n'),
            // Not after a line feed that ends the text.
            Anchor::LineStart => position == 0 || (position < end && self.bytes[position - 1] == b'\n'),
            Anchor::LineEnd => position == end || self.bytes[position] == b'\n',
            Anchor::SearchStart => position == self.search_start,
            Anchor::WordBoundary { ascii, not } => {
                let is_word = |code: u32| if ascii { is_ascii_word(code) } else { properties::word_class().contains(code) };
                let left = position > 0 && is_word(decode(self.bytes, char_before(self.bytes, position)).0);
                // At the start of the text, not beyond the end of a look-behind.
                let end = if position == 0 { self.limit } else { end };
                let right = position < end && is_word(decode(self.bytes, position).0);
                (left != right) != not
            }
        }
    }

    /// What group `number` holds.
    fn group(&self, number: u32) -> Option<(usize, usize)> {
        let register = (self.program.first_group + 2 * (number - 1)) as usize;
        let (start, end) = (self.registers[register], self.registers[register + 1]);
        (start != NONE && end != NONE).then_some((start as usize, end as usize))
    }

    /// Matches again what the first of the groups that does so holds.
    fn match_groups(&self, reference: u32, position: &mut usize) -> bool {
        let reference = &self.program.references[reference as usize];
        for &group in &reference.groups {
            let Some((start, end)) = self.group(group) else { continue };
            // Inside the group itself its start may be newer than its end: then nothing is to be matched.
            let held = self.text.get(start..end).unwrap_or_default();
            let rest = &self.bytes[*position..self.limit];
            if rest.len() < held.len() {
                continue;
            }
            let length = if reference.fold {
                case_fold::same(held, &self.text[*position..self.limit])
            } else {
                rest.starts_with(held.as_bytes()).then_some(held.len())
            };
            if let Some(length) = length {
                *position += length;
                return true;
            }
        }
        false
    }
}

/// The states of a run that are on the way to where it stands now.
fn noted_way(frame: &Frame, run: &Run) -> (u32, u32) {
    let (low, now, entry) = match frame.kind {
        Kind::RunNoted | Kind::RunNotedLater => (frame.a, frame.b, frame.c),
        _ => (frame.c, frame.a, frame.c),
    };
    if run.most != NONE {
        return (entry, entry);
    }
    let later = matches!(frame.kind, Kind::RunNotedLater | Kind::LazyNotedLater) && run.least == 0;
    (low + u32::from(later), now)
}

fn is_ascii_word(code: u32) -> bool {
    u8::try_from(code).is_ok_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
