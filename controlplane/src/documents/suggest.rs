//! The spelling that was probably meant.

/// Longer words are compared by their beginnings: the work is quadratic.
const COMPARED_MAX: usize = 64;

/// The word among `known` that `given` was probably meant to be.
///
/// Upper and lower case, hyphens and underscores are forgiven; else at most one
/// letter in three may differ.
pub(crate) fn closest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let given: String = folded(given);
    let allowed = (given.chars().count() / 3).max(1);
    known
        .iter()
        .map(|word| (strsim::osa_distance(&given, &folded(word)), *word))
        .filter(|(distance, word)| *distance <= allowed && *distance < word.len())
        .min()
        .map(|(_, word)| word)
}

/// `did you mean "x"?`, or else what is known, to be put after a complaint.
pub(crate) fn hint(given: &str, known: &[&str]) -> String {
    match closest(given, known) {
        Some(word) => format!("did you mean {word:?}?"),
        None => format!("known are {}", known.join(", ")),
    }
}

/// `; did you mean "x"?`, to be put after a complaint; nothing where no word of `known` is near.
pub(crate) fn perhaps(given: &str, known: &[&str]) -> String {
    closest(given, known).map_or_else(String::new, |word| format!("; did you mean {word:?}?"))
}

fn folded(word: &str) -> String {
    word.chars()
        .filter(|letter| !matches!(letter, '-' | '_' | ' '))
        .take(COMPARED_MAX)
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["service", "route", "side"];
        assert_eq!(closest("servcie", &known), Some("service"));
        assert_eq!(closest("Service", &known), Some("service"));
        assert_eq!(closest("rout", &known), Some("route"));
        assert_eq!(closest("threshold", &known), None);
        assert_eq!(closest("", &known), None);
        assert_eq!(closest(&"x".repeat(1 << 20), &known), None);
    }
}
