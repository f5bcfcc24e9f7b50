//! Axes, and lines, areas and bars on them, as SVG.

use std::fmt::Write as _;

use super::{Scale, escaped};

const RIGHT: f64 = 12.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 30.0;

/// How large a chart is, in the units of its own picture; the page makes it as wide as there is room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// From edge to edge.
    pub width: f64,
    /// From edge to edge.
    pub height: f64,
    /// Left of the axis, for the names of rows and values.
    pub left: f64,
}

impl Frame {
    /// One of two charts that stand side by side.
    #[must_use]
    pub const fn half(height: f64) -> Self {
        Self {
            width: 600.0,
            height,
            left: 68.0,
        }
    }

    /// As wide as the page.
    #[must_use]
    pub const fn whole(height: f64) -> Self {
        Self {
            width: 1_160.0,
            ..Self::half(height)
        }
    }

    /// As high as `rows` rows are that are `each` high.
    #[must_use]
    pub fn with_rows(self, rows: usize, each: f64) -> Self {
        Self {
            height: TOP + BOTTOM + rows as f64 * each,
            ..self
        }
    }
}

/// A chart under construction.
#[derive(Debug)]
pub struct Chart {
    svg: String,
    frame: Frame,
    x: Scale,
    y: Scale,
}

impl Chart {
    /// An empty chart; `label` says to whom cannot see it what it shows.
    #[must_use]
    pub fn new(label: &str, frame: Frame, x: Scale, y: Scale) -> Self {
        let Frame { width, height, .. } = frame;
        let svg = format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=img aria-label=\"{}\">",
            escaped(label)
        );
        Self { svg, frame, x, y }
    }

    fn x(&self, value: f64) -> f64 {
        let Frame { width, left, .. } = self.frame;
        left + self.x.share(value) * (width - left - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let inner = self.frame.height - TOP - BOTTOM;
        TOP + (1.0 - self.y.share(value)) * inner
    }

    fn right(&self) -> f64 {
        self.frame.width - RIGHT
    }

    fn bottom(&self) -> f64 {
        self.frame.height - BOTTOM
    }

    fn add(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing into a string cannot fail.
        self.svg.write_fmt(arguments).ok();
    }

    /// Shades from here to there, with a name above.
    pub fn shade(&mut self, class: &str, (from, to): (f64, f64), name: &str) {
        let (from, to) = (self.x(from), self.x(to));
        let (width, height, middle) = (to - from, self.bottom() - TOP, f64::midpoint(from, to));
        let name = escaped(name);
        self.add(format_args!(
            "<rect class={class} x={from:.1} y={TOP} width={width:.1} height={height:.1} />\
             <text class=name x={middle:.1} y=14 text-anchor=middle>{name}</text>"
        ));
    }

    /// The lower axis, with names below it.
    pub fn ticks<'a>(&mut self, ticks: impl IntoIterator<Item = (f64, &'a str)>) {
        let (left, bottom, right) = (self.frame.left, self.bottom(), self.right());
        let below = bottom + 16.0;
        for (value, name) in ticks {
            let (x, name) = (self.x(value), escaped(name));
            self.add(format_args!(
                "<text class=tick x={x:.1} y={below:.1} text-anchor=middle>{name}</text>"
            ));
        }
        self.add(format_args!(
            "<line class=axis x1={left} x2={right} y1={bottom:.1} y2={bottom:.1} />"
        ));
    }

    /// Vertical lines.
    pub fn columns(&mut self, values: impl IntoIterator<Item = f64>) {
        let bottom = self.bottom();
        for value in values {
            let x = self.x(value);
            self.add(format_args!(
                "<line class=grid x1={x:.1} x2={x:.1} y1={TOP} y2={bottom:.1} />"
            ));
        }
    }

    /// Horizontal lines with what they mean.
    pub fn grid<'a>(&mut self, lines: impl IntoIterator<Item = (f64, &'a str)>) {
        let (left, right) = (self.frame.left, self.right());
        for (value, name) in lines {
            let (y, beside, name) = (self.y(value), left - 6.0, escaped(name));
            let text = y + 4.0;
            self.add(format_args!(
                "<line class=grid x1={left} x2={right} y1={y:.1} y2={y:.1} />\
                 <text class=tick x={beside} y={text:.1} text-anchor=end>{name}</text>"
            ));
        }
    }

    /// A dashed horizontal line at a value that matters.
    pub fn limit(&mut self, value: f64, name: &str) {
        let (y, left, right) = (self.y(value), self.frame.left, self.right());
        let (above, name) = (y - 4.0, escaped(name));
        self.add(format_args!(
            "<line class=limit x1={left} x2={right} y1={y:.1} y2={y:.1} />\
             <text class=tick x={right} y={above:.1} text-anchor=end>{name}</text>"
        ));
    }

    /// A dashed vertical line at a value that matters.
    pub fn mark(&mut self, value: f64, name: &str) {
        let (x, bottom, name) = (self.x(value), self.bottom(), escaped(name));
        self.add(format_args!(
            "<line class=limit x1={x:.1} x2={x:.1} y1={TOP} y2={bottom:.1} />\
             <text class=tick x={x:.1} y=14 text-anchor=middle>{name}</text>"
        ));
    }

    /// A filled area between `bottom` and `top` in steps: (from, to, bottom, top).
    pub fn steps(&mut self, class: &str, steps: &[(f64, f64, f64, f64)]) {
        let mut path = String::new();
        for (index, (from, to, _, top)) in steps.iter().enumerate() {
            let (x1, x2, y) = (self.x(*from), self.x(*to), self.y(*top));
            let go = if index == 0 { 'M' } else { 'L' };
            write!(path, "{go}{x1:.1} {y:.1}H{x2:.1}").ok();
        }
        for (from, to, bottom, _) in steps.iter().rev() {
            let (x1, x2, y) = (self.x(*from), self.x(*to), self.y(*bottom));
            write!(path, "L{x2:.1} {y:.1}H{x1:.1}").ok();
        }
        self.add(format_args!("<path class={class} d=\"{path}Z\" />"));
    }

    /// A line through points, broken where a value is missing.
    pub fn line(&mut self, class: &str, points: impl IntoIterator<Item = (f64, Option<f64>)>) {
        let mut path = String::new();
        let mut go = 'M';
        for (at, value) in points {
            let Some(value) = value else {
                go = 'M';
                continue;
            };
            let (x, y) = (self.x(at), self.y(value));
            write!(path, "{go}{x:.1} {y:.1}").ok();
            go = 'L';
        }
        self.add(format_args!("<path class=\"line {class}\" d=\"{path}\" />"));
    }

    /// A horizontal bar in row `row` of rows that are `each` high, with a tip.
    pub fn bar(
        &mut self,
        class: &str,
        (from, to): (f64, f64),
        (row, each): (usize, f64),
        tip: &str,
    ) {
        let (x1, x2) = (self.x(from.min(to)), self.x(from.max(to)));
        let (width, y, height) = (x2 - x1, TOP + row as f64 * each + 6.0, each - 12.0);
        let tip = escaped(tip);
        self.add(format_args!(
            "<rect class={class} x={x1:.1} y={y:.1} width={width:.2} height={height:.1}><title>{tip}</title></rect>"
        ));
    }

    /// An interval across the middle of a row, with both its ends.
    pub fn whisker(&mut self, (low, high): (f64, f64), (row, each): (usize, f64)) {
        let (x1, x2) = (self.x(low), self.x(high));
        let y = TOP + (row as f64 + 0.5) * each;
        let (above, below) = (y - 4.0, y + 4.0);
        self.add(format_args!(
            "<path class=whisker d=\"M{x1:.1} {y:.1}H{x2:.1}M{x1:.1} {above:.1}V{below:.1}M{x2:.1} {above:.1}V{below:.1}\" />"
        ));
    }

    /// A word in a row, right of `at`.
    pub fn row_text(&mut self, text: &str, at: f64, (row, each): (usize, f64)) {
        let (x, y) = (self.x(at) + 8.0, TOP + (row as f64 + 0.5) * each + 4.0);
        let text = escaped(text);
        self.add(format_args!(
            "<text class=value x={x:.1} y={y:.1}>{text}</text>"
        ));
    }

    /// A name left of row `row`.
    pub fn row_name(&mut self, name: &str, (row, each): (usize, f64)) {
        let y = TOP + (row as f64 + 0.5) * each + 4.0;
        let (x, name) = (self.frame.left - 6.0, escaped(name));
        self.add(format_args!(
            "<text class=tick x={x} y={y:.1} text-anchor=end>{name}</text>"
        ));
    }

    /// The finished chart.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.svg.push_str("</svg>");
        self.svg
    }
}

/// A legend: (class of the swatch, what it means).
pub fn legend<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let entries: String = entries
        .into_iter()
        .map(|(class, name)| {
            format!("<li><svg class=swatch viewBox=\"0 0 12 12\" aria-hidden=true><rect class={class} width=12 height=12 rx=2 /></svg>{}</li>", escaped(name))
        })
        .collect();
    format!("<ul class=legend>{entries}</ul>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        let frame = Frame {
            width: 112.0,
            height: 152.0,
            left: 0.0,
        };
        let scale = Scale::Linear(0.0, 100.0);
        Chart::new("what it shows", frame, scale, scale)
    }

    #[test]
    fn it_says_what_it_shows_to_whom_cannot_see_it() {
        let svg = chart().finish();
        assert!(svg.contains("role=img aria-label=\"what it shows\""));
        assert!(svg.ends_with("</svg>"));
    }

    #[test]
    fn a_line_is_broken_where_a_value_is_missing() {
        let mut chart = chart();
        let points = [
            (0.0, Some(0.0)),
            (50.0, Some(100.0)),
            (60.0, None),
            (100.0, Some(50.0)),
        ];
        chart.line("p50", points);
        let svg = chart.finish();
        assert!(
            svg.contains("d=\"M0.0 122.0L50.0 22.0M100.0 72.0\""),
            "{svg}"
        );
    }

    #[test]
    fn a_bar_that_goes_down_has_a_width_too() {
        let mut chart = chart();
        chart.bar("open", (80.0, 20.0), (1, 30.0), "tip");
        let svg = chart.finish();
        assert!(
            svg.contains("x=20.0 y=58.0 width=60.00 height=18.0"),
            "{svg}"
        );
    }

    #[test]
    fn what_lies_outside_is_held_at_the_edge() {
        let mut chart = chart();
        chart.whisker((-1e9, 1e9), (0, 30.0));
        let svg = chart.finish();
        assert!(svg.contains("M0.0 37.0H100.0"), "{svg}");
    }

    #[test]
    fn rows_make_the_height() {
        assert!((Frame::half(0.0).with_rows(3, 34.0).height - 154.0).abs() < 1e-9);
    }
}
