//! Which instructions SIMD code uses: what the processor has, or what the environment variable `RUSSET_SIMD` asks for.
//!
//! A [`Level`] is chosen once for the process and holds the proof that the processor has its instructions: `Avx2`, `Avx512` or
//! `Neon`, without which no code is run that needs them. The scanners, [`transcode`](crate::transcode) and the reader of characters
//! follow it. Every level gives the same results; they differ in speed alone, so that tests can run each of them.
//!
//! O(1). The wrong place for the instructions themselves: those are in the modules `simd_*` beside their scalar twins.

use crate::{Error, Result};
use std::sync::OnceLock;

/// Makes the proofs: types whose values exist only where the processor has the features.
macro_rules! proofs {
    ($($(#[$about:meta])* $name:ident if $detected:ident($($feature:tt),+);)*) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name(());

        impl $name {
            /// The proof, if it is true.
            pub(crate) fn new() -> Option<Self> {
                ($(std::arch::$detected!($feature))&&+).then_some(Self(()))
            }

            /// Does `work`, compiled for these features if it is inlined.
            #[inline(always)]
            pub(crate) fn run<T>(self, work: impl FnOnce(Self) -> T) -> T {
                $(#[target_feature(enable = $feature)])+
                fn compiled<T>(proof: $name, work: impl FnOnce($name) -> T) -> T {
                    work(proof)
                }
                // SAFETY: `self` proves that the processor has these features.
                unsafe { compiled(self, work) }
            }
        }
    )*};
}

#[cfg(target_arch = "x86_64")]
proofs! {
    /// The proof that the processor has AVX2, FMA, F16C, BMI1, BMI2, LZCNT and POPCNT.
    Avx2 if is_x86_feature_detected("avx2", "fma", "f16c", "bmi1", "bmi2", "lzcnt", "popcnt");
    /// The proof that the processor has AVX-512 F, BW, VBMI and VBMI2, and what [`Avx2`] proves.
    Avx512 if is_x86_feature_detected("avx512f", "avx512bw", "avx512vbmi", "avx512vbmi2", "avx2", "fma", "f16c", "bmi1", "bmi2", "lzcnt", "popcnt");
}

#[cfg(target_arch = "aarch64")]
proofs! {
    /// The proof that the processor has NEON.
    Neon if is_aarch64_feature_detected("neon");
}

/// The instructions of SIMD code; a value is the proof that the processor has them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
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
    pub(crate) fn all() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let levels = [Avx512::new().map(Self::Avx512), Avx2::new().map(Self::Avx2)];
        #[cfg(target_arch = "aarch64")]
        let levels = [Neon::new().map(Self::Neon)];
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let levels = [];
        levels.into_iter().flatten().chain([Self::Scalar]).collect()
    }

    pub(crate) fn name(self) -> &'static str {
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

    /// Does `work`, compiled for these instructions if it is inlined.
    #[inline(always)]
    pub(crate) fn run<T>(self, work: impl FnOnce() -> T) -> T {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.run(|_| work()),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(avx512) => avx512.run(|_| work()),
            _ => work(),
        }
    }

    /// AVX2, for what has nothing better.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn avx2(self) -> Option<Avx2> {
        match self {
            Self::Scalar => None,
            Self::Avx2(proof) => Some(proof),
            // Its features are among those of AVX-512's proof.
            Self::Avx512(_) => Some(Avx2(())),
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
    pub(crate) fn of_process() -> Result<Self> {
        static LEVEL: OnceLock<Level> = OnceLock::new();
        if let Some(level) = LEVEL.get() {
            return Ok(*level);
        }
        let wanted = std::env::var_os("RUSSET_SIMD");
        let wanted = wanted.as_ref().map(|wanted| wanted.to_string_lossy());
        let level = Self::choose(wanted.as_deref().filter(|wanted| !wanted.is_empty()))?;
        Ok(*LEVEL.get_or_init(|| level))
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
