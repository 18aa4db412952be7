//! ONVIF's events as cameras of Axis stream them: JSON over a WebSocket of
//! VAPIX ("Event streaming over WebSocket"), in place of pull points. It takes
//! one connection and no polling, and cameras have it that give an ONVIF user no
//! event service.
//!
//! As with pull points a camera is not believed: what it sends is read within
//! [`Limits`] and no faster than that, and its words are cut and cleaned.

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use model::CameraEvent;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::client::Client;
use super::messages::{ITEM_NAME_MAX, ITEM_VALUE_MAX, ITEMS_MAX, Item, Notification, TOPIC_MAX};
use super::topics::Memory;
use super::xml::cut;
use super::{Limits, OnvifAccess, OnvifError};

/// What the stream is asked for: a single filter, since what fits several comes
/// several times. Which of it is an event is for [`Memory`] to say.
const CONFIGURE: &str = r#"{"apiVersion":"1.0","context":"lenskeep","method":"events:configure","params":{"eventFilterList":[{"topicFilter":"//."}]}}"#;
const STEP: &str = "events:configure";
/// Of one message, in bytes. A camera's own have some hundred.
const MESSAGE_MAX: usize = 256 << 10;

/// Hears one camera. It ends when it is dropped.
#[derive(Debug)]
pub struct EventStream {
    socket: WebSocketStream<reqwest::Upgraded>,
    limits: Limits,
    memory: Memory,
    /// Told before the camera confirmed what it was asked for.
    waiting: Vec<Notification>,
    /// Nothing is read before.
    read_at: Instant,
    /// The camera owes a sign of life.
    is_asked: bool,
    /// How it ended, after what was told before.
    ended: Option<OnvifError>,
}

/// What a message says.
#[derive(Debug, PartialEq)]
enum Said {
    Configured,
    Refused { code: i64, message: String },
    Told(Notification),
    Something,
}

impl EventStream {
    /// Returns once the camera has agreed to tell. States that last now are told by
    /// the first calls of [`EventStream::next`].
    pub async fn begin(access: &OnvifAccess, limits: &Limits) -> Result<Self, OnvifError> {
        let mut client = Client::new(access, limits)?;
        let mut place = client.device();
        place.set_query("sources=events");
        let upgraded = Box::pin(client.upgrade(&place)).await?;
        let config =
            WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
        let socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await;
        let mut stream = EventStream {
            socket,
            limits: limits.clone(),
            memory: Memory::default(),
            waiting: Vec::new(),
            read_at: Instant::now(),
            is_asked: false,
            ended: None,
        };
        let late = OnvifError::AnswerTimeout { step: STEP, seconds: limits.answer.as_secs() };
        timeout(limits.answer, stream.configure()).await.map_err(|_| late)??;
        Ok(stream)
    }

    async fn configure(&mut self) -> Result<(), OnvifError> {
        self.send(Message::text(CONFIGURE)).await?;
        loop {
            let message = self.socket.next().await;
            match read(message)? {
                Said::Configured => return Ok(()),
                Said::Refused { code, message } => {
                    let (code, reason) = (code.to_string(), super::error::clean(&message));
                    return Err(OnvifError::Fault { step: STEP, code, reason });
                }
                Said::Told(notification) if self.waiting.len() < self.limits.messages => {
                    self.waiting.push(notification);
                }
                Said::Told(_) | Said::Something => {}
            }
        }
    }

    /// What the camera has said since the last call; empty after a quiet while.
    /// After an error, begin again.
    ///
    /// A call that is dropped may lose what the camera was about to say.
    pub async fn next(&mut self) -> Result<Vec<CameraEvent>, OnvifError> {
        if let Some(error) = self.ended.take() {
            return Err(error);
        }
        sleep_until(self.read_at).await;
        let mut told = std::mem::take(&mut self.waiting);
        if told.is_empty() {
            let patience = if self.is_asked { self.limits.answer } else { self.limits.poll };
            match timeout(patience, self.socket.next()).await {
                Ok(message) => self.take(message, &mut told)?,
                Err(_) if self.is_asked => {
                    return Err(OnvifError::AnswerTimeout { step: "a ping", seconds: patience.as_secs() });
                }
                Err(_) => {
                    self.is_asked = true;
                    self.send(Message::Ping(Vec::new().into())).await?;
                    return Ok(Vec::new());
                }
            }
        }
        // What is there already, and no more at once than a pull point brings, whether
        // or not it tells anything: the rest waits in the camera.
        for _ in told.len()..self.limits.messages {
            let Some(message) = self.socket.next().now_or_never() else { break };
            if let Err(error) = self.take(message, &mut told) {
                self.ended = Some(error);
                break;
            }
        }
        self.read_at = Instant::now() + self.limits.pause;
        Ok(told.iter().flat_map(|notification| self.memory.take(notification)).collect())
    }

    fn take(
        &mut self,
        message: Option<Result<Message, Error>>,
        told: &mut Vec<Notification>,
    ) -> Result<(), OnvifError> {
        let said = read(message)?;
        self.is_asked = false;
        if let Said::Told(notification) = said {
            told.push(notification);
        }
        Ok(())
    }

    async fn send(&mut self, message: Message) -> Result<(), OnvifError> {
        let step = "the event stream";
        let late = OnvifError::AnswerTimeout { step, seconds: self.limits.answer.as_secs() };
        let sent = timeout(self.limits.answer, self.socket.send(message)).await.map_err(|_| late)?;
        sent.map_err(|_| OnvifError::Closed { step })
    }
}

/// Whether the camera could be heard. Wrong passwords and cameras that cannot be
/// reached are errors.
pub async fn probe_stream(access: &OnvifAccess, limits: &Limits) -> Result<(), OnvifError> {
    EventStream::begin(access, limits).await.map(drop)
}

fn read(message: Option<Result<Message, Error>>) -> Result<Said, OnvifError> {
    let step = "the event stream";
    match message {
        Some(Ok(Message::Text(text))) => said(text.as_bytes()),
        Some(Ok(Message::Binary(_))) => Err(OnvifError::BadAnswer { reason: "it is no text" }),
        Some(Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_)))
        | None => Err(OnvifError::Closed { step }),
        Some(Ok(_)) => Ok(Said::Something),
        Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => {
            Err(OnvifError::AnswerTooLong { step, bytes: MESSAGE_MAX })
        }
        Some(Err(_)) => Err(OnvifError::BadAnswer { reason: "it is no message of a WebSocket" }),
    }
}

#[derive(Deserialize)]
struct Body {
    method: Option<String>,
    params: Option<Params>,
    data: Option<IgnoredAny>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Params {
    notification: Option<Told>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

/// Its time is not read: cameras' clocks are wrong.
#[derive(Deserialize)]
struct Told {
    topic: String,
    message: Option<Lists>,
}

#[derive(Deserialize)]
struct Lists {
    source: Option<Map<String, Value>>,
    key: Option<Map<String, Value>>,
    data: Option<Map<String, Value>>,
}

fn said(text: &[u8]) -> Result<Said, OnvifError> {
    let unfit = OnvifError::BadAnswer { reason: "it is no message of an event stream" };
    let body: Body = serde_json::from_slice(text).map_err(|_| unfit)?;
    Ok(match (body.method.as_deref(), body.error, body.params) {
        (Some(STEP), Some(Refusal { code, message }), _) => Said::Refused { code, message },
        (Some(STEP), None, _) if body.data.is_some() => Said::Configured,
        (Some("events:notify"), _, Some(Params { notification: Some(told) })) => {
            let Lists { source, key, data } =
                told.message.unwrap_or(Lists { source: None, key: None, data: None });
            Said::Told(Notification {
                topic: cut(&told.topic, TOPIC_MAX).to_owned(),
                // It is not told whether something is news.
                operation: None,
                source: items(source),
                key: items(key),
                data: items(data),
            })
        }
        _ => Said::Something,
    })
}

fn items(list: Option<Map<String, Value>>) -> Vec<Item> {
    let item = |(name, value): (String, Value)| {
        let value = match value {
            Value::String(text) => text,
            Value::Bool(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            _ => return None,
        };
        Some(Item {
            name: cut(name.trim(), ITEM_NAME_MAX).to_owned(),
            value: cut(value.trim(), ITEM_VALUE_MAX).to_owned(),
        })
    };
    list.into_iter().flatten().take(ITEMS_MAX).filter_map(item).collect()
}

/// Any bytes are a message or an error; calls back with what they tell.
pub(super) fn fuzz(data: &[u8], mut check: impl FnMut(&CameraEvent)) {
    let mut memory = Memory::default();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(Said::Told(notification)) = said(line) {
            memory.take(&notification).iter().for_each(&mut check);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{EventKind, EventPhase};

    use super::*;

    fn notify(topic: &str, source: &str, data: &str) -> String {
        format!(
            r#"{{"apiVersion":"1.0","method":"events:notify","params":{{"notification":{{"timestamp":1639385866198,"topic":"{topic}","message":{{"source":{{{source}}},"key":{{}},"data":{{{data}}}}}}}}}}}"#
        )
    }

    /// (kind, phase, rule) of what is told line by line.
    fn take(lines: &[String]) -> Vec<(EventKind, EventPhase, Option<String>)> {
        let mut memory = Memory::default();
        let told = lines.iter().flat_map(|line| match said(line.as_bytes()).unwrap() {
            Said::Told(notification) => memory.take(&notification),
            other => panic!("{other:?}"),
        });
        told.map(|event| (event.kind, event.phase, event.rule)).collect()
    }

    /// What cameras of Axis tell, as VAPIX has it.
    #[test]
    fn what_cameras_of_axis_tell_is_known() {
        use EventKind::{Input, Line, Motion, Person, Sound, Tampering, Zone};
        let platform = "tnsaxis:CameraApplicationPlatform";
        let rows = [
            (format!("{platform}/VMD/Camera1ProfileANY"), "", r#""active":"1""#, Motion, None),
            (format!("{platform}/ObjectAnalytics/Device1Scenario1"), "", r#""active":"1""#, Motion, None),
            (
                format!("{platform}/ObjectAnalytics/Device1Scenario2"),
                "",
                r#""active":"1","classTypes":"human""#,
                Person,
                None,
            ),
            (format!("{platform}/LoiteringGuard/Camera1Profile1"), "", r#""active":"1""#, Zone, None),
            ("tns1:VideoSource/MotionAlarm".into(), r#""Source":"0""#, r#""State":"1""#, Motion, Some("0")),
            (
                "tns1:VideoSource/tnsaxis:Tampering".into(),
                r#""channel":"1""#,
                r#""tampering":"1""#,
                Tampering,
                None,
            ),
            (
                "tns1:AudioSource/tnsaxis:TriggerLevel".into(),
                r#""channel":"1""#,
                r#""triggered":"1""#,
                Sound,
                None,
            ),
            ("tns1:Device/tnsaxis:IO/Port".into(), r#""port":"1""#, r#""state":"1""#, Input, Some("1")),
            ("tns1:Device/tnsaxis:IO/VirtualPort".into(), r#""port":"7""#, r#""state":1"#, Input, Some("7")),
            (
                "tns1:Device/tnsaxis:IO/VirtualInput".into(),
                r#""port":"2""#,
                r#""active":"1""#,
                Input,
                Some("2"),
            ),
            (
                "tns1:Device/Trigger/DigitalInput".into(),
                r#""InputToken":"3""#,
                r#""LogicalState":true"#,
                Input,
                Some("3"),
            ),
        ];
        for (topic, source, data, kind, rule) in rows {
            let off = data.replacen("\"1\"", "\"0\"", 1).replacen(":1", ":0", 1).replace("true", "false");
            let lines =
                [notify(&topic, source, &off), notify(&topic, source, data), notify(&topic, source, &off)];
            let rule = rule.map(str::to_owned);
            let expected = [(kind, EventPhase::Began, rule.clone()), (kind, EventPhase::Ended, rule)];
            assert_eq!(take(&lines), expected, "{topic}");
        }
        let fence = format!("{platform}/FenceGuard/Camera1Profile1");
        assert_eq!(take(&[notify(&fence, "", r#""active":"1""#)])[0].0, Line);
        for topic in [
            "tns1:VideoSource/tnsaxis:LiveStreamAccessed",
            "tns1:VideoSource/tnsaxis:DayNightVision",
            "tns1:Device/tnsaxis:Status/SystemReady",
            "tns1:Device/tnsaxis:HardwareFailure/StorageFailure",
            "tns1:VideoAnalytics/tnsaxis:TrackEnded",
            "tns1:UserAlarm/tnsaxis:Recurring/Interval",
            "tns1:PTZController/tnsaxis:PTZReady",
            "tnsaxis:Storage/Alert",
            "",
        ] {
            assert_eq!(take(&[notify(topic, "", r#""active":"1""#)]), [], "{topic}");
        }
    }

    #[test]
    fn answers_are_told_from_news_and_what_is_neither_is_an_error() {
        let answer = |rest: &str| {
            said(format!(r#"{{"apiVersion":"1.0","method":"events:configure",{rest}}}"#).as_bytes())
        };
        assert_eq!(answer(r#""data":{}"#), Ok(Said::Configured));
        let refused = Said::Refused { code: 2104, message: "Invalid".into() };
        assert_eq!(answer(r#""error":{"code":2104,"message":"Invalid"}"#), Ok(refused));
        for other in [
            r#"{"method":"other:notify","params":{}}"#,
            "{}",
            r#"{"method":"events:notify","params":{"notification":null}}"#,
            r#"{"method":"events:configure"}"#,
        ] {
            assert_eq!(said(other.as_bytes()), Ok(Said::Something), "{other}");
        }
        let deep = format!("{{\"data\":{}", "[".repeat(100_000));
        for bad in ["", "[]", "null", r#"{"method":7}"#, r#"{"method":"events:notify","params":[]}"#, &deep] {
            assert!(matches!(said(bad.as_bytes()), Err(OnvifError::BadAnswer { .. })), "{:.40}", bad);
        }
    }

    #[test]
    fn what_a_camera_says_is_cut_and_its_lists_are_short() {
        let many: Vec<String> = (0..1_000).map(|n| format!("\"n{n}\":\"{}\"", "x".repeat(500))).collect();
        let line = notify(&"t".repeat(1_000), &many.join(","), r#""a":{"deep":1},"b":[1],"c":null,"d":true"#);
        let Said::Told(told) = said(line.as_bytes()).unwrap() else { panic!() };
        assert_eq!((told.topic.len(), told.source.len(), told.data.len()), (TOPIC_MAX, ITEMS_MAX, 1));
        assert!(told.source.iter().all(|item| item.value.len() == ITEM_VALUE_MAX));
    }

    #[test]
    fn the_stream_is_asked_for_as_vapix_has_it() {
        let asked: Value = serde_json::from_str(CONFIGURE).unwrap();
        assert_eq!((&asked["method"], &asked["apiVersion"]), (&STEP.into(), &"1.0".into()));
        assert_eq!(asked["params"]["eventFilterList"].as_array().unwrap().len(), 1);
        assert!(!Limits::default().pause.is_zero(), "a flood is not read as fast as it comes");
    }
}
