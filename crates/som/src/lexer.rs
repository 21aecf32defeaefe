//! The lexer: source text to tokens.
//!
//! A class file is small, so it is cut into tokens at once, and the parser looks ahead as far as it likes. Every
//! token knows where it begins, and whether white space or a comment stood before it: `#at:put:` is one symbol
//! and `#at: put:` is not. Anything may stand in a file; what is no token is an error with a place, never a panic.
//!
//! Two decisions are the parser's, not ours: whether `-` before a number makes it negative (`3-2` is a
//! subtraction, `#(3 -2)` has two elements), and whether `|` begins a list of variables.

use std::rc::Rc;

/// A place in a source file, counted from 1, columns in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pos {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// What is wrong with a source file, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyntaxError {
    /// Where.
    pub pos: Pos,
    /// What, in a sentence without its full stop.
    pub message: String,
}

/// Characters of a line that a message shows at most: longer ones are no help in a terminal.
const SHOWN: usize = 200;
/// Stands for the rest of the line.
const MORE: &str = "...";

impl SyntaxError {
    /// The message as it is shown: `file:line:column: message`, the line itself, and a caret below the column.
    pub fn render(&self, file: &str, source: &str) -> String {
        let line =
            source.split('\n').nth(self.pos.line.saturating_sub(1) as usize).unwrap_or("").trim_end_matches('\r');
        let mut shown = String::new();
        let mut caret = String::new();
        let column = (self.pos.column as usize).saturating_sub(1);
        let begin = if column < SHOWN { 0 } else { column - SHOWN / 2 };
        if begin > 0 {
            shown.push_str(MORE);
            caret.push_str("   ");
        }
        for (index, c) in line.chars().enumerate().skip(begin).take(SHOWN) {
            let c = if c == '\t' { ' ' } else { c };
            if c.is_control() {
                continue;
            }
            if index < column {
                caret.push(' ');
            }
            shown.push(c);
        }
        if line.chars().nth(begin + SHOWN).is_some() {
            shown.push_str(MORE);
        }
        format!("{file}:{}:{}: error: {}\n    {shown}\n    {caret}^\n", self.pos.line, self.pos.column, self.message)
    }
}

/// The kinds of tokens, with what varies within a kind.
#[derive(Clone, PartialEq, Debug)]
pub enum Token {
    /// A name; `primitive` is one too.
    Identifier(Rc<str>),
    /// A name with its colon.
    Keyword(Rc<str>),
    /// Operator characters; a lone `|`, `=` or `-` too.
    Operator(Rc<str>),
    /// Digits.
    Integer(Rc<str>),
    /// Digits, point, digits.
    Double(Rc<str>),
    /// A string without its quotes, escapes resolved.
    String(Rc<str>),
    /// `:=`
    Assign,
    /// `:`
    Colon,
    /// `.`
    Period,
    /// `^`
    Caret,
    /// `#`
    Pound,
    /// `(`
    OpenParen,
    /// `)`
    CloseParen,
    /// `[`
    OpenBracket,
    /// `]`
    CloseBracket,
    /// Four dashes or more.
    Separator,
    /// The end of the text.
    End,
}

impl Token {
    /// The token as an error message names it.
    pub fn describe(&self) -> String {
        match self {
            Token::Identifier(text) | Token::Keyword(text) | Token::Operator(text) => {
                format!("'{text}'")
            }
            Token::Integer(text) | Token::Double(text) => format!("the number {text}"),
            Token::String(_) => "a string".to_owned(),
            Token::Assign => "':='".to_owned(),
            Token::Colon => "':'".to_owned(),
            Token::Period => "'.'".to_owned(),
            Token::Caret => "'^'".to_owned(),
            Token::Pound => "'#'".to_owned(),
            Token::OpenParen => "'('".to_owned(),
            Token::CloseParen => "')'".to_owned(),
            Token::OpenBracket => "'['".to_owned(),
            Token::CloseBracket => "']'".to_owned(),
            Token::Separator => "'----'".to_owned(),
            Token::End => "the end of the file".to_owned(),
        }
    }
}

/// A token and its place.
#[derive(Clone, PartialEq, Debug)]
pub struct Lexeme {
    /// The token.
    pub token: Token,
    /// Where it begins.
    pub pos: Pos,
    /// Whether it follows the token before it without a gap.
    pub adjacent: bool,
}

const OPERATOR_CHARACTERS: &str = "~&|*/\\+=><,@%-";

struct Lexer<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    pos: Pos,
}

/// Cuts a text into tokens; the last is [`Token::End`].
///
/// # Errors
/// At the first thing that is no token.
pub fn tokenize(source: &str) -> Result<Vec<Lexeme>, SyntaxError> {
    let mut lexer = Lexer { chars: source.chars().peekable(), pos: Pos { line: 1, column: 1 } };
    let mut lexemes = Vec::new();
    loop {
        let gap = lexer.skip_gap()?;
        let pos = lexer.pos;
        let token = lexer.token()?;
        let done = token == Token::End;
        lexemes.push(Lexeme { token, pos, adjacent: !gap });
        if done {
            return Ok(lexemes);
        }
    }
}

impl Lexer<'_> {
    fn peek(&mut self) -> Option<char> {
        self.chars.peek().copied()
    }

    fn advance(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        if c == '\n' {
            self.pos.line += 1;
            self.pos.column = 1;
        } else {
            self.pos.column += 1;
        }
        Some(c)
    }

    fn error<T>(&self, pos: Pos, message: impl Into<String>) -> Result<T, SyntaxError> {
        Err(SyntaxError { pos, message: message.into() })
    }

    /// Skips white space and comments; whether there was any.
    fn skip_gap(&mut self) -> Result<bool, SyntaxError> {
        let mut any = false;
        loop {
            match self.peek() {
                Some(c) if c.is_whitespace() || c == '\u{feff}' => {
                    self.advance();
                }
                Some('"') => {
                    let begin = self.pos;
                    self.advance();
                    loop {
                        match self.advance() {
                            Some('"') => break,
                            Some(_) => {}
                            None => return self.error(begin, "this comment does not end"),
                        }
                    }
                }
                _ => return Ok(any),
            }
            any = true;
        }
    }

    fn take_while(&mut self, text: &mut String, accept: impl Fn(char) -> bool) {
        while let Some(c) = self.peek() {
            if !accept(c) {
                break;
            }
            text.push(c);
            self.advance();
        }
    }

    fn token(&mut self) -> Result<Token, SyntaxError> {
        let begin = self.pos;
        let Some(c) = self.peek() else {
            return Ok(Token::End);
        };
        if c.is_alphabetic() {
            let mut text = String::new();
            self.take_while(&mut text, |c| c.is_alphanumeric() || c == '_');
            if self.peek() == Some(':') {
                let mut ahead = self.chars.clone();
                ahead.next();
                if ahead.next() != Some('=') {
                    self.advance();
                    text.push(':');
                    return Ok(Token::Keyword(text.into()));
                }
            }
            return Ok(Token::Identifier(text.into()));
        }
        if c.is_ascii_digit() {
            let mut text = String::new();
            self.take_while(&mut text, |c| c.is_ascii_digit());
            if self.peek() == Some('.') {
                let mut ahead = self.chars.clone();
                ahead.next();
                if ahead.next().is_some_and(|c| c.is_ascii_digit()) {
                    self.advance();
                    text.push('.');
                    self.take_while(&mut text, |c| c.is_ascii_digit());
                    return Ok(Token::Double(text.into()));
                }
            }
            return Ok(Token::Integer(text.into()));
        }
        if OPERATOR_CHARACTERS.contains(c) {
            let mut text = String::new();
            self.take_while(&mut text, |c| OPERATOR_CHARACTERS.contains(c));
            if text.len() >= 4 && text.bytes().all(|b| b == b'-') {
                return Ok(Token::Separator);
            }
            return Ok(Token::Operator(text.into()));
        }
        self.advance();
        Ok(match c {
            '\'' => return self.string(begin),
            ':' if self.peek() == Some('=') => {
                self.advance();
                Token::Assign
            }
            ':' => Token::Colon,
            '.' => Token::Period,
            '^' => Token::Caret,
            '#' => Token::Pound,
            '(' => Token::OpenParen,
            ')' => Token::CloseParen,
            '[' => Token::OpenBracket,
            ']' => Token::CloseBracket,
            other => {
                return self.error(begin, format!("the character {other:?} can't stand in a SOM program"));
            }
        })
    }

    fn string(&mut self, begin: Pos) -> Result<Token, SyntaxError> {
        let mut text = String::new();
        loop {
            let at = self.pos;
            match self.advance() {
                Some('\'') => return Ok(Token::String(text.into())),
                Some('\\') => text.push(match self.advance() {
                    Some('t') => '\t',
                    Some('b') => '\u{8}',
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('f') => '\u{c}',
                    Some('0') => '\0',
                    Some('\'') => '\'',
                    Some('\\') => '\\',
                    Some(c) => {
                        return self.error(
                            at,
                            format!("'\\{c}' is no escape sequence: the escapes are \\t \\b \\n \\r \\f \\0 \\' \\\\"),
                        );
                    }
                    None => return self.error(begin, "this string does not end"),
                }),
                Some(c) => text.push(c),
                None => return self.error(begin, "this string does not end"),
            }
        }
    }
}
