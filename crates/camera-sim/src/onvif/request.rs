//! What a client asks, as far as a camera must understand it.

use std::collections::BTreeMap;
use std::time::Duration;

use quick_xml::events::Event;
use quick_xml::{NsReader, XmlVersion};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Of an envelope with no name twice that matters here.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// The element in the body, without its prefix.
    pub(super) name: String,
    /// Texts by the names of their elements, and speeds as `PanTilt.x`.
    texts: BTreeMap<String, String>,
}

/// What a client gets that asks for no time, or one that cannot be read.
const DURATION_UNKNOWN: Duration = Duration::from_secs(60);

impl Request {
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut reader = NsReader::from_str(std::str::from_utf8(body).ok()?);
        let (mut request, mut path) = (Request::default(), Vec::<String>::new());
        loop {
            let event = reader.read_event().ok()?;
            match &event {
                Event::Start(start) | Event::Empty(start) => {
                    let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
                    if path.last().is_some_and(|parent| parent == "Body") && request.name.is_empty() {
                        request.name.clone_from(&name);
                    }
                    if name == "Password" {
                        let kind = start.try_get_attribute("Type").ok()??;
                        let kind = kind.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned();
                        request.texts.insert("PasswordType".into(), kind);
                    }
                    if name == "PanTilt" || name == "Zoom" {
                        for axis in ["x", "y"] {
                            let Some(value) = start.try_get_attribute(axis).ok()? else { continue };
                            let value = value.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned();
                            request.texts.insert(format!("{name}.{axis}"), value);
                        }
                    }
                    if matches!(event, Event::Start(_)) {
                        path.push(name);
                    }
                }
                Event::End(_) => drop(path.pop()),
                Event::Text(text) => {
                    // Between declaration and envelope there may be a line's end.
                    let Some(name) = path.last() else { continue };
                    *request.texts.entry(name.clone()).or_default() += &text.xml10_content().ok()?;
                }
                Event::GeneralRef(reference) => {
                    let name = reference.decode().ok()?;
                    let text = quick_xml::escape::resolve_predefined_entity(&name)?;
                    *request.texts.entry(path.last()?.clone()).or_default() += text;
                }
                Event::Eof => return (!request.name.is_empty()).then_some(request),
                _ => {}
            }
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(|text| text.trim())
    }

    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.text(name)?.parse().ok()
    }

    /// `PT` and minutes or seconds, or a moment.
    pub(super) fn duration(&self, name: &str, now: OffsetDateTime) -> Duration {
        let read = |text: &str| {
            if let Ok(moment) = OffsetDateTime::parse(text, &Rfc3339) {
                return Duration::try_from(moment - now).ok();
            }
            let rest = text.strip_prefix("PT")?;
            let (number, seconds) = rest
                .strip_suffix('S')
                .map(|n| (n, 1.0))
                .or_else(|| rest.strip_suffix('M').map(|n| (n, 60.0)))?;
            Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
        };
        self.text(name).and_then(read).unwrap_or(DURATION_UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_its_name_and_its_texts() {
        let text = "<?xml version='1.0'?>\n<E:Envelope xmlns:E='x'><E:Header><a:To xmlns:a='y'>h?a&amp;b</a:To></E:Header>\
                    <E:Body><t:PullMessages xmlns:t='z'><t:Timeout>PT1.5S</t:Timeout></t:PullMessages></E:Body></E:Envelope>";
        let request = Request::read(text.as_bytes()).unwrap();
        assert_eq!((request.name.as_str(), request.text("To")), ("PullMessages", Some("h?a&b")));
        let now = OffsetDateTime::now_utc();
        assert_eq!(request.duration("Timeout", now), Duration::from_millis(1_500));
        assert_eq!(request.duration("To", now), DURATION_UNKNOWN);
        assert!(Request::read(b"<x/>").is_none() && Request::read(b"x").is_none());
    }
}
