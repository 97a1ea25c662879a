//! The step that the hashes of this crate are made of: a product of 64 bits by 64, its halves folded into one (as in wyhash, Wang Yi).
//!
//! One multiplication mixes eight bytes. It is no defence by itself: tables that a file or a text could fill with collisions begin
//! with keys that are drawn at random. O(1).

/// The two halves of a product, folded into one.
#[inline(always)]
pub(crate) fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    product as u64 ^ (product >> 64) as u64
}
