//! Axes, and lines and areas on them, as SVG.

use std::fmt::Write as _;

use super::super::plan::Phase;
use crate::shop::Trouble;

const WIDTH: f64 = 600.0;
const LEFT: f64 = 68.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 30.0;

/// How values become heights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// From 0 to here.
    Linear(f64),
    /// From here to there, both positive.
    Log(f64, f64),
}

impl Scale {
    /// Where `value` lies, 0 at the bottom and 1 at the top; held at the ends.
    fn share(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear(top) => value / top,
            Self::Log(bottom, top) => (value.max(bottom) / bottom).ln() / (top / bottom).ln(),
        };
        share.clamp(0.0, 1.0)
    }
}

/// A chart under construction.
#[derive(Debug)]
pub(super) struct Chart {
    svg: String,
    height: f64,
    end_ms: f64,
    scale: Scale,
}

impl Chart {
    /// An empty chart over the time of `phases`, with troubles shaded; `label` says to whom cannot see it what it shows.
    pub(super) fn new(label: &str, height: f64, phases: &[Phase], scale: Scale) -> Self {
        let end_ms = phases.last().map_or(1, |phase| phase.to_ms).max(1) as f64;
        let mut chart = Self {
            svg: format!(
                "<svg viewBox=\"0 0 {WIDTH} {height}\" role=img aria-label=\"{}\">",
                super::escaped(label)
            ),
            height,
            end_ms,
            scale,
        };
        for phase in phases {
            if phase.trouble != Trouble::None {
                chart.shade(phase);
            }
        }
        chart.seconds();
        chart
    }

    fn x(&self, at_ms: f64) -> f64 {
        LEFT + (at_ms / self.end_ms).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let inner = self.height - TOP - BOTTOM;
        TOP + (1.0 - self.scale.share(value)) * inner
    }

    fn add(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing into a string cannot fail.
        self.svg.write_fmt(arguments).ok();
    }

    fn shade(&mut self, phase: &Phase) {
        let (from, to) = (self.x(phase.from_ms as f64), self.x(phase.to_ms as f64));
        let (width, height, middle) = (to - from, self.height - TOP - BOTTOM, (from + to) / 2.0);
        let name = super::escaped(&phase.name);
        self.add(format_args!(
            "<rect class=trouble x={from:.1} y={TOP} width={width:.1} height={height:.1} />\
             <text class=name x={middle:.1} y=14 text-anchor=middle>{name}</text>"
        ));
    }

    fn seconds(&mut self) {
        let bottom = self.height - BOTTOM;
        let mut at_ms = 0.0;
        while at_ms <= self.end_ms {
            let (x, below, seconds) = (self.x(at_ms), bottom + 16.0, at_ms / 1_000.0);
            self.add(format_args!(
                "<text class=tick x={x:.1} y={below:.1} text-anchor=middle>{seconds} s</text>"
            ));
            at_ms += 10_000.0;
        }
        let right = WIDTH - RIGHT;
        self.add(format_args!(
            "<line class=axis x1={LEFT} x2={right} y1={bottom:.1} y2={bottom:.1} />"
        ));
    }

    /// Horizontal lines with what they mean.
    pub(super) fn grid<'a>(&mut self, lines: impl IntoIterator<Item = (f64, &'a str)>) {
        for (value, name) in lines {
            let (y, right, beside) = (self.y(value), WIDTH - RIGHT, LEFT - 6.0);
            let text = y + 4.0;
            self.add(format_args!(
                "<line class=grid x1={LEFT} x2={right} y1={y:.1} y2={y:.1} />\
                 <text class=tick x={beside} y={text:.1} text-anchor=end>{name}</text>"
            ));
        }
    }

    /// A dashed horizontal line at a value that matters.
    pub(super) fn limit(&mut self, value: f64, name: &str) {
        let (y, right) = (self.y(value), WIDTH - RIGHT);
        let above = y - 4.0;
        self.add(format_args!(
            "<line class=limit x1={LEFT} x2={right} y1={y:.1} y2={y:.1} />\
             <text class=tick x={right} y={above:.1} text-anchor=end>{name}</text>"
        ));
    }

    /// A filled area between `bottom` and `top` in steps: (from, to, bottom, top).
    pub(super) fn steps(&mut self, class: &str, steps: &[(u64, u64, f64, f64)]) {
        let mut path = String::new();
        for (index, (from, to, _, top)) in steps.iter().enumerate() {
            let (x1, x2, y) = (self.x(*from as f64), self.x(*to as f64), self.y(*top));
            let go = if index == 0 { 'M' } else { 'L' };
            write!(path, "{go}{x1:.1} {y:.1}H{x2:.1}").ok();
        }
        for (from, to, bottom, _) in steps.iter().rev() {
            let (x1, x2, y) = (self.x(*from as f64), self.x(*to as f64), self.y(*bottom));
            write!(path, "L{x2:.1} {y:.1}H{x1:.1}").ok();
        }
        self.add(format_args!("<path class={class} d=\"{path}Z\" />"));
    }

    /// A line through points (moment, value), broken where a value is missing.
    pub(super) fn line(
        &mut self,
        class: &str,
        points: impl IntoIterator<Item = (u64, Option<f64>)>,
    ) {
        let mut path = String::new();
        let mut go = 'M';
        for (at_ms, value) in points {
            let Some(value) = value else {
                go = 'M';
                continue;
            };
            let (x, y) = (self.x(at_ms as f64), self.y(value));
            write!(path, "{go}{x:.1} {y:.1}").ok();
            go = 'L';
        }
        self.add(format_args!("<path class=\"line {class}\" d=\"{path}\" />"));
    }

    /// A horizontal bar in row `row` of rows that are `each` high, with a tip.
    pub(super) fn bar(
        &mut self,
        class: &str,
        (from, to): (u64, u64),
        (row, each): (usize, f64),
        tip: &str,
    ) {
        let (x1, x2) = (self.x(from as f64), self.x(to as f64));
        let (width, y, height) = (x2 - x1, TOP + row as f64 * each + 6.0, each - 12.0);
        let tip = super::escaped(tip);
        self.add(format_args!(
            "<rect class={class} x={x1:.1} y={y:.1} width={width:.2} height={height:.1}><title>{tip}</title></rect>"
        ));
    }

    /// A name left of row `row`.
    pub(super) fn row_name(&mut self, name: &str, row: usize, each: f64) {
        let (x, y) = (LEFT - 6.0, TOP + (row as f64 + 0.5) * each + 4.0);
        let name = super::escaped(name);
        self.add(format_args!(
            "<text class=tick x={x} y={y:.1} text-anchor=end>{name}</text>"
        ));
    }

    /// The finished chart.
    pub(super) fn finish(mut self) -> String {
        self.svg.push_str("</svg>");
        self.svg
    }
}

/// How high a chart of `rows` rows is that are `each` high.
pub(super) fn height_of_rows(rows: usize, each: f64) -> f64 {
    TOP + BOTTOM + rows as f64 * each
}

/// A legend: (class of the swatch, what it means).
pub(super) fn legend<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let entries: String = entries
        .into_iter()
        .map(|(class, name)| {
            format!("<li><svg class=swatch viewBox=\"0 0 12 12\" aria-hidden=true><rect class={class} width=12 height=12 rx=2 /></svg>{}</li>", super::escaped(name))
        })
        .collect();
    format!("<ul class=legend>{entries}</ul>")
}
