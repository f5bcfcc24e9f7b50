//! What is declared for fleets, taken together.
//!
//! A fleet changes as a whole or not at all. Where a file is left out because it
//! has nothing that could be in force, or a reference leads nowhere, it is not
//! known what the fleet should be: that is not the same as nothing, which would
//! take everything away from it.

use sloop_xds::fleet::{Declared, Fleet, Trouble};

use super::Remark;
use super::resolve::Contribution;

/// Everything that files contribute; `None` when it is not known what that should be.
///
/// `is_whole` says that no file is left out. Adds to `problems` what is wrong.
pub(super) fn put_together(
    contributions: &[(String, Contribution)],
    is_whole: bool,
    problems: &mut Vec<Remark>,
) -> Option<Vec<Declared>> {
    let all = contributions.iter().flat_map(|(_, it)| &it.fleet);
    let all: Vec<Declared> = all.map(|(_, declared)| declared.clone()).collect();
    let dangling = Fleet::new(all.clone()).dangling();
    let remarks = dangling.iter().filter_map(|it| remark(it, contributions));
    problems.extend(remarks);
    (is_whole && dangling.is_empty()).then_some(all)
}

fn remark(trouble: &Trouble, contributions: &[(String, Contribution)]) -> Option<Remark> {
    let Trouble::Missing {
        document,
        reference,
    } = trouble
    else {
        return None;
    };
    let (file, spot) = contributions.iter().find_map(|(file, it)| {
        let mut fleet = it.fleet.iter();
        let (spot, _) = fleet.find(|(_, declared)| declared.document == *document)?;
        Some((file, spot))
    })?;
    Some(Remark {
        file: file.clone(),
        line: spot.place.line,
        column: spot.place.column,
        document: spot.document,
        path: format!("spec.resource.{}", reference.field),
        message: format!(
            "leads to the {} {:?}, which is in no document",
            reference.what(),
            reference.name
        ),
    })
}
