//! What other systems on site are told of events, and how a webhook is signed,
//! retried and given up: Standard Webhooks 1.0, whose sender this is.
//!
//! The words are the camera's and the roster's, which anybody may have chosen.
//! They stand in JSON alone, where nothing of them can be anything but text.

use std::collections::BTreeSet;

use model::{Base64, CameraId, EventId, EventKind, EventPhase, EventSource, GatewayId, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Standard Webhooks, "Signature scheme": a secret has 24 to 64 bytes.
pub const SECRET_BYTES_MIN: usize = 24;
pub const SECRET_BYTES_MAX: usize = 64;
const SECRET_PREFIX: &str = "whsec_";
/// What could not be delivered for so long is dropped, and counted.
pub const AGE_MS_MAX: u64 = 72 * Timestamp::HOUR;
/// Between two tries: so long at first, and twice as long after each failure.
pub const RETRY_FIRST_MS: u64 = 1_000;
/// So long at most, whatever the receiver asks for.
pub const RETRY_MS_MAX: u64 = 10 * Timestamp::MINUTE;

/// One thing that is told: an event began, ended, or happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventMessage {
    pub event: EventId,
    pub phase: EventPhase,
    pub at: Timestamp,
    /// Of one that has ended; `None` if that was not seen.
    pub began_at: Option<Timestamp>,
    pub gateway: GatewayId,
    pub camera: CameraId,
    /// As the roster has it.
    pub camera_name: String,
    pub kind: EventKind,
    pub rule: Option<String>,
    pub topic: String,
    pub source: EventSource,
}

#[derive(Serialize)]
struct Payload<'a> {
    #[serde(rename = "type")]
    kind: String,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    event: EventId,
    gateway: GatewayId,
    camera: CameraId,
    camera_name: &'a str,
    kind: EventKind,
    rule: Option<&'a str>,
    topic: &'a str,
    source: EventSource,
    began_at: Option<String>,
    ended_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<i64>,
}

impl EventMessage {
    /// The same at each try, and at a replay: whoever takes it twice can know.
    pub fn message_id(&self) -> String {
        format!("{}_{}", self.event, self.phase_name())
    }

    /// The JSON that webhooks carry, with their cursor, and MQTT, without one.
    pub fn body(&self, cursor: Option<i64>) -> String {
        let began_at = match self.phase {
            EventPhase::Ended => self.began_at,
            EventPhase::Began | EventPhase::Happened => Some(self.at),
        };
        let payload = Payload {
            kind: format!("event.{}", self.phase_name()),
            timestamp: rfc3339(self.at),
            data: Data {
                event: self.event,
                gateway: self.gateway,
                camera: self.camera,
                camera_name: &self.camera_name,
                kind: self.kind,
                rule: self.rule.as_deref(),
                topic: &self.topic,
                source: self.source,
                began_at: began_at.map(rfc3339),
                ended_at: (self.phase != EventPhase::Began).then(|| rfc3339(self.at)),
                cursor,
            },
        };
        serde_json::to_string(&payload).expect("texts and numbers serialise")
    }

    pub fn phase_name(&self) -> &'static str {
        match self.phase {
            EventPhase::Began => "began",
            EventPhase::Ended => "ended",
            EventPhase::Happened => "happened",
        }
    }
}

/// Which events somebody is told of.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// `None`: of every camera of this gateway.
    pub cameras: Option<BTreeSet<CameraId>>,
    /// `None`: of every kind.
    pub kinds: Option<Vec<EventKind>>,
}

impl Filter {
    pub fn wants(&self, camera: CameraId, kind: EventKind) -> bool {
        self.cameras.as_ref().is_none_or(|cameras| cameras.contains(&camera))
            && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }
}

/// With which a webhook is signed. Wiped when dropped; does not print.
#[derive(Clone)]
pub struct SigningSecret(Zeroizing<Vec<u8>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("it does not begin with `whsec_`")]
    Prefix,
    #[error("what follows `whsec_` is no base64")]
    NoBase64,
    #[error("it holds {0} bytes; a secret has {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX}")]
    Length(usize),
}

impl SigningSecret {
    /// `whsec_` and base64.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let text = text.trim().strip_prefix(SECRET_PREFIX).ok_or(SecretError::Prefix)?;
        let quoted = Zeroizing::new(format!("\"{text}\""));
        let Base64(bytes) = serde_json::from_str(&quoted).map_err(|_| SecretError::NoBase64)?;
        let bytes = Zeroizing::new(bytes);
        if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes.len()) {
            return Err(SecretError::Length(bytes.len()));
        }
        Ok(SigningSecret(bytes))
    }

    /// The header `webhook-signature`: v1, HMAC-SHA-256 over id, seconds and body.
    /// The seconds are those of this try, since receivers refuse old ones.
    pub fn signature(&self, id: &str, seconds: u64, body: &[u8]) -> String {
        let seconds = seconds.to_string();
        let parts = [id.as_bytes(), b".", seconds.as_bytes(), b".", body];
        let mac = seal::hmac_sha256(&self.0, &parts);
        let base64 = serde_json::to_value(Base64(mac.0.to_vec())).expect("a text");
        format!("v1,{}", base64.as_str().unwrap_or_default())
    }
}

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// What a receiver's status amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Taken,
    /// 410: it wants no more.
    Gone,
    Again,
}

/// Standard Webhooks, "Webhook server responses". Redirects are failures: they
/// would send what happens on site to wherever the receiver likes.
pub fn verdict(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Taken,
        410 => Verdict::Gone,
        _ => Verdict::Again,
    }
}

/// How long to wait after so many failures in a row. `jitter` is a random byte: 0
/// waits half the time, 255 all of it. `wanted`: as the receiver asks.
pub fn retry_after_ms(failures: u32, jitter: u8, wanted: Option<u64>) -> u64 {
    let full = RETRY_FIRST_MS.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(RETRY_MS_MAX);
    let own = full / 2 + full * u64::from(jitter) / 510;
    own.max(wanted.unwrap_or(0)).min(RETRY_MS_MAX)
}

/// How a webhook fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    pub name: String,
    /// Events that were dropped since ever, and when the last of them was.
    pub dropped: u64,
    pub dropped_at: Option<Timestamp>,
    /// Since when every try has failed.
    pub failing_since: Option<Timestamp>,
    /// It answered 410.
    pub is_off: bool,
}

/// A receiver that has taken nothing for so long is told.
pub const FAILING_MS: u64 = 10 * Timestamp::MINUTE;
/// That something was dropped is told for so long.
pub const DROPPED_TOLD_MS: u64 = Timestamp::DAY;

/// In words for people, the worst first; `None` while all is well. `unwritten`:
/// events that were not even written down, and when the last of them was not.
pub fn concern(webhooks: &[Health], unwritten: Option<(u64, Timestamp)>, now: Timestamp) -> Option<String> {
    let is_recent = |at: Timestamp| now.ms_since(at) < DROPPED_TOLD_MS;
    if let Some((count, _)) = unwritten.filter(|(_, at)| is_recent(*at)) {
        return Some(format!("{count} events were told to no webhook: the disk takes nothing"));
    }
    let dropped = |one: &&Health| one.dropped_at.is_some_and(is_recent);
    if let Some(Health { name, dropped, .. }) = webhooks.iter().find(dropped) {
        return Some(format!("the webhook {name} was not told {dropped} events: it took none for too long"));
    }
    if let Some(Health { name, .. }) = webhooks.iter().find(|one| one.is_off) {
        return Some(format!("the webhook {name} is off: its receiver said that it is gone (410)"));
    }
    let failing = |one: &&Health| one.failing_since.is_some_and(|since| now.ms_since(since) >= FAILING_MS);
    let Health { name, .. } = webhooks.iter().find(failing)?;
    Some(format!("the webhook {name} takes no events; `lenskeep-gateway webhooks list` says why"))
}

/// UTC, to the millisecond.
pub fn rfc3339(at: Timestamp) -> String {
    let (year, month, day) = at.utc_date();
    let ms = at.0 % Timestamp::DAY;
    let (hour, minute) = (ms / Timestamp::HOUR, ms / Timestamp::MINUTE % 60);
    let (second, ms) = (ms / Timestamp::SECOND % 60, ms % Timestamp::SECOND);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(phase: EventPhase) -> EventMessage {
        EventMessage {
            event: EventId::from_random([1; 16]),
            phase,
            at: Timestamp(1_763_769_600_123),
            began_at: None,
            gateway: GatewayId::from_random([2; 16]),
            camera: CameraId::from_random([3; 16]),
            camera_name: "Door \"A\"\n\u{0}</script>".into(),
            kind: EventKind::Person,
            rule: Some("Yard".into()),
            topic: "RuleEngine/FieldDetector/ObjectsInside".into(),
            source: EventSource::Onvif,
        }
    }

    #[test]
    fn webhooks_are_signed_as_the_specifications_libraries_test_it() {
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let signature =
            secret.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b"{\"test\": 2432232314}");
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{secret:?}"), "SigningSecret(…)");
    }

    #[test]
    fn what_is_no_secret_is_named_and_not_shown() {
        let refused = |text: &str| SigningSecret::parse(text).unwrap_err();
        assert_eq!(refused("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), SecretError::Prefix);
        assert_eq!(refused("whsec_hunter2\"}"), SecretError::NoBase64);
        assert_eq!(refused("whsec_aHVudGVyMg=="), SecretError::Length(7));
        assert!(!format!("{} {0:?}", refused("whsec_hunter2")).contains("hunter2"));
        assert_eq!(refused(&format!("whsec_{}", "A".repeat(88))), SecretError::Length(66));
    }

    #[test]
    fn the_body_says_what_happened_and_nothing_can_break_out_of_it() {
        let body = told(EventPhase::Began).body(Some(7));
        let read: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (&read["type"], &read["timestamp"]),
            (&"event.began".into(), &"2025-11-22T00:00:00.123Z".into())
        );
        assert_eq!(read["data"]["camera_name"], "Door \"A\"\n\u{0}</script>");
        assert_eq!((&read["data"]["kind"], &read["data"]["cursor"]), (&"person".into(), &7.into()));
        assert_eq!(
            (&read["data"]["began_at"], &read["data"]["ended_at"]),
            (&read["timestamp"], &serde_json::Value::Null)
        );
        assert!(!body.contains('\n') && !body.contains('\0'));

        let ended = EventMessage { began_at: Some(Timestamp(1_763_769_600_000)), ..told(EventPhase::Ended) };
        let read: serde_json::Value = serde_json::from_str(&ended.body(None)).unwrap();
        assert_eq!(read["data"]["began_at"], "2025-11-22T00:00:00.000Z");
        assert_eq!(read["data"]["ended_at"], "2025-11-22T00:00:00.123Z");
        assert_eq!(read["data"].get("cursor"), None);
        assert_ne!(ended.message_id(), told(EventPhase::Began).message_id());
    }

    #[test]
    fn filters_leave_out_what_was_not_asked_for() {
        let (one, other) = (CameraId::from_random([1; 16]), CameraId::from_random([2; 16]));
        let filter = Filter { cameras: Some([one].into()), kinds: Some(vec![EventKind::Person]) };
        assert!(filter.wants(one, EventKind::Person));
        assert!(!filter.wants(other, EventKind::Person) && !filter.wants(one, EventKind::Motion));
        assert!(Filter::default().wants(other, EventKind::Other));
    }

    #[test]
    fn only_2xx_takes_and_only_410_ends() {
        for status in 100..600 {
            let expected = match status {
                200..=299 => Verdict::Taken,
                410 => Verdict::Gone,
                _ => Verdict::Again,
            };
            assert_eq!(verdict(status), expected, "{status}");
        }
    }

    #[test]
    fn waiting_doubles_up_to_ten_minutes_whatever_the_receiver_asks_for() {
        let waits: Vec<u64> = (1..=12).map(|failures| retry_after_ms(failures, 255, None)).collect();
        assert_eq!(waits[..4], [1_000, 2_000, 4_000, 8_000]);
        assert_eq!(waits[10..], [RETRY_MS_MAX; 2]);
        assert_eq!(retry_after_ms(1, 0, None), 500);
        assert_eq!(retry_after_ms(1, 255, Some(30_000)), 30_000);
        assert_eq!(retry_after_ms(1, 255, Some(u64::MAX)), RETRY_MS_MAX);
        assert_eq!(retry_after_ms(u32::MAX, 255, None), RETRY_MS_MAX);
    }

    #[test]
    fn what_webhooks_were_not_told_is_said_the_worst_first() {
        let now = Timestamp(10 * Timestamp::DAY);
        let well = Health { name: "well".into(), ..Health::default() };
        assert_eq!(concern(std::slice::from_ref(&well), None, now), None);
        let failing =
            |ms| Health { name: "slow".into(), failing_since: Some(now.minus_ms(ms)), ..Health::default() };
        assert_eq!(concern(&[failing(FAILING_MS - 1)], None, now), None);
        assert!(concern(&[well, failing(FAILING_MS)], None, now).unwrap().contains("slow takes no events"));
        let off = Health { name: "off".into(), is_off: true, ..Health::default() };
        assert!(concern(&[failing(FAILING_MS), off.clone()], None, now).unwrap().contains("off is off"));
        let dropped = |ms| Health {
            dropped: 3,
            dropped_at: Some(now.minus_ms(ms)),
            name: "late".into(),
            ..off.clone()
        };
        assert!(concern(&[dropped(5)], None, now).unwrap().contains("late was not told 3 events"));
        assert!(concern(&[dropped(DROPPED_TOLD_MS)], None, now).unwrap().contains("late is off"));
        assert!(concern(&[], Some((2, now)), now).unwrap().contains("2 events were told to no webhook"));
    }
}
