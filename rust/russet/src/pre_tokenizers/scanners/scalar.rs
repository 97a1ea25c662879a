//! The known patterns, one piece at a time: where the piece ends that begins at a given place.
//!
//! Each function is its regular expression written out by hand: what begins at `start` decides which alternative matches, and
//! none looks at what is before `start`. A piece costs time linear in its length, but for white space, of which the run is read
//! once for each piece that it ends in (at most three), so a text costs O(n). This is what runs where there is no SIMD, what
//! resumes after what SIMD leaves out, and the twin that the SIMD scanners are tested against.

use super::classes::kind::{BLANK, BREAK, CJK, LETTER, LOWER, MARK, NUMBER, OTHER, SPACE, SYMBOL, UPPER};
use super::classes::{ClassMap, Classes, Kinds};
use std::marker::PhantomData;

/// A pattern as a scanner.
pub(super) trait Pattern {
    /// What its kinds are.
    const MAP: &'static ClassMap;

    /// Where the piece ends that begins at `start`, which is not the end of the text.
    fn end(kinds: Kinds<'_>, start: usize) -> usize;
}

/// Appends the ends of the pieces from `start` on; see [`Scanner::scan`](super::Scanner::scan).
#[inline(always)]
pub(super) fn scan<P: Pattern>(text: &str, start: usize, pieces: usize, ends: &mut Vec<u32>) -> usize {
    let kinds = Kinds { text: text.as_bytes(), map: P::MAP };
    let wanted = ends.len().saturating_add(pieces);
    let mut end = start;
    while end < text.len() && ends.len() < wanted {
        end = P::end(kinds, end);
        ends.push(end as u32);
    }
    end
}

static LETTERS: ClassMap = ClassMap::new(Classes::Letters);
static LETTERS_AND_MARKS: ClassMap = ClassMap::new(Classes::LettersAndMarks);
static CASED: ClassMap = ClassMap::new(Classes::Cased);
static CASED_WITH_HAN: ClassMap = ClassMap::new(Classes::CasedWithHan);
static ISOLATED: ClassMap = ClassMap::new(Classes::Isolated);
static DEEPSEEK: ClassMap = ClassMap::new(Classes::DeepSeek);
static BLOOM: ClassMap = ClassMap::new(Classes::Bloom);

/// The length of `s`, `t`, `m`, `d`, `ll`, `re` or `ve` at `start`, where an apostrophe is before it; 0 for anything else.
#[inline(always)]
pub(super) fn contraction(kinds: Kinds<'_>, start: usize) -> usize {
    match (kinds.byte(start), kinds.byte(start + 1)) {
        (b's' | b't' | b'm' | b'd', _) => 1,
        (b'l', b'l') | (b'r' | b'v', b'e') => 2,
        _ => 0,
    }
}

/// The same in upper or lower case; `ſ` is an `s`.
#[inline(always)]
pub(super) fn any_case_contraction(kinds: Kinds<'_>, start: usize) -> usize {
    match (kinds.byte(start) | 0x20, kinds.byte(start + 1) | 0x20) {
        (b's' | b't' | b'm' | b'd', _) => 1,
        (b'l', b'l') | (b'r' | b'v', b'e') => 2,
        // The two bytes of ſ, with the bit set that makes lower case.
        (0xE5, 0xBF) if kinds.text[start..].starts_with("ſ".as_bytes()) => 2,
        _ => 0,
    }
}

/// `\s+(?!\S)|\s+`, or with `breaks` `\s*[\r\n]+|\s+(?!\S)|\s+`: white space at `start`. Before a character of `ends` white space
/// ends as it does at the end of the text.
#[inline(always)]
fn white_space(kinds: Kinds<'_>, start: usize, breaks: bool, ends: u8) -> usize {
    let (mut end, mut last, mut broken) = (start, start, None);
    let next_kind = loop {
        let (kind, next) = kinds.at(end);
        if kind & SPACE == 0 {
            break kind;
        }
        last = end;
        end = next;
        if kind == BREAK {
            broken = Some(end);
        }
    };
    match broken {
        Some(broken) if breaks => broken,
        _ if next_kind == 0 || next_kind & ends != 0 || last == start => end,
        _ => last,
    }
}

/// GPT-2: `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`; with `ISOLATED` after each number was cut
/// out as a piece.
pub(super) struct Gpt2<const ISOLATED: bool>;

impl<const ISOLATED_NUMBERS: bool> Pattern for Gpt2<ISOLATED_NUMBERS> {
    const MAP: &'static ClassMap = if ISOLATED_NUMBERS { &ISOLATED } else { &LETTERS };

    #[inline(always)]
    fn end(kinds: Kinds<'_>, start: usize) -> usize {
        let (kind, next) = kinds.at(start);
        let ends = if ISOLATED_NUMBERS { NUMBER } else { 0 };
        if kind & SPACE != 0 {
            if kinds.byte(start) == b' ' {
                let (kind, next) = kinds.at(next);
                if kind & !(SPACE | ends) != 0 {
                    return kinds.run(next, kind);
                }
            }
            return white_space(kinds, start, false, ends);
        }
        if kind & ends != 0 {
            return next;
        }
        if kinds.byte(start) == b'\'' {
            let length = contraction(kinds, next);
            if length > 0 {
                return next + length;
            }
        }
        kinds.run(next, kind)
    }
}

/// cl100k: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
/// with `DIGITS` numbers in a piece, and with `MARKS` marks beside letters.
pub(super) struct Cl100k<const DIGITS: usize, const MARKS: bool>;

impl<const DIGITS: usize, const MARKS: bool> Pattern for Cl100k<DIGITS, MARKS> {
    const MAP: &'static ClassMap = if MARKS { &LETTERS_AND_MARKS } else { &LETTERS };

    #[inline(always)]
    fn end(kinds: Kinds<'_>, start: usize) -> usize {
        let (kind, next) = kinds.at(start);
        if kind == LETTER {
            return kinds.run(next, LETTER);
        }
        if kind == NUMBER {
            return numbers(kinds, next, DIGITS);
        }
        if kinds.byte(start) == b'\'' {
            let length = any_case_contraction(kinds, next);
            if length > 0 {
                return next + length;
            }
        }
        if kind != BREAK {
            let (next_kind, after) = kinds.at(next);
            if next_kind == LETTER {
                return kinds.run(after, LETTER);
            }
            if kind == OTHER {
                return kinds.run(kinds.run(next, OTHER), BREAK);
            }
            if next_kind == OTHER && kinds.byte(start) == b' ' {
                return kinds.run(kinds.run(after, OTHER), BREAK);
            }
        }
        white_space(kinds, start, true, 0)
    }
}

/// The rest of a piece of at most `most` numbers, the first of which ends at `next`.
#[inline(always)]
fn numbers(kinds: Kinds<'_>, mut next: usize, most: usize) -> usize {
    for _ in 1..most {
        let (kind, after) = kinds.at(next);
        if kind & NUMBER == 0 {
            break;
        }
        next = after;
    }
    next
}

/// How the relatives of o200k differ.
pub(super) trait Cased {
    /// The numbers in a piece.
    const DIGITS: usize = 3;
    /// A space goes with the number after it: ` ?\p{N}`.
    const SPACED: bool = false;
    /// Contractions go with the word before them.
    const CONTRACTIONS: bool = false;
    /// Slashes follow what is none of the others as line breaks do: `[\r\n/]*`, not `[\r\n]*`.
    const SLASHES: bool = true;
    /// Chinese characters are pieces of their own and no letters: `\p{Han}+` comes first.
    const HAN: bool = false;
}

/// `o200k_base`.
pub(super) struct O200k;

impl Cased for O200k {
    const CONTRACTIONS: bool = true;
}

/// Mistral's Tekken.
pub(super) struct Tekken;

impl Cased for Tekken {
    const DIGITS: usize = 1;
}

/// Tekken with spaces before numbers.
pub(super) struct TekkenSpaced;

impl Cased for TekkenSpaced {
    const DIGITS: usize = 1;
    const SPACED: bool = true;
}

/// Kimi K2.
pub(super) struct Kimi;

impl Cased for Kimi {
    const CONTRACTIONS: bool = true;
    const SLASHES: bool = false;
    const HAN: bool = true;
}

/// o200k and its relatives, here in lines, U being `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]` and L `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`:
/// `[^\r\n\p{L}\p{N}]?U*L+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?U+L*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|`
/// `\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`.
pub(super) struct O200kLike<C>(PhantomData<C>);

impl<C: Cased> Pattern for O200kLike<C> {
    const MAP: &'static ClassMap = if C::HAN { &CASED_WITH_HAN } else { &CASED };

    #[inline(always)]
    fn end(kinds: Kinds<'_>, start: usize) -> usize {
        let (kind, next) = kinds.at(start);
        if C::HAN && is_han(kind) {
            let mut end = next;
            loop {
                let (kind, next) = kinds.at(end);
                if !is_han(kind) {
                    return end;
                }
                end = next;
            }
        }
        if is_word::<C>(kind) {
            return word::<C>(kinds, start);
        }
        if kind == NUMBER {
            return numbers(kinds, next, C::DIGITS);
        }
        if kind != BREAK {
            let (next_kind, after) = kinds.at(next);
            if is_word::<C>(next_kind) {
                return word::<C>(kinds, next);
            }
            let spaced = kind == BLANK && kinds.byte(start) == b' ';
            if C::SPACED && spaced && next_kind == NUMBER {
                return numbers(kinds, after, C::DIGITS);
            }
            if kind == OTHER || (spaced && next_kind & (OTHER | MARK) != 0) {
                let mut end = kinds.run(next, OTHER | MARK);
                while matches!(kinds.byte(end), b'\r' | b'\n') || (C::SLASHES && kinds.byte(end) == b'/') {
                    end += 1;
                }
                return end;
            }
        }
        white_space(kinds, start, true, 0)
    }
}

/// Whether a Chinese character, or another of the script.
#[inline(always)]
pub(super) fn is_han(kind: u8) -> bool {
    kind & (UPPER | LOWER) == UPPER | LOWER
}

/// Whether in U or L.
#[inline(always)]
pub(super) fn is_word<C: Cased>(kind: u8) -> bool {
    kind & (LETTER | MARK) != 0 && !(C::HAN && is_han(kind))
}

/// `U*L+` or else `U+L*`, at `start`, and the contraction after it.
///
/// Characters in both U and L make them depend on what follows: without a small letter after it, `U*` gives back all after
/// the last such character.
#[inline(always)]
fn word<C: Cased>(kinds: Kinds<'_>, start: usize) -> usize {
    let (mut end, mut after_both) = (start, None);
    loop {
        let (kind, next) = kinds.at(end);
        if !is_word::<C>(kind) {
            end = after_both.unwrap_or(end);
            break;
        }
        if kind & LOWER != 0 {
            end = next;
            loop {
                let (kind, next) = kinds.at(end);
                if !is_word::<C>(kind) || kind & UPPER != 0 {
                    break;
                }
                end = next;
            }
            break;
        }
        if kind & UPPER == 0 {
            after_both = Some(next);
        }
        end = next;
    }
    if C::CONTRACTIONS && kinds.byte(end) == b'\'' {
        let length = any_case_contraction(kinds, end + 1);
        if length > 0 {
            return end + 1 + length;
        }
    }
    end
}

/// DeepSeek's three patterns, one after the other, each isolating its matches: `\p{N}{1,3}`, `[一-龥぀-ゟ゠-ヿ]+`, and (P being
/// ``[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]``)
/// `P[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`.
///
/// So numbers, and what is and what is not Chinese or kana, are texts of their own for the third pattern. What it does not match
/// is a piece, too.
pub(super) struct DeepSeek;

impl Pattern for DeepSeek {
    const MAP: &'static ClassMap = &DEEPSEEK;

    #[inline(always)]
    fn end(kinds: Kinds<'_>, start: usize) -> usize {
        let (kind, next) = kinds.at(start);
        if kind & NUMBER != 0 {
            return numbers(kinds, next, 3);
        }
        // Nothing where the text of the third pattern ends.
        let within = |(other, next): (u8, usize)| match other {
            other if other & NUMBER != 0 || (other ^ kind) & CJK != 0 => (0, next),
            other => (other & !CJK, next),
        };
        let run = |mut end: usize, kinds_of_run: u8| loop {
            let (kind, next) = within(kinds.at(end));
            if kind & kinds_of_run == 0 {
                return end;
            }
            end = next;
        };
        let (next_kind, after) = within(kinds.at(next));
        match kind & !CJK {
            LETTER => run(next, LETTER),
            SYMBOL => {
                let is_ascii_word = kinds.byte(start) < 0x80 && kinds.byte(next).is_ascii_alphabetic();
                if is_ascii_word {
                    return next + kinds.text[next..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
                }
                run(run(next, SYMBOL), BREAK)
            }
            BLANK | OTHER if next_kind == LETTER => run(after, LETTER),
            BLANK if next_kind == SYMBOL && kinds.byte(start) == b' ' => run(run(after, SYMBOL), BREAK),
            OTHER => {
                // Not matched, until something is.
                let (mut end, mut kind, mut next) = (next, next_kind, after);
                while kind == OTHER {
                    let (next_kind, after) = within(kinds.at(next));
                    if next_kind == LETTER {
                        break;
                    }
                    (end, kind, next) = (next, next_kind, after);
                }
                end
            }
            _ => white_space(kinds, start, true, NUMBER | CJK),
        }
    }
}

/// BLOOM: ` ?[^(\s|[.,!?…。，、।۔،])]+`, isolated. What lies between the matches is a piece, too.
pub(super) struct Bloom;

impl Pattern for Bloom {
    const MAP: &'static ClassMap = &BLOOM;

    #[inline(always)]
    fn end(kinds: Kinds<'_>, start: usize) -> usize {
        let (kind, next) = kinds.at(start);
        if kind == LETTER {
            return kinds.run(next, LETTER);
        }
        if kinds.byte(start) == b' ' && kinds.at(next).0 == LETTER {
            return kinds.run(next, LETTER);
        }
        let mut end = next;
        loop {
            let (kind, next) = kinds.at(end);
            if kind & (LETTER | SPACE | OTHER) == 0 || kind == LETTER {
                return end;
            }
            if kinds.byte(end) == b' ' && kinds.at(next).0 == LETTER {
                return end;
            }
            end = next;
        }
    }
}
