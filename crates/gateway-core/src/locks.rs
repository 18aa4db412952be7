//! Who may lock recordings against retention, and lift a lock (format.md section
//! 12). The cloud carries what devices signed; here it is judged again.

use model::{GatewayId, Hash, PersonId, Timestamp};
use seal::bookmark::{Bookmark, LockRefusal};
use seal::roster::Roster;

/// Bookmarks that a gateway remembers: those that lock something, and those that
/// did, so that what was lifted stays lifted.
pub const LOCKS_MAX: u64 = 20_000;
/// What locks may hold of all that may be recorded here, in percent: recording
/// goes on whatever people lock.
pub const LOCKED_PERCENT_MAX: u64 = 50;

/// What was taken of a bookmark before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pub order: Hash,
    pub issued_at: Timestamp,
    /// Who made it.
    pub person: PersonId,
}

/// Who is behind an order that counts. `order` is the hash of its payload.
pub fn judge(
    bookmark: &Bookmark,
    order: Hash,
    known: Option<Known>,
    (gateway, roster): (GatewayId, &Roster),
    now: Timestamp,
) -> Result<PersonId, LockRefusal> {
    let device = roster.device_in_force(bookmark.device, now).ok_or(LockRefusal::NotAllowed)?;
    let may_open = roster.right_of_device(bookmark.device, bookmark.camera, now).is_some();
    if bookmark.gateway != gateway || !may_open {
        return Err(LockRefusal::NotAllowed);
    }
    let Some(known) = known else { return Ok(device.person) };
    if known.person != device.person && !roster.is_administrator(bookmark.device, now) {
        return Err(LockRefusal::NotAllowed);
    }
    if known.order != order && bookmark.issued_at <= known.issued_at {
        return Err(LockRefusal::Older);
    }
    // An administrator who changes it does not make it theirs.
    Ok(known.person)
}

/// How much locks may hold where so much may be recorded.
pub fn locked_bytes_max(bytes_max: u64) -> u64 {
    bytes_max / 100 * LOCKED_PERCENT_MAX
}
