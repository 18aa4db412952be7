//! Who is let in: challenges that were given, proofs that are checked against
//! the gateway's own roster, sessions of a quarter of an hour. All of it is in
//! memory; a restart ends every session.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::wire::Envelope;
use model::{DeviceId, Hash, PersonId, Secret, Timestamp};
use seal::keys::VerifyingKey;
use seal::local::{LocalGateway, LocalLogin, RefusedReason};

use super::view::View;
use crate::data::Identity;
use crate::random;

/// Between a challenge and the proof over it.
pub(super) const CHALLENGE_LIFE: Duration = Duration::from_secs(60);
/// Challenges that wait; their number is limited by address before.
const CHALLENGES_MAX: usize = 4_096;
/// How long a proof is good for. Clients prove themselves again before.
pub(crate) const SESSION_LIFE: Duration = Duration::from_secs(15 * 60);
/// Of one device at a time; the one that ends first makes room.
const SESSIONS_OF_DEVICE_MAX: usize = 4;
const SESSIONS_MAX: usize = 1_024;
/// Things of one session that stand in the journal already.
const NOTED_MAX: usize = 20_000;

#[derive(Debug, Default)]
pub(super) struct Door(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    challenges: HashMap<Hash, Instant>,
    /// By SHA-256 of the token.
    sessions: HashMap<Hash, Session>,
    /// Since the journal was told last: device and reason → how often.
    refused: BTreeMap<(Option<DeviceId>, RefusedReason), u64>,
}

#[derive(Debug)]
struct Session {
    device: DeviceId,
    ends: Instant,
    noted: HashSet<Hash>,
}

/// A device that has proved itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) device: DeviceId,
    pub(super) person: PersonId,
    /// Names the session; worth nothing as a token.
    pub(super) session: Hash,
}

/// A proof that does not hold; the device only if it is one of the roster's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) device: Option<DeviceId>,
    pub(super) reason: RefusedReason,
}

impl Door {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Our half of the proof, and the challenge for the other half. None if too
    /// many wait.
    pub(super) fn hello(
        &self,
        identity: &Identity,
        view: &View,
        certificate: Hash,
        device_challenge: Hash,
    ) -> Option<Envelope> {
        let gateway_challenge = Hash(random::bytes());
        let now = Instant::now();
        {
            let mut inside = self.inside();
            inside.challenges.retain(|_, given| now.duration_since(*given) < CHALLENGE_LIFE);
            if inside.challenges.len() >= CHALLENGES_MAX {
                return None;
            }
            inside.challenges.insert(gateway_challenge, now);
        }
        let (roster_seq, roster_head) = view.roster.head();
        let claim = LocalGateway {
            org: view.roster.org(),
            gateway: identity.id,
            certificate,
            device_challenge,
            gateway_challenge,
            roster_seq,
            roster_head,
        };
        Some(claim.sign(&identity.sign))
    }

    /// Checks the other half. The challenge is spent, whatever comes of it.
    pub(super) fn check(
        &self,
        envelope: &Envelope,
        view: &View,
        certificate: Hash,
        now: Timestamp,
    ) -> Result<(DeviceId, PersonId), Refused> {
        let refused = |device, reason| Err(Refused { device, reason });
        let Ok(login) = LocalLogin::claimed(envelope) else {
            return refused(None, RefusedReason::Malformed);
        };
        let given = self.inside().challenges.remove(&login.gateway_challenge);
        let known = view.roster.device(login.device).map(|device| device.id);
        if login.org != view.roster.org() || login.gateway != view.gateway {
            return refused(known, RefusedReason::Malformed);
        }
        if given.is_none_or(|given| given.elapsed() >= CHALLENGE_LIFE) {
            return refused(known, RefusedReason::Challenge);
        }
        if !seal::constant_time_eq(&login.certificate.0, &certificate.0) {
            return refused(known, RefusedReason::Certificate);
        }
        let Some(device) = view.roster.device_in_force(login.device, now) else {
            return refused(known, RefusedReason::Device);
        };
        let signed =
            VerifyingKey::from_bytes(&device.sign.0).is_ok_and(|key| login.verify(envelope, key).is_ok());
        if signed { Ok((device.id, device.person)) } else { refused(known, RefusedReason::Signature) }
    }

    /// A session for a device whose proof stands in the journal.
    pub(super) fn open(&self, device: DeviceId) -> Secret {
        let token = Hash(random::bytes());
        let now = Instant::now();
        let mut inside = self.inside();
        let sessions = &mut inside.sessions;
        sessions.retain(|_, session| session.ends > now);
        let soonest = |sessions: &HashMap<Hash, Session>, of: &dyn Fn(&Session) -> bool| {
            let of_these = sessions.iter().filter(|(_, session)| of(session));
            of_these.min_by_key(|(_, session)| session.ends).map(|(name, _)| *name)
        };
        let own = |session: &Session| session.device == device;
        let excess = if sessions.values().filter(|session| own(session)).count() >= SESSIONS_OF_DEVICE_MAX {
            soonest(sessions, &own)
        } else if sessions.len() >= SESSIONS_MAX {
            soonest(sessions, &|_| true)
        } else {
            None
        };
        if let Some(excess) = excess {
            sessions.remove(&excess);
        }
        let session = Session { device, ends: now + SESSION_LIFE, noted: HashSet::new() };
        sessions.insert(seal::sha256(&token.0), session);
        Secret::new(token.to_string())
    }

    /// Who holds this token, if the roster still has the device in force.
    pub(super) fn caller(&self, token: Hash, view: &View, now: Timestamp) -> Option<Caller> {
        let name = seal::sha256(&token.0);
        let device = {
            let inside = self.inside();
            inside.sessions.get(&name).filter(|session| session.ends > Instant::now())?.device
        };
        let person = view.person(device, now)?;
        Some(Caller { device, person, session: name })
    }

    /// Whether the device has proved itself within a session's life.
    pub(super) fn is_inside(&self, device: DeviceId) -> bool {
        let now = Instant::now();
        self.inside().sessions.values().any(|session| session.device == device && session.ends > now)
    }

    pub(super) fn leave(&self, caller: &Caller) {
        self.inside().sessions.remove(&caller.session);
    }

    /// Whether the session has this in the journal already.
    pub(super) fn is_noted(&self, caller: &Caller, what: Hash) -> bool {
        self.inside().sessions.get(&caller.session).is_some_and(|session| session.noted.contains(&what))
    }

    pub(super) fn note(&self, caller: &Caller, what: Hash) {
        let mut inside = self.inside();
        if let Some(session) = inside.sessions.get_mut(&caller.session) {
            // Then it is noted again, which says the same twice.
            if session.noted.len() >= NOTED_MAX {
                session.noted.clear();
            }
            session.noted.insert(what);
        }
    }

    pub(super) fn count(&self, Refused { device, reason }: Refused) {
        *self.inside().refused.entry((device, reason)).or_default() += 1;
    }

    pub(super) fn take_refused(&self) -> BTreeMap<(Option<DeviceId>, RefusedReason), u64> {
        std::mem::take(&mut self.inside().refused)
    }
}
