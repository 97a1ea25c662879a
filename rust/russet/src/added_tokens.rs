//! Added tokens: texts that are matched before the model sees anything, such as `<|endoftext|>`.
//!
//! A text is searched twice: the raw text for the tokens with `normalized: false`, then each normalized section for the normalized
//! forms of the others. Both searches take the leftmost, and there the longest, token (Aho-Corasick, one pass, linear in the text);
//! `single_word`, `lstrip` and `rstrip` are applied to what was found. The order, and the id that a token gets, are the reference's: a text that
//! is already known keeps its id, every other takes the next free one, whatever id the file declares.
//!
//! The set is frozen. Adding tokens copies it and builds the matchers again, so many tokens should be added in one call.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::compiled::{damaged, Reader, Writer};
use crate::cuts::MARKS;
use crate::models::Model;
use crate::normalizers::{Normalizer, NormalizerScratch};
use crate::text::NormalizedText;
use crate::unicode::{is_whitespace, is_word};
use crate::{Error, Result};

/// A token that is matched in the text before the model sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddedToken {
    /// The text that is matched.
    pub content: String,
    /// Whether it matches only where it is not part of a longer word.
    pub single_word: bool,
    /// Whether it takes the white space on its left.
    pub lstrip: bool,
    /// Whether it takes the white space on its right.
    pub rstrip: bool,
    /// Whether it is matched in the normalized text, by its normalized form.
    pub normalized: bool,
    /// Whether `skip_special_tokens` leaves it out when decoding.
    pub special: bool,
}

/// All added tokens of a tokenizer.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddedTokens {
    by_id: BTreeMap<u32, AddedToken>,
    ids: HashMap<String, u32>,
    /// The normalized forms that differ from the content.
    normalized_forms: HashMap<u32, String>,
    /// Contents that were special in any version of their token.
    special: HashSet<String>,
    raw: Option<Matcher>,
    normalized: Option<Matcher>,
    edges: Edges,
}

/// What the beginnings and ends of the tokens mean for texts that are cut.
#[derive(Clone, Debug)]
struct Edges {
    /// Whether a token of these bytes ends with this one.
    is_last_byte: [bool; 256],
    /// The lengths in bytes, ascending.
    lengths: Vec<usize>,
    /// Whether no token could lie across a cut, or look back across it.
    allow_cuts: bool,
}

impl Default for Edges {
    fn default() -> Self {
        Self { is_last_byte: [false; 256], lengths: Vec::new(), allow_cuts: true }
    }
}

impl Edges {
    fn of(tokens: &BTreeMap<u32, AddedToken>) -> Self {
        let mut edges = Self::default();
        let mut lengths = BTreeSet::new();
        for AddedToken { content, single_word, .. } in tokens.values() {
            lengths.insert(content.len());
            if let Some(last) = content.bytes().next_back() {
                edges.is_last_byte[usize::from(last)] = true;
            }
            let begins_part = |character: char| is_whitespace(character) || MARKS.contains(&character);
            let has_inner_cut = content.trim_start_matches(begins_part).contains(begins_part);
            let looks_back = *single_word && content.starts_with(begins_part);
            edges.allow_cuts &= !has_inner_cut && !looks_back;
        }
        edges.lengths.extend(lengths);
        edges
    }
}

/// A part of a text: an added token, or (`id` is `None`) what lies between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) id: Option<u32>,
    pub(crate) range: Range<usize>,
}

impl AddedTokens {
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The text that tokens and decoding show for this id.
    pub(crate) fn text(&self, id: u32) -> Option<&str> {
        let token = self.by_id.get(&id)?;
        Some(self.normalized_forms.get(&id).unwrap_or(&token.content))
    }

    pub(crate) fn get(&self, id: u32) -> Option<&AddedToken> {
        self.by_id.get(&id)
    }

    pub(crate) fn id(&self, content: &str) -> Option<u32> {
        self.ids.get(content).copied()
    }

    /// Whether some are looked for in the normalized text.
    pub(crate) fn has_normalized(&self) -> bool {
        self.normalized.is_some()
    }

    /// Whether no token could lie across a cut, or look back across it.
    pub(crate) fn allow_cuts(&self) -> bool {
        self.edges.allow_cuts
    }

    /// Whether `text` ends with the text of a token.
    pub(crate) fn has_end_of(&self, text: &str) -> bool {
        text.bytes().next_back().is_some_and(|last| self.edges.is_last_byte[usize::from(last)])
            && self
                .edges
                .lengths
                .iter()
                .map_while(|length| text.len().checked_sub(*length))
                .any(|start| text.get(start..).is_some_and(|end| self.ids.contains_key(end)))
    }

    /// The length in bytes of the longest token.
    pub(crate) fn longest(&self) -> usize {
        self.edges.lengths.last().copied().unwrap_or(0)
    }

    /// Whether `skip_special_tokens` leaves out a token of this text.
    pub(crate) fn is_special(&self, text: &str) -> bool {
        self.special.contains(text)
    }

    /// Contents and ids, in no order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = (&str, u32)> {
        self.ids.iter().map(|(content, id)| (content.as_str(), *id))
    }

    /// One more than the highest id.
    pub(crate) fn ids_end(&self) -> usize {
        self.by_id.keys().next_back().map_or(0, |&id| id as usize + 1)
    }

    /// Ids and tokens by ascending id.
    pub(crate) fn by_id(&self) -> impl Iterator<Item = (u32, &AddedToken)> {
        self.by_id.iter().map(|(id, token)| (*id, token))
    }

    /// These tokens and `tokens`; and how many of them were new or had other flags.
    pub(crate) fn with(&self, tokens: &[AddedToken], model: &Model, normalizer: Option<&Normalizer>) -> Result<(Self, usize)> {
        let mut all = self.clone();
        let model_size = u32::try_from(model.vocab_size()).unwrap_or(u32::MAX);
        let mut next_id = match all.by_id.keys().next_back() {
            Some(&last) if last >= model_size || model_size == 0 => last.checked_add(1),
            _ => Some(model_size),
        };
        let mut changed = Vec::new();
        for token in tokens {
            if token.content.is_empty() {
                continue;
            }
            let known = all.id(&token.content);
            if known.and_then(|id| all.by_id.get(&id)) == Some(token) {
                continue;
            }
            let id = match known.or_else(|| model.token_to_id(&token.content)) {
                Some(id) => id,
                None => {
                    let limit = u64::from(u32::MAX);
                    let id = next_id.ok_or(Error::Limit { what: "the id of an added token", value: limit + 1, limit })?;
                    next_id = id.checked_add(1);
                    id
                }
            };
            changed.push(id);
            all.ids.insert(token.content.clone(), id);
            if token.special {
                all.special.insert(token.content.clone());
            }
            all.by_id.insert(id, token.clone());
        }
        all.compile(&changed, normalizer)?;
        Ok((all, changed.len()))
    }

    /// The same tokens for another normalizer.
    pub(crate) fn with_normalizer(&self, normalizer: Option<&Normalizer>) -> Result<Self> {
        let mut all = self.clone();
        all.normalized_forms.clear();
        let ids: Vec<u32> = all.by_id.keys().copied().collect();
        all.compile(&ids, normalizer)?;
        Ok(all)
    }

    /// Writes the tokens to a compiled file: all but the matchers.
    pub(crate) fn write(&self, to: &mut Writer) {
        to.number(self.by_id.len() as u64);
        for (&id, token) in &self.by_id {
            to.number(id.into());
            to.text(&token.content);
            for flag in [token.single_word, token.lstrip, token.rstrip, token.normalized, token.special] {
                to.flag(flag);
            }
            to.option(self.normalized_forms.get(&id).map(String::as_str), Writer::text);
        }
        // Sorted, so that the same tokenizer gives the same file.
        let ids: BTreeMap<&str, u32> = self.ids().collect();
        to.number(ids.len() as u64);
        for (content, id) in ids {
            to.text(content);
            to.number(id.into());
            to.flag(self.special.contains(content));
        }
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self> {
        let id =
            |from: &mut Reader<'_>| u32::try_from(from.number()?).map_err(|_| damaged("the id of an added token is too large"));
        let mut all = Self::default();
        for _ in 0..from.number()? {
            let (id, content) = (id(from)?, from.text()?);
            if content.is_empty() {
                return Err(damaged("an added token is empty"));
            }
            let mut flags = [false; 5];
            for flag in &mut flags {
                *flag = from.flag()?;
            }
            let [single_word, lstrip, rstrip, normalized, special] = flags;
            if let Some(form) = from.option(Reader::text)? {
                all.normalized_forms.insert(id, form);
            }
            all.by_id.insert(id, AddedToken { content, single_word, lstrip, rstrip, normalized, special });
        }
        for _ in 0..from.number()? {
            let (content, id) = (from.text()?, id(from)?);
            if from.flag()? {
                all.special.insert(content.clone());
            }
            all.ids.insert(content, id);
        }
        all.compile(&[], None)?;
        Ok(all)
    }

    /// Makes the normalized forms of the tokens `ids`, and the matchers. As in the reference, a token that is added again keeps the
    /// form that it had if its new version is not normalized.
    fn compile(&mut self, ids: &[u32], normalizer: Option<&Normalizer>) -> Result<()> {
        if let Some(normalizer) = normalizer {
            let mut text = NormalizedText::<()>::new();
            let mut scratch = NormalizerScratch::default();
            for id in ids {
                let Some(token) = self.by_id.get(id).filter(|token| token.normalized) else { continue };
                text.reset(&token.content, 0);
                normalizer.normalize(&mut text, &mut scratch)?;
                if text.text() != token.content {
                    self.normalized_forms.insert(*id, text.text().to_owned());
                }
            }
        }
        self.raw = Matcher::new(self, false)?;
        self.normalized = Matcher::new(self, true)?;
        self.edges = Edges::of(&self.by_id);
        Ok(())
    }

    /// Splits a raw text at the tokens with `normalized: false`. Sections come in order and are not empty.
    pub(crate) fn split_raw(&self, text: &str, split_special: bool, section: impl FnMut(Section) -> Result<()>) -> Result<()> {
        self.split(self.raw.as_ref(), text, split_special, section)
    }

    /// Splits a normalized section at the other tokens.
    pub(crate) fn split_normalized(
        &self,
        text: &str,
        split_special: bool,
        section: impl FnMut(Section) -> Result<()>,
    ) -> Result<()> {
        self.split(self.normalized.as_ref(), text, split_special, section)
    }

    /// With `split_special`, special tokens are found (so no other token can match there) and then taken as text.
    fn split(
        &self,
        matcher: Option<&Matcher>,
        text: &str,
        split_special: bool,
        mut section: impl FnMut(Section) -> Result<()>,
    ) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        // Can step back: a token that took the white space on its right may overlap a token in that white space.
        let mut last_end = 0;
        if let Some(matcher) = matcher {
            for found in matcher.automaton.find_iter(text) {
                let flags = matcher.flags[found.pattern().as_usize()];
                let (mut start, mut end) = (found.start(), found.end());
                if split_special && flags.special {
                    continue;
                }
                if flags.single_word {
                    let after_word = text[..start].chars().next_back().is_some_and(is_word);
                    let before_word = text[end..].chars().next().is_some_and(is_word);
                    if after_word || before_word {
                        continue;
                    }
                }
                if flags.lstrip {
                    start = text[..start].trim_end_matches(is_whitespace).len().max(last_end);
                }
                if flags.rstrip {
                    end = text.len() - text[end..].trim_start_matches(is_whitespace).len();
                }
                if start >= end {
                    continue; // all of it was taken as white space by the token before
                }
                if last_end < start {
                    section(Section { id: None, range: last_end..start })?;
                }
                section(Section { id: Some(flags.id), range: start..end })?;
                last_end = end;
            }
        }
        if last_end != text.len() {
            section(Section { id: None, range: last_end..text.len() })?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
struct Flags {
    id: u32,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    special: bool,
}

#[derive(Clone, Debug)]
struct Matcher {
    automaton: AhoCorasick,
    /// By pattern.
    flags: Vec<Flags>,
}

impl Matcher {
    /// The matcher of the tokens whose `normalized` is as given, or `None` if there are none. Where two tokens have one normalized
    /// form, the lower id is found (the reference's choice differs from run to run).
    fn new(tokens: &AddedTokens, normalized: bool) -> Result<Option<Self>> {
        let mut seen = HashSet::new();
        let mut flags = Vec::new();
        for (&id, token) in tokens.by_id.iter().filter(|(_, token)| token.normalized == normalized) {
            let text = if normalized { tokens.text(id).unwrap_or_default() } else { &token.content };
            if text.is_empty() || !seen.insert(text) {
                continue; // a form that normalization empties matches nowhere
            }
            let AddedToken { single_word, lstrip, rstrip, .. } = *token;
            flags.push((text, Flags { id, single_word, lstrip, rstrip, special: tokens.is_special(&token.content) }));
        }
        if flags.is_empty() {
            return Ok(None);
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(flags.iter().map(|(text, _)| text))
            .map_err(|error| Error::config("added_tokens", error.to_string()))?;
        Ok(Some(Self { automaton, flags: flags.into_iter().map(|(_, flags)| flags).collect() }))
    }
}
