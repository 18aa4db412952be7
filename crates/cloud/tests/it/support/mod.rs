//! What the tests have in common.

pub(crate) mod azurite;
pub(crate) mod factors;
pub(crate) mod footage;
pub(crate) mod gateway;
pub(crate) mod hours;
pub(crate) mod passkey;
pub(crate) mod postgres;
pub(crate) mod provider;
pub(crate) mod services;
pub(crate) mod world;

pub(crate) use gateway::Gateway;
pub(crate) use postgres::Postgres;
pub(crate) use world::{Organisation, World};

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use model::Timestamp;

/// Runs each test on both databases, as `sqlite::name` and `postgres::name`.
macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::support::World::on_sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::support::World::on_postgres().await).await;
            })*
        }
    };
}
pub(crate) use on_both_databases;

/// Bytes that nobody else in this process has. Secrecy is not what is tested.
pub(crate) fn fresh() -> [u8; 32] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    seal::sha256(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes()).0
}

pub(crate) fn fresh_id() -> [u8; 16] {
    fresh()[..16].try_into().expect("32 bytes")
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp(since.as_millis() as u64)
}
