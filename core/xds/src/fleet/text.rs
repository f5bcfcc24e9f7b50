//! Text with signs in it that mean something.

use core::fmt::{self, Write as _};

/// Text in which these signs, and `\`, have a `\` before them, and signs that would end a line or order a terminal about
/// are written as in Rust: `\n`.
#[derive(Debug)]
pub(super) struct Escaped<'a>(pub(super) &'a str, pub(super) &'static str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text, signs) = self;
        for sign in text.chars() {
            if sign.is_control() {
                write!(formatter, "{}", sign.escape_default())?;
                continue;
            }
            if sign == '\\' || signs.contains(sign) {
                formatter.write_char('\\')?;
            }
            formatter.write_char(sign)?;
        }
        Ok(())
    }
}
