//! Values in and out, the same for both databases.

use std::fmt::Display;
use std::str::FromStr;

use model::Timestamp;
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};
use sqlx::{Row as _, ValueRef as _};

/// What a statement is given. Typed even when null: PostgreSQL asks.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
}

#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// `params![a, b]`: the values of a statement in order.
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$($crate::database::Value::from($value)),*] };
}
pub(crate) use params;

impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Value::Integer(Some(i64::try_from(time.0).unwrap_or(i64::MAX)))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Integer(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(Some(text))
    }
}

impl From<Option<Timestamp>> for Value {
    fn from(time: Option<Timestamp>) -> Self {
        Value::from(time.map(|time| time.0))
    }
}

impl From<Option<u64>> for Value {
    fn from(number: Option<u64>) -> Self {
        Value::Integer(number.map(|number| i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Value::Text(text)
    }
}

macro_rules! from_id {
    ($($id:ty),*) => {$(
        impl From<$id> for Value {
            fn from(id: $id) -> Self {
                Value::Text(Some(id.to_string()))
            }
        }
    )*};
}
from_id!(
    model::OrgId,
    model::BookmarkId,
    model::PersonId,
    model::DeviceId,
    model::GatewayId,
    model::CameraId,
    model::EpochId,
    model::EventId,
    model::Hash,
    model::Rendition,
    model::ServiceId,
    model::ShareId,
    model::WallId
);

pub(super) fn sqlite(sql: &'static str, values: Vec<Value>) -> Query<'static, Sqlite, SqliteArguments> {
    values.into_iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Integer(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
    })
}

pub(super) fn postgres(sql: &'static str, values: Vec<Value>) -> Query<'static, Postgres, PgArguments> {
    values.into_iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Integer(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
    })
}

impl Row {
    pub(crate) fn number(&self, column: usize) -> sqlx::Result<u64> {
        let number: i64 = match self {
            Row::Sqlite(row) => row.try_get_unchecked(column)?,
            Row::Postgres(row) => row.try_get_unchecked(column)?,
        };
        u64::try_from(number).map_err(|e| decode(column, e))
    }

    pub(crate) fn time(&self, column: usize) -> sqlx::Result<Timestamp> {
        self.number(column).map(Timestamp)
    }

    pub(crate) fn text(&self, column: usize) -> sqlx::Result<String> {
        match self {
            Row::Sqlite(row) => row.try_get_unchecked(column),
            Row::Postgres(row) => row.try_get_unchecked(column),
        }
    }

    pub(crate) fn text_or_null(&self, column: usize) -> sqlx::Result<Option<String>> {
        if self.is_null(column)? { Ok(None) } else { self.text(column).map(Some) }
    }

    pub(crate) fn number_or_null(&self, column: usize) -> sqlx::Result<Option<u64>> {
        if self.is_null(column)? { Ok(None) } else { self.number(column).map(Some) }
    }

    fn is_null(&self, column: usize) -> sqlx::Result<bool> {
        Ok(match self {
            Row::Sqlite(row) => row.try_get_raw(column)?.is_null(),
            Row::Postgres(row) => row.try_get_raw(column)?.is_null(),
        })
    }

    /// An id or hash that was stored as text.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&self, column: usize) -> sqlx::Result<T> {
        self.text(column)?.parse().map_err(|e| decode(column, format!("{e:#}")))
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, column: usize) -> sqlx::Result<T> {
        serde_json::from_str(&self.text(column)?).map_err(|e| decode(column, e))
    }
}

fn decode(column: usize, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_string(), source: source.into() }
}
