//! Tables as RFC 4180 has them: commas, quotes, doubled quotes, line ends of either kind.

/// Reads rows of fields. Lines without anything are left out.
///
/// # Errors
///
/// When a quote is not closed, or text follows a closing quote.
pub(super) fn rows(text: &str) -> Result<Vec<Vec<String>>, InvalidCsv> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut field = String::new();
    let mut place = Place::Start;
    let mut line = 1;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        line += usize::from(letter == '\n');
        match (place, letter) {
            (Place::Quoted, '"') if rest.peek() == Some(&'"') => {
                rest.next();
                field.push('"');
            }
            (Place::Quoted, '"') => place = Place::Closed,
            (Place::Quoted, letter) => field.push(letter),
            (Place::Start, '"') => place = Place::Quoted,
            (_, ',') => {
                row.push(std::mem::take(&mut field));
                place = Place::Start;
            }
            (_, '\r') if rest.peek() == Some(&'\n') => {}
            (_, '\n') => {
                let is_empty = row.is_empty() && field.is_empty() && place == Place::Start;
                row.push(std::mem::take(&mut field));
                let row = std::mem::take(&mut row);
                if !is_empty {
                    rows.push(row);
                }
                place = Place::Start;
            }
            (Place::Closed, _) => return Err(InvalidCsv::AfterQuote { line }),
            (Place::Start | Place::Bare, letter) => {
                field.push(letter);
                place = Place::Bare;
            }
        }
    }
    match place {
        Place::Quoted => return Err(InvalidCsv::OpenQuote { line }),
        Place::Start if row.is_empty() => {}
        Place::Start | Place::Bare | Place::Closed => {
            row.push(field);
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Why a text is not a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCsv {
    /// A field began with a quote and never ended.
    #[error("a quote is still open at the end, in line {line}")]
    OpenQuote {
        /// The last line.
        line: usize,
    },
    /// A quoted field must end with its quote.
    #[error("line {line} has text after a closing quote")]
    AfterQuote {
        /// Where.
        line: usize,
    },
}

/// Where in a field the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At its beginning.
    Start,
    /// In a field without quotes.
    Bare,
    /// Within quotes.
    Quoted,
    /// After the closing quote.
    Closed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted_and_hold_anything() {
        let text = "a,b\r\n\"x, y\",\"say \"\"hi\"\"\"\n\"two\nlines\",\n";
        let expected = [
            vec!["a", "b"],
            vec!["x, y", "say \"hi\""],
            vec!["two\nlines", ""],
        ];
        assert_eq!(rows(text).unwrap(), expected);
    }

    #[test]
    fn the_last_line_needs_no_end_and_empty_lines_are_no_rows() {
        assert_eq!(rows("a\n\nb").unwrap(), [["a"], ["b"]]);
        assert_eq!(rows("").unwrap(), Vec::<Vec<String>>::new());
        assert_eq!(rows("\u{feff}a,").unwrap(), [["a", ""]]);
        assert_eq!(rows("\"\"\n").unwrap(), [[""]]);
    }

    #[test]
    fn quotes_must_match() {
        assert_eq!(rows("a\n\"b\n"), Err(InvalidCsv::OpenQuote { line: 3 }));
        assert_eq!(rows("\"a\"b\n"), Err(InvalidCsv::AfterQuote { line: 1 }));
    }
}
