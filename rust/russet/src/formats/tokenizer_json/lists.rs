//! The vocabulary and the merges of a usual file, read by hand: most of a file is these two lists.
//!
//! What is cut out of the file here is what is surely right: an object of distinct tokens and their ids, an array of pieces and
//! scores, an array of merges of which every part is in the vocabulary. The rest of the file, with `null` in place of the lists,
//! is left to serde. At the first thing that is not as usual, the answer is that there is nothing: then serde reads the whole file and
//! says what is wrong, or that nothing is. So errors are found in one place, and this only has to be right about what it accepts.
//!
//! The two readers agree on where the lists are, as serde has to read the same text up to them without an error.
//!
//! That the file is UTF-8 is found by what is kept of it: the tokens, in which the parts of all merges are looked up, and the rest.
//! Between them is nothing that is not ASCII. Merges are looked up as they are read, some at a time, so that memory is waited for once
//! for all of them; their texts are not kept. O(file).

use super::scan::{plain_end, skip_space};
use super::vocabulary::Vocabulary;
use crate::formats::config::VocabConfig;
use crate::formats::prepared::PlacedMerges;
use crate::formats::Limits;
use crate::string_index::{are_equal, StringIndex};
use crate::string_list::ByteList;
use crate::StringList;

/// How many merges are looked up at a time.
const BATCH: usize = 32;

/// The lists of a file, and the file without them.
pub(super) struct Split {
    pub rest: String,
    pub lists: Lists,
}

/// What was cut out.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub vocabulary: Option<Vocabulary>,
    pub merges: Option<PlacedMerges>,
}

/// Cuts the lists out of a file; `None` if it is not as usual.
pub(super) fn split(bytes: &[u8], limits: &Limits) -> Option<Split> {
    let mut reader = Reader { bytes, at: 0, unescaped: String::new() };
    let mut found = Found { limits, lists: Lists::default(), model_is_bpe: false, cut: Vec::new() };
    let mut models = 0;
    reader.entries(|reader, key| {
        if key != b"model" {
            return reader.skip();
        }
        models += 1;
        reader.entries(|reader, key| found.take(reader, key))
    })?;
    if models != 1 || found.lists.vocabulary.is_none() {
        return None;
    }
    // The lists are where they are in the file.
    let mut rest = Vec::with_capacity(bytes.len().saturating_sub(found.cut.iter().map(|(start, end)| end - start).sum()) + 16);
    let mut from = 0;
    for (start, end) in found.cut {
        rest.extend_from_slice(bytes.get(from..start)?);
        rest.extend_from_slice(b"null");
        from = end;
    }
    rest.extend_from_slice(bytes.get(from..)?);
    Some(Split { rest: String::from_utf8(rest).ok()?, lists: found.lists })
}

/// What was found in the model so far.
struct Found<'l> {
    limits: &'l Limits,
    lists: Lists,
    model_is_bpe: bool,
    /// Where the lists are.
    cut: Vec<(usize, usize)>,
}

impl Found<'_> {
    /// Takes the value of a key of the model.
    fn take(&mut self, reader: &mut Reader<'_>, key: &[u8]) -> Option<()> {
        let start = reader.at;
        match key {
            b"type" => {
                self.model_is_bpe = reader.bytes.get(start..)?.starts_with(b"\"BPE\"");
                return reader.skip();
            }
            b"vocab" if self.lists.vocabulary.is_none() => self.lists.vocabulary = Some(reader.vocabulary(self.limits)?),
            b"merges" if self.lists.merges.is_none() && self.model_is_bpe => {
                let Some(Vocabulary::Ids(Ok(vocabulary))) = &self.lists.vocabulary else { return None };
                let index = StringIndex::of_distinct(&vocabulary.tokens)?;
                let places = reader.merges(vocabulary, &index, self.limits)?;
                self.lists.merges = Some(PlacedMerges { index, places });
            }
            b"vocab" | b"merges" => return None,
            _ => return reader.skip(),
        }
        self.cut.push((start, reader.at));
        Some(())
    }
}

/// A string of the file, or one that had escapes.
#[derive(Clone, Copy)]
struct Part {
    start: u32,
    end: u32,
    is_unescaped: bool,
}

/// Reads JSON that is as usual.
struct Reader<'t> {
    bytes: &'t [u8],
    at: usize,
    /// Strings that had escapes, without them.
    unescaped: String,
}

impl<'t> Reader<'t> {
    /// The next byte that is no white space.
    #[inline(always)]
    fn peek(&mut self) -> Option<u8> {
        self.at = skip_space(self.bytes, self.at);
        self.bytes.get(self.at).copied()
    }

    /// Whether the next byte is this one, which is read then.
    #[inline(always)]
    fn eat(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    #[inline(always)]
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.eat(byte).then_some(())
    }

    /// Whether an array or object goes on behind an item, or ends with `close`.
    #[inline(always)]
    fn goes_on(&mut self, close: u8) -> Option<bool> {
        match self.peek()? {
            b',' => {
                self.at += 1;
                Some(true)
            }
            byte if byte == close => {
                self.at += 1;
                Some(false)
            }
            _ => None,
        }
    }

    /// Where the string ends that begins here, and whether it has escapes; reads it with both quotation marks.
    #[inline(always)]
    fn string(&mut self) -> Option<Part> {
        self.expect(b'"')?;
        let start = self.at;
        self.at = plain_end(self.bytes, start);
        match self.bytes.get(self.at)? {
            b'"' => {
                let part = Part { start: start as u32, end: self.at as u32, is_unescaped: false };
                self.at += 1;
                Some(part)
            }
            b'\\' => self.escaped_string(start),
            _ => None,
        }
    }

    #[cold]
    fn escaped_string(&mut self, start: usize) -> Option<Part> {
        self.end_string()?;
        // What the escapes mean, serde knows.
        let string: String = serde_json::from_slice(self.bytes.get(start - 1..self.at)?).ok()?;
        let start = self.unescaped.len() as u32;
        self.unescaped.push_str(&string);
        Some(Part { start, end: self.unescaped.len() as u32, is_unescaped: true })
    }

    /// Reads to the end of the string that the next byte is in.
    fn end_string(&mut self) -> Option<()> {
        loop {
            self.at = plain_end(self.bytes, self.at);
            match self.bytes.get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    #[inline(always)]
    fn part(&self, part: Part) -> &[u8] {
        let text = if part.is_unescaped { self.unescaped.as_bytes() } else { self.bytes };
        text.get(part.start as usize..part.end as usize).unwrap_or_default()
    }

    /// Reads an object whose keys have no escapes; `take` reads each value, of which white space before it is read.
    fn entries(&mut self, mut take: impl FnMut(&mut Self, &'t [u8]) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.eat(b'}') {
            return Some(());
        }
        loop {
            let key = self.string().filter(|key| !key.is_unescaped)?;
            let key = self.bytes.get(key.start as usize..key.end as usize)?;
            self.expect(b':')?;
            self.peek()?;
            take(self, key)?;
            if !self.goes_on(b'}')? {
                return Some(());
            }
        }
    }

    /// Reads any value. What is right about it is left to serde.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    self.end_string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                // Between values in an array or object.
                b',' | b':' if depth > 0 => self.at += 1,
                _ => {
                    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
                    let rest = self.bytes.get(self.at..)?;
                    let length = rest.iter().position(|byte| !is_word(byte)).unwrap_or(rest.len());
                    self.at += Some(length).filter(|&length| length > 0)?;
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn vocabulary(&mut self, limits: &Limits) -> Option<Vocabulary> {
        match self.peek()? {
            b'{' => {
                let (tokens, ids) = self.tokens(b'{', b'}', limits, |reader| {
                    let token = reader.string()?;
                    reader.expect(b':')?;
                    reader.peek()?;
                    Some((token, reader.id()?))
                })?;
                Some(Vocabulary::Ids(Ok(VocabConfig { tokens, ids })))
            }
            b'[' => {
                let pieces = self.tokens(b'[', b']', limits, |reader| {
                    reader.expect(b'[')?;
                    let piece = reader.string()?;
                    reader.expect(b',')?;
                    reader.peek()?;
                    let score = reader.score()?;
                    reader.expect(b']')?;
                    Some((piece, score))
                })?;
                Some(Vocabulary::Pieces(Ok(pieces)))
            }
            _ => None,
        }
    }

    /// Reads tokens and what belongs to each. That tokens are distinct is found by those who make a table of them.
    #[inline(always)]
    fn tokens<V>(
        &mut self,
        open: u8,
        close: u8,
        limits: &Limits,
        mut entry: impl FnMut(&mut Self) -> Option<(Part, V)>,
    ) -> Option<(StringList, Vec<V>)> {
        self.expect(open)?;
        // Room for what the rest of the file can hold.
        let left = self.bytes.len() - self.at;
        let mut tokens = ByteList::with_room(left / 8, left / 2);
        let mut values = Vec::new();
        values.try_reserve_exact(left / 8).ok()?;
        if self.eat(close) {
            return None;
        }
        loop {
            let (token, value) = entry(self)?;
            tokens.push(self.part(token));
            values.push(value);
            self.unescaped.clear();
            if u64::from(token.end - token.start) > limits.token_bytes || values.len() as u64 > limits.vocabulary {
                return None;
            }
            if !self.goes_on(close)? {
                break;
            }
        }
        values.shrink_to_fit();
        Some((tokens.into_strings()?, values))
    }

    /// Reads a number that is an id, without a fraction or an exponent.
    #[inline(always)]
    fn id(&mut self) -> Option<u32> {
        let start = self.at;
        let mut id = 0u64;
        while let Some(digit) = self.bytes.get(self.at).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
            // Ten digits at most: more are no id.
            id = id * 10 + u64::from(digit);
            self.at += 1;
            if self.at - start > 10 {
                return None;
            }
        }
        let is_usual = match self.at - start {
            0 => false,
            1 => true,
            _ => self.bytes.get(start) != Some(&b'0'),
        };
        u32::try_from(id).ok().filter(|_| is_usual)
    }

    /// Reads a number as serde_json does, which rounds twice: the digits to a double, and that divided by a power of ten.
    fn score(&mut self) -> Option<f64> {
        let bytes = self.bytes;
        let start = self.at;
        let is_negative = bytes.get(start) == Some(&b'-');
        let mut at = start + usize::from(is_negative);
        let first = at;
        let mut digits = 0u64;
        let mut point = None;
        loop {
            match bytes.get(at)? {
                byte @ b'0'..=b'9' => digits = digits.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')),
                b'.' if point.is_none() => point = Some(at),
                _ => break,
            }
            at += 1;
        }
        self.at = at;
        let is_end = matches!(bytes.get(at)?, b',' | b']' | b' ' | b'\n');
        match point {
            // Nineteen digits fit; none before the point, two zeros and the like are left to serde, as are whole numbers.
            Some(point) if is_end && at - first <= 20 && point > first && at > point + 1 => {
                if bytes.get(first) == Some(&b'0') && point > first + 1 {
                    return None;
                }
                let power = POWERS.get(at - point - 1)?;
                let value = digits as f64 / power;
                Some(if is_negative { -value } else { value })
            }
            _ => {
                let is_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
                let rest = bytes.get(start..)?;
                let length = rest.iter().position(|byte| !is_number(byte))?;
                self.at = start + length;
                serde_json::from_slice(self.bytes.get(start..self.at)?).ok()
            }
        }
    }

    /// Reads merges, as pairs or strings, and looks up their parts.
    fn merges(&mut self, vocabulary: &VocabConfig, index: &StringIndex, limits: &Limits) -> Option<Vec<[u32; 3]>> {
        self.expect(b'[')?;
        let mut places = Vec::new();
        if self.eat(b']') {
            return Some(places);
        }
        // Each token is made by a merge or two; if more, then there are many more.
        places.try_reserve_exact(vocabulary.tokens.len()).ok()?;
        let is_pairs = self.peek()? == b'[';
        let mut resolver = Resolver { tokens: &vocabulary.tokens, index, near: 0, joined: Vec::new() };
        let mut batch = Vec::with_capacity(BATCH);
        let mut goes_on = true;
        while goes_on {
            batch.clear();
            self.unescaped.clear();
            while goes_on && batch.len() < BATCH {
                batch.push(if is_pairs { self.pair()? } else { self.line()? });
                goes_on = self.goes_on(b']')?;
            }
            if batch.iter().flatten().any(|part| u64::from(part.end - part.start) > limits.token_bytes / 2) {
                return None;
            }
            resolver.resolve(self, &batch, &mut places)?;
            if places.len() as u64 > limits.vocabulary {
                return None;
            }
        }
        Some(places)
    }

    #[inline(always)]
    fn pair(&mut self) -> Option<[Part; 2]> {
        self.expect(b'[')?;
        let left = self.string()?;
        self.expect(b',')?;
        let right = self.string()?;
        self.expect(b']')?;
        Some([left, right])
    }

    /// Two tokens with one space between them.
    #[inline(always)]
    fn line(&mut self) -> Option<[Part; 2]> {
        let line = self.string()?;
        let bytes = self.part(line);
        if bytes.starts_with(b"#version") {
            return None;
        }
        let mut spaces = bytes.iter().zip(line.start..).filter(|(&byte, _)| byte == b' ').map(|(_, at)| at);
        match (spaces.next(), spaces.next()) {
            (Some(space), None) => Some([Part { end: space, ..line }, Part { start: space + 1, ..line }]),
            _ => None,
        }
    }
}

/// Finds the places of merges.
struct Resolver<'v> {
    tokens: &'v StringList,
    index: &'v StringIndex,
    /// The token that the last merge makes.
    near: u32,
    joined: Vec<u8>,
}

impl Resolver<'_> {
    /// Appends the places of some merges; `None` if a part is empty or something is not in the vocabulary.
    fn resolve(&mut self, reader: &Reader<'_>, batch: &[[Part; 2]], places: &mut Vec<[u32; 3]>) -> Option<()> {
        let mut hashes = [[0; 2]; BATCH];
        for (hashes, parts) in hashes.iter_mut().zip(batch) {
            *hashes = parts.map(|part| self.index.hash_ahead(reader.part(part)));
        }
        for hash in hashes.iter().take(batch.len()).flatten() {
            self.index.look_ahead(self.tokens, *hash);
        }
        for (parts, hashes) in batch.iter().zip(hashes) {
            let [left, right] = parts.map(|part| reader.part(part));
            if left.is_empty() || right.is_empty() {
                return None;
            }
            let [left_hash, right_hash] = hashes;
            let left_place = self.index.find_hashed(self.tokens, left, left_hash)?;
            let right_place = self.index.find_hashed(self.tokens, right, right_hash)?;
            // What merges make mostly is the same token as before, or the next one.
            let is_made = |place: u32| {
                let made = self.tokens.bytes_at(place as usize);
                made.len() == left.len() + right.len()
                    && made.split_at_checked(left.len()).is_some_and(|(begin, end)| are_equal(begin, left) && are_equal(end, right))
            };
            let made = match [self.near, self.near + 1].into_iter().find(|&place| is_made(place)) {
                Some(place) => place,
                None => {
                    self.joined.clear();
                    self.joined.extend_from_slice(left);
                    self.joined.extend_from_slice(right);
                    self.index.find(self.tokens, &self.joined)?
                }
            };
            self.near = made;
            places.push([left_place, right_place, made]);
        }
        Some(())
    }
}

/// The powers of ten that doubles hold exactly.
const POWERS: [f64; 20] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19];

#[cfg(test)]
mod tests {
    use super::super::{prepare, read};
    use super::*;
    use crate::formats::config::{Config, ModelConfig};
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// What serde reads, and what is read by hand, if anything is; repeated tokens are left to those who compile.
    fn both(json: &[u8]) -> Option<(Config, Config)> {
        let prepared = prepare(json, &Limits::default())?;
        let mut config = prepared.config;
        if let ModelConfig::Bpe(bpe) = &mut config.model {
            let texts = prepared.merges.iter().flat_map(|merges| merges.places.iter());
            let text = |place: &u32| bpe.vocab.tokens.get(*place as usize).unwrap_or_default();
            for [left, right, made] in texts {
                assert_eq!(format!("{}{}", text(left), text(right)), text(made));
                [left, right].iter().for_each(|place| bpe.merges.push(text(place)));
            }
        }
        let tokens = match &config.model {
            ModelConfig::WordPiece(model) => Some(&model.vocab.tokens),
            ModelConfig::WordLevel(model) => Some(&model.vocab.tokens),
            _ => None,
        };
        let mut seen = HashSet::new();
        let is_distinct = tokens.is_none_or(|tokens| tokens.iter().all(|token| seen.insert(token)));
        let expected = read(json, &Limits::default());
        assert!(expected.is_ok(), "{expected:?} for {}", String::from_utf8_lossy(json));
        is_distinct.then_some((config, expected.ok()?))
    }

    const BPE: &str = r#"{"version": "1.0", "added_tokens": [{"id": 0, "content": "a\"]", "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": false, "special": true}], "model": {"type": "BPE", "unk_token": null, "fuse_unk": true,
        "vocab": {"a": 0, "b": 1, "é": 2, "\"": 3, "\\": 4, "\u0061b": 5,
        "aé":4294967295, "abaé" : 17, "a b": 8}, "merges": [["a", "b"], ["a" ,"é"], [ "ab", "a\u00e9" ]]} }"#;
    const LINES: &str =
        r#"{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"\n":3,"\na":4},"merges":["a b","\n a"],"dropout":0.5}}"#;
    const PIECES: &str = r#"{"model": {"unk_id": 0, "vocab": [["<unk>", 0.0], ["▁", -2.0122928619384766], ["\u2581a", -11], ["b", -1.5e-3],
        ["b", 12345678901234567890.5], ["c", 0.1234567890123456789], ["", -0], ["d",-0.0]]}, "version": "1.0"}"#;
    const WORDS: &str = r###"{"version":"1.0","model":{"type":"WordPiece","unk_token":"a","continuing_subword_prefix":"##",
        "max_input_chars_per_word":100,"vocab":{"a":0,"##b":1,"c":2}}}"###;

    #[test]
    fn usual_files_are_read_by_hand() {
        for json in [BPE, LINES, PIECES, WORDS] {
            let (found, expected) = both(json.as_bytes()).unwrap();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_not_usual_is_left_to_serde() {
        let merges = |merges: &str| LINES.replace(r#"["a b","\n a"]"#, merges);
        for json in [
            merges(r#"["a b", ["a", "b"]]"#),
            merges(r#"["a x"]"#),
            merges(r#"["a x"]"#).replace(r#""a":0"#, r#""":0"#),
            merges(r#"["a  b"]"#),
            merges(r#"["b a"]"#),
            merges(r##"["#version: 0.2", "a b"]"##),
            merges(r#"[["a", ""]]"#),
            merges("[\"a b\",]"),
            merges("null"),
            LINES.replace("BPE", "BPe"),
            LINES.replace(r#""b":1"#, r#""a":1"#),
            LINES.replace(r#""b":1"#, r#""b":01"#),
            LINES.replace(r#""b":1"#, r#""b":4294967296"#),
            LINES.replace(r#""b":1"#, r#""b":-1"#),
            LINES.replace(r#""b":1"#, r#""b":1.0"#),
            LINES.replace("dropout", "vocab"),
            LINES.replace("\"dropout\":0.5", "\"continuing_subword_prefix\":\"#\""),
            LINES.replace("model", "mod\\u0065l"),
            LINES.replace("\"a\":0", "\"a\u{1}\":0"),
            LINES.replace("}}", "}"),
            LINES.replace("}}", "}}}"),
        ] {
            assert!(prepare(json.as_bytes(), &Limits::default()).is_none(), "{json}");
        }
        let few = Limits { vocabulary: 4, ..Limits::default() };
        assert!(prepare(LINES.as_bytes(), &few).is_none());
        let short = Limits { token_bytes: 1, ..Limits::default() };
        assert!(prepare(LINES.as_bytes(), &short).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn what_is_accepted_is_what_serde_reads(
            file in 0usize..4,
            changes in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..4, 0usize..24), 0..3),
        ) {
            const PARTS: [&[u8]; 24] = [
                b"\"", b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"null", b"0", b"1", b"-", b".5", b"e9", b"\n", b"\0", b"\xff",
                b"\xc3", b"a", b"\\u0041", b"\\ud800", b"#version", b"\xc3\xa9",
            ];
            let mut json = [BPE, LINES, PIECES, WORDS][file].as_bytes().to_vec();
            for (at, cut, part) in changes {
                let at = at.index(json.len());
                let end = (at + cut).min(json.len());
                json.splice(at..end, PARTS[part].iter().copied());
            }
            if let Some((found, expected)) = both(&json) {
                prop_assert_eq!(found, expected);
            }
        }
    }
}
