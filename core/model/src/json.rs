//! Reads JSON into our types, naming the field that is wrong.
//!
//! `serde_json` takes the text apart into a [`Json`], and each type says how it
//! is made from one. Serde's derived readers do the same, but as code of their own for each type
//! and twice over when they have to name the field: of a module of 400 kB,
//! which every sidecar compiles when it starts, they were 170 kB. A test holds
//! that both read the same.

mod error;
mod fields;
mod value;

pub use error::{InvalidJson, Problem};
pub(crate) use fields::Fields;
pub(crate) use value::Json;

/// What can be made from JSON.
pub(crate) trait FromJson: Sized {
    /// Reads it.
    fn from_json(json: &Json<'_>) -> Result<Self, Problem>;
}

impl FromJson for bool {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let Json::Bool(value) = json else {
            return Err(json.is_not("true or false"));
        };
        Ok(*value)
    }
}

impl FromJson for u64 {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        json.number(Self::MAX)
    }
}

impl FromJson for f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "where a fraction may be, 53 bits are enough"
    )]
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        if let Json::OtherNumber(number) = json {
            return Ok(*number);
        }
        json.number(u64::MAX).map(|number| number as Self)
    }
}

impl<T: FromJson, U: FromJson> FromJson for (T, U) {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let [one, other] = json.list()? else {
            return Err(json.is_not("a list of two"));
        };
        Ok((
            T::from_json(one).map_err(|problem| problem.in_item(0))?,
            U::from_json(other).map_err(|problem| problem.in_item(1))?,
        ))
    }
}

/// Smaller numbers, read as the largest and held to their bound.
macro_rules! number {
    ($($number:ty),+) => {$(
        impl FromJson for $number {
            fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
                let number = json.number(u64::from(Self::MAX))?;
                Self::try_from(number).map_err(Problem::invalid)
            }
        }
    )+};
}
number!(u8, u16, u32);

impl FromJson for String {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        json.text().map(str::to_owned)
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut list = Self::new();
        for (index, item) in json.list()?.iter().enumerate() {
            list.push(T::from_json(item).map_err(|problem| problem.in_item(index))?);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests;
