//! What somebody asks of experiments, and why it cannot be.

/// What somebody asks of experiments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// To run at once.
    Run,
    /// To say what it would take, or why it may not begin: no request meets a fault.
    Try,
}

/// Why an experiment cannot be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAsked {
    /// Two documents would have the name.
    #[error(
        "{0} is declared in the folder with documents; run it by its name, or choose another name"
    )]
    Declared(String),
    /// Nobody declared it.
    #[error(
        "there is no experiment {0}; hand in its document, or put it into the folder with documents"
    )]
    Unknown(String),
    /// It runs.
    #[error("{0} runs already; stop it first, or wait until it is over")]
    Runs(String),
    /// It does not run.
    #[error("{0} does not run")]
    DoesNotRun(String),
}
