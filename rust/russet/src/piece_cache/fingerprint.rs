//! Fingerprints: 113 bits that stand for a piece of up to a kilobyte where its bytes would take too much room.
//!
//! A piece is read as numbers of 56 bits, after one that says its kind and length; a fingerprint has the values of two linear forms of
//! these, modulo the prime 2^61 - 1 (Carter and Wegman, 1979, "Universal classes of hash functions"). The coefficients are drawn at
//! random once a process. Whatever two different pieces are, for at most one of 2^61 coefficients do they have the same value, so they
//! have the same fingerprint with a probability of 2^-113: no text can be made to mislead. Two multiplications for seven bytes: 10 to 15 ns
//! for a clause of Chinese. O(n).

use std::hash::{BuildHasher, RandomState};

use super::PieceKind;
use crate::memory::Once;

/// The longest piece.
pub(super) const MOST_BYTES: usize = 1 << 10;
/// The bytes to a number.
const PART: usize = 7;
const PRIME: u64 = (1 << 61) - 1;
/// The bits that are kept of the second value.
pub(super) const SECOND_BITS: u32 = 52;

type Coefficients = [[u64; 2]; 2 + MOST_BYTES / PART];

static COEFFICIENTS: Once<Coefficients> = Once::new();

#[cold]
fn draw() -> Coefficients {
    let random = RandomState::new();
    // Of 2^64 numbers all but the eight highest fall on each remainder equally often.
    std::array::from_fn(|index| [0, 1].map(|form| random.hash_one((index, form)) % PRIME))
}

/// The fingerprint of a piece: 61 bits and [`SECOND_BITS`].
#[inline]
pub(super) fn fingerprint(kind: PieceKind, piece: &[u8]) -> [u64; 2] {
    loop {
        match COEFFICIENTS.get() {
            Some(coefficients) => return with_coefficients(coefficients, kind, piece),
            None => COEFFICIENTS.set(Box::new(draw())),
        }
    }
}

#[inline(always)]
fn with_coefficients([of_name, of_parts @ ..]: &Coefficients, kind: PieceKind, piece: &[u8]) -> [u64; 2] {
    debug_assert!(piece.len() <= MOST_BYTES);
    let times = |[first, second]: &[u64; 2], number: u64| [first, second].map(|&factor| u128::from(factor) * u128::from(number));
    // A sum is less than 2^125: 148 products of 61 and 56 bits.
    let mut sums = times(of_name, piece.len() as u64 | (kind as u64) << 16);
    let mut of_parts = of_parts.iter();
    let mut add = |part: u64| {
        let [first, second] = of_parts.next().map_or([0, 0], |factors| times(factors, part));
        sums = [sums[0] + first, sums[1] + second];
    };
    let mut rest = piece;
    while let Some(word) = rest.first_chunk::<8>() {
        add(u64::from_le_bytes(*word) & ((1 << (8 * PART)) - 1));
        rest = &rest[PART..];
    }
    add(rest.iter().rev().fold(0, |part, &byte| part << 8 | u64::from(byte)));
    [remainder(sums[0]), remainder(sums[1]) & ((1 << SECOND_BITS) - 1)]
}

/// What is left of a number below 2^125 modulo the prime, of which a multiple is 2^61 less 1.
#[inline(always)]
fn remainder(sum: u128) -> u64 {
    let (low, high) = (sum as u64 & PRIME, (sum >> 61) as u64);
    let sum = low + (high & PRIME) + (high >> 61);
    let sum = (sum & PRIME) + (sum >> 61);
    if sum == PRIME {
        0
    } else {
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn remainders_are_those_of_division(sum in any::<u128>(), near in 0..1_u64 << 61) {
            for sum in [sum >> 3, u128::from(PRIME) * u128::from(near), u128::from(PRIME) * u128::from(near) + 1] {
                prop_assert_eq!(u128::from(remainder(sum)), sum % u128::from(PRIME));
            }
        }

        #[test]
        fn a_fingerprint_is_two_sums_of_products(piece in proptest::collection::vec(any::<u8>(), 0..=MOST_BYTES)) {
            let coefficients = draw();
            let mut parts = vec![piece.len() as u128 | (PieceKind::Unit as u128) << 16];
            parts.extend(piece.chunks(PART).map(|part| part.iter().rev().fold(0, |part, &byte| part << 8 | u128::from(byte))));
            let [first, second] = [0, 1].map(|form| {
                let products = parts.iter().zip(&coefficients).map(|(part, factors)| part * u128::from(factors[form]));
                (products.sum::<u128>() % u128::from(PRIME)) as u64
            });
            let expected = [first, second & ((1 << SECOND_BITS) - 1)];
            prop_assert_eq!(with_coefficients(&coefficients, PieceKind::Unit, &piece), expected);
        }
    }

    #[test]
    fn pieces_that_are_alike_have_other_fingerprints() {
        let mut seen = std::collections::HashSet::new();
        for length in 0..=MOST_BYTES {
            for kind in [PieceKind::Piece, PieceKind::Unit] {
                // Zeros at the end count, and so does a single bit anywhere.
                let mut piece = vec![0; length];
                assert!(seen.insert(fingerprint(kind, &piece)));
                for at in 0..length {
                    piece[at] = 1;
                    assert!(seen.insert(fingerprint(kind, &piece)));
                    piece[at] = 0;
                }
            }
        }
    }
}
