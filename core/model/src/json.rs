//! Reads JSON into our types, naming the field that is wrong.
//!
//! The text is taken apart into a [`Json`], and each type says how it is made
//! from one. Serde's derived readers do the same, but as code of their own for each type
//! and twice over when they have to name the field: of a module of 400 kB,
//! which every sidecar compiles when it starts, they were 170 kB. A test holds
//! that both read the same.

mod error;
mod fields;
mod parse;
mod reader;
mod value;

pub use error::{Broken, InvalidJson, Problem};
pub(crate) use fields::Fields;
pub use parse::InvalidSyntax;
pub(crate) use reader::Reader;
pub(crate) use value::Json;

use reader::Problems;

/// What can be made from JSON.
pub(crate) trait FromJson: Sized {
    /// Reads it. What is wrong is said to the reader; what is returned then is of no meaning.
    fn from_json(reader: Reader<'_>) -> Self;
}

/// Makes a value from JSON.
///
/// # Errors
///
/// Names the first field that is wrong.
pub(crate) fn read<T: FromJson>(json: &Json<'_>) -> Result<T, Problem> {
    read_by(json, T::from_json)
}

/// As [`read`], with a reader of one's own.
pub(crate) fn read_by<T>(
    json: &Json<'_>,
    read: impl FnOnce(Reader<'_>) -> T,
) -> Result<T, Problem> {
    let problems = Problems::default();
    let value = read(Reader::of(json, &problems));
    match problems.into_first() {
        None => Ok(value),
        Some(problem) => Err(problem),
    }
}

impl FromJson for bool {
    fn from_json(reader: Reader<'_>) -> Self {
        if let Json::Bool(value) = reader.json() {
            return *value;
        }
        reader.wants("true or false");
        false
    }
}

impl FromJson for u64 {
    fn from_json(reader: Reader<'_>) -> Self {
        reader.number(Self::MAX)
    }
}

impl FromJson for f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "where a fraction may be, 53 bits are enough"
    )]
    fn from_json(reader: Reader<'_>) -> Self {
        if let Json::OtherNumber(number) = reader.json() {
            return *number;
        }
        reader.number(u64::MAX) as Self
    }
}

impl<T: FromJson, U: FromJson> FromJson for (T, U) {
    fn from_json(reader: Reader<'_>) -> Self {
        reader.pair()
    }
}

/// Smaller numbers, read as the largest and held to their bound.
macro_rules! number {
    ($($number:ty),+) => {$(
        impl FromJson for $number {
            fn from_json(reader: Reader<'_>) -> Self {
                let number = reader.number(u64::from(Self::MAX));
                Self::try_from(number).unwrap_or(Self::MAX)
            }
        }
    )+};
}
number!(u8, u16, u32);

impl FromJson for String {
    fn from_json(reader: Reader<'_>) -> Self {
        reader.text().to_owned()
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut list = Self::new();
        reader.each(&mut |item| list.push(T::from_json(item)));
        list
    }
}

#[cfg(test)]
mod tests;
