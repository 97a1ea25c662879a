//! Random numbers that depend on where they are used alone: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
//! 1, 2, 3", SC 2011).
//!
//! The key is the seed, the counter is made of the step, the row and the use. So a draw needs no state but the number of its step,
//! rows of a batch do not disturb each other, and any draw can be made again on any machine.
//!
//! O(1), some 20 ns. Not for cryptography.

/// What a number is drawn for: two numbers of one step and row that are drawn for different uses are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// The choice of the token.
    Token = 0,
    /// Whether XTC takes place.
    Xtc = 1,
    /// Whether a drafted token is accepted.
    Acceptance = 2,
}

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let first = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let second = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter =
            [(second >> 32) as u32 ^ counter[1] ^ key[0], second as u32, (first >> 32) as u32 ^ counter[3] ^ key[1], first as u32];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// A number from zero to below one, a multiple of 2^-53, for a use in a row of a step.
pub(crate) fn uniform(seed: u64, step: u64, row: u32, of: Use) -> f64 {
    let bits = philox([step as u32, (step >> 32) as u32, row, of as u32], [seed as u32, (seed >> 32) as u32]);
    let bits = u64::from(bits[1]) << 32 | u64::from(bits[0]);
    (bits >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_answers_are_given() {
        // From the Random123 distribution, kat_vectors.
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn numbers_are_below_one_and_differ_by_use_row_step_and_seed() {
        let all = [
            uniform(1, 2, 3, Use::Token),
            uniform(1, 2, 3, Use::Xtc),
            uniform(1, 2, 4, Use::Token),
            uniform(1, 3, 3, Use::Token),
            uniform(2, 2, 3, Use::Token),
            uniform(1, 2 + (1 << 32), 3, Use::Token),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!((0.0..1.0).contains(one));
            assert!(all[..index].iter().all(|other| one != other));
        }
        let mean = (0..100_000).map(|step| uniform(7, step, 0, Use::Token)).sum::<f64>() / 100_000.0;
        assert!((mean - 0.5).abs() < 0.004, "{mean}");
    }
}
