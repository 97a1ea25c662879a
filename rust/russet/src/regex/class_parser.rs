//! Character classes: `[...]` with ranges, escapes, properties, POSIX brackets, nested classes, `&&` and negation.
//!
//! The state machine follows Oniguruma's, because its answers to odd classes (`[a-]`, `[a-c-e]`, `[--x]`, `[\w-a]`) come
//! from its states: a value may become the start of a range, a finished range may not.

use super::charset::CharSet;
use super::lexer::{CharType, Numeric};
use super::parser::{ascii_part, Parser};
use super::properties;
use crate::Result;

/// A class: the members as written, and whether the class is what is not among them.
pub(super) struct ParsedClass {
    pub(super) set: CharSet,
    pub(super) negated: bool,
}

/// A token inside a class.
#[derive(Debug)]
enum ClassToken {
    End,
    Close,
    /// A character, `escaped` if a backslash was before it.
    Char {
        char: char,
        escaped: bool,
    },
    Byte {
        byte: u8,
        octal: bool,
    },
    Code(u32),
    Type(CharType, bool),
    Property(bool),
    Dash,
    And,
    Open,
    Posix,
}

/// Where the reading of a class stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    /// After a value, which may start a range; None after a type or property.
    Value(Option<u32>),
    /// After a value and a dash.
    Range(u32),
    /// After a range or a nested class.
    Complete,
}

/// The class being read.
struct Builder {
    ranges: Vec<(u32, u32)>,
    /// What was before the last `&&`.
    before: Option<CharSet>,
    state: State,
}

impl Builder {
    /// Adds a pending value.
    fn flush(&mut self) {
        if let State::Value(Some(code)) = self.state {
            self.ranges.push((code, code));
        }
    }

    /// Adds what is complete in itself: a type, a property, a nested class.
    fn add_set(&mut self, set: &CharSet) {
        self.ranges.extend_from_slice(set.ranges());
    }

    fn take_set(&mut self) -> CharSet {
        let set = CharSet::from_ranges(std::mem::take(&mut self.ranges));
        match self.before.take() {
            Some(before) => before.intersection(&set),
            None => set,
        }
    }
}

impl Parser<'_> {
    /// A class, after its opening bracket.
    pub(super) fn class(&mut self) -> Result<ParsedClass> {
        self.enter()?;
        let mut token = self.class_token()?;
        let negated = matches!(token, ClassToken::Char { char: '^', escaped: false });
        if negated {
            token = self.class_token()?;
        }
        if matches!(token, ClassToken::Close) {
            // `[]...]`: a bracket that comes first is a member, if another one closes the class.
            if !self.chars[self.position..].contains(&']') {
                return Err(self.error("the class is empty"));
            }
            token = ClassToken::Char { char: ']', escaped: false };
        }
        let mut class = Builder { ranges: Vec::new(), before: None, state: State::Start };
        loop {
            let mut next = None;
            match token {
                ClassToken::Close => break,
                ClassToken::End => return Err(self.error("the class is not closed")),
                ClassToken::Char { char, .. } => self.class_value(&mut class, u32::from(char))?,
                ClassToken::Byte { byte, octal } => {
                    let code = self.class_bytes(byte, octal)?;
                    self.class_value(&mut class, code)?;
                }
                ClassToken::Code(code) => {
                    if code > i32::MAX as u32 && !matches!(class.state, State::Range(_)) {
                        return Err(self.error("the number of the code point is too large"));
                    }
                    self.class_value(&mut class, code)?;
                }
                ClassToken::Type(kind, negated) => {
                    let set = self.type_set(kind, true);
                    self.class_set(&mut class, if negated { set.complement() } else { set })?;
                }
                ClassToken::Property(negated) => {
                    let set = self.property_set(true)?;
                    self.class_set(&mut class, if negated { set.complement() } else { set })?;
                }
                ClassToken::Posix => {
                    let set = self.posix_bracket()?;
                    self.class_set(&mut class, set)?;
                }
                ClassToken::Dash => next = self.class_dash(&mut class)?,
                ClassToken::Open => {
                    class.flush();
                    class.state = State::Complete;
                    let inner = self.class()?;
                    class.add_set(&if inner.negated { inner.set.complement() } else { inner.set });
                }
                ClassToken::And => {
                    class.flush();
                    class.state = State::Start;
                    class.before = Some(class.take_set());
                }
            }
            token = match next {
                Some(token) => token,
                None => self.class_token()?,
            };
        }
        class.flush();
        self.leave();
        Ok(ParsedClass { set: class.take_set(), negated })
    }

    /// A value: a member, or the end of a range.
    fn class_value(&self, class: &mut Builder, code: u32) -> Result<()> {
        class.flush();
        class.state = match class.state {
            State::Range(first) => {
                if first > code {
                    return Err(self.error("the range in the class is empty"));
                }
                class.ranges.push((first, code));
                State::Complete
            }
            State::Start | State::Value(_) | State::Complete => State::Value(Some(code)),
        };
        Ok(())
    }

    /// A set: never the end of a range.
    fn class_set(&self, class: &mut Builder, set: CharSet) -> Result<()> {
        if matches!(class.state, State::Range(_)) {
            return Err(self.error("a range in a class cannot end with a set"));
        }
        class.flush();
        class.add_set(&set);
        class.state = State::Value(None);
        Ok(())
    }

    /// A dash: the middle of a range, or a member. Returns the token after it, where it was needed to tell.
    fn class_dash(&mut self, class: &mut Builder) -> Result<Option<ClassToken>> {
        let dash = u32::from('-');
        Ok(match class.state {
            State::Range(_) => {
                self.class_value(class, dash)?;
                None
            }
            State::Start => {
                let next = self.class_token()?;
                self.class_value(class, dash)?;
                Some(next)
            }
            State::Value(value) => {
                let next = self.class_token()?;
                match (value, &next) {
                    (_, ClassToken::Close | ClassToken::And) => self.class_value(class, dash)?,
                    (Some(code), _) => class.state = State::Range(code),
                    (None, _) => return Err(self.error("a range in a class cannot start with a set")),
                }
                Some(next)
            }
            State::Complete => {
                let next = self.class_token()?;
                self.class_value(class, dash)?;
                Some(next)
            }
        })
    }

    /// The character whose UTF-8 form starts with `byte` and goes on in the tokens that follow.
    fn class_bytes(&mut self, byte: u8, octal: bool) -> Result<u32> {
        if byte < 0x80 {
            return Ok(u32::from(byte));
        }
        let length = match byte {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => return Err(self.error("the bytes are not UTF-8")),
        };
        let mut bytes = vec![byte];
        while bytes.len() < length {
            match self.class_token()? {
                ClassToken::Byte { byte, octal: also } if also == octal => bytes.push(byte),
                _ => return Err(self.error("the bytes of the character are incomplete")),
            }
        }
        match std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next()) {
            Some(char) => Ok(u32::from(char)),
            None => Err(self.error("the bytes are not UTF-8")),
        }
    }

    /// The next token of a class.
    fn class_token(&mut self) -> Result<ClassToken> {
        if let Some(base) = self.sequence {
            return self.class_sequence(base);
        }
        let Some(char) = self.take() else { return Ok(ClassToken::End) };
        Ok(match char {
            ']' => ClassToken::Close,
            '-' => ClassToken::Dash,
            '\\' => self.class_escape()?,
            '[' if self.at_posix_bracket() => {
                self.position += 1;
                ClassToken::Posix
            }
            '[' => ClassToken::Open,
            '&' if self.peek() == Some('&') => {
                self.position += 1;
                ClassToken::And
            }
            char => ClassToken::Char { char, escaped: false },
        })
    }

    /// What follows `\x{A` in a class: more code points and ranges of them.
    fn class_sequence(&mut self, base: u32) -> Result<ClassToken> {
        while matches!(self.peek(), Some(' ' | '\n')) {
            self.position += 1;
        }
        match self.peek() {
            Some('}') => {
                self.position += 1;
                self.sequence = None;
                self.class_token()
            }
            Some('-') => {
                self.position += 1;
                Ok(ClassToken::Dash)
            }
            _ => {
                let start = self.position;
                while self.peek().is_some_and(|char| char.is_digit(base)) {
                    self.position += 1;
                }
                let digits: String = self.chars[start..self.position].iter().collect();
                let code = u32::from_str_radix(&digits, base).ok();
                match (code, self.peek()) {
                    (Some(code), Some(' ' | '\n' | '}' | '-')) => Ok(ClassToken::Code(code)),
                    _ => Err(self.error("the number of the code point is not valid")),
                }
            }
        }
    }

    /// What follows a backslash in a class.
    fn class_escape(&mut self) -> Result<ClassToken> {
        let Some(char) = self.take() else { return Err(self.error("the pattern ends with a backslash")) };
        if let Some((kind, negated)) = CharType::of(char) {
            return Ok(ClassToken::Type(kind, negated));
        }
        let itself = ClassToken::Char { char, escaped: true };
        Ok(match char {
            'p' | 'P' if self.peek() == Some('{') => {
                self.position += 1;
                let mut negated = char == 'P';
                if self.peek() == Some('^') {
                    self.position += 1;
                    negated = !negated;
                }
                ClassToken::Property(negated)
            }
            'x' | 'o' | 'u' => match self.numeric_escape(char)? {
                Some(Numeric::Byte(byte)) => ClassToken::Byte { byte, octal: false },
                Some(Numeric::Code(code)) => ClassToken::Code(code),
                None => itself,
            },
            '0'..='7' => {
                self.position -= 1;
                let start = self.position;
                let byte = self.octal(3);
                if self.position == start + 3 && char > '3' {
                    return Err(self.error("the octal number is above 0377"));
                }
                ClassToken::Byte { byte, octal: true }
            }
            _ => {
                let code = self.control_escape(char)?;
                if code == u32::from(char) {
                    itself
                } else {
                    ClassToken::Code(code)
                }
            }
        })
    }

    /// Whether a POSIX bracket follows, of which `[` is read: `:`, letters after a `^` perhaps, `:]`.
    fn at_posix_bracket(&self) -> bool {
        let mut rest = self.chars.get(self.position..).unwrap_or_default().iter().copied();
        if rest.next() != Some(':') {
            return false;
        }
        let mut length = 0;
        let alphabetic = |char: char| char.is_ascii_alphabetic() || (!char.is_ascii() && char.is_alphabetic());
        while let Some(char) = rest.next() {
            match char {
                ':' => return length > 0 && rest.next() == Some(']'),
                '^' if length == 0 => {}
                char if alphabetic(char) => {}
                _ => return false,
            }
            length += 1;
        }
        false
    }

    /// The set of a POSIX bracket after its colon.
    fn posix_bracket(&mut self) -> Result<CharSet> {
        let negated = self.peek() == Some('^');
        if negated {
            self.position += 1;
        }
        let start = self.position;
        while self.peek().is_some_and(|char| char != ':') {
            self.position += 1;
        }
        let name: String = self.chars[start..self.position].iter().collect();
        self.position += 2;
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
            "xdigit",
        ];
        if !NAMES.contains(&name.as_str()) {
            return Err(self.error("there is no such POSIX bracket"));
        }
        // The bracket has symbols too, the property of the same name has not.
        let mut set = properties::known(if name == "punct" { "posixpunct" } else { &name });
        if self.posix_is_ascii(&name) {
            set = ascii_part(&set);
        }
        Ok(if negated { set.complement() } else { set })
    }
}
