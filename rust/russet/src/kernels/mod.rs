//! Numeric kernels of the portable runtime: linear layers over compressed weights, attention, norms, activations, rotary embedding.
//!
//! - [`Matrix`]: weights as they lie in a file; [`linear`] multiplies by them without making them dense in memory.
//! - [`attention`]: scaled dot products over keys and values of 16 or 32 bits.
//! - [`softmax`], [`rms_norm`], [`layer_norm`], [`rotary`], [`silu`], [`silu_product`], [`gelu`]: passes over rows.
//!
//! Everything is of 32 bits inside, row by row, and written into memory that the caller gives. All kernels are one code on
//! [`FusedLanes`](crate::lanes::FusedLanes), which are compiled for the processor; products and sums are rounded once or twice, so that
//! results agree within roundings. Work that is large enough is shared among threads ([`pool`]).
//!
//! The costs are in the modules. The wrong place for anything that knows what a model is.

mod activations;
mod attention;
mod dot;
mod elements;
mod exponential;
mod gemm;
mod linear;
mod matrix;
#[cfg(test)]
mod naive;
mod norms;
mod passes;
mod pool;
mod rotary;
#[cfg(test)]
mod tests;
mod widen;

pub use activations::{gelu, silu, silu_product, Gelu};
pub use attention::{attention, Attention, Heads, Mask};
pub use elements::{Floats, Integers, Offsets};
pub use linear::{linear, Product};
pub use matrix::{Blockwise, Matrix, Palettized};
pub use norms::{layer_norm, rms_norm, softmax};
pub use rotary::rotary;
