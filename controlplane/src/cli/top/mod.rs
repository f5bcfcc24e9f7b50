//! `sloop top`: how everything stands, again and again.
//!
//! A thread asks the API, so that a control plane that is slow or gone does not
//! hold up the keys. What is drawn is a pure function of the answers, of what was
//! chosen and of the size: [`screen::draw`].

mod look;
mod screen;

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::Args;
use http::Uri;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{AdminArgs, CliError};
use look::{Look, Shown};
use screen::{Choice, Order};

const EXAMPLE: &str = "Example:
  sloop top
  sloop top --interval 5
  sloop top --once

Keys: q ends it, s sorts by what is worst or by name, arrows and Page Up/Down scroll.";

/// How long to wait for a key before looking whether there is news.
const KEY_PATIENCE: Duration = Duration::from_millis(100);

/// The size of a picture that is not for a terminal: wide enough for long names.
const PICTURE: (u16, u16) = (120, 50);

/// Show SLOs, budgets, burn, breakers and verdicts, again and again.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct TopArgs {
    /// Seconds between two looks, 1 to 3600.
    #[arg(long, short, value_name = "S", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    interval: u64,
    /// Print one picture and end, as where the output is no terminal.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(super) fn run(args: &TopArgs, out: &mut dyn Write) -> Result<(), CliError> {
    if args.once || !io::stdout().is_terminal() {
        let mut shown = Shown::of(&args.admin.admin);
        shown.take(Ok(Look::at(&args.admin.admin)?));
        return Ok(picture(&shown, out)?);
    }
    let news = watch(args.admin.admin.clone(), Duration::from_secs(args.interval));
    let mut terminal = ratatui::try_init()?;
    let ended = show(&mut terminal, Shown::of(&args.admin.admin), &news);
    ratatui::restore();
    Ok(ended?)
}

/// Looks every `interval` until nobody wants to know any more.
fn watch(admin: Uri, interval: Duration) -> mpsc::Receiver<Result<Look, CliError>> {
    let (found, news) = mpsc::sync_channel(1);
    thread::spawn(move || {
        while found.send(Look::at(&admin)).is_ok() {
            thread::sleep(interval);
        }
    });
    news
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    mut shown: Shown,
    news: &mpsc::Receiver<Result<Look, CliError>>,
) -> io::Result<()> {
    let mut choice = Choice::default();
    loop {
        news.try_iter().for_each(|look| shown.take(look));
        terminal.draw(|frame| screen::draw(frame, &shown, &choice))?;
        if event::poll(KEY_PATIENCE)?
            && let Event::Key(key) = event::read()?
            && let After::End = press(key, &mut choice, shown.rows())
        {
            return Ok(());
        }
    }
}

/// What follows a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    GoOn,
    End,
}

/// What a key changes, where there are `rows` to scroll over. Other keys mean nothing.
fn press(key: KeyEvent, choice: &mut Choice, rows: usize) -> After {
    const STEPS: [(KeyCode, isize); 6] = [
        (KeyCode::Down, 1),
        (KeyCode::Up, -1),
        (KeyCode::PageDown, 10),
        (KeyCode::PageUp, -10),
        (KeyCode::Home, isize::MIN),
        (KeyCode::End, isize::MAX),
    ];
    if key.kind == KeyEventKind::Release {
        return After::GoOn;
    }
    let is_interrupt =
        key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    if is_interrupt || [KeyCode::Char('q'), KeyCode::Esc].contains(&key.code) {
        return After::End;
    }
    if key.code == KeyCode::Char('s') {
        choice.order = match choice.order {
            Order::Worst => Order::Name,
            Order::Name => Order::Worst,
        };
    }
    if let Some((_, step)) = STEPS.iter().find(|(code, _)| *code == key.code) {
        let moved = choice.skipped.saturating_add_signed(*step);
        choice.skipped = moved.min(rows.saturating_sub(1));
    }
    After::GoOn
}

/// One picture as text.
fn picture(shown: &Shown, out: &mut dyn Write) -> io::Result<()> {
    let (width, height) = PICTURE;
    let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
    let Ok(_) = terminal.draw(|frame| screen::draw(frame, shown, &Choice::default()));
    let cells = terminal.backend().buffer().content();
    for line in cells.chunks(usize::from(width)) {
        let line: String = line.iter().map(ratatui::buffer::Cell::symbol).collect();
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
