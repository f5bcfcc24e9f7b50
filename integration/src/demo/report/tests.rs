use super::super::invented;
use super::super::measure::measure;
use super::super::observed::Enforcement;
use super::super::promise::promises;
use super::super::result::Report;
use super::super::table::table;

fn report() -> Report {
    let shadow = measure(&invented::run(Enforcement::Shadow));
    let enforced = measure(&invented::run(Enforcement::Enforced));
    Report {
        made_ms: invented::BEGAN_MS,
        seed: 7,
        rate: 80.0,
        objective_ms: 1_000,
        promises: promises(&shadow, &enforced),
        shadow,
        enforced,
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = super::html(&report());
    for outside in ["http://", "https://", "<script", "<link", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    if let Some(path) = std::env::var_os("SLOOP_WRITE_REPORT") {
        std::fs::write(path, page).unwrap();
    }
}

#[test]
fn every_chart_says_what_it_shows_to_whom_cannot_see_it() {
    let page = super::html(&report());
    assert_eq!(page.matches("role=img").count(), 8, "four charts, twice");
    assert_eq!(page.matches("role=img aria-label=").count(), 8);
    assert!(!page.contains("NaN"));
}

#[test]
fn names_cannot_break_the_page() {
    let mut report = report();
    report.enforced.troubles[0].name = "<b>&".to_owned();
    let page = super::html(&report);
    assert!(!page.contains("<b>"));
    assert!(page.contains("&lt;b&gt;&amp;"));
}

#[test]
fn the_terminal_shows_the_same_numbers() {
    let text = table(&report());
    assert!(text.contains("errors: all callers' open after"));
    assert!(text.contains("900 ms"));
}
