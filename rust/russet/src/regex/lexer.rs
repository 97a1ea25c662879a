//! The characters of a pattern as tokens, with the reading rules of Oniguruma's own syntax.
//!
//! One token of look-ahead, no backtracking beyond an escape; linear in the pattern. What the syntax knows and this engine
//! does not run is an error here or in the parser that names it, never a literal.

use super::ast::Anchor;
use super::parser::{Options, Parser};
use crate::Result;

/// The largest count in `{n,m}`.
const MAX_REPEAT: u32 = 100_000;
/// The largest number that is read as a back-reference.
const MAX_BACK_REFERENCE: u32 = 1_000;

/// A token outside of character classes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    End,
    /// A character that stands for itself.
    Char(char),
    /// A byte of a character, from `\xHH` or `\OOO`.
    Byte(u8),
    /// A code point from an escape.
    Code(u32),
    /// `.`
    Dot,
    /// `\w`, `\d`, `\s`, `\h` and their complements.
    Type(CharType, bool),
    /// `\p{` and whether it is negated; the name is yet to be read.
    Property(bool),
    Anchor(Anchor),
    /// A reference by number, or by name to the groups with that name.
    BackReference {
        groups: Vec<u32>,
        by_name: bool,
    },
    Repeat(Quantifier),
    /// `|`
    Or,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `[`
    ClassOpen,
    /// `\K`
    Keep,
    /// `\R`
    Newline,
    /// `\N`
    NotNewline,
    /// `\O`
    AnyChar,
}

/// The escapes that name a type of characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CharType {
    Word,
    Digit,
    Space,
    HexDigit,
}

impl CharType {
    /// The type that the escape `letter` names and whether it is negated.
    pub(super) fn of(letter: char) -> Option<(Self, bool)> {
        let kind = match letter.to_ascii_lowercase() {
            'w' => Self::Word,
            'd' => Self::Digit,
            's' => Self::Space,
            'h' => Self::HexDigit,
            _ => return None,
        };
        Some((kind, letter.is_ascii_uppercase()))
    }
}

/// A quantifier as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quantifier {
    pub(super) least: u32,
    pub(super) most: Option<u32>,
    pub(super) greedy: bool,
    pub(super) possessive: bool,
}

impl Parser<'_> {
    /// Reads the next token into `self.token`.
    pub(super) fn advance(&mut self) -> Result<()> {
        self.token = self.next_token()?;
        Ok(())
    }

    fn next_token(&mut self) -> Result<Token> {
        if let Some(base) = self.sequence {
            if let Some(code) = self.next_in_sequence(base)? {
                return Ok(Token::Code(code));
            }
        }
        loop {
            self.token_start = self.position;
            let Some(char) = self.take() else { return Ok(Token::End) };
            return match char {
                '\\' => self.escape(),
                '.' => Ok(Token::Dot),
                '*' => Ok(self.suffix(0, None)),
                '+' => Ok(self.suffix(1, None)),
                '?' => Ok(self.suffix(0, Some(1))),
                '{' => Ok(self.interval()?.map_or(Token::Char('{'), Token::Repeat)),
                '|' => Ok(Token::Or),
                '(' if self.rest_starts_with("?#") => {
                    self.skip_comment()?;
                    continue;
                }
                '(' => Ok(Token::Open),
                ')' => Ok(Token::Close),
                '^' => Ok(Token::Anchor(Anchor::LineStart)),
                '$' => Ok(Token::Anchor(Anchor::LineEnd)),
                '[' => Ok(Token::ClassOpen),
                '#' if self.options.has(Options::EXTENDED) => {
                    while self.take().is_some_and(|char| char != '\n') {}
                    continue;
                }
                ' ' | '\t' | '\n' | '\r' | '\x0C' if self.options.has(Options::EXTENDED) => continue,
                _ => Ok(Token::Char(char)),
            };
        }
    }

    /// Skips `(?#...)`, of which the bracket is read.
    fn skip_comment(&mut self) -> Result<()> {
        self.position += 2;
        loop {
            match self.take() {
                None => return Err(self.error("the comment has no end")),
                Some(')') => return Ok(()),
                Some('\\') => {
                    self.take();
                }
                Some(_) => {}
            }
        }
    }

    /// `*`, `+` or `?` with what may follow: `?` for lazy, `+` for possessive.
    fn suffix(&mut self, least: u32, most: Option<u32>) -> Token {
        let mut quantifier = Quantifier { least, most, greedy: true, possessive: false };
        match self.peek() {
            Some('?') => {
                self.position += 1;
                quantifier.greedy = false;
            }
            Some('+') => {
                self.position += 1;
                quantifier.possessive = true;
            }
            _ => {}
        }
        Token::Repeat(quantifier)
    }

    /// `{n,m}` after its brace, or None if the brace is a literal. `{n}?` is not lazy, but `{n}` once or never, and a `+`
    /// after an interval is a quantifier of its own; `{n,m}` with n above m is possessive `{m,n}`.
    fn interval(&mut self) -> Result<Option<Quantifier>> {
        let start = self.position;
        let literal = |parser: &mut Self| {
            parser.position = start;
            Ok(None)
        };
        let least = self.repeat_count()?;
        let mut exact = false;
        let most = if self.peek() == Some(',') {
            self.position += 1;
            let most = self.repeat_count()?;
            if least.is_none() && most.is_none() {
                return literal(self);
            }
            most
        } else {
            exact = true;
            least
        };
        if self.peek() != Some('}') || (exact && least.is_none()) {
            return literal(self);
        }
        self.position += 1;
        let mut quantifier = Quantifier { least: least.unwrap_or(0), most, greedy: true, possessive: false };
        if let Some(most) = most.filter(|&most| most < quantifier.least) {
            quantifier = Quantifier { least: most, most: Some(quantifier.least), possessive: true, ..quantifier };
        }
        if !exact && !quantifier.possessive && self.peek() == Some('?') {
            self.position += 1;
            quantifier.greedy = false;
        }
        Ok(Some(quantifier))
    }

    /// A count, if there are digits.
    fn repeat_count(&mut self) -> Result<Option<u32>> {
        match self.number() {
            None => Ok(None),
            Some(count) if count <= MAX_REPEAT => Ok(Some(count)),
            Some(_) => Err(self.error("the count of a repetition is above 100000")),
        }
    }

    /// A decimal number, if there are digits; what is too large stays at the largest `u32`.
    pub(super) fn number(&mut self) -> Option<u32> {
        let start = self.position;
        let mut number = 0_u32;
        while let Some(digit) = self.peek().and_then(|char| char.to_digit(10)) {
            number = number.saturating_mul(10).saturating_add(digit);
            self.position += 1;
        }
        (self.position > start).then_some(number)
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<Token> {
        let Some(char) = self.take() else { return Err(self.error("the pattern ends with a backslash")) };
        if let Some((kind, negated)) = CharType::of(char) {
            return Ok(Token::Type(kind, negated));
        }
        let ascii = self.options.has(Options::ASCII_WORD) || self.options.has(Options::ASCII_POSIX);
        Ok(match char {
            'b' => Token::Anchor(Anchor::WordBoundary { ascii, not: false }),
            'B' => Token::Anchor(Anchor::WordBoundary { ascii, not: true }),
            'A' => Token::Anchor(Anchor::TextStart),
            'Z' => Token::Anchor(Anchor::LastLineEnd),
            'z' => Token::Anchor(Anchor::TextEnd),
            'G' => Token::Anchor(Anchor::SearchStart),
            'K' => Token::Keep,
            'R' => Token::Newline,
            'N' => Token::NotNewline,
            'O' => Token::AnyChar,
            'X' | 'y' | 'Y' => return Err(self.unsupported("text segments")),
            'p' | 'P' if self.peek() == Some('{') => {
                self.position += 1;
                let mut negated = char == 'P';
                if self.peek() == Some('^') {
                    self.position += 1;
                    negated = !negated;
                }
                Token::Property(negated)
            }
            'k' if matches!(self.peek(), Some('<' | '\'')) => self.named_back_reference()?,
            'g' if matches!(self.peek(), Some('<' | '\'')) => return Err(self.unsupported("calls of groups")),
            '1'..='9' => self.numbered_back_reference(char)?,
            '0' => Token::Byte(self.octal(2)),
            'o' | 'x' | 'u' => match self.numeric_escape(char)? {
                Some(Numeric::Byte(byte)) => Token::Byte(byte),
                Some(Numeric::Code(code)) => Token::Code(code),
                None => Token::Char(char),
            },
            _ => {
                let code = self.control_escape(char)?;
                if code == u32::from(char) {
                    Token::Char(char)
                } else {
                    Token::Code(code)
                }
            }
        })
    }

    /// `\1` to `\9` always, more digits if there are so many groups by now; else octal digits, or the digit itself.
    fn numbered_back_reference(&mut self, digit: char) -> Result<Token> {
        self.position -= 1;
        let start = self.position;
        let number = self.number().unwrap_or(0);
        if number <= MAX_BACK_REFERENCE && (number <= self.groups || number <= 9) {
            return Ok(Token::BackReference { groups: vec![number], by_name: false });
        }
        self.position = start;
        if matches!(digit, '8' | '9') {
            self.position += 1;
            return Ok(Token::Char(digit));
        }
        Ok(Token::Byte(self.octal(3)))
    }

    /// `\k<name>`, `\k<1>`, `\k<-1>`; at the bracket.
    fn named_back_reference(&mut self) -> Result<Token> {
        let close = if self.take() == Some('<') { '>' } else { '\'' };
        let start = self.position;
        while self.peek().is_some_and(|char| char != close && char != ')') {
            self.position += 1;
        }
        let name: String = self.chars[start..self.position].iter().collect();
        if self.take() != Some(close) {
            return Err(self.error("the name has no end"));
        }
        self.reference(&name)
    }

    /// The groups that `name`, a name or a signed or unsigned number, refers to.
    pub(super) fn reference(&mut self, name: &str) -> Result<Token> {
        let digits = name.strip_prefix(['-', '+']).unwrap_or(name);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = digits.parse::<u32>().ok().filter(|&number| number <= i32::MAX as u32);
            let Some(number) = number else { return Err(self.error("the number of the group is too large")) };
            let group = match name.as_bytes()[0] {
                b'-' if number == 0 => None,
                b'-' => (self.groups + 1).checked_sub(number),
                b'+' if number == 0 => None,
                b'+' => self.groups.checked_add(number),
                _ => Some(number),
            };
            return match group.filter(|&group| group > 0) {
                Some(group) => Ok(Token::BackReference { groups: vec![group], by_name: false }),
                None => Err(self.error("there is no such group")),
            };
        }
        if let Some((_, groups)) = self.names.iter().find(|entry| entry.0 == name) {
            return Ok(Token::BackReference { groups: groups.clone(), by_name: true });
        }
        if name.contains(['-', '+']) {
            return Err(self.unsupported("back-references with a recursion level"));
        }
        Err(self.error("there is no group with this name"))
    }
}

/// What a numeric escape stands for.
pub(super) enum Numeric {
    Byte(u8),
    Code(u32),
}

impl Parser<'_> {
    /// Up to `most` octal digits, as a byte.
    pub(super) fn octal(&mut self, most: usize) -> u8 {
        self.digits(8, 0, most).unwrap_or(0) as u8
    }

    /// `\xHH`, `\x{H...}`, `\o{O...}` or `\uHHHH` after its letter; None if the letter stands for itself.
    pub(super) fn numeric_escape(&mut self, letter: char) -> Result<Option<Numeric>> {
        let Some(next) = self.peek() else { return Ok(None) };
        match (letter, next) {
            ('x' | 'o', '{') => {
                let (base, most) = if letter == 'x' { (16, 8) } else { (8, 11) };
                let start = self.position;
                self.position += 1;
                let code = self.digits(base, 0, most)?;
                if base == 8 && self.peek().is_some_and(|char| char.is_ascii_digit()) {
                    return Err(self.error("the number of the code point is not octal"));
                }
                if self.position == start + 1 {
                    self.position = start;
                    return Ok(None);
                }
                match self.peek() {
                    Some('}') => self.position += 1,
                    // More code points, after spaces.
                    Some(' ' | '\n')
                        if self.chars[self.position..].iter().find(|char| !matches!(char, ' ' | '\n')) != Some(&'}') =>
                    {
                        self.sequence = Some(base);
                    }
                    _ => return Err(self.error("the number of the code point has no end")),
                }
                Ok(Some(Numeric::Code(code)))
            }
            ('x', _) => Ok(Some(Numeric::Byte(self.digits(16, 0, 2)? as u8))),
            ('u', _) => Ok(Some(Numeric::Code(self.digits(16, 4, 4)?))),
            _ => Ok(None),
        }
    }

    /// The next code point of `\x{A B ...}`, or None at its end.
    fn next_in_sequence(&mut self, base: u32) -> Result<Option<u32>> {
        while matches!(self.peek(), Some(' ' | '\n')) {
            self.position += 1;
        }
        if self.peek() == Some('}') {
            self.position += 1;
            self.sequence = None;
            return Ok(None);
        }
        let code = self.digits(base, 1, if base == 16 { 8 } else { 11 })?;
        match self.peek() {
            Some(' ' | '\n' | '}') => Ok(Some(code)),
            _ => Err(self.error("the number of the code point has no end")),
        }
    }

    /// A number of `least` to `most` digits in base `base`.
    fn digits(&mut self, base: u32, least: usize, most: usize) -> Result<u32> {
        let start = self.position;
        let mut number = 0_u64;
        while self.position - start < most {
            let Some(digit) = self.peek().and_then(|char| char.to_digit(base)) else { break };
            number = number * u64::from(base) + u64::from(digit);
            self.position += 1;
        }
        if self.position - start < least {
            return Err(self.error("the number of the code point is too short"));
        }
        u32::try_from(number).map_err(|_| self.error("the number of the code point is too large"))
    }

    /// `\n`, `\cX`, `\C-X`, `\M-X` and the like after `letter`, which stands for itself if it names nothing.
    pub(super) fn control_escape(&mut self, letter: char) -> Result<u32> {
        let code = match letter {
            'n' => 0x0A,
            't' => 0x09,
            'r' => 0x0D,
            'f' => 0x0C,
            'a' => 0x07,
            'b' => 0x08,
            'e' => 0x1B,
            'v' => 0x0B,
            'C' | 'M' => {
                if self.take() != Some('-') {
                    return Err(self.error("the control or meta character is incomplete"));
                }
                if letter == 'C' {
                    self.control()?
                } else {
                    self.operand()? & 0xFF | 0x80
                }
            }
            'c' => self.control()?,
            _ => u32::from(letter),
        };
        Ok(code)
    }

    /// The control character of what follows.
    fn control(&mut self) -> Result<u32> {
        if self.peek() == Some('?') {
            self.position += 1;
            return Ok(0x7F);
        }
        Ok(self.operand()? & 0x9F)
    }

    /// A character, which may be an escape again.
    fn operand(&mut self) -> Result<u32> {
        match self.take() {
            None => Err(self.error("the control or meta character is incomplete")),
            Some('\\') => {
                self.enter()?;
                let code = match self.take() {
                    None => Err(self.error("the pattern ends with a backslash")),
                    Some(letter) => self.control_escape(letter),
                };
                self.leave();
                code
            }
            Some(char) => Ok(u32::from(char)),
        }
    }
}
