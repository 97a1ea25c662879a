//! Jobs done with the instructions that the process uses: see [`Level`].
//!
//! The job is compiled once for each level and inlined there, so that all it does is done with what the level has.
//! O(1) beside the job itself.

use super::blocks::Job;
use crate::simd::Level;

/// Does `job` with the instructions of `level`.
#[inline]
pub(super) fn run<J: Job>(level: Level, job: J) -> usize {
    match level {
        Level::Scalar => job.without(),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(lanes) => lanes.run(
            #[inline(always)]
            |lanes| job.with_lanes(lanes),
        ),
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(lanes) => lanes.run(
            #[inline(always)]
            |lanes| job.with_lanes(lanes),
        ),
        #[cfg(target_arch = "aarch64")]
        Level::Neon(lanes) => lanes.run(
            #[inline(always)]
            |lanes| job.with_lanes(lanes),
        ),
    }
}
