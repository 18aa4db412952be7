//! Recordings that people lock against retention, and those who may not.

use std::path::PathBuf;

use model::wire::{Envelope, LockOrder, ToGateway};
use model::{Base64, BookmarkId, DeviceId, EpochId, PersonId, Timestamp};
use seal::bookmark::{Bookmark, Lock, LockRefusal, LockResult};
use seal::keyring::DeviceKeys;
use seal::keys::VerifyingKey;
use seal::roster::{Scope, Statement};

use super::administrator::{device, now};
use super::{Site, until};

const OPEN: Option<Lock> = Some(Lock { until: None });

impl Site {
    /// Of all that was recorded so far, by the administrator's device.
    fn bookmark(&self, id: u8, lock: Option<Lock>) -> Bookmark {
        Bookmark {
            org: self.administrator.roster().org(),
            gateway: self.administrator.gateway().id,
            camera: self.camera,
            bookmark: BookmarkId::from_random([id; 16]),
            device: self.administrator.device_id(),
            from: now().minus_ms(Timestamp::HOUR),
            to: now(),
            lock,
            issued_at: now(),
            epoch: EpochId::from_random([0; 16]),
            note: Base64(vec![0; 12 + 512 + 16]),
        }
    }

    /// What the gateway said of an order, each time.
    fn said_of(&self, envelope: &Envelope) -> Vec<LockResult> {
        let gateway = self.administrator.gateway();
        let key = VerifyingKey::from_bytes(&gateway.sign.0).unwrap();
        let order = seal::sha256(&envelope.payload.0);
        let results = self.cloud.locks();
        let results = results.iter().map(|result| LockResult::verify(result, (gateway.id, key)).unwrap());
        results.filter(|result| result.order == order).collect()
    }

    /// Has the cloud bring it when it is asked the next time.
    fn bring(&self, envelope: &Envelope) {
        self.cloud.script(|script| {
            let change = script.lock_orders.len() as u64 + 1;
            script.lock_orders.push(LockOrder { change, envelope: envelope.clone() });
        });
    }

    /// What it says of one that the cloud shows it now.
    async fn locked(&self, envelope: &Envelope) -> LockResult {
        let before = self.said_of(envelope).len();
        self.bring(envelope);
        self.cloud.send(ToGateway::LocksChanged);
        until("the gateway says what is locked", || self.said_of(envelope).len() > before).await;
        self.said_of(envelope).pop().unwrap()
    }

    /// Whether the index has it as a lock, as the table writes it.
    async fn holds(&self, bookmark: BookmarkId) -> Option<i64> {
        sqlx::query_scalar("SELECT holds FROM locks WHERE bookmark = ?")
            .bind(bookmark.to_string())
            .fetch_optional(&self.index().await)
            .await
            .unwrap()
    }

    async fn lock_by(&self, bookmark: &Bookmark, keys: &DeviceKeys) -> LockResult {
        self.locked(&bookmark.sign(&keys.sign)).await
    }

    async fn lock(&self, bookmark: &Bookmark) -> LockResult {
        self.lock_by(bookmark, self.administrator.keys()).await
    }

    /// Somebody with a device, who may open every camera or none.
    fn person(&self, n: u8, may_open: bool) -> (DeviceId, DeviceKeys) {
        let keys = DeviceKeys::from_seeds([n; 32], [n ^ 0x80; 32]);
        let (id, person) = (DeviceId::from_random([n; 16]), PersonId::from_random([n; 16]));
        self.administrator.state(Statement::AddDevice { device: device(id, person, &keys) });
        if may_open {
            let access = Statement::SetAccess { person, scope: Scope::All, audio: false, until: None };
            self.administrator.state(access);
        }
        self.cloud.send(ToGateway::RosterChanged);
        (id, keys)
    }
}

fn all_there(files: &[PathBuf]) -> bool {
    files.iter().all(|file| file.exists())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_locked_outlives_retention_and_a_restart_and_goes_when_it_is_lifted() {
    let mut site = Site::recording().await;
    until("recordings are confirmed", || site.objects().len() >= 3).await;
    let lock = site.bookmark(1, OPEN);
    let held = site.lock(&lock).await;
    assert_eq!((held.refused, held.bookmark), (None, lock.bookmark));
    assert!(held.recordings >= 3 && held.bytes > 0 && held.recorded_ms > 0, "{held:?}");
    site.stop().await;
    site.make_confirmed_old().await;
    let old = site.confirmed().await;
    site.start().await;
    until("the gateway is there again", || site.cloud.last_status().is_some()).await;
    for _ in 0..3 {
        site.keep_a_day().await;
    }
    assert!(all_there(&old), "retention took what is locked");
    assert_eq!(site.cloud.read_back(), 0, "it is not even asked for");
    let lifted = Bookmark { issued_at: now(), ..site.bookmark(1, None) };
    assert_eq!(site.lock(&lifted).await.refused, None);
    for _ in 0..100 {
        site.keep_a_day().await;
        if !old.iter().any(|file| file.exists()) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    panic!("what is locked no more stays for ever");
}

/// The cloud carries what devices signed. It can make nothing of it that they did
/// not order: neither hold what nobody locked, nor let go what somebody did.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_cloud_neither_locks_nor_lifts() {
    let site = Site::recording().await;
    until("recordings are confirmed", || site.objects().len() >= 2).await;
    let lock = site.bookmark(1, OPEN);
    let (signed, stranger) =
        (lock.sign(&site.administrator.keys().sign), DeviceKeys::from_seeds([8; 32], [9; 32]));
    let forged = lock.sign(&stranger.sign);
    site.bring(&forged);
    let mut altered = signed.clone();
    let text = String::from_utf8(altered.payload.0).unwrap();
    altered.payload = text.replace("\"lock\":{\"until\":null}", "\"lock\":null").into_bytes().into();
    site.bring(&altered);
    let elsewhere = Bookmark { gateway: model::GatewayId::from_random([5; 16]), ..site.bookmark(2, OPEN) };
    assert_eq!(site.lock(&elsewhere).await.refused, Some(LockRefusal::NotAllowed), "of another gateway");
    // A refusal that could be shown beside the lock later is not signed.
    assert!(site.said_of(&forged).is_empty(), "a signature of its own");
    assert!(site.said_of(&altered).is_empty(), "altered");

    // An order of before is shown again after a later one: nothing is lifted.
    let earlier = Bookmark { issued_at: now().minus_ms(1_000), lock: None, ..lock.clone() };
    assert_eq!(site.lock(&earlier).await.refused, None);
    assert_eq!(site.locked(&signed).await.refused, None);
    site.bring(&earlier.sign(&site.administrator.keys().sign));
    let held = site.lock(&site.bookmark(3, OPEN)).await;
    assert!(held.recordings > 0);
    assert_eq!(site.holds(lock.bookmark).await, Some(1), "lifted by an order that was over");
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_are_for_those_who_may_open_the_camera_and_are_lifted_by_their_makers_or_administrators() {
    let site = Site::recording().await;
    until("recordings are confirmed", || site.objects().len() >= 2).await;
    let (ben, bens) = site.person(0x21, true);
    let (eve, eves) = site.person(0x22, false);
    let (cem, cems) = site.person(0x23, true);
    let by = |device, id, lock| Bookmark { device, issued_at: now(), ..site.bookmark(id, lock) };
    // The roster may come after the order: what it allows then is taken.
    let first = by(ben, 1, OPEN).sign(&bens.sign);
    site.bring(&first);
    site.cloud.send(ToGateway::LocksChanged);
    until("the gateway knows Ben", || site.said_of(&first).iter().any(|said| said.refused.is_none())).await;
    let eves_order = by(eve, 2, OPEN).sign(&eves.sign);
    assert_eq!(site.locked(&eves_order).await.refused, Some(LockRefusal::NotAllowed));
    let foreign = site.lock_by(&by(cem, 1, None), &cems).await;
    assert_eq!(foreign.refused, Some(LockRefusal::NotAllowed), "somebody else's");
    assert_eq!(site.lock(&by(site.administrator.device_id(), 1, OPEN)).await.refused, None);
    // The administrator's change made it nobody else's.
    assert_eq!(site.lock_by(&by(ben, 1, None), &bens).await.refused, None);
    // What somebody locked who has left stays locked.
    let kept = by(ben, 4, OPEN);
    assert_eq!(site.lock_by(&kept, &bens).await.refused, None);
    let judged = site.said_of(&eves_order).len();
    site.administrator.state(Statement::RevokeDevice { device: ben });
    site.cloud.send(ToGateway::RosterChanged);
    until("all is judged anew", || site.said_of(&eves_order).len() > judged).await;
    assert_eq!(site.holds(kept.bookmark).await, Some(1));
    let late = site.lock_by(&by(ben, 5, OPEN), &bens).await;
    assert_eq!(late.refused, Some(LockRefusal::NotAllowed), "a device that was shut out");
    assert_eq!(site.lock(&by(site.administrator.device_id(), 4, None)).await.refused, None);
    assert_eq!(site.holds(kept.bookmark).await, Some(0), "an administrator lifts it");
}
