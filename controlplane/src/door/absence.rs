//! Files that cannot be read for longer than it takes to exchange them.

/// How often in a row something that is looked at every second could not be read.
#[derive(Debug, Default)]
pub(crate) struct Absence {
    looks: u32,
}

impl Absence {
    /// Between two versions there may be no file for a moment; ten seconds are none.
    pub(crate) const LOOKS: u32 = 10;

    /// Could not be read once more. Whether that is to be said: once, until it can be read again.
    pub(crate) const fn goes_on(&mut self) -> bool {
        self.looks = self.looks.saturating_add(1);
        self.looks == Self::LOOKS
    }

    /// Could be read. Whether it was said that it could not.
    pub(crate) const fn ends(&mut self) -> bool {
        let was_said = Self::LOOKS <= self.looks;
        self.looks = 0;
        was_said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_and_not_of_a_moment() {
        let mut absence = Absence::default();
        assert!(!absence.ends());
        for round in 0..2 {
            let said: Vec<u32> = (1..=30).filter(|_| absence.goes_on()).collect();
            assert_eq!(said.len(), 1, "{round}");
            assert!(absence.ends());
        }
        for _ in 1..Absence::LOOKS {
            assert!(!absence.goes_on());
        }
        assert!(!absence.ends());
        assert!(!absence.goes_on(), "it begins anew");
    }
}
