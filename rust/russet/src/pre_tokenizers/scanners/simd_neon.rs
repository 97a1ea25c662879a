//! Blocks in four registers of NEON.

use super::blocks::{Bytes, Lanes, BYTES_LOADED};
use crate::simd::Neon;
use std::arch::aarch64::*;

/// The quarters of 64 bytes, or of 64 truth values (0 or 0xFF).
type Quarters = [uint8x16_t; 4];

/// Methods of [`Lanes`] that do the same to all quarters.
macro_rules! quarters {
    ($($name:ident($first:ident $(, $second:ident)? $(; $($argument:ident: $kind:ty),+)?) = $quarter:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $first: Quarters $(, $second: Quarters)? $(, $($argument: $kind),+)?) -> Quarters {
            let mut result = $first;
            for (index, result) in result.iter_mut().enumerate() {
                let $first = $first[index];
                $(let $second = $second[index];)?
                // SAFETY: `self` proves that the processor has NEON; what is read of a table is inside of it.
                *result = unsafe { $quarter };
            }
            result
        }
    )*};
}

impl Lanes for Neon {
    type Vector = Quarters;
    type Mask = Quarters;

    #[inline(always)]
    fn load(self, block: &Bytes, offset: usize) -> Quarters {
        let bytes = block[offset..offset + BYTES_LOADED].as_ptr();
        // SAFETY: `self` proves that the processor has NEON; all loads are inside of the slice.
        unsafe { [vld1q_u8(bytes), vld1q_u8(bytes.add(16)), vld1q_u8(bytes.add(32)), vld1q_u8(bytes.add(48))] }
    }

    #[inline(always)]
    fn splat(self, byte: u8) -> Quarters {
        // SAFETY: `self` proves that the processor has NEON.
        [unsafe { vdupq_n_u8(byte) }; 4]
    }

    quarters! {
        or(a, b) = vorrq_u8(a, b);
        both(a, b) = vandq_u8(a, b);
        either(a, b) = vorrq_u8(a, b);
        choose(bytes, mask) = vandq_u8(bytes, mask);
        equal(bytes; byte: u8) = vceqq_u8(bytes, vdupq_n_u8(byte));
        within(bytes; first: u8, last: u8) = vcleq_u8(vsubq_u8(bytes, vdupq_n_u8(first)), vdupq_n_u8(last - first));
        look_up_64(indices; table: &[u8; 64]) = vqtbl4q_u8(vld1q_u8_x4(table.as_ptr()), vandq_u8(indices, vdupq_n_u8(0x3F)));
        look_up_32(indices; table: &[u8; 32]) = vqtbl2q_u8(vld1q_u8_x2(table.as_ptr()), indices);
    }

    #[inline(always)]
    fn bits(self, [a, b, c, d]: Quarters) -> u64 {
        // SAFETY: `self` proves that the processor has NEON.
        unsafe {
            // Each byte becomes its bit of a group of eight; sums of neighbours make each group a byte.
            let weights = vreinterpretq_u8_u64(vdupq_n_u64(0x8040_2010_0804_0201));
            let low = vpaddq_u8(vandq_u8(a, weights), vandq_u8(b, weights));
            let high = vpaddq_u8(vandq_u8(c, weights), vandq_u8(d, weights));
            let sums = vpaddq_u8(low, high);
            vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)))
        }
    }

    #[inline(always)]
    fn planes(self, bytes: Quarters) -> [u64; 8] {
        let mut planes = [0; 8];
        for (bit, plane) in planes.iter_mut().enumerate() {
            let mut has = bytes;
            for quarter in &mut has {
                // SAFETY: `self` proves that the processor has NEON.
                *quarter = unsafe { vtstq_u8(*quarter, vdupq_n_u8(1 << bit)) };
            }
            *plane = self.bits(has);
        }
        planes
    }

    #[inline(always)]
    fn push(self, mut bits: u64, base: u32, ends: &mut Vec<u32>) {
        ends.reserve(64);
        while bits != 0 {
            ends.push(base + bits.trailing_zeros());
            bits &= bits - 1;
        }
    }
}
