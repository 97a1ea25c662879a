//! Sums of products along rows.
//!
//! Four sums of eight lanes side by side hide the time that an addition takes; they are added at the end.
//!
//! O(length).

use super::lanes::{Lanes, LANES};

/// The sum of the products of two rows of one length.
#[inline(always)]
pub(super) fn dot<V: Lanes>(one: &[f32], other: &[f32]) -> f32 {
    let mut sums = [V::splat(0.0); 4];
    let (ones, one_rest) = one.as_chunks::<{ 4 * LANES }>();
    let (others, other_rest) = other.as_chunks::<{ 4 * LANES }>();
    for (one, other) in ones.iter().zip(others) {
        let (ones, others) = (one.as_chunks::<LANES>().0, other.as_chunks::<LANES>().0);
        for (part, sum) in sums.iter_mut().enumerate() {
            *sum = V::load(&ones[part]).fused(V::load(&others[part]), *sum);
        }
    }
    let sum = sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum();
    one_rest.iter().zip(other_rest).fold(sum, |sum, (one, other)| sum + one * other)
}
