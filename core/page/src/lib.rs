//! Reports: one HTML file that needs nothing else.
//!
//! No script and no resource from elsewhere, so that a report can be mailed
//! and opened on any machine, light or dark as its reader prefers. [`Chart`] knows axes and
//! what lies on them, as SVG; the functions here know what stands around it.
//!
//! Whoever reports brings the words, the classes of its own colours and the numbers; names
//! that came from outside go through [`escaped`].

mod chart;
mod scale;

pub use chart::{Chart, Frame, legend};
pub use scale::Scale;

/// What every report looks like. Colours are variables, so that charts follow the page.
const STYLE: &str = include_str!("style.css");

/// `text` for HTML, within elements and quoted attributes.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// A whole page. `title` is plain text; `style` are further rules of CSS; `body` is HTML.
#[must_use]
pub fn page(title: &str, style: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <meta name=color-scheme content=\"light dark\">\
         <title>{title}</title><style>{STYLE}{style}</style></head>\n\
         <body><main>\n{body}</main></body></html>\n"
    )
}

/// What a report begins with. Both are plain text.
#[must_use]
pub fn header(title: &str, lead: &str) -> String {
    let (title, lead) = (escaped(title), escaped(lead));
    format!(
        "<header><div class=brand>Sloop</div><h1>{title}</h1><p class=lead>{lead}</p></header>\n"
    )
}

/// A number that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// What it is, as plain text.
    pub title: String,
    /// The number, as HTML: `<small>` is for what stands beside it.
    pub big: String,
    /// What it means, as plain text.
    pub text: String,
}

/// The numbers that matter, side by side.
#[must_use]
pub fn cards(cards: &[Card]) -> String {
    let cards: String = cards
        .iter()
        .map(|card| {
            let (title, text) = (escaped(&card.title), escaped(&card.text));
            let big = &card.big;
            format!("<li><h3>{title}</h3><div class=big>{big}</div><p>{text}</p></li>")
        })
        .collect();
    format!("<ul class=cards>{cards}</ul>\n")
}

/// A part with a heading and a sentence about it, both plain text. `content` is HTML.
#[must_use]
pub fn section(title: &str, why: &str, content: &str) -> String {
    let (title, why) = (escaped(title), escaped(why));
    format!("<section><h2>{title}</h2><p class=why>{why}</p>{content}</section>\n")
}

/// A table. `head` is plain text, cells are HTML; the first of a row is its name.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: String = head
        .iter()
        .map(|name| format!("<th scope=col>{}</th>", escaped(name)))
        .collect();
    let cell = |(column, cell): (usize, &String)| match column {
        0 => format!("<th scope=row>{cell}</th>"),
        _ => format!("<td>{cell}</td>"),
    };
    let rows: String = rows
        .iter()
        .map(|row| {
            let cells: String = row.iter().enumerate().map(cell).collect();
            format!("<tr>{cells}</tr>")
        })
        .collect();
    format!(
        "<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

/// Sentences about how something was measured, as plain text.
#[must_use]
pub fn notes(title: &str, notes: &[String]) -> String {
    let title = escaped(title);
    let notes: String = notes
        .iter()
        .map(|note| format!("<li>{}</li>", escaped(note)))
        .collect();
    format!("<section class=notes><h2>{title}</h2><ul>{notes}</ul></section>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_page() {
        let odd = "<b a=\"1\">&";
        let safe = "&lt;b a=&quot;1&quot;&gt;&amp;";
        assert_eq!(escaped(odd), safe);
        let card = Card {
            title: odd.to_owned(),
            big: "1".to_owned(),
            text: odd.to_owned(),
        };
        let parts = [
            page(odd, "", ""),
            header(odd, odd),
            cards(&[card]),
            section(odd, odd, ""),
            table(&[odd], &[]),
            notes(odd, &[odd.to_owned()]),
            legend([("p50", odd)]),
        ];
        for part in parts {
            assert!(part.contains(safe) && !part.contains(odd), "{part}");
        }
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = page("A title", ".more { color: red; }", "<p>It</p>");
        for outside in ["http://", "https://", "<script", "<link", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains(".more") && page.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn the_first_cell_of_a_row_is_its_name() {
        let rows = [vec!["a".to_owned(), "1".to_owned()]];
        let table = table(&["", "count"], &rows);
        assert!(table.contains("<th scope=row>a</th><td>1</td>"), "{table}");
    }
}
