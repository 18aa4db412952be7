use super::*;

const FROM: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const NETWORK: Asked =
    Asked::Network(Network { own: Ipv4Addr::new(192, 0, 2, 1), mask: Ipv4Addr::new(255, 255, 255, 0) });

fn id() -> String {
    probe(KINDS[0], [7; 16]).1
}

fn finder() -> Finder {
    Finder::new([id()], FindLimits::default())
}

/// As gSOAP writes it: many namespaces, prefixes of its own.
fn answer(relates_to: &str, reference: &str, scopes: &str, addresses: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:wsa=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:wsdd=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" \
         xmlns:tdn=\"http://www.onvif.org/ver10/network/wsdl\" xmlns:tt=\"http://www.onvif.org/ver10/schema\">\
         <SOAP-ENV:Header><wsa:MessageID>uuid:0</wsa:MessageID><wsa:RelatesTo>{relates_to}</wsa:RelatesTo>\
         <wsdd:AppSequence InstanceId=\"1\" MessageNumber=\"3\"/></SOAP-ENV:Header>\
         <SOAP-ENV:Body><wsdd:ProbeMatches><wsdd:ProbeMatch>\
         <wsa:EndpointReference><wsa:Address>{reference}</wsa:Address></wsa:EndpointReference>\
         <wsdd:Types>tdn:NetworkVideoTransmitter</wsdd:Types><wsdd:Scopes>{scopes}</wsdd:Scopes>\
         <wsdd:XAddrs>{addresses}</wsdd:XAddrs><wsdd:MetadataVersion>1</wsdd:MetadataVersion>\
         </wsdd:ProbeMatch></wsdd:ProbeMatches></SOAP-ENV:Body></SOAP-ENV:Envelope>"
    )
}

fn found(text: &str) -> Found {
    let mut finder = finder();
    finder.take(NETWORK, FROM, text.as_bytes());
    finder.finish(1)
}

const GOOD: &str = "http://192.0.2.10/onvif/device_service";

#[test]
fn a_question_asks_for_cameras_and_is_read_as_it_is_written() {
    for (kind, name) in KINDS.into_iter().zip(["k:NetworkVideoTransmitter", "k:Device"]) {
        let (text, id) = probe(kind, [1; 16]);
        let (header, body) = soap::read_with_header(text.as_bytes()).unwrap();
        assert_eq!(header.unwrap().child(ADDRESSING, "MessageID").unwrap().text(), id);
        assert!(body.is(DISCOVERY, "Probe"));
        assert_eq!(body.child(DISCOVERY, "Types").unwrap().text(), name);
    }
}

#[test]
fn what_makes_say_of_themselves_is_read() {
    // In the manner of Axis, Hikvision, Dahua and Reolink, in this order.
    let rows = [
        (
            "onvif://www.onvif.org/type/video_encoder onvif://www.onvif.org/Profile/Streaming \
             onvif://www.onvif.org/hardware/P3265-LVE onvif://www.onvif.org/name/AXIS%20P3265-LVE \
             onvif://www.onvif.org/location/",
            "http://192.0.2.10/onvif/device_service https://192.0.2.10/onvif/device_service \
             http://[fe80::1]/onvif/device_service",
            [Some("AXIS P3265-LVE"), Some("P3265-LVE"), None],
            2,
        ),
        (
            "onvif://www.onvif.org/type/video_encoder onvif://www.onvif.org/Profile/T \
             onvif://www.onvif.org/MAC/00:00:5e:00:53:01 onvif://www.onvif.org/hardware/DS-2CD2143G2-I \
             onvif://www.onvif.org/name/HIKVISION%20DS-2CD2143G2-I onvif://www.onvif.org/location/city/hangzhou",
            "http://192.0.2.10/onvif/device_service http://[2001:db8::10]/onvif/device_service",
            [Some("HIKVISION DS-2CD2143G2-I"), Some("DS-2CD2143G2-I"), Some("hangzhou")],
            1,
        ),
        (
            "onvif://www.onvif.org/location/country/china onvif://www.onvif.org/name/Dahua \
             onvif://www.onvif.org/hardware/IPC-HFW2431S-S onvif://www.onvif.org/extension/unique_identifier/1",
            "http://192.0.2.10/onvif/device_service",
            [Some("Dahua"), Some("IPC-HFW2431S-S"), Some("china")],
            1,
        ),
        (
            "onvif://www.onvif.org/Profile/Streaming onvif://www.onvif.org/name/Einfahrt%20S%C3%BCd \
             onvif://www.onvif.org/hardware/IPC-56060 onvif://www.onvif.org/location/china",
            "http://192.0.2.10:8000/onvif/device_service",
            [Some("Einfahrt Süd"), Some("IPC-56060"), Some("china")],
            1,
        ),
    ];
    for (scopes, addresses, words, count) in rows {
        let found = found(&answer(&id(), "urn:uuid:1", scopes, addresses));
        let [camera] = found.cameras.as_slice() else { panic!("{scopes}: {found:?}") };
        let said = [&camera.name, &camera.hardware, &camera.location].map(|words| words.as_deref());
        assert_eq!((said, camera.onvif_urls.len()), (words, count), "{scopes}");
        assert_eq!(camera.address, "192.0.2.10");
    }
}

#[test]
fn the_later_standard_is_understood_as_well() {
    let text = answer(&id(), "urn:uuid:1", "", GOOD)
        .replace(DISCOVERY[0], DISCOVERY[1])
        .replace(ADDRESSING[1], ADDRESSING[0]);
    assert_eq!(found(&text).cameras.len(), 1);
}

#[test]
fn an_answer_leads_nowhere_but_to_its_sender() {
    let rows = [
        "http://192.0.2.11/onvif/device_service",
        "http://198.51.100.1/onvif/device_service",
        "http://127.0.0.1/onvif/device_service",
        "http://169.254.169.254/latest/meta-data",
        "http://localhost/onvif/device_service",
        "http://camera.example/onvif/device_service",
        "http://192.0.2.10.example/onvif/device_service",
        "http://192.0.2.10@198.51.100.1/onvif/device_service",
        "http://user:word@192.0.2.10/onvif/device_service",
        "http://[::ffff:192.0.2.10]/onvif/device_service",
        "ftp://192.0.2.10/",
        "file:///etc/passwd",
        "",
    ];
    for addresses in rows {
        let found = found(&answer(&id(), "urn:uuid:1", "", addresses));
        assert_eq!((found.cameras.len(), found.left_out), (0, 1), "{addresses}");
        let both = format!("{addresses} {GOOD}");
        let found = self::found(&answer(&id(), "urn:uuid:1", "", &both));
        assert_eq!(found.cameras[0].onvif_urls, [OnvifUrl::parse(GOOD).unwrap()], "{addresses}");
    }
}

#[test]
fn a_forged_sender_leads_nowhere_either() {
    let own: Ipv4Addr = [169, 254, 3, 1].into();
    let link_local = Asked::Network(Network { own, mask: [255, 255, 0, 0].into() });
    let wide = Asked::Network(Network { own: [10, 0, 0, 1].into(), mask: [0, 0, 0, 0].into() });
    let rows: [(Asked, [u8; 4], bool); 7] = [
        (NETWORK, [192, 0, 2, 10], true),
        (NETWORK, [192, 0, 3, 10], false),
        (NETWORK, [127, 0, 0, 1], false),
        (link_local, [169, 254, 169, 254], false),
        (wide, [127, 0, 0, 1], false),
        (Asked::One([192, 0, 2, 10].into()), [192, 0, 2, 10], true),
        (Asked::One([192, 0, 2, 10].into()), [192, 0, 2, 11], false),
    ];
    for (asked, from, is_taken) in rows {
        let from = Ipv4Addr::from(from);
        let text = answer(&id(), "urn:uuid:1", "", &format!("http://{from}/onvif/device_service"));
        let mut finder = finder();
        finder.take(asked, from, text.as_bytes());
        assert_eq!(finder.finish(1).cameras.len(), usize::from(is_taken), "{from} of {asked:?}");
    }
}

#[test]
fn what_answers_no_question_of_ours_is_left_out() {
    let good = answer(&id(), "urn:uuid:1", "", GOOD);
    let deep = format!("{}{good}", "<x>".repeat(40));
    let rows = [
        answer("urn:uuid:00000000-0000-4000-8000-000000000000", "urn:uuid:1", "", GOOD),
        answer("", "urn:uuid:1", "", GOOD),
        good.replace("ProbeMatches", "Hello"),
        good.replace("RelatesTo", "RelatedTo"),
        format!("<!DOCTYPE x [<!ENTITY e \"x\">]>{good}"),
        good[..good.len() - 20].to_owned(),
        deep,
        "x".repeat(FindLimits::default().answer_bytes + 1),
        String::new(),
    ];
    for text in rows {
        let found = found(&text);
        assert_eq!((found.cameras.len(), found.left_out), (0, 1), "{}", super::super::xml::cut(&text, 120));
    }
}

#[test]
fn nobody_is_listed_twice_or_in_anothers_place() {
    let mut finder = finder();
    let mine = answer(&id(), "urn:uuid:1", "onvif://www.onvif.org/name/Mine", GOOD);
    for _ in 0..3 {
        finder.take(NETWORK, FROM, mine.as_bytes());
    }
    let other = Ipv4Addr::new(192, 0, 2, 66);
    let false_one = answer(
        &id(),
        "urn:uuid:1",
        "onvif://www.onvif.org/name/Other",
        "http://192.0.2.66/onvif/device_service",
    );
    finder.take(NETWORK, other, false_one.as_bytes());
    let found = finder.finish(1);
    let names: Vec<_> =
        found.cameras.iter().map(|camera| (camera.address.as_str(), camera.name.as_deref())).collect();
    assert_eq!(names, [("192.0.2.10", Some("Mine")), ("192.0.2.66", Some("Other"))]);
}

#[test]
fn a_flood_is_bounded_by_sender_and_in_all() {
    let mut finder = finder();
    for n in 0..5_000 {
        finder.take(NETWORK, FROM, answer(&id(), &format!("urn:uuid:{n}"), "", GOOD).as_bytes());
    }
    let found = finder.finish(1);
    assert_eq!((found.cameras.len(), found.more), (32, true));
    let mut finder = Finder::new([id()], FindLimits { answers: 300, ..FindLimits::default() });
    let all = Asked::Network(Network { own: [10, 0, 0, 1].into(), mask: [255, 0, 0, 0].into() });
    for n in 0..5_000_u16 {
        let [high, low] = n.to_be_bytes();
        let from = Ipv4Addr::new(10, 1, high, low);
        finder.take(all, from, answer(&id(), "urn:uuid:1", "", &format!("http://{from}/")).as_bytes());
    }
    let found = finder.finish(1);
    assert_eq!((found.cameras.len(), found.more), (128, true));
}

/// The attack: one device answers for as many as an answer holds, each with as
/// much as it takes.
#[test]
fn one_sender_neither_fills_the_list_nor_makes_it_too_large() {
    let mut finder = finder();
    let heavy = |from: Ipv4Addr, n: usize, path: &str| {
        let one =
            answer(&id(), "REFERENCE", &format!("onvif://www.onvif.org/name/{}", "%22".repeat(64)), path);
        let begin = one.find("<wsdd:ProbeMatch>").unwrap();
        let end = one.find("</wsdd:ProbeMatches>").unwrap();
        let each = |k: usize| one[begin..end].replace("REFERENCE", &format!("urn:uuid:{from}-{n}-{k}"));
        format!("{}{}{}", &one[..begin], (0..4).map(each).collect::<String>(), &one[end..])
    };
    let long = |from: Ipv4Addr, length: usize| {
        // Written as six bytes each.
        (0..4).map(|n| format!("http://{from}/{n}{} ", "é".repeat(length))).collect::<String>()
    };
    for n in 0..32 {
        finder.take(NETWORK, FROM, heavy(FROM, n, &long(FROM, 35)).as_bytes());
    }
    let one = Ipv4Addr::new(192, 0, 2, 66);
    finder.take(NETWORK, one, answer(&id(), "urn:uuid:1", "", "http://192.0.2.66/").as_bytes());
    let found = finder.finish(1);
    assert_eq!((found.cameras.len(), found.more), (33, true), "there is room for others");

    let mut finder = self::finder();
    finder.take(NETWORK, FROM, heavy(FROM, 0, &long(FROM, 300)).as_bytes());
    let found = finder.finish(1);
    assert_eq!((found.cameras.len(), found.left_out), (0, 4), "longer than addresses are");

    let mut finder = self::finder();
    for last in 1..=40 {
        let from = Ipv4Addr::new(192, 0, 2, last);
        for n in 0..32 {
            finder.take(NETWORK, from, heavy(from, n, &long(from, 35)).as_bytes());
        }
    }
    let found = finder.finish(1);
    assert!(found.more && found.cameras.len() > 32);
    let bytes = seal::to_canonical(&found).len();
    let limit = FindLimits::default().list_bytes;
    assert!(bytes > limit * 9 / 10 && bytes * 4 / 3 < seal::envelope::PAYLOAD_MAX * 9 / 10, "{bytes}");
}

#[test]
fn names_are_bounded_and_turn_nothing_round() {
    let long = format!("onvif://www.onvif.org/name/{}", "%C3%A9".repeat(100));
    let name = |scopes: &str| found(&answer(&id(), "urn:uuid:1", scopes, GOOD)).cameras[0].name.clone();
    assert_eq!(name(&long).unwrap().len(), 64);
    assert_eq!(name("onvif://www.onvif.org/name/a%E2%80%AEb%0A%1B%5B31m").as_deref(), Some("ab[31m"));
    assert_eq!(name("onvif://www.onvif.org/name/100%"), Some("100%".into()));
    assert_eq!(name("onvif://www.onvif.org/name/%20"), None);
}
