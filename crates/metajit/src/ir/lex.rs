//! Tokens of the IR's text.
//!
//! Lines matter (an instruction is one line), so the end of a line is a token. A comment runs from `;` to the end of its
//! line. Numbers are lexed to their bits here; which of them an operand accepts is the parser's business.

use super::parse::ParseError;

/// What a token is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Token<'a> {
    /// A name, possibly a path with `::`.
    Name(&'a str),
    /// A name in quotes.
    Quoted(&'a str),
    /// An integer literal's bits.
    Int(u64),
    /// A float literal's bits.
    Float(u64),
    /// `@` and a number.
    Address(u64),
    /// `->`.
    Arrow,
    /// Any other character with a meaning.
    Punct(char),
    /// The end of a line.
    Newline,
    /// The end of the text.
    End,
}

/// Line and column, both from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Position {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Position {
    /// An error here.
    pub(super) fn error(self, message: impl Into<String>) -> ParseError {
        ParseError { line: self.line, column: self.column, message: message.into() }
    }
}

/// All tokens of a text; the last is `End`.
pub(super) fn lex(text: &str) -> Result<Vec<(Token<'_>, Position)>, ParseError> {
    let mut tokens = Vec::new();
    let mut lines = 0;
    for (number, line) in text.lines().enumerate() {
        lines = number as u32 + 1;
        lex_line(line, lines, &mut tokens)?;
        let end = Position { line: lines, column: line.chars().count() as u32 + 1 };
        tokens.push((Token::Newline, end));
    }
    let end = Position { line: lines + 1, column: 1 };
    tokens.push((Token::End, end));
    Ok(tokens)
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_name_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether a name is printed without quotes.
pub(super) fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.split("::").all(|part| part.starts_with(is_name_start) && part.chars().all(is_name_part))
}

fn lex_line<'a>(line: &'a str, number: u32, tokens: &mut Vec<(Token<'a>, Position)>) -> Result<(), ParseError> {
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let position = Position { line: number, column: (line.chars().count() - rest.chars().count()) as u32 + 1 };
        if c.is_whitespace() {
            rest = &rest[c.len_utf8()..];
            continue;
        }
        if c == ';' {
            return Ok(());
        }
        let (token, bytes) = if is_name_start(c) {
            let bytes = name_bytes(rest);
            match &rest[..bytes] {
                "inf" => (Token::Float(f64::INFINITY.to_bits()), bytes),
                "nan" => nan(rest, position)?,
                name => (Token::Name(name), bytes),
            }
        } else if rest.starts_with("->") {
            (Token::Arrow, 2)
        } else if rest.starts_with("-inf") {
            (Token::Float(f64::NEG_INFINITY.to_bits()), 4)
        } else if c.is_ascii_digit() || c == '-' && rest[1..].starts_with(|d: char| d.is_ascii_digit()) {
            number_token(rest, position)?
        } else if c == '@' && rest[1..].starts_with(|d: char| d.is_ascii_digit()) {
            let bytes = 1 + digits(&rest[1..]);
            let address = rest[1..bytes].parse().ok().filter(|&n| n < 1 << 20);
            (Token::Address(address.ok_or_else(|| position.error("this number is too big"))?), bytes)
        } else if c == '"' {
            let bytes = rest[1..].find('"').ok_or_else(|| position.error("this quote is not closed"))?;
            (Token::Quoted(&rest[1..1 + bytes]), bytes + 2)
        } else if "{}()[],.:=+#@-".contains(c) {
            (Token::Punct(c), 1)
        } else {
            return Err(position.error(format!("unexpected character `{c}`")));
        };
        tokens.push((token, position));
        rest = &rest[bytes..];
    }
    Ok(())
}

fn name_bytes(text: &str) -> usize {
    let part = |text: &str| text.find(|c| !is_name_part(c)).unwrap_or(text.len());
    let mut bytes = part(text);
    while text[bytes..].starts_with("::") && text[bytes + 2..].starts_with(is_name_start) {
        bytes += 2 + part(&text[bytes + 2..]);
    }
    bytes
}

fn digits(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())
}

/// `nan`, or `nan:` and its pattern.
fn nan(text: &str, position: Position) -> Result<(Token<'static>, usize), ParseError> {
    let Some(pattern) = text.strip_prefix("nan:0x") else {
        return Ok((Token::Float(f64::NAN.to_bits()), 3));
    };
    let bytes = pattern.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(pattern.len());
    match u64::from_str_radix(&pattern[..bytes], 16) {
        Ok(bits) if f64::from_bits(bits).is_nan() => Ok((Token::Float(bits), 6 + bytes)),
        _ => Err(position.error("expected the pattern of a NaN after `nan:`")),
    }
}

fn number_token(text: &str, position: Position) -> Result<(Token<'static>, usize), ParseError> {
    let too_big = || position.error("this number does not fit in 64 bits");
    let sign = usize::from(text.starts_with('-'));
    if text[sign..].starts_with("0x") {
        let hex = &text[sign + 2..];
        let bytes = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
        let bits = u64::from_str_radix(&hex[..bytes], 16).map_err(|_| too_big())?;
        let bits = if sign == 1 { bits.wrapping_neg() } else { bits };
        return Ok((Token::Int(bits), sign + 2 + bytes));
    }
    let mut bytes = sign + digits(&text[sign..]);
    let mut float = false;
    if text[bytes..].starts_with('.') && digits(&text[bytes + 1..]) > 0 {
        bytes += 1 + digits(&text[bytes + 1..]);
        float = true;
    }
    if text[bytes..].starts_with('e') {
        let exponent = &text[bytes + 1..];
        let minus = usize::from(exponent.starts_with('-'));
        if digits(&exponent[minus..]) > 0 {
            bytes += 1 + minus + digits(&exponent[minus..]);
            float = true;
        }
    }
    let literal = &text[..bytes];
    if float {
        let value: f64 = literal.parse().map_err(|_| position.error("expected a number"))?;
        return Ok((Token::Float(value.to_bits()), bytes));
    }
    let bits = if sign == 1 { literal.parse::<i64>().map(|value| value as u64) } else { literal.parse::<u64>() };
    Ok((Token::Int(bits.map_err(|_| too_big())?), bytes))
}
