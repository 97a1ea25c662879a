//! What can be known of a program before it runs: with which bytes each way of a choice can start, which bytes can follow a
//! run, where a match can start.
//!
//! Everything here only saves work: a choice one of whose ways cannot start with the next byte needs no memory of the other,
//! a run that nothing in its class can follow never gives back. All of it is a bounded walk over the instructions.

use super::ast::{Anchor, Node};
use super::charset::ByteSet;
use super::program::{Inst, Part, Program, RunKind, NONE};
use memchr::memmem::Finder;
use std::collections::HashMap;

/// How many instructions a walk looks at before it gives up.
const MAX_WALK: usize = 256;

/// Fills in what the compiler left open.
pub(super) fn finish(program: &mut Program, root: &Node) {
    program.uses_search_start = program.insts.contains(&Inst::Anchor(Anchor::SearchStart));
    program.start_bytes = first_bytes(program, 0);
    let start = prefix(root);
    program.prefix = (!start.is_empty()).then(|| Finder::new(&start).into_owned());
    program.anchored = starts_with_text_start(program);
    let mut sets = HashMap::new();
    let mut byte_sets = Vec::new();
    let mut index = |set: Option<ByteSet>| match set {
        Some(set) => *sets.entry(set).or_insert_with(|| {
            byte_sets.push(set);
            byte_sets.len() as u32 - 1
        }),
        None => NONE,
    };
    for number in 0..program.splits.len() {
        let (first, second) = (program.splits[number].first, program.splits[number].second);
        let (first, second) = (index(first_bytes(program, first)), index(first_bytes(program, second)));
        (program.splits[number].first_bytes, program.splits[number].second_bytes) = (first, second);
    }
    for address in 0..program.insts.len() {
        if let Inst::Run(number) = program.insts[address] {
            let follow = first_bytes(program, address as u32 + 1);
            let run = &mut program.runs[number as usize];
            run.follow = index(follow);
            let leads = program.classes[run.class as usize].leads;
            if run.kind == RunKind::Greedy && follow.is_some_and(|follow| follow.is_disjoint(leads)) {
                run.kind = RunKind::Possessive;
            }
        }
    }
    program.byte_sets = byte_sets;
}

/// The bytes that can come next at `address`, or None if the way from there may match without one.
fn first_bytes(program: &Program, address: u32) -> Option<ByteSet> {
    let mut bytes = ByteSet::default();
    let (mut seen, mut open) = (vec![address], vec![address]);
    while let Some(address) = open.pop() {
        let mut go = |target: u32| {
            if !seen.contains(&target) {
                seen.push(target);
                open.push(target);
            }
        };
        match program.insts[address as usize] {
            Inst::Byte(byte) => bytes.insert(byte),
            Inst::Literal { start, .. } => bytes.insert(program.literals[start as usize]),
            Inst::Class(class) => bytes = bytes.union(program.classes[class as usize].leads),
            Inst::Run(run) => {
                let run = program.runs[run as usize];
                bytes = bytes.union(program.classes[run.class as usize].leads);
                if run.least == 0 {
                    go(address + 1);
                }
            }
            Inst::Split(split) => {
                let split = program.splits[split as usize];
                go(split.first);
                go(split.second);
            }
            Inst::Jump(target) => go(target),
            Inst::IterationEnd { exit, .. } => {
                go(exit);
                go(address + 1);
            }
            Inst::Anchor(Anchor::TextEnd | Anchor::LastLineEnd | Anchor::LineEnd) => return None,
            Inst::Anchor(_)
            | Inst::Ahead { .. }
            | Inst::Behind { .. }
            | Inst::IterationStart(_)
            | Inst::Save(_)
            | Inst::Check(_) => go(address + 1),
            // The content of an atomic part is on the way; what a look-around reads is not.
            Inst::Enter { kind: Part::Atomic, .. } => go(address + 1),
            Inst::Enter { kind: Part::Condition { otherwise }, .. } => {
                go(address + 1);
                go(otherwise);
            }
            Inst::Enter { leave, .. } => go(leave + 1),
            Inst::Fail => {}
            // What follows a part must not guide the choices in it: a way through it that then fails ends the part.
            Inst::Leave(_) | Inst::Back(_) | Inst::BackRange { .. } | Inst::AtLimit | Inst::BackReference(_) | Inst::Match => {
                return None
            }
        }
        if seen.len() > MAX_WALK {
            return None;
        }
    }
    Some(bytes)
}

/// The bytes with which every match starts.
fn prefix(node: &Node) -> Vec<u8> {
    match node {
        Node::Text { codes, fold: false } => codes.iter().map_while(|&code| char::from_u32(code)).collect::<String>().into_bytes(),
        Node::List(parts) => parts.first().map(prefix).unwrap_or_default(),
        Node::Group { body, .. } | Node::Options(body) | Node::Atomic(body) => prefix(body),
        _ => Vec::new(),
    }
}

/// Whether a match can start only where the text starts.
fn starts_with_text_start(program: &Program) -> bool {
    let starts = |inst: &&Inst| !matches!(inst, Inst::Save(_) | Inst::Enter { kind: Part::Atomic, .. });
    program.insts.iter().find(starts) == Some(&Inst::Anchor(Anchor::TextStart))
}
