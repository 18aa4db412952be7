//! The requests of which events are made, and what their answers say (ONVIF
//! Core Specification sections 8 and 9, OASIS WS-BaseNotification 1.3).

use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime, Time};

use super::soap::{self, ADDRESSING};
use super::xml::{Element, Namespace, cut};

pub(super) const DEVICE: Namespace = &["http://www.onvif.org/ver10/device/wsdl"];
const EVENTS: Namespace = &["http://www.onvif.org/ver10/events/wsdl"];
pub(super) const SCHEMA: Namespace = &["http://www.onvif.org/ver10/schema"];
const NOTIFICATION: Namespace = &["http://docs.oasis-open.org/wsn/b-2"];
/// A pull point's times are of the one standard when it is made and of the
/// other when it is asked.
const TIMES: Namespace = &[NOTIFICATION[0], EVENTS[0]];

/// One request, but for whom it goes to.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// As errors name it.
    pub(super) step: &'static str,
    pub(super) action: &'static str,
    pub(super) body: String,
}

pub(super) fn ask_time() -> Request {
    Request {
        step: "GetSystemDateAndTime",
        action: "http://www.onvif.org/ver10/device/wsdl/GetSystemDateAndTime",
        body: format!("<GetSystemDateAndTime xmlns=\"{}\"/>", DEVICE[0]),
    }
}

pub(super) fn ask_services() -> Request {
    Request {
        step: "GetServices",
        action: "http://www.onvif.org/ver10/device/wsdl/GetServices",
        body: format!(
            "<GetServices xmlns=\"{}\"><IncludeCapability>false</IncludeCapability></GetServices>",
            DEVICE[0]
        ),
    }
}

pub(super) fn ask_capabilities() -> Request {
    Request {
        step: "GetCapabilities",
        action: "http://www.onvif.org/ver10/device/wsdl/GetCapabilities",
        body: format!("<GetCapabilities xmlns=\"{}\"><Category>All</Category></GetCapabilities>", DEVICE[0]),
    }
}

pub(super) fn subscribe(lifetime: Duration) -> Request {
    Request {
        step: "CreatePullPointSubscription",
        action: "http://www.onvif.org/ver10/events/wsdl/EventPortType/CreatePullPointSubscriptionRequest",
        body: format!(
            "<CreatePullPointSubscription xmlns=\"{}\"><InitialTerminationTime>{}</InitialTerminationTime>\
             </CreatePullPointSubscription>",
            EVENTS[0],
            duration(lifetime)
        ),
    }
}

pub(super) fn synchronise() -> Request {
    Request {
        step: "SetSynchronizationPoint",
        action: "http://www.onvif.org/ver10/events/wsdl/PullPointSubscription/SetSynchronizationPointRequest",
        body: format!("<SetSynchronizationPoint xmlns=\"{}\"/>", EVENTS[0]),
    }
}

pub(super) fn pull(poll: Duration, messages: usize) -> Request {
    Request {
        step: "PullMessages",
        action: "http://www.onvif.org/ver10/events/wsdl/PullPointSubscription/PullMessagesRequest",
        body: format!(
            "<PullMessages xmlns=\"{}\"><Timeout>{}</Timeout><MessageLimit>{messages}</MessageLimit></PullMessages>",
            EVENTS[0],
            duration(poll)
        ),
    }
}

pub(super) fn renew(lifetime: Duration) -> Request {
    Request {
        step: "Renew",
        action: "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/RenewRequest",
        body: format!(
            "<Renew xmlns=\"{}\"><TerminationTime>{}</TerminationTime></Renew>",
            NOTIFICATION[0],
            duration(lifetime)
        ),
    }
}

pub(super) fn unsubscribe() -> Request {
    Request {
        step: "Unsubscribe",
        action: "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/UnsubscribeRequest",
        body: format!("<Unsubscribe xmlns=\"{}\"/>", NOTIFICATION[0]),
    }
}

/// XML Schema part 2 section 3.2.6, in seconds alone: some cameras read nothing
/// else.
fn duration(duration: Duration) -> String {
    format!("PT{}S", duration.as_secs().max(1))
}

/// An answer of another kind than was asked for, or without what it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfit(pub(super) &'static str);

/// By the camera's clock. `None` if it does not say.
pub(super) fn system_time(answer: &Element) -> Option<OffsetDateTime> {
    let told = answer.child(DEVICE, "SystemDateAndTime")?.child(SCHEMA, "UTCDateTime")?;
    let number = |part: &str, name: &str| -> Option<i32> {
        told.child(SCHEMA, part)?.child(SCHEMA, name)?.text().parse().ok()
    };
    let small = |part: &str, name: &str| u8::try_from(number(part, name)?).ok();
    let month = time::Month::try_from(small("Date", "Month")?).ok()?;
    let date = Date::from_calendar_date(number("Date", "Year")?, month, small("Date", "Day")?).ok()?;
    let time =
        Time::from_hms(small("Time", "Hour")?, small("Time", "Minute")?, small("Time", "Second")?).ok()?;
    Some(date.with_time(time).assume_utc())
}

/// As the camera names its address, in an answer to either question.
pub(super) fn event_service(answer: &Element) -> Option<&str> {
    service(answer, EVENTS, "Events")
}

/// Of the service with this namespace, which is called so among the capabilities.
pub(super) fn service<'a>(answer: &'a Element, namespace: Namespace, capability: &str) -> Option<&'a str> {
    let of_services = || {
        let is_ours = |service: &&Element| {
            service.child(DEVICE, "Namespace").is_some_and(|named| namespace.contains(&named.text()))
        };
        answer.all(DEVICE, "Service").find(is_ours)?.child(DEVICE, "XAddr")
    };
    let of_capabilities =
        || answer.child(DEVICE, "Capabilities")?.child(SCHEMA, capability)?.child(SCHEMA, "XAddr");
    of_services().or_else(of_capabilities).map(Element::text).filter(|address| !address.is_empty())
}

/// Where to ask for notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PullPoint {
    /// As the camera names it.
    pub(super) address: String,
    /// What each request to it must carry, as XML.
    pub(super) parameters: String,
    pub(super) lifetime: Option<Duration>,
}

pub(super) fn pull_point(answer: &Element) -> Result<PullPoint, Unfit> {
    if !answer.is(EVENTS, "CreatePullPointSubscriptionResponse") {
        return Err(Unfit("it is of no pull point"));
    }
    let reference =
        answer.child(EVENTS, "SubscriptionReference").ok_or(Unfit("the pull point has no reference"))?;
    let address = reference.child(ADDRESSING, "Address").map_or("", Element::text);
    if address.is_empty() {
        return Err(Unfit("the pull point has no address"));
    }
    let parameters = soap::parameters(reference).ok_or(Unfit("the pull point's parameters are none"))?;
    Ok(PullPoint { address: address.to_owned(), parameters, lifetime: lifetime(answer) })
}

pub(super) fn renewed(answer: &Element) -> Result<Option<Duration>, Unfit> {
    if !answer.is(NOTIFICATION, "RenewResponse") {
        return Err(Unfit("it is of no renewal"));
    }
    Ok(lifetime(answer))
}

/// How much longer a subscription lives, by the camera's clock alone. `None` if
/// it does not say, or says nonsense, as cameras do that mix up time zones.
fn lifetime(answer: &Element) -> Option<Duration> {
    let time = |name| answer.child(TIMES, name).and_then(|time| date_time(time.text()));
    let lifetime = time("TerminationTime")? - time("CurrentTime")?;
    Duration::try_from(lifetime).ok().filter(|lifetime| !lifetime.is_zero())
}

/// XML Schema part 2 section 3.2.7; without a zone it counts as UTC.
fn date_time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339))
        .ok()
}

/// One thing that a camera tells (ONVIF Core Specification section 9.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notification {
    pub(super) topic: String,
    /// `None` where nothing lasts.
    pub(super) operation: Option<Operation>,
    /// Where it happened.
    pub(super) source: Vec<Item>,
    /// Which of several there.
    pub(super) key: Vec<Item>,
    pub(super) data: Vec<Item>,
}

/// Why a property is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// This is how it stands, as a subscriber had asked.
    Initialized,
    Changed,
    Deleted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) value: String,
}

/// Of each of the three lists of a notification; the rest is left out.
pub(super) const ITEMS_MAX: usize = 16;
/// In bytes; longer ones are cut.
pub(super) const ITEM_NAME_MAX: usize = 64;
pub(super) const ITEM_VALUE_MAX: usize = 256;
pub(super) const TOPIC_MAX: usize = 512;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pulled {
    pub(super) notifications: Vec<Notification>,
    /// How many more there were than are taken.
    pub(super) surplus: usize,
    pub(super) lifetime: Option<Duration>,
}

/// At most `messages` notifications.
pub(super) fn pulled(answer: &Element, messages: usize) -> Result<Pulled, Unfit> {
    if !answer.is(EVENTS, "PullMessagesResponse") {
        return Err(Unfit("it is of no messages"));
    }
    let mut told = answer.all(NOTIFICATION, "NotificationMessage");
    let notifications = told.by_ref().take(messages).filter_map(notification).collect();
    Ok(Pulled { notifications, surplus: told.count(), lifetime: lifetime(answer) })
}

fn notification(element: &Element) -> Option<Notification> {
    let topic = element.child(NOTIFICATION, "Topic")?.text();
    let message = element.child(NOTIFICATION, "Message")?.child(SCHEMA, "Message")?;
    let operation = match message.attribute("PropertyOperation") {
        Some("Initialized") => Some(Operation::Initialized),
        Some("Changed") => Some(Operation::Changed),
        Some("Deleted") => Some(Operation::Deleted),
        _ => None,
    };
    let items = |list: &str| -> Vec<Item> {
        let simple = message.child(SCHEMA, list).into_iter().flat_map(|list| list.all(SCHEMA, "SimpleItem"));
        let item = |element: &Element| {
            let text = |name, max| Some(cut(element.attribute(name)?.trim(), max).to_owned());
            Some(Item { name: text("Name", ITEM_NAME_MAX)?, value: text("Value", ITEM_VALUE_MAX)? })
        };
        simple.take(ITEMS_MAX).filter_map(item).collect()
    };
    Some(Notification {
        topic: cut(topic, TOPIC_MAX).to_owned(),
        operation,
        source: items("Source"),
        key: items("Key"),
        data: items("Data"),
    })
}

#[cfg(test)]
mod tests;
