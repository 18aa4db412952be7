//! Answers in the shapes of the specification and of several makes.

use super::*;

fn answer(body: &str) -> Element {
    let text = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
        <SOAP-ENV:Envelope xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope"
            xmlns:wsa5="http://www.w3.org/2005/08/addressing" xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2"
            xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:tev="http://www.onvif.org/ver10/events/wsdl"
            xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:tns1="http://www.onvif.org/ver10/topics">
        <SOAP-ENV:Header/><SOAP-ENV:Body>{body}</SOAP-ENV:Body></SOAP-ENV:Envelope>"#
    );
    soap::read(text.as_bytes()).unwrap()
}

fn item(name: &str, value: &str) -> Item {
    Item { name: name.into(), value: value.into() }
}

#[test]
fn every_request_is_xml_of_its_namespace() {
    let requests = [
        ask_time(),
        ask_services(),
        ask_capabilities(),
        subscribe(Duration::from_secs(600)),
        synchronise(),
        pull(Duration::from_secs(20), 100),
        renew(Duration::from_secs(600)),
        unsubscribe(),
    ];
    for request in requests {
        let content = soap::read(soap::envelope("", &request.body).as_bytes()).unwrap();
        assert_eq!(&*content.name, request.step);
        assert!(request.action.contains(request.step));
        assert!([DEVICE, EVENTS, NOTIFICATION].concat().contains(&&*content.namespace));
    }
    assert!(pull(Duration::from_millis(20_400), 7).body.contains("PT20S</Timeout><MessageLimit>7<"));
    assert!(pull(Duration::ZERO, 7).body.contains("PT1S"));
}

#[test]
fn the_cameras_clock() {
    let told = |utc: &str| {
        system_time(&answer(&format!(
            "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType>\
             <tt:UTCDateTime>{utc}</tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
        )))
    };
    let at = |hour: u8, day: u8| {
        told(&format!(
            "<tt:Time><tt:Hour>{hour}</tt:Hour><tt:Minute>5</tt:Minute><tt:Second>9</tt:Second></tt:Time>\
             <tt:Date><tt:Year>2026</tt:Year><tt:Month>2</tt:Month><tt:Day>{day}</tt:Day></tt:Date>"
        ))
    };
    assert_eq!(at(23, 28).map(OffsetDateTime::unix_timestamp), Some(1_772_319_909));
    assert_eq!((at(24, 28), at(23, 30), told("")), (None, None, None));
}

#[test]
fn the_event_service_is_named_in_two_ways() {
    let services = r#"<tds:GetServicesResponse>
        <tds:Service><tds:Namespace>http://www.onvif.org/ver10/media/wsdl</tds:Namespace><tds:XAddr>http://h/media</tds:XAddr></tds:Service>
        <tds:Service><tds:Namespace>http://www.onvif.org/ver10/events/wsdl</tds:Namespace><tds:XAddr> http://h/events </tds:XAddr></tds:Service>
        </tds:GetServicesResponse>"#;
    let capabilities = r#"<tds:GetCapabilitiesResponse><tds:Capabilities>
        <tt:Media><tt:XAddr>http://h/media</tt:XAddr></tt:Media>
        <tt:Events><tt:XAddr>http://h/events</tt:XAddr><tt:WSPullPointSupport>true</tt:WSPullPointSupport></tt:Events>
        </tds:Capabilities></tds:GetCapabilitiesResponse>"#;
    for body in [services, capabilities] {
        assert_eq!(event_service(&answer(body)), Some("http://h/events"));
    }
    for body in [
        "<tds:GetServicesResponse/>",
        "<tds:GetCapabilitiesResponse><tds:Capabilities/></tds:GetCapabilitiesResponse>",
    ] {
        assert_eq!(event_service(&answer(body)), None);
    }
}

#[test]
fn a_pull_point_lives_by_the_cameras_clock() {
    let made = |times: &str| {
        pull_point(&answer(&format!(
            "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference>\
             <wsa5:Address>http://h/sub?Idx=1&amp;x=2</wsa5:Address></tev:SubscriptionReference>{times}\
             </tev:CreatePullPointSubscriptionResponse>"
        )))
        .unwrap()
    };
    let times = |current: &str, end: &str| {
        format!(
            "<wsnt:CurrentTime>{current}</wsnt:CurrentTime><wsnt:TerminationTime>{end}</wsnt:TerminationTime>"
        )
    };
    let rows = [
        (times("2009-02-01T00:00:00Z", "2009-02-01T00:10:00Z"), Some(600)),
        (times("1970-01-01T00:00:00.5", "1970-01-01T00:01:00.5"), Some(60)),
        (times("2026-01-01T08:00:00+08:00", "2026-01-01T00:01:00Z"), Some(60)),
        // A camera that adds its zone to one of them.
        (times("2026-01-01T08:00:00Z", "2026-01-01T00:10:00Z"), None),
        (times("2026-01-01T08:00:00Z", "2026-01-01T08:00:00Z"), None),
        (times("0000-00-00T00:00:00Z", "2026-01-01T08:00:00Z"), None),
        (String::new(), None),
    ];
    for (text, seconds) in rows {
        let made = made(&text);
        assert_eq!(made.address, "http://h/sub?Idx=1&x=2");
        assert_eq!(made.lifetime.map(|lifetime| lifetime.as_secs()), seconds, "{text}");
    }
    let nameless = "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference/></tev:CreatePullPointSubscriptionResponse>";
    assert_eq!(pull_point(&answer(nameless)), Err(Unfit("the pull point has no address")));
    assert!(pull_point(&answer("<tev:PullMessagesResponse/>")).is_err());
}

#[test]
fn a_renewal_says_how_long_it_holds() {
    let text = "<wsnt:RenewResponse><wsnt:TerminationTime>2026-01-01T00:01:00Z</wsnt:TerminationTime>\
                <wsnt:CurrentTime>2026-01-01T00:00:00Z</wsnt:CurrentTime></wsnt:RenewResponse>";
    assert_eq!(renewed(&answer(text)), Ok(Some(Duration::from_secs(60))));
    assert_eq!(renewed(&answer("<wsnt:RenewResponse/>")), Ok(None));
    assert!(renewed(&answer("<wsnt:UnsubscribeResponse/>")).is_err());
}

const MOTION: &str = r#"<wsnt:NotificationMessage>
    <wsnt:SubscriptionReference><wsa5:Address>http://h/sub</wsa5:Address></wsnt:SubscriptionReference>
    <wsnt:Topic Dialect="http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet">tns1:RuleEngine/CellMotionDetector/Motion</wsnt:Topic>
    <wsnt:ProducerReference><wsa5:Address>http://h</wsa5:Address></wsnt:ProducerReference>
    <wsnt:Message><tt:Message UtcTime="2026-01-01T00:00:00Z" PropertyOperation="Changed">
      <tt:Source><tt:SimpleItem Name="VideoSourceConfigurationToken" Value="1"/><tt:SimpleItem Name="Rule" Value="Yard &amp; gate"/></tt:Source>
      <tt:Key><tt:SimpleItem Name="ObjectId" Value="7"/></tt:Key>
      <tt:Data><tt:SimpleItem Name="IsMotion" Value="true"/><tt:ElementItem Name="Box"><tt:Box/></tt:ElementItem></tt:Data>
    </tt:Message></wsnt:Message></wsnt:NotificationMessage>"#;

#[test]
fn notifications_are_taken_up_to_a_bound_and_the_rest_is_counted() {
    let text = format!(
        "<tev:PullMessagesResponse><tev:CurrentTime>2026-01-01T00:00:00Z</tev:CurrentTime>\
         <tev:TerminationTime>2026-01-01T00:00:30Z</tev:TerminationTime>{}</tev:PullMessagesResponse>",
        MOTION.repeat(5)
    );
    let pulled = pulled(&answer(&text), 3).unwrap();
    assert_eq!((pulled.notifications.len(), pulled.surplus), (3, 2));
    assert_eq!(pulled.lifetime, Some(Duration::from_secs(30)));
    assert_eq!(
        pulled.notifications[0],
        Notification {
            topic: "tns1:RuleEngine/CellMotionDetector/Motion".into(),
            operation: Some(Operation::Changed),
            source: vec![item("VideoSourceConfigurationToken", "1"), item("Rule", "Yard & gate")],
            key: vec![item("ObjectId", "7")],
            data: vec![item("IsMotion", "true")],
        }
    );
}

#[test]
fn what_lacks_a_topic_or_a_message_is_left_out() {
    let text = r#"<tev:PullMessagesResponse><wsnt:NotificationMessage/>
        <wsnt:NotificationMessage><wsnt:Topic>tns1:Device/Trigger/DigitalInput</wsnt:Topic></wsnt:NotificationMessage>
        <wsnt:NotificationMessage><wsnt:Topic>tns1:VideoSource/MotionAlarm</wsnt:Topic><wsnt:Message><tt:Message/></wsnt:Message></wsnt:NotificationMessage>
        </tev:PullMessagesResponse>"#;
    let pulled = pulled(&answer(text), 100).unwrap();
    let bare = Notification { topic: "tns1:VideoSource/MotionAlarm".into(), ..Notification::default() };
    assert_eq!(pulled.notifications, [bare]);
}
