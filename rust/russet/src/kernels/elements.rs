//! What arrays of weights hold: floating-point numbers, whole numbers, whole numbers of four bits two in a byte.
//!
//! One number at a time, with a check of the index; O(1). The wrong way to read rows: `widen` reads them by registers.

use crate::lanes::Half;

/// Floating-point numbers.
#[derive(Clone, Copy, Debug)]
pub enum Floats<'a> {
    /// Of 32 bits.
    F32(&'a [f32]),
    /// Of 16 bits, IEEE 754.
    F16(&'a [Half]),
}

/// Whole numbers.
#[derive(Clone, Copy, Debug)]
pub enum Integers<'a> {
    /// Of 8 bits, from -128 to 127.
    I8(&'a [i8]),
    /// Of 8 bits, from 0 to 255.
    U8(&'a [u8]),
    /// Of 4 bits, from -8 to 7: two in a byte, the lower half first.
    I4(&'a [u8]),
    /// Of 4 bits, from 0 to 15: two in a byte, the lower half first.
    U4(&'a [u8]),
}

/// What is subtracted from whole numbers.
#[derive(Clone, Copy, Debug)]
pub enum Offsets<'a> {
    /// Floating-point numbers.
    Floats(Floats<'a>),
    /// Whole numbers.
    Integers(Integers<'a>),
}

impl Floats<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn size_in_bytes(&self) -> usize {
        self.len() * if matches!(self, Self::F32(_)) { 4 } else { 2 }
    }

    #[inline(always)]
    pub(super) fn at(&self, index: usize) -> f32 {
        match self {
            Self::F32(values) => values[index],
            Self::F16(values) => values[index].into(),
        }
    }
}

impl Integers<'_> {
    /// How many elements the array has: bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::I8(data) => data.len(),
            Self::U8(data) | Self::I4(data) | Self::U4(data) => data.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether two are in a byte.
    pub(super) fn is_half_bytes(&self) -> bool {
        matches!(self, Self::I4(_) | Self::U4(_))
    }

    /// How many elements of an array hold `count` numbers.
    pub(super) fn elements(&self, count: usize) -> usize {
        if self.is_half_bytes() {
            count.div_ceil(2)
        } else {
            count
        }
    }

    #[inline(always)]
    pub(super) fn at(&self, index: usize) -> f32 {
        let half = |data: &[u8]| data[index / 2] >> (4 * (index % 2)) & 15;
        match self {
            Self::I8(data) => f32::from(data[index]),
            Self::U8(data) => f32::from(data[index]),
            Self::I4(data) => f32::from((half(data) as i8) << 4 >> 4),
            Self::U4(data) => f32::from(half(data)),
        }
    }
}

impl Offsets<'_> {
    /// How many elements the array has.
    pub fn len(&self) -> usize {
        match self {
            Self::Floats(values) => values.len(),
            Self::Integers(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn size_in_bytes(&self) -> usize {
        match self {
            Self::Floats(values) => values.size_in_bytes(),
            Self::Integers(values) => values.len(),
        }
    }

    #[inline(always)]
    pub(super) fn at(&self, index: usize) -> f32 {
        match self {
            Self::Floats(values) => values.at(index),
            Self::Integers(values) => values.at(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_bits_are_read_the_lower_half_first() {
        let bytes = [0x78, 0x1f, 0x03];
        let all = |integers: Integers<'_>, count| (0..count).map(|index| integers.at(index)).collect::<Vec<_>>();
        assert_eq!(all(Integers::I4(&bytes), 5), [-8.0, 7.0, -1.0, 1.0, 3.0]);
        assert_eq!(all(Integers::U4(&bytes), 5), [8.0, 7.0, 15.0, 1.0, 3.0]);
        assert_eq!(all(Integers::I8(&[-128, 127]), 2), [-128.0, 127.0]);
        assert_eq!(all(Integers::U8(&[128, 255]), 2), [128.0, 255.0]);
    }
}
