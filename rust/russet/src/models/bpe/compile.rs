//! From a file's merges to the tables that a model runs on.
//!
//! The parts and the result of each merge are looked up once; what is never met is set apart, and the pairs of characters or bytes
//! that merges join are collected (`cuts`). O(merges) and the length of their texts.

use super::alphabet::byte_level_byte;
use super::backtrack::Backtracker;
use super::cuts::{ByteJoints, CharJoints};
use super::merge::Order;
use super::merges::{Joined, Merges, NEVER, SINGLE};
use super::Parts;
use crate::vocab::Vocabulary;
use crate::{Error, Result, StringList};
use hashbrown::HashSet;

/// The merges as left and right part.
fn pairs(merges: &StringList) -> impl Iterator<Item = (&str, &str)> {
    let mut parts = merges.iter();
    std::iter::from_fn(move || parts.next().zip(parts.next()))
}

/// Looks up the parts and the result of each merge.
pub(super) fn read_merges(vocabulary: &Vocabulary, list: &StringList, prefix: usize) -> Result<Vec<Joined>> {
    if !list.len().is_multiple_of(2) {
        return Err(Error::config("merges", format!("{} parts, so one merge has a left part only", list.len())));
    }
    let mut merges = Vec::with_capacity(list.len() / 2);
    let mut joined = Vec::new();
    let mut near = 0;
    for ((left, right), rank) in pairs(list).zip(0..) {
        let error = |message| Error::config(format!("merges[{rank}]"), message);
        let id = |token: &[u8]| {
            let missing = || error(format!("token {:?} is not in the vocabulary", String::from_utf8_lossy(token)));
            vocabulary.id_of_bytes(token).ok_or_else(missing)
        };
        let (left_id, right_id) = (id(left.as_bytes())?, id(right.as_bytes())?);
        let rest = right.as_bytes().get(prefix..).ok_or_else(|| {
            error(format!("the right part {right:?} is shorter than continuing_subword_prefix, which it would lose"))
        })?;
        joined.clear();
        joined.extend_from_slice(left.as_bytes());
        joined.extend_from_slice(rest);
        // What merges make mostly is the same token as before, or the next one.
        let found = vocabulary.index_near(&joined, near);
        near = found.unwrap_or(near);
        let new_id = found.map_or_else(|| id(&joined), |index| Ok(vocabulary.id_at(index)))?;
        merges.push([left_id, right_id, new_id]);
    }
    Ok(merges)
}

/// Whether every merge makes a text that is longer than its parts.
pub(super) fn all_lengthen(merges: &StringList, prefix: usize) -> bool {
    pairs(merges).all(|(left, right)| !left.is_empty() && right.len() > prefix)
}

/// The new id of each rank.
pub(super) fn new_ids(listed: &[Joined]) -> Vec<u32> {
    listed.iter().map(|&[_, _, new_id]| new_id).collect()
}

/// The ids of merges of which the places are known.
pub(super) fn placed(vocabulary: &Vocabulary, mut places: Vec<[u32; 3]>) -> Vec<Joined> {
    if !vocabulary.is_counting() {
        places.iter_mut().flatten().for_each(|place| *place = vocabulary.id_at(*place));
    }
    places
}

/// Calls `join` with the texts of the two parts of each merge that can be met.
pub(super) fn each_joint<'v>(vocabulary: &'v Vocabulary, merges: &Merges, mut join: impl FnMut(&'v str, &'v str)) {
    if merges.is_listed() {
        let text = |id: u32| vocabulary.token(id).unwrap_or_default();
        return merges.iter().for_each(|(left, right, _)| join(text(left), text(right)));
    }
    // The texts are read in their order.
    for (text, id) in vocabulary.iter() {
        let made = merges.made(id);
        if let Some((left, right)) = made.is_merged().then(|| text.split_at_checked(vocabulary.token_len(made.left))).flatten() {
            join(left, right);
        }
    }
}

/// The pairs of characters that merges join.
pub(super) fn char_joints(vocabulary: &Vocabulary, merges: &Merges, count: usize) -> CharJoints {
    let mut joints = CharJoints::with_capacity(count);
    each_joint(vocabulary, merges, |left, right| {
        if let (Some(left), Some(right)) = (left.chars().next_back(), right.chars().next()) {
            joints.insert(left, right);
        }
    });
    joints
}

/// The pairs of bytes that merges join. A part with another character at its end is out of reach.
pub(super) fn byte_joints(vocabulary: &Vocabulary, merges: &Merges) -> ByteJoints {
    let mut joints = ByteJoints::new();
    let byte = |character: Option<char>| character.and_then(byte_level_byte);
    each_joint(vocabulary, merges, |left, right| {
        if let (Some(left), Some(right)) = (byte(left.chars().next_back()), byte(right.chars().next())) {
            joints.insert(left, right);
        }
    });
    joints
}

/// The merges of a file, and what is known of the order in which they come up.
pub(super) struct Compiled {
    pub(super) merges: Merges,
    /// The parts of merges that are never met, in their order.
    pub(super) never: Vec<[u32; 2]>,
    pub(super) order: Order,
    pub(super) backtracker: Option<Backtracker>,
}

impl Compiled {
    /// Leaves out what is never met.
    pub(super) fn new(listed: &[Joined], ids: usize, vocabulary: &Vocabulary, parts: &Parts, unreachable: &[u32]) -> Self {
        let is_reachable = |id: u32| unreachable.binary_search(&id).is_err();
        let mut made = vec![NEVER; ids];
        for (_, id) in vocabulary.iter().filter(|&(token, id)| is_single(parts, token) && is_reachable(id)) {
            made[id as usize] = SINGLE;
        }
        let (merges, never) = Merges::making(listed, made, |id| vocabulary.token_len(id));
        let order = if merges.is_rising() { Order::Rising } else { Order::ByRank };
        let backtracker = Backtracker::new(matches!(parts, Parts::Bytes { .. }), ids);
        Self { merges, never, order, backtracker }
    }
}

/// Whether some pair is listed twice: the last counts then, and the ranks above are not the ones in use. Ids are below `ids`.
pub(super) fn has_repeated_pair(listed: &[Joined], ids: usize) -> bool {
    // Pairs of one token, and mostly all of them stand together.
    let mut seen = vec![false; ids];
    let mut lefts: Vec<u32> = Vec::new();
    let mut is_scattered = false;
    let mut current = None;
    for &[left, _, new_id] in listed {
        if current != Some(new_id) {
            current = Some(new_id);
            lefts.clear();
            is_scattered |= std::mem::replace(&mut seen[new_id as usize], true);
        }
        if lefts.contains(&left) {
            return true; // the token's text and the left part say what the right part is
        }
        lefts.push(left);
    }
    let mut pairs = HashSet::new();
    is_scattered && !listed.iter().all(|&[left, right, _]| pairs.insert((left, right)))
}

/// Whether the token is what a piece's symbols are before any merge.
fn is_single(parts: &Parts, token: &str) -> bool {
    let mut characters = token.chars();
    match (parts, characters.next(), characters.next()) {
        (Parts::Bytes { .. }, Some(only), None) => byte_level_byte(only).is_some(),
        (Parts::Characters { .. }, Some(_), None) => true,
        _ => false,
    }
}

/// Whether a token that a merge takes or makes stands for its text alone: it is not the unknown token, nor one that stands for a
/// byte or is never found in a text.
pub(super) fn makes_from_texts(listed: &[Joined], ids: usize, parts: &Parts, unreachable: &[u32], unk_id: Option<u32>) -> bool {
    let mut stands_for_other = vec![false; ids];
    let bytes = match parts {
        Parts::Characters { characters, .. } => characters.byte_tokens(),
        Parts::Bytes { .. } => &[],
    };
    for &id in bytes.iter().flatten().chain(unreachable).chain(&unk_id) {
        if let Some(stands_for_other) = stands_for_other.get_mut(id as usize) {
            *stands_for_other = true;
        }
    }
    !listed.iter().flatten().any(|&id| stands_for_other[id as usize])
}
