//! Which merges make ranks rise: a merge has a higher rank than every merge that makes one of its parts.
//!
//! Merges as they are trained rise. Files that were made from a vocabulary alone list, for each token, every pair of tokens that
//! joins to its text; some of these have a part that is made later. [`split`] sets those apart, and so the merges that make again,
//! later, what an earlier merge already takes. The rest rises; [`is_never`] tells whether the others can be left out. O(merges).

use super::merges::{Listed, Merge, Merges, NEVER, SINGLE};
use hashbrown::HashSet;

/// The merges that rise, by rank, and each other one with the rank before which it cannot be met. Ids are below `ids`.
pub(super) fn split(listed: Vec<Listed>, ids: usize) -> (Vec<Listed>, Vec<(Listed, u32)>) {
    // The lowest rank that makes each token, and the lowest that takes it; u32::MAX for none.
    let mut made_at = vec![u32::MAX; ids];
    let mut taken_at = vec![u32::MAX; ids];
    for &(left, right, merge) in &listed {
        let made = &mut made_at[merge.new_id as usize];
        *made = merge.rank.min(*made);
        for part in [left, right] {
            let taken = &mut taken_at[part as usize];
            *taken = merge.rank.min(*taken);
        }
    }
    // One more than the rank, or 0 for a token that no merge makes.
    let part_made_at = |id: u32| made_at[id as usize].wrapping_add(1);
    let mut others = Vec::new();
    let mut rising = listed;
    rising.retain(|&(left, right, merge)| {
        let parts_made_at = part_made_at(left).max(part_made_at(right));
        // A part is made later; or what this makes was made, and taken, before.
        let is_early = parts_made_at > merge.rank + 1;
        let is_again = taken_at[merge.new_id as usize] < merge.rank;
        if is_early || is_again {
            let met_at = if is_early { parts_made_at - 1 } else { merge.rank };
            others.push(((left, right, merge), met_at));
        }
        !is_early && !is_again
    });
    (rising, others)
}

/// Whether some pair is listed twice: the last counts then, and the ranks above are not the ones in use. Ids are below `ids`.
pub(super) fn has_repeated_pair(listed: &[Listed], ids: usize) -> bool {
    // Pairs of one token, and mostly all of them stand together.
    let mut seen = vec![false; ids];
    let mut lefts: Vec<u32> = Vec::new();
    let mut is_scattered = false;
    let mut current = None;
    for &(left, _, Merge { new_id, .. }) in listed {
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
    is_scattered && !listed.iter().all(|&(left, right, _)| pairs.insert((left, right)))
}

/// Whether a merge of the others can never be met, `met_at` being the rank that [`split`] gives with it.
///
/// Say the token that it makes is made at the rank k, by merges that rise. When all merges up to k are done, the text of the token
/// is that token, wherever it is not merged across its borders. So its two parts are never neighbours after k, and before `met_at`
/// they do not exist.
pub(super) fn is_never((_, _, merge): Listed, met_at: u32, merges: &Merges) -> bool {
    let made = merges.made(merge.new_id);
    made != NEVER && made != SINGLE && met_at > made.rank
}
