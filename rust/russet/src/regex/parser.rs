//! Patterns in Oniguruma's own syntax, as `Regex::new` of the reference reads them, into a [`Node`].
//!
//! Recursive descent, one function per level: alternatives, a branch, an expression with its quantifiers, a bracket. Depth
//! is limited, so a hostile pattern cannot exhaust the thread's stack; time is linear in the pattern but for what its
//! classes name. Constructs that the reference has and this engine does not run (calls of groups, absent operators,
//! call-outs, text segments) are refused by name.

use super::ast::{BackReference, Node, Repeat};
use super::case_fold;
use super::charset::CharSet;
use super::lexer::{CharType, Quantifier, Token};
use super::properties;
use crate::{Error, Result};

/// How deep brackets, classes and stacked quantifiers may nest.
const MAX_DEPTH: u32 = 200;

/// The options that a pattern can switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options(u8);

impl Options {
    pub(super) const EXTENDED: u8 = 1;
    pub(super) const IGNORE_CASE: u8 = 2;
    pub(super) const DOT_ALL: u8 = 4;
    pub(super) const ASCII_WORD: u8 = 8;
    pub(super) const ASCII_DIGIT: u8 = 16;
    pub(super) const ASCII_SPACE: u8 = 32;
    pub(super) const ASCII_POSIX: u8 = 64;

    pub(super) fn has(self, option: u8) -> bool {
        self.0 & option != 0
    }

    fn set(&mut self, option: u8, on: bool) {
        if on {
            self.0 |= option;
        } else {
            self.0 &= !option;
        }
    }
}

/// A parsed pattern.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) root: Node,
    /// The number of capturing groups.
    pub(super) groups: u32,
    /// The number of them that have a name.
    pub(super) named: u32,
}

/// The state of parsing.
pub(super) struct Parser<'p> {
    pub(super) pattern: &'p str,
    pub(super) chars: Vec<char>,
    pub(super) position: usize,
    /// Where the current token starts.
    pub(super) token_start: usize,
    pub(super) token: Token,
    /// The base of the numbers, inside `\x{A B ...}`.
    pub(super) sequence: Option<u32>,
    pub(super) options: Options,
    /// The number of capturing groups so far.
    pub(super) groups: u32,
    /// The groups that are open, by number.
    open: Vec<u32>,
    /// The names and the groups that have them.
    pub(super) names: Vec<(String, Vec<u32>)>,
    named: u32,
    depth: u32,
}

/// What a bracket turned out to be.
enum Bracket {
    /// `(?:...)`: the content, which keeps no boundary.
    Plain(Node),
    /// `(?i)`: options from here to the end of the enclosing bracket.
    OptionsOnly(Options),
    /// Anything else.
    Other(Node),
}

/// Parses `pattern`.
pub(super) fn parse(pattern: &str) -> Result<Parsed> {
    let mut parser = Parser {
        pattern,
        chars: pattern.chars().collect(),
        position: 0,
        token_start: 0,
        token: Token::End,
        sequence: None,
        options: Options::default(),
        groups: 0,
        open: Vec::new(),
        names: Vec::new(),
        named: 0,
        depth: 0,
    };
    parser.advance()?;
    let root = parser.alternatives(false, false)?;
    Ok(Parsed { root, groups: parser.groups, named: parser.named })
}

impl Parser<'_> {
    /// The next character, taken.
    pub(super) fn take(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.position += 1;
        Some(char)
    }

    /// The next character.
    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.position).copied()
    }

    /// Whether the rest of the pattern starts with `text`.
    pub(super) fn rest_starts_with(&self, text: &str) -> bool {
        let mut rest = self.chars.get(self.position..).unwrap_or_default().iter();
        text.chars().all(|char| rest.next() == Some(&char))
    }

    /// An error at the construct that is being read.
    pub(super) fn error(&self, message: &str) -> Error {
        let end = self.position.clamp(self.token_start, self.chars.len());
        let construct = self.chars.get(self.token_start..end).unwrap_or_default().iter().collect();
        Error::Pattern { pattern: self.pattern.to_owned(), construct, message: message.to_owned() }
    }

    /// An error for a construct that is valid but not run here.
    pub(super) fn unsupported(&self, what: &str) -> Error {
        self.error(&format!("{what} are not supported"))
    }

    /// Goes one level deeper.
    pub(super) fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(&format!("the pattern nests deeper than {MAX_DEPTH} levels")));
        }
        Ok(())
    }

    /// Goes one level up.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Branches between `|`, up to the closing bracket (inside one) or the end. `head`: a plain bracket at the start stays a
    /// unit, so that its `|` is not taken for one of this level.
    fn alternatives(&mut self, inside: bool, head: bool) -> Result<Node> {
        self.enter()?;
        let options = self.options;
        let first = self.branch(inside, head)?;
        let node = if self.token == Token::Or {
            let mut branches = vec![first];
            while self.token == Token::Or {
                self.advance()?;
                branches.push(self.branch(inside, false)?);
            }
            Node::Alternatives(branches)
        } else {
            first
        };
        if inside && self.token != Token::Close {
            return Err(self.error("a bracket is not closed"));
        }
        self.options = options;
        self.leave();
        Ok(node)
    }

    fn at_branch_end(&self, inside: bool) -> bool {
        matches!(self.token, Token::End | Token::Or) || (inside && self.token == Token::Close)
    }

    /// Expressions up to the end of a branch. Lists inside are joined, except a list that comes first.
    fn branch(&mut self, inside: bool, head: bool) -> Result<Node> {
        let first = self.expression(inside, head)?;
        if self.at_branch_end(inside) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while !self.at_branch_end(inside) {
            match self.expression(inside, false)? {
                Node::List(more) => parts.extend(more),
                node => parts.push(node),
            }
        }
        Ok(Node::List(parts))
    }

    /// One expression with its quantifiers; a run of characters is one expression.
    fn expression(&mut self, inside: bool, head: bool) -> Result<Node> {
        if self.at_branch_end(inside) {
            return Ok(Node::empty());
        }
        let fold = self.options.has(Options::IGNORE_CASE);
        // Whether the node came from a plain bracket: then a text in it is repeated as a whole.
        let mut plain = false;
        let mut unit = false;
        let token = self.token.clone();
        let node = match token {
            Token::Open => match self.bracket()? {
                Bracket::Plain(node) if head => {
                    unit = true;
                    node
                }
                Bracket::Plain(node) => {
                    plain = true;
                    node
                }
                Bracket::OptionsOnly(options) => {
                    let before = std::mem::replace(&mut self.options, options);
                    self.advance()?;
                    let body = self.alternatives(inside, false)?;
                    self.options = before;
                    return Ok(Node::Options(Box::new(body)));
                }
                Bracket::Other(node) => node,
            },
            Token::Close => return Err(self.error("a bracket is closed that was not opened")),
            Token::Char(char) => {
                let mut codes = vec![u32::from(char)];
                loop {
                    self.advance()?;
                    match self.token {
                        Token::Char(char) => codes.push(u32::from(char)),
                        _ => break,
                    }
                }
                return self.quantified(Node::Text { codes, fold }, false, false);
            }
            Token::Byte(byte) => {
                let code = self.character_of_bytes(byte)?;
                return self.quantified(Node::Text { codes: vec![code], fold }, false, false);
            }
            Token::Code(code) => Node::Text { codes: vec![self.code_point(code)?], fold },
            Token::Type(kind, negated) => {
                let set = self.type_set(kind, false);
                Node::Set(if negated { set.complement() } else { set })
            }
            Token::Property(negated) => {
                let set = self.property_set(false)?;
                Node::Set(if negated { set.complement() } else { set })
            }
            Token::ClassOpen => {
                let class = self.class()?;
                let (set, sequences) = if fold { case_fold::class(&class.set, class.negated) } else { (class.set, Vec::new()) };
                let set = Node::Set(if class.negated { set.complement() } else { set });
                if sequences.is_empty() {
                    set
                } else {
                    let sequences = sequences.into_iter().map(|sets| Node::List(sets.into_iter().map(Node::Set).collect()));
                    Node::Alternatives(std::iter::once(set).chain(sequences).collect())
                }
            }
            Token::Dot => Node::Any { newline: self.options.has(Options::DOT_ALL) },
            Token::NotNewline => Node::Any { newline: false },
            Token::AnyChar => Node::Any { newline: true },
            Token::Newline => general_newline(),
            Token::Anchor(anchor) => Node::Anchor(anchor),
            Token::Keep => Node::Keep,
            Token::BackReference { groups, by_name } => Node::BackReference(BackReference {
                recursive: groups.iter().any(|group| self.open.contains(group)),
                groups,
                by_name,
                fold,
                check: false,
            }),
            Token::Repeat(_) => return Err(self.error("there is nothing to repeat")),
            Token::End | Token::Or => return Ok(Node::empty()),
        };
        self.advance()?;
        self.quantified(node, plain, unit)
    }

    /// Applies the quantifiers that follow.
    fn quantified(&mut self, node: Node, mut plain: bool, unit: bool) -> Result<Node> {
        // A text before a quantified last character.
        let mut before = None;
        let mut node = node;
        let mut levels = 0;
        let mut wrapped = unit;
        while let Token::Repeat(quantifier) = self.token {
            if !wrapped && !can_repeat(&node) {
                return Err(self.error("an anchor or a look-around cannot be repeated"));
            }
            wrapped = false;
            self.enter()?;
            levels += 1;
            let Quantifier { least, most, greedy, possessive } = quantifier;
            if (least, most) != (1, Some(1)) {
                if let (Node::Text { codes, fold }, false, false) = (&mut node, plain, unit && levels == 1) {
                    if codes.len() > 1 {
                        let last = codes.split_off(codes.len() - 1);
                        let fold = *fold;
                        before = Some(std::mem::replace(&mut node, Node::Text { codes: last, fold }));
                    }
                }
                let repeat = |body| Repeat { body: Box::new(body), least, most, greedy };
                node = match node {
                    Node::Repeat(body) => repeat(Node::empty())
                        .over(body)
                        .map_err(|()| self.error("the counts of the repetitions multiply to too large a number"))?,
                    body => Node::Repeat(repeat(body)),
                };
                if possessive {
                    node = Node::Atomic(Box::new(node));
                }
            }
            plain = false;
            self.advance()?;
        }
        for _ in 0..levels {
            self.leave();
        }
        Ok(match before {
            Some(text) => Node::List(vec![text, node]),
            None if wrapped => Node::List(vec![node]),
            None => node,
        })
    }

    /// The character whose UTF-8 form starts with `byte` and goes on in the tokens that follow; the token after it is read.
    fn character_of_bytes(&mut self, byte: u8) -> Result<u32> {
        let mut bytes = vec![byte];
        let length = match byte {
            0..=0x7F => 1,
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => return Err(self.error("the bytes are not UTF-8")),
        };
        loop {
            let complete = bytes.len() == length;
            self.advance()?;
            match self.token {
                _ if complete => break,
                Token::Byte(byte) => bytes.push(byte),
                _ => return Err(self.error("the bytes of the character are incomplete")),
            }
        }
        match std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next()) {
            Some(char) => Ok(u32::from(char)),
            None => Err(self.error("the bytes are not UTF-8")),
        }
    }

    /// A code point from an escape, in a text. Surrogates and numbers up to 2^31 are allowed; no text has them.
    pub(super) fn code_point(&self, code: u32) -> Result<u32> {
        if code > i32::MAX as u32 {
            return Err(self.error("the number of the code point is too large"));
        }
        Ok(code)
    }

    /// The set of `\w`, `\d`, `\s` or `\h`.
    pub(super) fn type_set(&self, kind: CharType, in_class: bool) -> CharSet {
        let (name, option) = match kind {
            CharType::Word => ("word", Options::ASCII_WORD),
            CharType::Digit => ("digit", Options::ASCII_DIGIT),
            CharType::Space => ("space", Options::ASCII_SPACE),
            CharType::HexDigit => ("xdigit", 0),
        };
        let set = if kind == CharType::Word && !in_class { properties::word() } else { properties::known(name) };
        if self.options.has(option | Options::ASCII_POSIX) {
            ascii_part(&set)
        } else {
            set
        }
    }

    /// The set of the property whose name follows, up to the closing brace.
    pub(super) fn property_set(&mut self, in_class: bool) -> Result<CharSet> {
        let start = self.position;
        while self.peek().is_some_and(|char| !matches!(char, '}' | '(' | ')' | '{' | '|')) {
            self.position += 1;
        }
        let name: String = self.chars[start..self.position].iter().collect();
        if self.take() != Some('}') {
            return Err(self.error("the name of the property has no end"));
        }
        let Some(mut set) = properties::property(&name) else { return Err(self.error("there is no such property")) };
        let name: String = name.chars().filter(|char| !matches!(char, ' ' | '-' | '_')).collect();
        let name = name.to_ascii_lowercase();
        if name == "word" && !in_class {
            set = properties::word();
        }
        Ok(if self.posix_is_ascii(&name) { ascii_part(&set) } else { set })
    }

    /// Whether the options in force narrow the POSIX property `name`.
    pub(super) fn posix_is_ascii(&self, name: &str) -> bool {
        let option = match name {
            "word" => Options::ASCII_WORD,
            "digit" => Options::ASCII_DIGIT,
            "space" => Options::ASCII_SPACE,
            "alnum" | "alpha" | "blank" | "cntrl" | "graph" | "lower" | "newline" | "print" | "punct" | "upper" | "xdigit" => 0,
            _ => return false,
        };
        self.options.has(option | Options::ASCII_POSIX)
    }

    /// A bracket, up to the one that closes it; its own token is current.
    fn bracket(&mut self) -> Result<Bracket> {
        if self.peek() == Some('*') {
            return Err(self.unsupported("call-outs"));
        }
        if self.peek() != Some('?') {
            self.groups += 1;
            return self.group(self.groups, false);
        }
        self.position += 1;
        let look = |behind, negative| move |body| Node::Look { behind, negative, body: Box::new(body) };
        match self.take() {
            None => Err(self.error("a bracket is not closed")),
            Some(':') => Ok(Bracket::Plain(self.body()?)),
            Some('=') => Ok(Bracket::Other(look(false, false)(self.body()?))),
            Some('!') => Ok(Bracket::Other(look(false, true)(self.body()?))),
            Some('>') => Ok(Bracket::Other(Node::Atomic(Box::new(self.body()?)))),
            Some('<') if self.peek() == Some('=') => {
                self.position += 1;
                Ok(Bracket::Other(look(true, false)(self.body()?)))
            }
            Some('<') if self.peek() == Some('!') => {
                self.position += 1;
                Ok(Bracket::Other(look(true, true)(self.body()?)))
            }
            Some('<') => self.named_group('>'),
            Some('\'') => self.named_group('\''),
            Some('(') => Ok(Bracket::Other(self.condition()?)),
            Some('~') => Err(self.unsupported("absent operators")),
            Some('{') => Err(self.unsupported("call-outs")),
            Some('C' | 'I' | 'L') => Err(self.unsupported("options of the whole pattern")),
            Some(char @ ('i' | 'm' | 'x' | 'W' | 'D' | 'S' | 'P' | 'y' | '-')) => self.option_bracket(char),
            Some(_) => Err(self.error("no such kind of bracket")),
        }
    }

    /// The content of a bracket; the closing bracket is the current token after it.
    fn body(&mut self) -> Result<Node> {
        self.advance()?;
        self.alternatives(true, false)
    }

    fn group(&mut self, number: u32, named: bool) -> Result<Bracket> {
        self.open.push(number);
        let body = Box::new(self.body()?);
        self.open.pop();
        Ok(Bracket::Other(Node::Group { number, named, body }))
    }

    fn named_group(&mut self, close: char) -> Result<Bracket> {
        let start = self.position;
        while self.peek().is_some_and(|char| char != close && char != ')') {
            self.position += 1;
        }
        let name: String = self.chars[start..self.position].iter().collect();
        if self.take() != Some(close) {
            return Err(self.error("the name of the group has no end"));
        }
        let word = properties::word();
        let first_is_digit = name.starts_with(|char: char| char.is_ascii_digit());
        if name.is_empty() || first_is_digit || !name.chars().all(|char| word.contains(u32::from(char))) {
            return Err(self.error("this cannot be the name of a group"));
        }
        self.groups += 1;
        self.named += 1;
        match self.names.iter_mut().find(|entry| entry.0 == name) {
            Some(entry) => entry.1.push(self.groups),
            None => self.names.push((name, vec![self.groups])),
        }
        self.group(self.groups, true)
    }

    /// `(?(...)yes|no)` after its second bracket.
    fn condition(&mut self) -> Result<Node> {
        let start = self.position;
        let Some(next) = self.peek() else { return Err(self.error("a bracket is not closed")) };
        let mut check = false;
        let test = match self.condition_reference(next)? {
            Some(node) => {
                check = true;
                node
            }
            None => {
                self.position = start;
                if self.rest_starts_with("*") || self.rest_starts_with("?{") {
                    return Err(self.unsupported("call-outs"));
                }
                self.body()?
            }
        };
        match self.peek() {
            None => return Err(self.error("a bracket is not closed")),
            Some(')') if check => {
                self.position += 1;
                return Ok(test);
            }
            Some(')') => return Err(self.error("the condition has nothing to choose from")),
            _ => {}
        }
        let test = Box::new(test);
        if self.peek() == Some('|') {
            self.position += 1;
            self.advance()?;
            let otherwise = self.alternatives(true, true)?;
            return Ok(Node::Condition { test, then: None, otherwise: Some(Box::new(otherwise)) });
        }
        self.advance()?;
        Ok(match self.alternatives(true, true)? {
            Node::Alternatives(mut branches) => {
                let then = branches.remove(0);
                let otherwise = if branches.len() == 1 { branches.remove(0) } else { Node::Alternatives(branches) };
                Node::Condition { test, then: Some(Box::new(then)), otherwise: Some(Box::new(otherwise)) }
            }
            then => Node::Condition { test, then: Some(Box::new(then)), otherwise: None },
        })
    }

    /// The condition if it is a reference such as `1)`, `-1)` or `<name>)`; None if it is a pattern.
    fn condition_reference(&mut self, next: char) -> Result<Option<Node>> {
        let close = match next {
            '<' => '>',
            '\'' => '\'',
            '-' | '+' | '0'..='9' => ')',
            _ => return Ok(None),
        };
        let enclosed = close != ')';
        if enclosed {
            self.position += 1;
        }
        let start = self.position;
        while self.peek().is_some_and(|char| char != close && char != ')') {
            self.position += 1;
        }
        let name: String = self.chars[start..self.position].iter().collect();
        let number = name.strip_prefix(['-', '+']).unwrap_or(&name);
        if self.take() != Some(close) || (!enclosed && (number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()))) {
            if enclosed {
                return Err(self.error("the reference has no end"));
            }
            if name.starts_with(|char: char| char.is_ascii_digit()) && name.contains(['-', '+']) {
                return Err(self.unsupported("conditions with a recursion level"));
            }
            return Ok(None);
        }
        let Token::BackReference { groups, by_name } = self.reference(&name)? else { return Ok(None) };
        if enclosed && self.take() != Some(')') {
            return Err(self.error("a bracket is not closed"));
        }
        let recursive = groups.iter().any(|group| self.open.contains(group));
        Ok(Some(Node::BackReference(BackReference { groups, by_name, fold: false, check: true, recursive })))
    }

    /// `(?imx-imx)` and `(?imx-imx:...)`, of which `first` is read.
    fn option_bracket(&mut self, first: char) -> Result<Bracket> {
        let mut options = self.options;
        let mut on = true;
        let mut char = first;
        loop {
            match char {
                ':' => {
                    let before = std::mem::replace(&mut self.options, options);
                    let body = self.body()?;
                    self.options = before;
                    return Ok(Bracket::Other(Node::Options(Box::new(body))));
                }
                ')' => return Ok(Bracket::OptionsOnly(options)),
                '-' => on = false,
                'x' => options.set(Options::EXTENDED, on),
                'i' => options.set(Options::IGNORE_CASE, on),
                'm' => options.set(Options::DOT_ALL, on),
                'W' => options.set(Options::ASCII_WORD, on),
                'D' => options.set(Options::ASCII_DIGIT, on),
                'S' => options.set(Options::ASCII_SPACE, on),
                'P' => options.set(Options::ASCII_POSIX, on),
                'y' => return Err(self.unsupported("text segments")),
                'C' | 'I' | 'L' => return Err(self.unsupported("options of the whole pattern")),
                _ => return Err(self.error("no such option")),
            }
            let Some(next) = self.take() else { return Err(self.error("a bracket is not closed")) };
            char = next;
        }
    }
}

/// Whether a quantifier may follow `node`.
fn can_repeat(node: &Node) -> bool {
    match node {
        Node::Anchor(_) | Node::Look { .. } | Node::Keep => false,
        Node::Alternatives(branches) => branches.iter().all(can_repeat),
        _ => true,
    }
}

/// The members below 128.
pub(super) fn ascii_part(set: &CharSet) -> CharSet {
    set.intersection(&CharSet::from_ranges(vec![(0, 0x7F)]))
}

/// `\R`: a carriage return with its line feed, else one character that ends a line.
fn general_newline() -> Node {
    Node::Condition {
        test: Box::new(Node::Text { codes: vec![0x0D, 0x0A], fold: false }),
        then: None,
        otherwise: Some(Box::new(Node::Set(CharSet::from_ranges(vec![(0x0A, 0x0D), (0x85, 0x85), (0x2028, 0x2029)])))),
    }
}
