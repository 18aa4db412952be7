//! Who steers a camera (format.md section 11). Sessions are opened here, and an
//! order counts in one of them, once, in its order, and while it is fresh: the
//! device says how long ago it was told of the session, and here it is known how
//! long ago it was told. The difference is the way there and back, by two clocks
//! that nobody sets. One device at a time steers.

use model::{DeviceId, Hash};
use seal::ptz::{LATE_MS_MAX, MOVE_MS_MAX, Movement, PtzOrder, SESSION_MS_MAX};

/// Open sessions of one camera; the one that was not used for longest gives way.
pub const SESSIONS_MAX: usize = 32;
/// Who ordered something keeps the camera for so long.
pub const HOLD_MS: u64 = 5_000;
/// How far a device's clock may run ahead of ours, in milliseconds, over the
/// whole of a session: quartzes differ.
pub const DRIFT_MS_MAX: u64 = 500;
/// A stop that failed is tried again after so long.
pub const STOP_AGAIN_MS: u64 = 500;
/// How often a camera is told to stop that does not take it.
pub const STOPS_MAX: u32 = 6;

/// Why an order is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is of no session that is open, or of another device's.
    NoSession,
    /// It came too late, or before its session, or again.
    Late,
    /// Somebody else steers.
    Taken,
}

#[derive(Debug)]
struct Open {
    id: Hash,
    opened_ms: u64,
    used_ms: u64,
    /// The first that ordered something in it.
    device: Option<DeviceId>,
    number: Option<u64>,
}

impl Open {
    fn is_fresh(&self, order: &PtzOrder, now_ms: u64) -> bool {
        let age = now_ms.saturating_sub(self.opened_ms);
        order.elapsed_ms <= age + DRIFT_MS_MAX && age.saturating_sub(order.elapsed_ms) <= LATE_MS_MAX
    }
}

/// The sessions of one camera. Times are milliseconds of one clock that never
/// goes back.
#[derive(Debug, Default)]
pub struct Sessions {
    open: Vec<Open>,
    /// Which device steered last, and when: it may open another session meanwhile.
    holder: Option<(DeviceId, u64)>,
    /// When what moves is to stop.
    moving_until: Option<u64>,
    /// Stops that failed, one after the other.
    stops_failed: u32,
}

impl Sessions {
    pub fn open(&mut self, id: Hash, now_ms: u64) {
        self.expire(now_ms);
        if self.open.len() >= SESSIONS_MAX
            && let Some(oldest) = (0..self.open.len()).min_by_key(|index| self.open[*index].used_ms)
        {
            self.open.remove(oldest);
        }
        self.open.push(Open { id, opened_ms: now_ms, used_ms: now_ms, device: None, number: None });
    }

    /// Takes an order that `device` signed; what it says is to be done then. What
    /// moves is stopped all the same until the camera [did](Self::done) it.
    ///
    /// A stop is never late: whoever lets go means it, and on the way it may be
    /// held up by what it is to end.
    pub fn take(&mut self, order: &PtzOrder, device: DeviceId, now_ms: u64) -> Result<(), Refused> {
        self.expire(now_ms);
        let open = self.open.iter_mut().find(|open| open.id == order.session).ok_or(Refused::NoSession)?;
        if open.device.is_some_and(|known| known != device) {
            return Err(Refused::NoSession);
        }
        let is_fresh = open.is_fresh(order, now_ms);
        let is_in_time = is_fresh || order.movement == Movement::Stop;
        if !is_in_time || open.number.is_some_and(|last| order.number <= last) {
            return Err(Refused::Late);
        }
        // Remembered also of what is refused from here on: it is not tried again.
        (open.device, open.number, open.used_ms) = (Some(device), Some(order.number), now_ms);
        if self.holder.is_some_and(|(holder, at)| holder != device && now_ms < at + HOLD_MS) {
            return Err(Refused::Taken);
        }
        // What was kept on the way keeps the camera from nobody.
        if is_fresh {
            self.holder = Some((device, now_ms));
        }
        if let Movement::Move { .. } = order.movement {
            // Also if the camera says that it failed: it may move.
            self.moves(now_ms);
        }
        Ok(())
    }

    /// Whether an order that was taken has become too old meanwhile.
    pub fn is_late(&self, order: &PtzOrder, now_ms: u64) -> bool {
        let open = self.open.iter().find(|open| open.id == order.session);
        order.movement != Movement::Stop && !open.is_some_and(|open| open.is_fresh(order, now_ms))
    }

    /// The camera did it.
    pub fn done(&mut self, movement: &Movement, now_ms: u64) {
        match movement {
            Movement::Move { .. } => self.moves(now_ms),
            // It ends a movement, and what begins instead ends by itself.
            Movement::Stop | Movement::Home | Movement::GoTo { .. } => {
                (self.moving_until, self.stops_failed) = (None, 0);
            }
            Movement::SavePreset { .. } | Movement::RemovePreset { .. } => {}
        }
    }

    /// The camera did not stop, or nobody knows: it is told again, a few times.
    pub fn stop_failed(&mut self, now_ms: u64) {
        self.stops_failed += 1;
        let is_last = self.stops_failed >= STOPS_MAX;
        self.moving_until = (!is_last).then_some(now_ms + STOP_AGAIN_MS);
        if is_last {
            self.stops_failed = 0;
        }
    }

    fn moves(&mut self, now_ms: u64) {
        (self.moving_until, self.stops_failed) = (Some(now_ms + MOVE_MS_MAX), 0);
    }

    /// When a movement is to be stopped that nobody ordered again.
    pub fn moving_until(&self) -> Option<u64> {
        self.moving_until
    }

    /// Nothing is open, and nothing moves.
    pub fn is_idle(&mut self, now_ms: u64) -> bool {
        self.expire(now_ms);
        self.open.is_empty() && self.moving_until.is_none()
    }

    fn expire(&mut self, now_ms: u64) {
        self.open.retain(|open| now_ms < open.used_ms + SESSION_MS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use model::{CameraId, GatewayId, OrgId};

    use super::*;

    const MOVE: Movement = Movement::Move { pan: 500, tilt: 0, zoom: 0 };

    fn device(n: u8) -> DeviceId {
        DeviceId::from_random([n; 16])
    }

    fn order(session: u8, number: u64, elapsed_ms: u64, movement: Movement) -> PtzOrder {
        PtzOrder {
            org: OrgId::from_random([1; 16]),
            gateway: GatewayId::from_random([2; 16]),
            camera: CameraId::from_random([3; 16]),
            session: Hash([session; 32]),
            number,
            elapsed_ms,
            movement,
        }
    }

    fn opened(at_ms: u64) -> Sessions {
        let mut sessions = Sessions::default();
        sessions.open(Hash([7; 32]), at_ms);
        sessions
    }

    #[test]
    fn an_order_counts_once_and_in_its_order() {
        let mut sessions = opened(1_000);
        assert_eq!(sessions.take(&order(7, 1, 100, MOVE), device(1), 1_150), Ok(()));
        for number in [0, 1] {
            assert_eq!(
                sessions.take(&order(7, number, 200, MOVE), device(1), 1_250),
                Err(Refused::Late),
                "number {number}"
            );
        }
        assert_eq!(sessions.take(&order(7, 9, 200, Movement::Stop), device(1), 1_250), Ok(()));
        assert_eq!(sessions.take(&order(8, 1, 0, MOVE), device(1), 1_300), Err(Refused::NoSession));
        assert_eq!(sessions.take(&order(7, 10, 250, MOVE), device(2), 1_300), Err(Refused::NoSession));
    }

    /// The attack: somebody on the way keeps an order, and lets it go on later.
    #[test]
    fn what_was_held_back_moves_nothing() {
        let on_time = 1_000 + 60_000 + LATE_MS_MAX;
        assert_eq!(opened(1_000).take(&order(7, 1, 60_000, MOVE), device(1), on_time), Ok(()));
        for (elapsed_ms, now_ms) in
            [(60_000, on_time + 1), (60_000 + DRIFT_MS_MAX + 1, 61_000), (u64::MAX, 61_000)]
        {
            let taken = opened(1_000).take(&order(7, 1, elapsed_ms, MOVE), device(1), now_ms);
            assert_eq!(taken, Err(Refused::Late), "{elapsed_ms} at {now_ms}");
        }
        let late = 1_000 + SESSION_MS_MAX;
        let taken = opened(1_000).take(&order(7, 1, late - 1_000, MOVE), device(1), late);
        assert_eq!(taken, Err(Refused::NoSession));
    }

    #[test]
    fn one_steers_at_a_time() {
        let mut sessions = opened(0);
        sessions.open(Hash([8; 32]), 0);
        assert_eq!(sessions.take(&order(7, 1, 0, MOVE), device(1), 0), Ok(()));
        assert_eq!(sessions.take(&order(8, 1, 100, MOVE), device(2), 100), Err(Refused::Taken));
        assert_eq!(sessions.take(&order(7, 2, 2_000, MOVE), device(1), 2_000), Ok(()));
        let free = 2_000 + HOLD_MS;
        assert_eq!(sessions.take(&order(8, 2, free - 1, MOVE), device(2), free - 1), Err(Refused::Taken));
        assert_eq!(sessions.take(&order(8, 3, free, MOVE), device(2), free), Ok(()));
        assert_eq!(sessions.take(&order(7, 3, free, MOVE), device(1), free), Err(Refused::Taken));
        // In another session of its own it goes on.
        sessions.open(Hash([9; 32]), free);
        assert_eq!(sessions.take(&order(9, 1, 0, MOVE), device(2), free), Ok(()));
    }

    #[test]
    fn a_movement_stops_that_is_not_ordered_again() {
        let mut sessions = opened(0);
        sessions.take(&order(7, 1, 0, MOVE), device(1), 0).unwrap();
        assert_eq!(sessions.moving_until(), Some(MOVE_MS_MAX));
        sessions.take(&order(7, 2, 400, MOVE), device(1), 400).unwrap();
        sessions.done(&MOVE, 450);
        assert_eq!(sessions.moving_until(), Some(450 + MOVE_MS_MAX));
        for (number, movement) in [(3, Movement::Stop), (5, Movement::Home)] {
            sessions.take(&order(7, number, 500, movement.clone()), device(1), 500).unwrap();
            assert!(sessions.moving_until().is_some(), "the camera has not done it yet");
            sessions.done(&movement, 600);
            assert_eq!(sessions.moving_until(), None);
            sessions.take(&order(7, number + 1, 600, MOVE), device(1), 600).unwrap();
        }
        sessions.done(&Movement::Stop, 700);
        assert!(!sessions.is_idle(800) && sessions.is_idle(700 + SESSION_MS_MAX));
    }

    #[test]
    fn a_stop_that_failed_is_tried_again_a_few_times() {
        let mut sessions = opened(0);
        sessions.take(&order(7, 1, 0, MOVE), device(1), 0).unwrap();
        for n in 1..STOPS_MAX {
            sessions.stop_failed(1_000);
            assert_eq!(sessions.moving_until(), Some(1_000 + STOP_AGAIN_MS), "after {n}");
        }
        sessions.stop_failed(1_000);
        assert_eq!(sessions.moving_until(), None, "for ever");
        sessions.take(&order(7, 2, 2_000, MOVE), device(1), 2_000).unwrap();
        sessions.stop_failed(2_100);
        assert!(sessions.moving_until().is_some(), "another movement");
    }

    /// The attack: whoever carries a stop holds it up, and the camera moves on.
    #[test]
    fn a_stop_is_never_late() {
        let mut sessions = opened(0);
        sessions.take(&order(7, 1, 0, MOVE), device(1), 0).unwrap();
        let late = 10 * LATE_MS_MAX;
        let stop = |number| order(7, number, 100, Movement::Stop);
        assert_eq!(sessions.take(&stop(1), device(1), late), Err(Refused::Late), "said again");
        assert_eq!(sessions.take(&stop(2), device(1), late), Ok(()));
        assert!(!sessions.is_late(&stop(2), late) && sessions.is_late(&order(7, 3, 100, MOVE), late));
        // It takes the camera from nobody, and keeps it from nobody.
        sessions.open(Hash([8; 32]), late);
        assert_eq!(sessions.take(&order(8, 1, 0, MOVE), device(2), late), Ok(()));
        assert_eq!(sessions.take(&stop(3), device(1), late + 1), Err(Refused::Taken));
    }

    #[test]
    fn sessions_that_nobody_uses_give_way() {
        let mut sessions = opened(0);
        sessions.take(&order(7, 1, 0, MOVE), device(1), 1).unwrap();
        for n in 0..SESSIONS_MAX {
            sessions.open(Hash([100 + n as u8; 32]), 2);
        }
        assert_eq!(sessions.open.len(), SESSIONS_MAX);
        assert_eq!(sessions.take(&order(7, 2, 3, MOVE), device(1), 3), Err(Refused::NoSession));
        assert_eq!(sessions.take(&order(131, 1, HOLD_MS, MOVE), device(1), HOLD_MS + 3), Ok(()));
    }
}
