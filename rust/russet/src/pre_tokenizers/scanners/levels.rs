//! Which instructions the scanners use: what the processor has, or what the environment variable `RUSSET_SIMD` asks for.
//!
//! Every level gives the same pieces; they differ in speed alone. The choice is made once, when a scanner is first made.

use super::blocks::Job;
#[cfg(target_arch = "aarch64")]
use super::simd_neon::Neon;
#[cfg(target_arch = "x86_64")]
use super::{simd_avx2::Avx2, simd_avx512::Avx512};
use crate::{Error, Result};
use std::sync::OnceLock;

/// The instructions that scan; a value is the proof that the processor has them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Level {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
}

/// The names that `RUSSET_SIMD` may have.
const NAMES: [&str; 4] = ["scalar", "avx2", "avx512", "neon"];

impl Level {
    /// The levels that this processor has, the best first.
    pub(super) fn all() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let levels = [Avx512::new().map(Self::Avx512), Avx2::new().map(Self::Avx2)];
        #[cfg(target_arch = "aarch64")]
        let levels = [Neon::new().map(Self::Neon)];
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let levels = [];
        levels.into_iter().flatten().chain([Self::Scalar]).collect()
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "neon",
        }
    }

    /// The level that `wanted` names, or without it the best.
    fn choose(wanted: Option<&str>) -> Result<Self> {
        let levels = Self::all();
        let Some(wanted) = wanted else { return levels.first().copied().map_or(Ok(Self::Scalar), Ok) };
        let found = levels.iter().find(|level| level.name() == wanted);
        found.copied().ok_or_else(|| {
            let message =
                if NAMES.contains(&wanted) { "this processor does not have it" } else { "no such instructions are known" };
            let known: Vec<_> = levels.iter().map(|level| level.name()).collect();
            Error::config("RUSSET_SIMD", format!("{wanted:?}: {message}; it can be {}", known.join(" or ")))
        })
    }

    /// The level of this process.
    pub(super) fn of_process() -> Result<Self> {
        static LEVEL: OnceLock<Level> = OnceLock::new();
        if let Some(level) = LEVEL.get() {
            return Ok(*level);
        }
        let wanted = std::env::var_os("RUSSET_SIMD");
        let wanted = wanted.as_ref().map(|wanted| wanted.to_string_lossy());
        let level = Self::choose(wanted.as_deref().filter(|wanted| !wanted.is_empty()))?;
        Ok(*LEVEL.get_or_init(|| level))
    }

    /// Does `job` with these instructions.
    #[inline]
    pub(super) fn run<J: Job>(self, job: J) -> usize {
        match self {
            Self::Scalar => job.without(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(lanes) => lanes.run(job),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(lanes) => lanes.run(job),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(lanes) => lanes.run(job),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_chosen_by_its_name() {
        for level in Level::all() {
            assert_eq!(Level::choose(Some(level.name())).unwrap().name(), level.name());
        }
        assert_eq!(Level::choose(None).unwrap().name(), Level::all()[0].name());
        for wrong in ["sse2", "AVX2", if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" }] {
            let message = Level::choose(Some(wrong)).unwrap_err().to_string();
            assert!(message.contains("RUSSET_SIMD") && message.contains("scalar"), "{message}");
        }
    }
}
