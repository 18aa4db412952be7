//! Witness types: a check leaves a value behind. A [`Permit`] comes from
//! `decide` alone, an [`Audited`] from a permit that the history holds.
//! Neither has a public constructor, so skipping policy or history does not
//! compile:
//!
//! ```compile_fail
//! fn sign(_: cloud_core::Audited<cloud_core::Permit>) {}
//! fn shortcut(permit: cloud_core::Permit) {
//!     sign(permit); // not recorded
//! }
//! ```
//!
//! ```compile_fail
//! // Private fields: nobody but `decide` makes one.
//! let permit = cloud_core::Permit { action: unreachable!(), entry: unreachable!() };
//! ```

use crate::history::{Entry, History, Receipt};
use crate::request::Action;

/// A yes that nobody has written down yet. Good for nothing until recorded.
#[derive(Debug)]
#[must_use = "a permit has no effect until it is recorded"]
pub struct Permit {
    action: Action,
    entry: Entry,
}

/// `T`, and the proof that the history holds it.
#[derive(Debug)]
pub struct Audited<T> {
    inner: T,
    receipt: Receipt,
}

#[derive(Debug, thiserror::Error)]
pub enum RecordError<E> {
    #[error("the history could not be written")]
    History(#[source] E),
    #[error("the history answered with a receipt for something else")]
    Receipt,
}

impl Permit {
    pub(crate) fn new(action: Action, entry: Entry) -> Self {
        Permit { action, entry }
    }

    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Writes the permit down. What widens fails closed: without a receipt
    /// for exactly this entry there is no `Audited`.
    pub async fn record<H: History>(self, history: &H) -> Result<Audited<Permit>, RecordError<H::Error>> {
        let mut audited = Self::record_all(vec![self], history).await?;
        audited.pop().ok_or(RecordError::Receipt)
    }

    /// The same for a batch, all or none.
    pub async fn record_all<H: History>(
        permits: Vec<Permit>,
        history: &H,
    ) -> Result<Vec<Audited<Permit>>, RecordError<H::Error>> {
        let entries: Vec<Entry> = permits.iter().map(|permit| permit.entry.clone()).collect();
        let receipts = history.append(&entries).await.map_err(RecordError::History)?;
        let in_order = receipts.len() == permits.len()
            && receipts.iter().zip(&entries).all(|(receipt, entry)| receipt.is_for(entry))
            && receipts.windows(2).all(|pair| pair[1].previous == pair[0].hash);
        if !in_order {
            return Err(RecordError::Receipt);
        }
        let audited = permits.into_iter().zip(receipts);
        Ok(audited.map(|(inner, receipt)| Audited { inner, receipt }).collect())
    }
}

impl Audited<Permit> {
    pub fn action(&self) -> &Action {
        &self.inner.action
    }

    pub fn entry(&self) -> &Entry {
        &self.inner.entry
    }

    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Whether this proof covers a new permit of the same principal, action
    /// and resource: byte-range reads of one recording are one entry.
    pub fn covers(&self, permit: &Permit) -> bool {
        let (old, new) = (&self.inner.entry, &permit.entry);
        self.inner.action == permit.action
            && (old.org, &old.actor, &old.action, &old.resource)
                == (new.org, &new.actor, &new.action, &new.resource)
    }
}
