//! Takes a text apart, as [RFC 8259](https://www.rfc-editor.org/rfc/rfc8259) says.
//!
//! By hand because of its size: `serde_json` writes and reads anything, in any way, with
//! tables for the last bit of every number, and takes 15 kB of a module that every sidecar compiles
//! when it starts; this takes 3. Tests and the fuzz target hold that it takes what `serde_json` takes.

use std::borrow::Cow;

use super::Json;

/// Where a text is no JSON, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at line {line} column {column}")]
pub struct InvalidSyntax {
    what: &'static str,
    line: usize,
    column: usize,
}

/// Lists and objects inside each other: the stack of a VM is small. As `serde_json` has it.
const DEPTH_MAX: usize = 127;

/// Takes `text` apart.
pub(super) fn parse(text: &[u8]) -> Result<Json<'_>, InvalidSyntax> {
    let mut parser = Parser {
        text: "",
        bytes: text,
        at: 0,
        depth: 0,
    };
    match core::str::from_utf8(text) {
        Ok(text) => parser.text = text,
        Err(error) => {
            parser.at = error.valid_up_to();
            return Err(parser.wrong("bytes that are no UTF-8"));
        }
    }
    let json = parser.value()?;
    parser.skip_space();
    match parser.peek() {
        None => Ok(json),
        Some(_) => Err(parser.wrong("something after the end")),
    }
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    /// How many bytes have been read.
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn value(&mut self) -> Result<Json<'a>, InvalidSyntax> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::list),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.word("null", Json::Null),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(_) | None => Err(self.wrong("no value")),
        }
    }

    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<Json<'a>, InvalidSyntax>,
    ) -> Result<Json<'a>, InvalidSyntax> {
        if DEPTH_MAX <= self.depth {
            return Err(self.wrong("too much inside each other"));
        }
        self.depth += 1;
        self.at += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// What is behind a `[`.
    fn list(&mut self) -> Result<Json<'a>, InvalidSyntax> {
        let mut items = Vec::new();
        if self.took(b']') {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value()?);
            if self.took(b']') {
                return Ok(Json::List(items));
            }
            if !self.took(b',') {
                return Err(self.wrong("neither `,` nor `]`"));
            }
        }
    }

    /// What is behind a `{`.
    fn object(&mut self) -> Result<Json<'a>, InvalidSyntax> {
        let mut members = Vec::new();
        if self.took(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.wrong("no name"));
            }
            let name = self.string()?;
            if !self.took(b':') {
                return Err(self.wrong("no `:`"));
            }
            members.push((name, self.value()?));
            if self.took(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.took(b',') {
                return Err(self.wrong("neither `,` nor `}`"));
            }
        }
    }

    fn word(&mut self, word: &str, means: Json<'a>) -> Result<Json<'a>, InvalidSyntax> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.wrong("no value"));
        }
        self.at += word.len();
        Ok(means)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, InvalidSyntax> {
        self.at += 1;
        let mut begin = self.at;
        let mut unescaped = String::new();
        loop {
            let part = self.text.get(begin..self.at).unwrap_or_default();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    if unescaped.is_empty() {
                        return Ok(Cow::Borrowed(part));
                    }
                    unescaped.push_str(part);
                    return Ok(Cow::Owned(unescaped));
                }
                Some(b'\\') => {
                    unescaped.push_str(part);
                    self.at += 1;
                    unescaped.push(self.escaped()?);
                    begin = self.at;
                }
                None | Some(0..0x20) => return Err(self.wrong("a string that does not end")),
                Some(_) => self.at += 1,
            }
        }
    }

    /// The character that is meant by what is behind a backslash.
    fn escaped(&mut self) -> Result<char, InvalidSyntax> {
        let meant = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.by_number();
            }
            Some(_) | None => return Err(self.wrong("no such escape")),
        };
        self.at += 1;
        Ok(meant)
    }

    /// The character whose UTF-16 is given in hexadecimal, maybe as a pair.
    fn by_number(&mut self) -> Result<char, InvalidSyntax> {
        let first = self.four_digits()?;
        let is_high = (0xd800..0xdc00).contains(&first);
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let number = if is_high && rest.starts_with(b"\\u") {
            self.at += 2;
            let second = self.four_digits()?;
            match second {
                0xdc00..0xe000 => 0x1_0000 + ((first - 0xd800) << 10 | (second - 0xdc00)),
                _ => return Err(self.wrong("half a character")),
            }
        } else {
            first
        };
        char::from_u32(number).ok_or_else(|| self.wrong("half a character"))
    }

    fn four_digits(&mut self) -> Result<u32, InvalidSyntax> {
        let mut number = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.wrong("no such escape"));
            };
            self.at += 1;
            number = number << 4 | digit;
        }
        Ok(number)
    }

    fn number(&mut self) -> Result<Json<'a>, InvalidSyntax> {
        let is_negative = self.take_if(b'-');
        let mut decimal = Decimal::default();
        let has_zero = self.peek() == Some(b'0');
        let digits = self.digits(&mut decimal, false);
        if digits == 0 || has_zero && 1 < digits {
            return Err(self.wrong("no number"));
        }
        let mut is_whole = true;
        if self.take_if(b'.') {
            is_whole = false;
            if self.digits(&mut decimal, true) == 0 {
                return Err(self.wrong("no number"));
            }
        }
        if self.take_if(b'e') || self.take_if(b'E') {
            is_whole = false;
            let is_small = self.take_if(b'-');
            if !is_small {
                self.take_if(b'+');
            }
            let mut exponent = Decimal::default();
            if self.digits(&mut exponent, false) == 0 {
                return Err(self.wrong("no number"));
            }
            decimal.scale(&exponent, is_small);
        }
        match decimal.whole() {
            Some(whole) if is_whole && !is_negative => return Ok(Json::Number(whole)),
            Some(_) | None => {}
        }
        let size = decimal.value();
        if size.is_infinite() {
            return Err(self.wrong("a number out of range"));
        }
        Ok(Json::OtherNumber(if is_negative { -size } else { size }))
    }

    /// Reads digits. How many there were.
    fn digits(&mut self, decimal: &mut Decimal, are_fraction: bool) -> usize {
        let begin = self.at;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            decimal.push(digit - b'0', are_fraction);
            self.at += 1;
        }
        self.at - begin
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take_if(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// As `take_if`, behind white space.
    fn took(&mut self, byte: u8) -> bool {
        self.skip_space();
        self.take_if(byte)
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// What is wrong, at the place that was reached.
    #[cold]
    fn wrong(&self, what: &'static str) -> InvalidSyntax {
        let before = self.bytes.get(..self.at).unwrap_or_default();
        let lines = before.split(|byte| *byte == b'\n');
        let (count, last) = lines.fold((0, 0), |(count, _), line| (count + 1, line.len()));
        InvalidSyntax {
            what,
            line: count,
            column: last + 1,
        }
    }
}

/// A decimal number that is not negative.
#[derive(Debug, Default)]
struct Decimal {
    /// The first digits, as many as fit.
    digits: u64,
    /// By which power of ten they are multiplied.
    exponent: i32,
    /// Whether there were more digits.
    is_cut: bool,
}

impl Decimal {
    fn push(&mut self, digit: u8, is_fraction: bool) {
        let more = self.digits.checked_mul(10);
        match more.and_then(|more| more.checked_add(u64::from(digit))) {
            Some(digits) if !self.is_cut => {
                self.digits = digits;
                self.exponent = self.exponent.saturating_sub(i32::from(is_fraction));
            }
            Some(_) | None => {
                self.is_cut = true;
                self.exponent = self.exponent.saturating_add(i32::from(!is_fraction));
            }
        }
    }

    fn scale(&mut self, by: &Self, is_small: bool) {
        let by = by.whole().and_then(|by| i32::try_from(by).ok());
        let by = by.unwrap_or(i32::MAX);
        self.exponent = self
            .exponent
            .saturating_add(if is_small { -by } else { by });
    }

    /// The number if it fits, before it is scaled.
    fn whole(&self) -> Option<u64> {
        (!self.is_cut).then_some(self.digits)
    }

    /// Exact where digits and power are: with 15 digits and powers up to 22. Elsewhere as near as a
    /// few roundings leave it, which is enough for numbers that are refused or rounded again.
    #[expect(
        clippy::cast_precision_loss,
        reason = "where a fraction may be, 53 bits are enough"
    )]
    fn value(&self) -> f64 {
        let digits = self.digits as f64;
        if self.digits == 0 {
            return 0.0;
        }
        let mut power = 1.0;
        for _ in 0..self.exponent.unsigned_abs().min(400) {
            power *= 10.0;
        }
        if self.exponent < 0 {
            digits / power
        } else {
            digits * power
        }
    }
}
