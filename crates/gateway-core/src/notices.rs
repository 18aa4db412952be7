//! Whom to tell of an event: devices that ordered it, that the roster lets see
//! the camera, and that were not told of this camera a moment ago.

use std::collections::BTreeMap;

use model::wire::{Envelope, SealedNotice};
use model::{CameraId, DeviceId, EventKind, EventPhase, GatewayId, Hash, Timestamp};
use seal::event::Event;
use seal::keys::KemSecret;
use seal::notice::{Notice, NoticeError, NoticeOrder, Wishes};
use seal::roster::Roster;
use seal::still::StillSecret;

use crate::events::Now;

/// Devices that can be told by one gateway.
pub const DEVICES_MAX: usize = 4_096;

/// The orders in force.
#[derive(Debug, Default)]
pub struct Notices {
    orders: BTreeMap<DeviceId, Placed>,
    /// When the latest order of a device was made, also of those that are in force
    /// no more: nobody brings an earlier one back.
    latest: BTreeMap<DeviceId, Timestamp>,
    /// When a device was told last of a camera and kind. A leaf that moves must not
    /// keep a bell from being heard.
    told: BTreeMap<(DeviceId, CameraId, EventKind), u64>,
}

#[derive(Debug)]
struct Placed {
    /// Of the signed payload.
    hash: Hash,
    order: NoticeOrder,
    wishes: Wishes,
}

/// What one event comes to.
#[derive(Debug, Default)]
pub struct Told {
    pub notices: Vec<SealedNotice>,
    /// Of the picture that was offered, if a notice speaks of it.
    pub still: Option<StillSecret>,
}

/// An order that is not taken.
#[derive(Debug)]
pub struct Refused {
    /// Number in the list.
    pub number: usize,
    pub error: NoticeError,
}

impl Notices {
    /// Takes the cloud's whole list in place of the one before. What is refused
    /// leaves the others in force.
    pub fn set(
        &mut self,
        envelopes: &[Envelope],
        roster: &Roster,
        (me, key): (GatewayId, &KemSecret),
        now: Timestamp,
    ) -> Vec<Refused> {
        let mut before = std::mem::take(&mut self.orders);
        let mut refused = Vec::new();
        for (number, envelope) in envelopes.iter().take(DEVICES_MAX).enumerate() {
            match self.place(envelope, &mut before, roster, (me, key), now) {
                Ok(()) => {}
                Err(error) => refused.push(Refused { number, error }),
            }
        }
        self.told.retain(|(device, ..), _| self.orders.contains_key(device));
        self.latest.retain(|device, _| roster.device(*device).is_some());
        refused
    }

    fn place(
        &mut self,
        envelope: &Envelope,
        before: &mut BTreeMap<DeviceId, Placed>,
        roster: &Roster,
        (me, key): (GatewayId, &KemSecret),
        now: Timestamp,
    ) -> Result<(), NoticeError> {
        let order = NoticeOrder::verify(envelope, roster, now)?;
        if order.gateway != me {
            return Err(NoticeError::Channel);
        }
        let device = order.device;
        let hash = seal::sha256(&envelope.payload.0);
        let known = self.orders.remove(&device).or_else(|| before.remove(&device));
        let is_older = self.latest.get(&device).is_some_and(|latest| *latest > order.issued_at);
        let issued_at = order.issued_at;
        let (placed, refused) = match known {
            Some(known) if known.hash == hash => (Some(known), None),
            // Whoever shows an older one has nothing to say in this.
            known if is_older => (known, Some(NoticeError::Older)),
            known => match order.open(key) {
                Ok(wishes) => (Some(Placed { hash, order, wishes }), None),
                Err(error) => (known, Some(error)),
            },
        };
        if let Some(placed) = placed {
            self.orders.insert(device, placed);
        }
        match refused {
            Some(error) => Err(error),
            None => {
                self.latest.insert(device, issued_at);
                Ok(())
            }
        }
    }

    /// Notices of one event, sealed. It is of one camera, or of several: a device is
    /// told it of the first that it may see and has ordered. `nonce` draws 12 random
    /// bytes. `offered` is the secret of a picture that could be taken.
    pub fn of(
        &mut self,
        (cameras, event): (&[CameraId], &Event),
        roster: &Roster,
        now: Now,
        offered: Option<StillSecret>,
        nonce: &mut dyn FnMut() -> [u8; 12],
    ) -> Told {
        // Once for each event, when it is news.
        if event.phase == EventPhase::Ended {
            return Told::default();
        }
        let Notices { orders, told, .. } = self;
        let mut is_wanted = false;
        let tell = |(&device, Placed { order, wishes, .. }): (&DeviceId, &Placed)| {
            let is_wanted_of = |camera: &&CameraId| {
                roster.right_of_device(device, **camera, now.at).is_some()
                    && wishes.wants(**camera, event.kind, now.at)
            };
            let camera = *cameras.iter().find(is_wanted_of)?;
            let is_told = told
                .get(&(device, camera, event.kind))
                .is_some_and(|last| now.ms.saturating_sub(*last) < wishes.pause_ms);
            if is_told || now.at >= order.expires_at {
                return None;
            }
            told.insert((device, camera, event.kind), now.ms);
            is_wanted |= wishes.pictures;
            let (at, kind, rule) = (event.at, event.kind, event.rule.clone());
            let still = offered.clone().filter(|_| wishes.pictures);
            let notice = Notice { event: event.id, camera, at, kind, rule, still };
            let sealed = notice.seal(&wishes.key, &order.channel(), nonce());
            Some(SealedNotice { device, camera, notice: sealed })
        };
        let notices = orders.iter().filter_map(tell).collect();
        Told { notices, still: offered.filter(|_| is_wanted) }
    }
}
