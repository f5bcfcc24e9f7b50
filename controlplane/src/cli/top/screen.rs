//! The picture: a pure function of answers, choices and a size.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table};
use sloop_controllers::{BreakerState, ExperimentStatus, ExperimentVerdict, SloStatus};

use super::super::get::{breakers, faults};
use super::super::lines::{Line as About, lines};
use super::super::table::{ago, latency};
use super::look::{Look, Shown, State};
use crate::admin::api::ScopeStatus;

/// What the person at the keys chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// What comes first.
    pub(super) order: Order,
    /// Objectives that are scrolled over.
    pub(super) skipped: usize,
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// What stands worst.
    #[default]
    Worst,
    /// By name.
    Name,
}

/// Columns of a bar.
const BAR: usize = 10;

/// Decisions that are shown, and experiments.
const DECISIONS_SHOWN: usize = 5;
const EXPERIMENTS_SHOWN: usize = 3;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, shown: &Shown, choice: &Choice) {
    let Some(look) = &shown.look else {
        let text = shown.trouble.as_deref().unwrap_or("asking ...");
        return frame.render_widget(
            Paragraph::new(format!("sloop  {}\n\n{text}", shown.admin)),
            frame.area(),
        );
    };
    let lines = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
    let runs = lines(look.experiments.len().min(EXPERIMENTS_SHOWN));
    let decided = lines(look.decisions.len().min(DECISIONS_SHOWN));
    let height = |lines: u16| Constraint::Length(if lines == 0 { 0 } else { lines + 1 });
    // A title and headings, too; not more than three fifths of all, so that routes have room.
    let objectives_height = lines(shown.rows() + 2).min(frame.area().height / 5 * 3);
    let parts = [
        Constraint::Length(1),
        Constraint::Length(objectives_height),
        Constraint::Fill(1),
        height(runs),
        height(decided),
        Constraint::Length(1),
    ];
    let [head, slos, scopes, experiments, decisions, foot] =
        Layout::vertical(parts).areas(frame.area());
    frame.render_widget(headline(shown, look), head);
    frame.render_widget(objectives(look, choice), slos);
    frame.render_widget(traffic(look, &shown.rates), scopes);
    frame.render_widget(verdicts(&look.experiments), experiments);
    frame.render_widget(lately(look), decisions);
    frame.render_widget(footer(shown, choice), foot);
}

fn titled(title: &'static str) -> Block<'static> {
    Block::new().borders(Borders::TOP).title(title)
}

fn headings<const N: usize>(names: [&'static str; N]) -> Row<'static> {
    Row::new(names).style(Style::new().add_modifier(Modifier::BOLD))
}

const fn style(state: State) -> Style {
    match state {
        State::Gone => Style::new().fg(Color::Red),
        State::Burning => Style::new().fg(Color::Yellow),
        State::Well => Style::new().fg(Color::Green),
        State::Elsewhere | State::Unknown => Style::new().fg(Color::DarkGray),
    }
}

fn headline(shown: &Shown, look: &Look) -> Line<'static> {
    let all = || look.slos.iter().flat_map(lines);
    let count = |state: State| all().filter(|it| State::of(*it) == state).count();
    let of_scopes = look.scopes.iter().flat_map(|scope| &scope.breakers);
    let open = of_scopes.filter(|breaker| breaker.state != BreakerState::Closed);
    let text = format!(
        "sloop  {}  {} SLOs: {} burning, {} gone, {} breakers not closed",
        shown.admin,
        look.slos.len(),
        count(State::Burning),
        count(State::Gone),
        open.count(),
    );
    Line::styled(text, Style::new().add_modifier(Modifier::BOLD))
}

/// One row per objective, and one per composite.
fn objectives(look: &Look, choice: &Choice) -> Table<'static> {
    let mut all: Vec<(&SloStatus, About<'_>)> = look
        .slos
        .iter()
        .flat_map(|slo| lines(slo).map(move |line| (slo, line)))
        .collect();
    match choice.order {
        Order::Worst => all.sort_by(|(_, a), (_, b)| {
            let left = |it: &About<'_>| it.left_share().unwrap_or(f64::INFINITY);
            let by_left = left(a).total_cmp(&left(b));
            State::of(*b).cmp(&State::of(*a)).then(by_left)
        }),
        Order::Name => {}
    }
    let rows = all.into_iter().skip(choice.skipped);
    let widths = [
        Constraint::Fill(3),
        Constraint::Fill(2),
        Constraint::Length(10),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(19),
        Constraint::Length(20),
        Constraint::Length(9),
    ];
    Table::new(rows.map(|(slo, line)| objective_row(slo, line)), widths)
        .header(headings([
            "SLO",
            "SERVICE",
            "MODE",
            "TARGET",
            "GOOD",
            "BUDGET LEFT",
            "BURN",
            "STATE",
        ]))
        .block(titled(" Objectives "))
}

fn objective_row(slo: &SloStatus, line: About<'_>) -> Row<'static> {
    let name = if slo.objectives.len() == 1 {
        slo.name.to_string()
    } else {
        format!("{}/{}", slo.name, line.name())
    };
    let state = State::of(line);
    Row::new([
        Cell::new(name),
        Cell::new(slo.service.to_string()),
        Cell::new(format!("{:?}", slo.mode).to_lowercase()),
        Cell::new(match line {
            About::Objective(_) => line.target(),
            About::Composite(_) => "-".to_owned(),
        }),
        Cell::new(line.good()),
        Cell::new(format!("{} {}", bar(line.left_share()), line.left())),
        Cell::new(line.burn()),
        Cell::new(state.word()).style(style(state)),
    ])
}

/// A share as a bar, empty when it is not known.
fn bar(share: Option<f64>) -> String {
    let share = share.unwrap_or(0.0).clamp(0.0, 1.0);
    let step = |cell: u8| (f64::from(cell) + 0.5) / 10.0;
    (0_u8..)
        .take(BAR)
        .map(|cell| if step(cell) <= share { '█' } else { '░' })
        .collect()
}

/// One row per route: those first where something is done about requests.
fn traffic(look: &Look, rates: &[Option<f64>]) -> Table<'static> {
    let mut all: Vec<(&ScopeStatus, Option<f64>)> = look
        .scopes
        .iter()
        .zip(rates.iter().copied().chain(std::iter::repeat(None)))
        .collect();
    let rank = |scope: &ScopeStatus| {
        let states = scope.breakers.iter().map(|breaker| breaker.state);
        let is_open = states
            .into_iter()
            .any(|state| state != BreakerState::Closed);
        is_open || !scope.shed_levels.is_empty()
    };
    all.sort_by(|(a, a_rate), (b, b_rate)| {
        let by_rate = b_rate.unwrap_or(-1.0).total_cmp(&a_rate.unwrap_or(-1.0));
        rank(b).cmp(&rank(a)).then(by_rate)
    });
    let widths = [
        Constraint::Fill(2),
        Constraint::Fill(3),
        Constraint::Length(6),
        Constraint::Length(9),
        Constraint::Length(8),
        Constraint::Fill(2),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Fill(2),
    ];
    Table::new(
        all.into_iter()
            .map(|(scope, rate)| traffic_row(scope, rate)),
        widths,
    )
    .header(headings([
        "SERVICE", "ROUTE", "SIDE", "REQ/S", "P99", "BREAKERS", "REFUSED", "SHED", "FAULTS",
    ]))
    .block(titled(" Traffic and what became of it "))
}

fn traffic_row(scope: &ScopeStatus, rate: Option<f64>) -> Row<'static> {
    let shed = scope.shed.as_ref().map(|shed| {
        let classes = shed.by_class.values();
        classes.fold(0_u64, |sum, count| sum.saturating_add(*count))
    });
    let none = || "-".to_owned();
    Row::new([
        scope.service.to_string(),
        scope.route.to_string(),
        scope.side.to_string(),
        rate.map_or_else(none, |rate| format!("{rate:.1}")),
        scope.latency.map_or_else(none, |it| latency(it.p99_us)),
        breakers(&scope.breakers),
        scope.refused.to_string(),
        shed.map_or_else(none, |shed| shed.to_string()),
        faults(scope.faults),
    ])
}

/// How experiments go, the newest first.
fn verdicts(runs: &[ExperimentStatus]) -> Paragraph<'static> {
    let lines = runs.iter().take(EXPERIMENTS_SHOWN).map(|run| {
        let (word, color) = match run.verdict {
            Some(ExperimentVerdict::Held) => ("held", Color::Green),
            Some(ExperimentVerdict::Broken) => ("broken", Color::Red),
            Some(ExperimentVerdict::Inconclusive) => ("inconclusive", Color::Yellow),
            None => ("running", Color::Reset),
        };
        Line::styled(format!("{word:<13} {}: {}", run.name, run.because), color)
    });
    Paragraph::new(lines.collect::<Vec<_>>()).block(titled(" Experiments "))
}

/// What was decided lately, the newest first.
fn lately(look: &Look) -> Paragraph<'static> {
    let newest = look.decisions.iter().rev().take(DECISIONS_SHOWN);
    let lines = newest.map(|decision| {
        let when = ago(look.at_ms, Some(decision.at_ms));
        let (intent, because) = (&decision.intent, &decision.because);
        Line::from(format!(
            "{when:>5} ago  {}  {intent}: {because}",
            decision.id
        ))
    });
    Paragraph::new(lines.collect::<Vec<_>>()).block(titled(" Decisions (sloop explain NUMBER) "))
}

fn footer(shown: &Shown, choice: &Choice) -> Line<'static> {
    if let Some(trouble) = &shown.trouble {
        return Line::styled(trouble.clone(), Color::Red);
    }
    let order = match choice.order {
        Order::Worst => "worst first",
        Order::Name => "by name",
    };
    Line::styled(
        format!("q: end   s: sort ({order})   arrows: scroll"),
        Color::DarkGray,
    )
}
