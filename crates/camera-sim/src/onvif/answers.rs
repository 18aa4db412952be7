//! What the camera answers, right and wrong.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::escape::escape;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::events::Told;

pub(super) enum Answer {
    Content(String),
    Fault(String),
    Redirect(String),
    /// With this challenge.
    Unauthorized(String),
}

impl Answer {
    pub(super) fn fault(code: &str, subcode: &str, reason: &str) -> Self {
        Answer::Fault(envelope(&format!(
            "<s:Fault><s:Code><s:Value>s:{code}</s:Value><s:Subcode><s:Value>ter:{subcode}</s:Value></s:Subcode></s:Code>\
             <s:Reason><s:Text xml:lang=\"en\">{}</s:Text></s:Reason></s:Fault>",
            escape(reason)
        )))
    }

    /// Sends back whatever it was told, as the reason of a fault.
    pub(super) fn echo(authorization: Option<&str>, body: &[u8]) -> Self {
        let told = String::from_utf8_lossy(body);
        let words: Vec<&str> = told.split(['<', '>', '"']).filter(|word| !word.contains("://")).collect();
        Answer::fault(
            "Receiver",
            "Echo",
            &format!("{} {}", authorization.unwrap_or_default(), words.join(" ")),
        )
    }

    pub(super) fn cut_off() -> Self {
        let whole = envelope("<tev:PullMessagesResponse></tev:PullMessagesResponse>");
        Answer::Content(whole[..whole.len() - 40].to_owned())
    }

    pub(super) fn entities() -> Self {
        let entities: String =
            (1..30).map(|n| format!("<!ENTITY e{n} \"{}\">", format!("&e{};", n - 1).repeat(10))).collect();
        let bomb = format!("<!DOCTYPE x [<!ENTITY e0 \"camera\">{entities}]>");
        Answer::Content(format!("{bomb}{}", envelope("&e29;")))
    }

    /// 10 MB, as one text.
    pub(super) fn huge() -> Self {
        Answer::Content(envelope(&"camera ".repeat(1_500_000)))
    }
}

fn envelope(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:wsa5=\"http://www.w3.org/2005/08/addressing\" \
         xmlns:wsnt=\"http://docs.oasis-open.org/wsn/b-2\" xmlns:wstop=\"http://docs.oasis-open.org/wsn/t-1\" \
         xmlns:trt=\"http://www.onvif.org/ver10/media/wsdl\" xmlns:tr2=\"http://www.onvif.org/ver20/media/wsdl\" \
         xmlns:tds=\"http://www.onvif.org/ver10/device/wsdl\" xmlns:tev=\"http://www.onvif.org/ver10/events/wsdl\" \
         xmlns:tt=\"http://www.onvif.org/ver10/schema\" xmlns:tns1=\"http://www.onvif.org/ver10/topics\" \
         xmlns:tptz=\"http://www.onvif.org/ver20/ptz/wsdl\" \
         xmlns:ter=\"http://www.onvif.org/ver10/error\" xmlns:xs=\"http://www.w3.org/2001/XMLSchema\">\
         <s:Header/><s:Body>{body}</s:Body></s:Envelope>"
    )
}

pub(super) fn content(body: &str) -> Answer {
    Answer::Content(envelope(body))
}

fn moment(time: OffsetDateTime) -> String {
    time.truncate_to_second().format(&Rfc3339).expect("a date within the years that dates have")
}

pub(super) fn system_time(now: OffsetDateTime) -> Answer {
    let (date, time) = (now.date(), now.time());
    content(&format!(
        "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>Manual</tt:DateTimeType>\
         <tt:DaylightSavings>false</tt:DaylightSavings><tt:TimeZone><tt:TZ>UTC0</tt:TZ></tt:TimeZone><tt:UTCDateTime>\
         <tt:Time><tt:Hour>{}</tt:Hour><tt:Minute>{}</tt:Minute><tt:Second>{}</tt:Second></tt:Time>\
         <tt:Date><tt:Year>{}</tt:Year><tt:Month>{}</tt:Month><tt:Day>{}</tt:Day></tt:Date>\
         </tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>",
        time.hour(),
        time.minute(),
        time.second(),
        date.year(),
        u8::from(date.month()),
        date.day()
    ))
}

pub(super) fn services(origin: &str, is_old: bool, ptz: bool) -> Answer {
    let service = |namespace: &str, path: &str| {
        format!(
            "<tds:Service><tds:Namespace>http://www.onvif.org/{namespace}/wsdl</tds:Namespace>\
             <tds:XAddr>{}/onvif/{path}</tds:XAddr>\
             <tds:Version><tt:Major>2</tt:Major><tt:Minor>60</tt:Minor></tds:Version></tds:Service>",
            escape(origin)
        )
    };
    let mut services = service("ver10/device", "device_service")
        + &service("ver10/events", "event_service")
        + &service("ver10/media", "media_service");
    if !is_old {
        services += &service("ver20/media", "media2_service");
    }
    if ptz {
        services += &service("ver20/ptz", "ptz_service");
    }
    content(&format!("<tds:GetServicesResponse>{services}</tds:GetServicesResponse>"))
}

pub(super) fn capabilities(origin: &str) -> Answer {
    let origin = escape(origin);
    content(&format!(
        "<tds:GetCapabilitiesResponse><tds:Capabilities>\
         <tt:Device><tt:XAddr>{origin}/onvif/device_service</tt:XAddr></tt:Device>\
         <tt:Events><tt:XAddr>{origin}/onvif/event_service</tt:XAddr>\
         <tt:WSSubscriptionPolicySupport>false</tt:WSSubscriptionPolicySupport>\
         <tt:WSPullPointSupport>true</tt:WSPullPointSupport>\
         <tt:WSPausableSubscriptionManagerInterfaceSupport>false</tt:WSPausableSubscriptionManagerInterfaceSupport>\
         </tt:Events><tt:Media><tt:XAddr>{origin}/onvif/media_service</tt:XAddr></tt:Media></tds:Capabilities></tds:GetCapabilitiesResponse>"
    ))
}

/// Its log as text.
pub(super) fn log(lines: &[String]) -> Answer {
    let lines = lines.join("\n");
    let text = escape(&lines);
    content(&format!(
        "<tds:GetSystemLogResponse><tds:SystemLog><tt:String>{text}</tt:String></tds:SystemLog></tds:GetSystemLogResponse>"
    ))
}

/// Its parameters, in base64.
pub(super) fn backup(parameters: &[String]) -> Answer {
    let data = STANDARD.encode(parameters.join("\r\n"));
    content(&format!(
        "<tds:GetSystemBackupResponse><tds:BackupFiles><tt:Name>config</tt:Name><tt:Data>{data}</tt:Data>\
         </tds:BackupFiles></tds:GetSystemBackupResponse>"
    ))
}

pub(super) fn device_information(is_axis: bool) -> Answer {
    let maker = if is_axis { "AXIS" } else { "Lenskeep" };
    content(&format!(
        "<tds:GetDeviceInformationResponse><tds:Manufacturer>{maker}</tds:Manufacturer><tds:Model>camera-sim</tds:Model>\
         <tds:FirmwareVersion>{}</tds:FirmwareVersion><tds:SerialNumber>1</tds:SerialNumber>\
         <tds:HardwareId>none</tds:HardwareId></tds:GetDeviceInformationResponse>",
        env!("CARGO_PKG_VERSION")
    ))
}

pub(super) fn service_capabilities() -> Answer {
    content(
        "<tev:GetServiceCapabilitiesResponse><tev:Capabilities WSPullPointSupport=\"true\" MaxPullPoints=\"10\"/>\
         </tev:GetServiceCapabilitiesResponse>",
    )
}

pub(super) fn event_properties() -> Answer {
    let dialect = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet";
    content(&format!(
        "<tev:GetEventPropertiesResponse>\
         <tev:TopicNamespaceLocation>http://www.onvif.org/onvif/ver10/topics/topicns.xml</tev:TopicNamespaceLocation>\
         <wsnt:FixedTopicSet>true</wsnt:FixedTopicSet>\
         <wstop:TopicSet><tns1:RuleEngine><CellMotionDetector><Motion wstop:topic=\"true\">\
         <tt:MessageDescription IsProperty=\"true\"><tt:Source>\
         <tt:SimpleItemDescription Name=\"VideoSourceConfigurationToken\" Type=\"tt:ReferenceToken\"/>\
         <tt:SimpleItemDescription Name=\"Rule\" Type=\"xs:string\"/></tt:Source>\
         <tt:Data><tt:SimpleItemDescription Name=\"IsMotion\" Type=\"xs:boolean\"/></tt:Data></tt:MessageDescription>\
         </Motion></CellMotionDetector></tns1:RuleEngine></wstop:TopicSet>\
         <wsnt:TopicExpressionDialect>{dialect}</wsnt:TopicExpressionDialect>\
         <tev:MessageContentFilterDialect>http://www.onvif.org/ver10/tev/messageContentFilter/ItemFilter</tev:MessageContentFilterDialect>\
         <tev:MessageContentSchemaLocation>http://www.onvif.org/onvif/ver10/schema/onvif.xsd</tev:MessageContentSchemaLocation>\
         </tev:GetEventPropertiesResponse>"
    ))
}

pub(super) fn pull_point(
    origin: &str,
    id: u32,
    by_parameter: bool,
    (now, lifetime): (OffsetDateTime, Duration),
) -> Answer {
    let origin = escape(origin);
    let reference = match by_parameter {
        true => format!(
            "<wsa5:Address>{origin}/onvif/services</wsa5:Address><wsa5:ReferenceParameters>\
             <x:SubscriptionId xmlns:x=\"http://camera.example/event\">{id}</x:SubscriptionId></wsa5:ReferenceParameters>"
        ),
        false => format!("<wsa5:Address>{origin}/onvif/Subscription?Idx={id}</wsa5:Address>"),
    };
    content(&format!(
        "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference>{reference}</tev:SubscriptionReference>\
         <wsnt:CurrentTime>{}</wsnt:CurrentTime><wsnt:TerminationTime>{}</wsnt:TerminationTime>\
         </tev:CreatePullPointSubscriptionResponse>",
        moment(now),
        moment(now + lifetime)
    ))
}

pub(super) fn renewed(now: OffsetDateTime, lifetime: Duration) -> Answer {
    content(&format!(
        "<wsnt:RenewResponse><wsnt:TerminationTime>{}</wsnt:TerminationTime><wsnt:CurrentTime>{}</wsnt:CurrentTime>\
         </wsnt:RenewResponse>",
        moment(now + lifetime),
        moment(now)
    ))
}

pub(super) fn unsubscribed() -> Answer {
    content("<wsnt:UnsubscribeResponse/>")
}

pub(super) fn synchronised() -> Answer {
    content("<tev:SetSynchronizationPointResponse/>")
}

pub(super) fn pulled(now: OffsetDateTime, left: Duration, told: &[Told]) -> Answer {
    let messages: String = told.iter().map(|told| notification(told, now)).collect();
    content(&format!(
        "<tev:PullMessagesResponse><tev:CurrentTime>{}</tev:CurrentTime><tev:TerminationTime>{}</tev:TerminationTime>\
         {messages}</tev:PullMessagesResponse>",
        moment(now),
        moment(now + left)
    ))
}

/// Far more than was asked for.
pub(super) fn flood(now: OffsetDateTime) -> Answer {
    let told = |n| Told {
        topic: "tns1:RuleEngine/LineDetector/Crossed".into(),
        rule: format!("line {n}"),
        state: None,
        is_initial: false,
    };
    let told: Vec<_> = (0..1_500).map(told).collect();
    pulled(now, Duration::from_secs(60), &told)
}

fn notification(told: &Told, now: OffsetDateTime) -> String {
    let operation = match (told.state, told.is_initial) {
        (None, _) => "",
        (Some(_), true) => " PropertyOperation=\"Initialized\"",
        (Some(_), false) => " PropertyOperation=\"Changed\"",
    };
    let name = if told.topic.ends_with("/Motion") { "IsMotion" } else { "State" };
    let data = told.state.map_or_else(
        || "<tt:SimpleItem Name=\"ObjectId\" Value=\"1\"/>".to_owned(),
        |state| format!("<tt:SimpleItem Name=\"{name}\" Value=\"{state}\"/>"),
    );
    format!(
        "<wsnt:NotificationMessage>\
         <wsnt:Topic Dialect=\"http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet\">{}</wsnt:Topic>\
         <wsnt:Message><tt:Message UtcTime=\"{}\"{operation}><tt:Source>\
         <tt:SimpleItem Name=\"VideoSourceConfigurationToken\" Value=\"main\"/>\
         <tt:SimpleItem Name=\"Rule\" Value=\"{}\"/></tt:Source><tt:Data>{data}</tt:Data></tt:Message></wsnt:Message>\
         </wsnt:NotificationMessage>",
        escape(&told.topic),
        moment(now),
        escape(&told.rule)
    )
}
