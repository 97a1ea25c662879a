//! From the tree to a program.
//!
//! Counted repetitions are copied out, so that a state of the matcher is an address and a position and nothing else; their
//! size is limited. Where Oniguruma ends a loop at an empty iteration and where it does not follows its own rules, which
//! depend on the size of the code that it would make ([`size`]).

use super::analysis;
use super::ast::{Node, Repeat};
use super::charset::{CharSet, Class};
use super::program::{Inst, Part, Program, Reference, Run, RunKind, Split, NONE};
use super::tune::{length, Tuned};
use crate::{Error, Result};
use std::collections::{HashMap, HashSet};

/// The largest program, in bytes of its tables.
const MAX_PROGRAM_BYTES: usize = 10_000_000;
/// The bytes that a class takes at most: its ranges and the index of its blocks.
const CLASS_BYTES: usize = 16_384;
/// Up to this size Oniguruma copies a repeated part out instead of counting.
pub(super) const COPY_LIMIT: u64 = 10;

/// Compiles a tree.
pub(super) fn compile(pattern: &str, tuned: &Tuned) -> Result<Program> {
    let iterations = count_repeats(&tuned.root);
    let first_group = 1 + iterations;
    let mut groups = HashSet::new();
    referenced(&tuned.root, &mut groups);
    let mut compiler = Compiler {
        pattern,
        referenced: groups,
        program: Program {
            first_group,
            registers: first_group + 2 * tuned.groups,
            remembers: tuned.groups == 0,
            ..Program::default()
        },
        classes: HashMap::new(),
        groups: tuned.groups > 0,
        next_iteration: 1,
        loops: Vec::new(),
        forgets: false,
    };
    compiler.program.keeps_registers = compiler.groups || tuned.root.any(&|node| matches!(node, Node::Keep));
    compiler.program.limited = compiler.groups;
    compiler.node(&tuned.root)?;
    compiler.emit(Inst::Match)?;
    analysis::finish(&mut compiler.program, &tuned.root);
    Ok(compiler.program)
}

/// An upper limit for the number of loops that note where an iteration starts; copies share a register.
fn count_repeats(node: &Node) -> u32 {
    let mut count = u32::from(matches!(node, Node::Repeat(_)));
    node.for_each_part(&mut |part| count += count_repeats(part));
    count
}

/// The groups that are referred to.
fn referenced(node: &Node, groups: &mut HashSet<u32>) {
    if let Node::BackReference(reference) = node {
        groups.extend(&reference.groups);
    }
    node.for_each_part(&mut |part| referenced(part, groups));
}

/// Choices, each with the address of its iteration, and the addresses of checks whose exits are to be set.
type Counted = (Vec<(u32, u32)>, Vec<u32>);

struct Compiler<'p> {
    pattern: &'p str,
    /// The groups that are referred to.
    referenced: HashSet<u32>,
    program: Program,
    /// The classes so far, by their ranges.
    classes: HashMap<Vec<(u32, u32)>, u32>,
    /// Whether groups are noted.
    groups: bool,
    next_iteration: u32,
    /// The registers of the loops around.
    loops: Vec<u32>,
    /// Whether states here must not be remembered: they depend on where a look-behind ends.
    forgets: bool,
}

impl Compiler<'_> {
    fn emit(&mut self, inst: Inst) -> Result<u32> {
        let program = &self.program;
        let bytes = program.insts.len() * size_of::<Inst>()
            + program.splits.len() * size_of::<Split>()
            + program.runs.len() * size_of::<Run>()
            + program.classes.len() * CLASS_BYTES
            + program.literals.len();
        if bytes > MAX_PROGRAM_BYTES {
            return Err(self.error("{n}", &format!("its program is larger than {MAX_PROGRAM_BYTES} bytes")));
        }
        self.program.insts.push(inst);
        Ok(self.program.insts.len() as u32 - 1)
    }

    fn error(&self, construct: &str, message: &str) -> Error {
        Error::Pattern { pattern: self.pattern.to_owned(), construct: construct.to_owned(), message: message.to_owned() }
    }

    /// The address of the next instruction.
    fn here(&self) -> u32 {
        self.program.insts.len() as u32
    }

    fn class(&mut self, set: &CharSet) -> u32 {
        if let Some(&index) = self.classes.get(set.ranges()) {
            return index;
        }
        let index = self.program.classes.len() as u32;
        self.program.classes.push(Class::new(set));
        self.classes.insert(set.ranges().to_vec(), index);
        index
    }

    /// A new entry of the memo, if states here can be remembered.
    fn memo(&mut self) -> u32 {
        if self.forgets {
            return NONE;
        }
        let start = self.program.guard_registers.len() as u32;
        self.program.guard_registers.extend_from_slice(&self.loops);
        self.program.guards.push((start, self.program.guard_registers.len() as u32));
        self.program.guards.len() as u32 - 1
    }

    /// A choice whose ways are set later.
    fn split(&mut self) -> Result<u32> {
        let memo = self.memo();
        let index = self.program.splits.len() as u32;
        self.program.splits.push(Split { first: 0, second: 0, first_bytes: NONE, second_bytes: NONE, memo });
        self.emit(Inst::Split(index))?;
        Ok(index)
    }

    fn set_split(&mut self, split: u32, first: u32, second: u32) {
        let split = &mut self.program.splits[split as usize];
        (split.first, split.second) = (first, second);
    }

    fn set_jump(&mut self, jump: u32, target: u32) {
        self.program.insts[jump as usize] = Inst::Jump(target);
    }

    fn node(&mut self, node: &Node) -> Result<()> {
        if let Some(set) = one_character(node, self.groups) {
            let class = self.class(&set);
            return match single_byte(&set) {
                Some(byte) => self.emit(Inst::Byte(byte)),
                None => self.emit(Inst::Class(class)),
            }
            .map(drop);
        }
        match node {
            Node::Text { codes, .. } => self.text(codes),
            // These are one character each.
            Node::Set(_) | Node::Any { .. } => Ok(()),
            Node::List(parts) => parts.iter().try_for_each(|part| self.node(part)),
            Node::Alternatives(branches) => self.alternatives(branches),
            Node::Repeat(repeat) => self.repeat(repeat),
            Node::Group { number, body, .. } => {
                if !self.groups {
                    return self.node(body);
                }
                let register = self.program.first_group + 2 * (number - 1);
                self.emit(Inst::Save(register))?;
                self.node(body)?;
                self.emit(Inst::Save(register + 1)).map(drop)
            }
            Node::Options(body) => self.node(body),
            Node::Atomic(body) => self.atomic(body),
            Node::Condition { test, then, otherwise } => self.condition(test, then.as_deref(), otherwise.as_deref()),
            Node::Look { behind: false, negative, body } => self.look_ahead(*negative, body),
            Node::Look { behind: true, negative, body } => self.look_behind(*negative, body),
            Node::Anchor(anchor) => self.emit(Inst::Anchor(*anchor)).map(drop),
            Node::BackReference(reference) => {
                let index = self.program.references.len() as u32;
                // The last of several groups of one name that matched counts.
                let groups = reference.groups.iter().rev().copied().collect();
                self.program.references.push(Reference { groups, fold: reference.fold });
                self.emit(if reference.check { Inst::Check(index) } else { Inst::BackReference(index) }).map(drop)
            }
            Node::Keep => self.emit(Inst::Save(0)).map(drop),
            Node::Never => self.emit(Inst::Fail).map(drop),
        }
    }

    fn text(&mut self, codes: &[u32]) -> Result<()> {
        let mut text = String::new();
        for &code in codes {
            match char::from_u32(code) {
                Some(char) => text.push(char),
                // A surrogate, or no code point at all: no text has it.
                None => return self.emit(Inst::Fail).map(drop),
            }
        }
        match text.as_bytes() {
            [] => Ok(()),
            [byte] => self.emit(Inst::Byte(*byte)).map(drop),
            bytes => {
                let start = self.program.literals.len() as u32;
                self.program.literals.extend_from_slice(bytes);
                self.emit(Inst::Literal { start, end: self.program.literals.len() as u32 }).map(drop)
            }
        }
    }

    fn alternatives(&mut self, branches: &[Node]) -> Result<()> {
        let mut ends = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            if index + 1 == branches.len() {
                self.node(branch)?;
            } else {
                let split = self.split()?;
                let first = self.here();
                self.node(branch)?;
                ends.push(self.emit(Inst::Jump(0))?);
                self.set_split(split, first, self.here());
            }
        }
        for end in ends {
            self.set_jump(end, self.here());
        }
        Ok(())
    }

    /// A repetition of one character; false if it is not one.
    fn run(&mut self, repeat: &Repeat, kind: RunKind) -> Result<bool> {
        let Some(set) = one_character(&repeat.body, self.groups) else { return Ok(false) };
        if repeat.most != Some(0) {
            let run = Run {
                class: self.class(&set),
                least: repeat.least,
                most: repeat.most.unwrap_or(NONE),
                kind,
                memo: self.memo(),
                follow: NONE,
            };
            self.program.runs.push(run);
            self.emit(Inst::Run(self.program.runs.len() as u32 - 1))?;
        }
        Ok(true)
    }

    fn repeat(&mut self, repeat: &Repeat) -> Result<()> {
        if self.run(repeat, if repeat.greedy { RunKind::Greedy } else { RunKind::Lazy })? {
            return Ok(());
        }
        let Repeat { body, least, most, greedy } = repeat;
        let (least, greedy) = (*least, *greedy);
        let body_size = size(body);
        if body_size == 0 || *most == Some(0) {
            return Ok(());
        }
        match *most {
            None if least <= 1 || body_size.saturating_mul(u64::from(least)) <= COPY_LIMIT => {
                let enter_loop = least == 1 && body_size > COPY_LIMIT;
                if !enter_loop {
                    (0..least).try_for_each(|_| self.copy(body))?;
                }
                let checked = self.needs_check(repeat)?;
                self.endless(repeat, checked, enter_loop)
            }
            None => {
                let checked = self.needs_check(repeat)?;
                let (_, ends) = self.counted(repeat, checked, least)?;
                self.endless(repeat, checked, false)?;
                self.set_exits(ends);
                Ok(())
            }
            Some(most) if greedy && (most == 1 || (body_size + 1).saturating_mul(u64::from(most)) <= COPY_LIMIT) => {
                (0..least).try_for_each(|_| self.copy(body))?;
                let mut splits = Vec::new();
                for _ in least..most {
                    splits.push((self.split()?, self.here()));
                    self.copy(body)?;
                }
                for (split, first) in splits {
                    self.set_split(split, first, self.here());
                }
                Ok(())
            }
            Some(1) if least == 0 => {
                let split = self.split()?;
                let second = self.here();
                self.node(body)?;
                self.set_split(split, self.here(), second);
                Ok(())
            }
            Some(most) => {
                let checked = self.needs_check(repeat)?;
                let (splits, ends) = self.counted(repeat, checked, most)?;
                let exit = self.here();
                for (split, iteration) in splits {
                    let (first, second) = if greedy { (iteration, exit) } else { (exit, iteration) };
                    self.set_split(split, first, second);
                }
                self.set_exits(ends);
                Ok(())
            }
        }
    }

    /// A copy of a body; copies use the same registers.
    fn copy(&mut self, body: &Node) -> Result<()> {
        let next = self.next_iteration;
        self.node(body)?;
        self.next_iteration = next;
        Ok(())
    }

    /// A loop without end. With `enter_loop` the first iteration is not optional.
    fn endless(&mut self, repeat: &Repeat, checked: Option<u32>, enter_loop: bool) -> Result<()> {
        let mut ends = Vec::new();
        if repeat.greedy {
            let jump = if enter_loop { Some(self.emit(Inst::Jump(0))?) } else { None };
            let head = self.here();
            let split = self.split()?;
            let first = self.here();
            if let Some(jump) = jump {
                self.set_jump(jump, first);
            }
            ends.extend(self.iteration(&repeat.body, checked)?);
            self.emit(Inst::Jump(head))?;
            self.set_split(split, first, self.here());
        } else {
            let jump = if enter_loop { None } else { Some(self.emit(Inst::Jump(0))?) };
            let second = self.here();
            ends.extend(self.iteration(&repeat.body, checked)?);
            if let Some(jump) = jump {
                self.set_jump(jump, self.here());
            }
            let split = self.split()?;
            self.set_split(split, self.here(), second);
        }
        self.set_exits(ends);
        Ok(())
    }

    /// `count` iterations, of which those after the least number are optional; an empty one is the last. Returns the choices,
    /// each with the address of its iteration, and the checks whose exits are to be set.
    fn counted(&mut self, repeat: &Repeat, checked: Option<u32>, count: u32) -> Result<Counted> {
        let (mut splits, mut ends) = (Vec::new(), Vec::new());
        for index in 0..count {
            if index >= repeat.least {
                splits.push((self.split()?, self.here()));
            }
            ends.extend(self.iteration(&repeat.body, checked)?);
        }
        Ok((splits, ends))
    }

    /// One iteration; with a register it notes its start there. Returns the address of the check at its end.
    fn iteration(&mut self, body: &Node, register: Option<u32>) -> Result<Option<u32>> {
        let Some(register) = register else { return self.copy(body).map(|()| None) };
        self.emit(Inst::IterationStart(register))?;
        self.loops.push(register);
        self.copy(body)?;
        self.loops.pop();
        self.emit(Inst::IterationEnd { register, exit: 0 }).map(Some)
    }

    /// Lets the checks leave to the next instruction.
    fn set_exits(&mut self, ends: Vec<u32>) {
        let here = self.here();
        for end in ends {
            if let Inst::IterationEnd { exit, .. } = &mut self.program.insts[end as usize] {
                *exit = here;
            }
        }
    }

    /// A register for the start of the iterations, if they can be empty.
    fn needs_check(&mut self, repeat: &Repeat) -> Result<Option<u32>> {
        if length(&repeat.body).least > 0 {
            return Ok(None);
        }
        if self.groups {
            // Then Oniguruma may go on after an empty iteration, if it changed what such a group holds.
            let referenced = |node: &Node| matches!(node, Node::Group { number, .. } if self.referenced.contains(number));
            if repeat.body.any(&referenced) {
                return Err(self.error("(...)*", "references to a group in a repetition that can be empty are not supported"));
            }
        }
        let register = self.next_iteration;
        self.next_iteration += 1;
        Ok(Some(register))
    }

    fn atomic(&mut self, body: &Node) -> Result<()> {
        if let Node::Repeat(repeat) = body {
            if repeat.greedy && self.run(repeat, RunKind::Possessive)? {
                return Ok(());
            }
        }
        self.part(Part::Atomic, |compiler| compiler.node(body))
    }

    /// A part between its two instructions.
    fn part(&mut self, kind: Part, content: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.program.has_parts = true;
        let enter = self.emit(Inst::Enter { kind, leave: 0 })?;
        content(self)?;
        let leave = self.emit(Inst::Leave(kind))?;
        self.program.insts[enter as usize] = Inst::Enter { kind, leave };
        Ok(())
    }

    fn condition(&mut self, test: &Node, then: Option<&Node>, otherwise: Option<&Node>) -> Result<()> {
        let enter = self.here();
        self.part(Part::Condition { otherwise: 0 }, |compiler| compiler.node(test))?;
        then.map_or(Ok(()), |node| self.node(node))?;
        let jump = self.emit(Inst::Jump(0))?;
        if let Inst::Enter { kind, .. } = &mut self.program.insts[enter as usize] {
            *kind = Part::Condition { otherwise: jump + 1 };
        }
        otherwise.map_or(Ok(()), |node| self.node(node))?;
        self.set_jump(jump, self.here());
        Ok(())
    }

    fn look_ahead(&mut self, not: bool, body: &Node) -> Result<()> {
        if let Some(set) = one_character(body, self.groups) {
            let class = self.class(&set);
            return self.emit(Inst::Ahead { class, not }).map(drop);
        }
        // Inside, the loops around do not matter: the part is left to where it was entered.
        let loops = std::mem::take(&mut self.loops);
        self.part(if not { Part::NotLook } else { Part::Look }, |compiler| compiler.node(body))?;
        self.loops = loops;
        Ok(())
    }

    fn look_behind(&mut self, not: bool, body: &Node) -> Result<()> {
        if let Some(set) = one_character(body, self.groups) {
            let class = self.class(&set);
            return self.emit(Inst::Behind { class, not }).map(drop);
        }
        let loops = std::mem::take(&mut self.loops);
        let length = length(body);
        if length.is_fixed() {
            self.part(if not { Part::NotLook } else { Part::Look }, |compiler| {
                compiler.emit(Inst::Back(length.least as u32))?;
                compiler.node(body)
            })?;
        } else {
            let forgot = std::mem::replace(&mut self.forgets, true);
            self.program.limited |= length.most.is_none();
            self.part(if not { Part::NotLookBehind } else { Part::LookBehind }, |compiler| {
                let most = length.most.map_or(NONE, |most| most as u32);
                compiler.emit(Inst::BackRange { least: length.least as u32, most })?;
                compiler.node(body)?;
                compiler.emit(Inst::AtLimit).map(drop)
            })?;
            self.forgets = forgot;
        }
        self.loops = loops;
        Ok(())
    }
}

/// The set of the one character that `node` matches, if that is all that it does.
fn one_character(node: &Node, groups: bool) -> Option<CharSet> {
    match node {
        Node::Set(set) => Some(set.clone()),
        Node::Any { newline: true } => Some(CharSet::all()),
        Node::Any { newline: false } => Some(CharSet::single(0x0A).complement()),
        Node::Text { codes, .. } => match codes.as_slice() {
            [code] => Some(CharSet::single(*code)),
            _ => None,
        },
        Node::List(parts) if parts.len() == 1 => one_character(&parts[0], groups),
        Node::Alternatives(branches) => {
            let mut all = CharSet::default();
            for branch in branches {
                all = all.union(&one_character(branch, groups)?);
            }
            Some(all)
        }
        Node::Options(body) | Node::Atomic(body) => one_character(body, groups),
        Node::Group { body, .. } if !groups => one_character(body, groups),
        _ => None,
    }
}

fn single_byte(set: &CharSet) -> Option<u8> {
    match set.ranges() {
        [(first, last)] if first == last && *first < 0x80 => Some(*first as u8),
        _ => None,
    }
}

/// The number of instructions that Oniguruma makes of a node, near enough to decide as it does between copying and
/// counting. The two differ only where a body that can be empty is repeated a limited number of times.
pub(super) fn size(node: &Node) -> u64 {
    match node {
        // One instruction for each run of characters that have the same length in bytes.
        Node::Text { codes, .. } => {
            let length = |code: &u32| char::from_u32(*code).map_or(3, char::len_utf8);
            codes.chunk_by(|a, b| length(a) == length(b)).count() as u64
        }
        Node::Set(_) | Node::Any { .. } | Node::Anchor(_) | Node::BackReference(_) | Node::Keep | Node::Never => 1,
        Node::List(parts) => parts.iter().map(size).fold(0, u64::saturating_add),
        Node::Alternatives(branches) => branches.iter().map(size).fold(2 * (branches.len() as u64 - 1), u64::saturating_add),
        Node::Group { body, .. } | Node::Atomic(body) => size(body).saturating_add(2),
        Node::Options(body) => size(body),
        Node::Condition { test, then, otherwise } => {
            let part = |part: &Option<Box<Node>>| part.as_deref().map_or(0, size);
            size(test).saturating_add(part(then)).saturating_add(part(otherwise)).saturating_add(5)
        }
        Node::Look { behind, negative, body } => size(body).saturating_add(match (behind, negative) {
            (false, false) => 2,
            (false, true) => 5,
            (true, false) => 3,
            (true, true) => 6,
        }),
        Node::Repeat(Repeat { body, least, most, greedy }) => {
            let plain = size(body);
            if plain == 0 || *most == Some(0) {
                return 0;
            }
            let checked = if length(body).least == 0 { plain.saturating_add(2) } else { plain };
            let least_size = plain.saturating_mul(u64::from(*least));
            match *most {
                None if *least <= 1 || least_size <= COPY_LIMIT => {
                    let first = if *least == 1 && plain > COPY_LIMIT { 1 } else { least_size };
                    first.saturating_add(checked).saturating_add(2)
                }
                Some(most) if *greedy && (most == 1 || (plain + 1).saturating_mul(u64::from(most)) <= COPY_LIMIT) => {
                    least_size.saturating_add((plain + 1).saturating_mul(u64::from(most.saturating_sub(*least))))
                }
                Some(1) if *least == 0 => plain.saturating_add(2),
                _ => checked.saturating_add(2),
            }
        }
    }
}
