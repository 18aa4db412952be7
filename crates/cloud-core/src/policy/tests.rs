use model::Timestamp;

use super::*;

const NOW: Timestamp = Timestamp(1_763_836_800_000);

fn files(text: &str) -> Files {
    Files::from([("own.cedar".to_owned(), text.to_owned())])
}

fn faults(text: &str) -> String {
    let errors = Policies::parse(files(text)).unwrap_err();
    errors.iter().map(|error| format!("{error}\n")).collect()
}

fn every_question() -> Vec<Question> {
    let ids = |text: &str| text.to_owned();
    let person = PersonAsker {
        id: ids("anna"),
        has_device: true,
        opens: ["all".to_owned()].into(),
        administers: true,
        ..PersonAsker::default()
    };
    let askers = [
        Asker::Person(person.with_roles(&["viewer group:doors".parse().unwrap()].into())),
        Asker::Gateway { id: ids("north"), posture: Posture::Good },
        Asker::Service {
            id: ids("screen"),
            opens: ["all".to_owned()].into(),
            permissions: [ServicePermission::ListCameras].into(),
        },
    ];
    let objects = [
        Object::Organisation { id: ids("org"), administrators_needed: 1 },
        Object::Gateway { id: ids("north"), posture: Posture::Failing },
        Object::Camera {
            id: ids("door"),
            gateway: ids("north"),
            groups: ["doors".to_owned()].into(),
            posture: Posture::Unknown,
        },
        Object::Device { id: ids("phone"), owner: ids("anna") },
    ];
    let circumstances = Circumstances {
        second_factor: true,
        approvals: 2,
        network: Some("2001:db8::1".parse().unwrap()),
        reason: Some("\"quoted\" \\ and ünïcode".to_owned()),
        ..Circumstances::at(NOW)
    };
    let mut questions = Vec::new();
    for asker in askers {
        for object in objects.clone() {
            for operation in Operation::ALL.iter().copied() {
                questions.push(Question {
                    asker: asker.clone(),
                    operation,
                    object: object.clone(),
                    circumstances: circumstances.clone(),
                });
            }
        }
    }
    questions
}

#[test]
fn what_is_built_fits_the_schema() {
    let policies = Policies::builtin();
    assert_eq!(policies.warnings(), [""; 0]);
    let mut fitting = std::collections::BTreeSet::new();
    for question in every_question() {
        // Unchecked, each gets an answer, and it is no if the schema does not
        // know of such a question.
        let answer = policies.ask(&question).unwrap();
        match policies.ask_strictly(&question) {
            Ok(strict) => {
                assert_eq!(strict, answer);
                fitting.insert(question.operation);
            }
            Err(_) => assert!(!answer.allowed, "{question:?}"),
        }
    }
    assert_eq!(fitting.into_iter().collect::<Vec<_>>(), Operation::ALL, "every action can be asked");
}

#[test]
fn faults_name_the_place() {
    let cases = [
        ("\n\npermit (principal, action, resource)", "own.cedar line 3"),
        ("permit (principal, action, resource);", "needs `@id(\"…\")`"),
        ("@id(\"a\") permit (principal, action, resource);", "needs `@why(\"…\")`"),
        ("@id(\"a\") @why(\"b\") permit (principal is Robot, action, resource);", "policy a"),
        ("@id(\"a\") @why(\"b\") permit (principal, action == Action::\"fly\", resource);", "policy a"),
        (
            "@id(\"a\") @why(\"b\") forbid (principal, action, resource) when { context.weekdey == 1 };",
            "policy a",
        ),
        (
            "@id(\"a\") @why(\"b\") permit (principal is Person, action, resource is Camera) \
             when { context.reason == \"x\" };",
            "policy a",
        ),
        (
            "@id(\"a\") @why(\"b\") permit (principal, action, resource);\
             @id(\"a\") @why(\"c\") forbid (principal, action, resource);",
            "policy a",
        ),
        ("@id(\"a\") @why(\"b\") permit (principal == ?principal, action, resource);", "templates"),
    ];
    for (text, told) in cases {
        let faults = faults(text);
        assert!(faults.contains(told), "{text}: {faults}");
    }
}

#[test]
fn sets_are_bounded() {
    let parse = |files: Files| Policies::parse(files).map(drop).unwrap_err()[0].to_string();
    assert!(parse(Files::new()).contains("0 files"));
    let many = (0..=FILES_MAX).map(|n| (format!("f{n}.cedar"), String::new())).collect();
    assert!(parse(many).contains("33 files"));
    assert!(parse(files(&" ".repeat(BYTES_MAX + 1))).contains("bytes"));
    for name in ["../x.cedar", ".cedar", "x.txt", "a b.cedar", "x.cedar\n"] {
        assert!(parse(Files::from([(name.to_owned(), String::new())])).contains("letters"), "{name}");
    }
    let policies: String = (0..=POLICIES_MAX)
        .map(|n| format!("@id(\"p{n}\") @why(\"w\") permit (principal, action, resource);\n"))
        .collect();
    assert!(parse(files(&policies)).contains("200 policies"));
}

/// The engine's parser is recursive. What passes the bounds must parse, or
/// fail, on the smallest stack that a thread of a server has.
#[test]
fn policies_nested_without_end_are_refused() {
    let policy = |condition: String| {
        format!("@id(\"a\") @why(\"b\") permit (principal, action, resource) when {{ {condition} }};")
    };
    for (open, close) in [("(", ")"), ("[", "]"), ("{\"a\": ", "}"), ("!(", ")"), ("principal.a(", ")")] {
        let nested = |depth| policy(format!("{}true{}", open.repeat(depth), close.repeat(depth)));
        assert!(faults(&nested(1_000)).contains("nested"));
        let _ = Policies::parse(files(&nested(23)));
    }
    for (link, told) in [
        ("!", "operators"),
        ("-", "operators"),
        ("true && ", "operators"),
        ("if true then true else ", "`if`"),
    ] {
        let chain = |length| policy(format!("{}true", link.repeat(length)));
        assert!(faults(&chain(1_000)).contains(told));
        let longest = (1..1_000).take_while(|length| bounds::check(&chain(*length)).is_ok()).last();
        let _ = Policies::parse(files(&chain(longest.unwrap())));
    }
}

#[test]
fn the_digest_is_of_every_byte_and_name() {
    let text = "@id(\"a\") @why(\"b\") permit (principal, action, resource);";
    let one = Policies::parse(files(text)).unwrap();
    assert_eq!(one.digest(), digest(one.files()));
    assert_ne!(one.digest(), Policies::parse(files(&format!("{text} "))).unwrap().digest());
    let renamed = Files::from([("other.cedar".to_owned(), text.to_owned())]);
    assert_ne!(one.digest(), digest(&renamed));
    // The web app's test has the same figure.
    let pinned = Files::from([
        ("b.cedar".to_owned(), "permit".to_owned()),
        ("a.cedar".to_owned(), "ü\n\"".to_owned()),
    ]);
    assert_eq!(
        digest(&pinned).to_string(),
        "e2f131370177ccd855fb91302eaaaba210ebe4ad18fae9f04a77b1048965a820"
    );
}

/// What is left out for speed must not change an answer, however a policy
/// spells a name.
#[test]
fn a_name_behind_an_escape_is_found() {
    let policies = Policies::parse(files(
        "@id(\"a\") @why(\"b\") permit (principal is Person, action, resource is Camera) \
         when { resource in principal[\"\\u{6f}pens\"] && context[\"n\\u{6f}w\"] > datetime(\"2020-01-01\") };",
    ))
    .unwrap();
    let mut allowed = 0;
    for question in every_question() {
        let answer = policies.ask(&question).unwrap();
        if let Ok(strict) = policies.ask_strictly(&question) {
            assert_eq!(strict, answer);
        }
        allowed += u32::from(answer.allowed);
    }
    assert!(allowed > 0);
}

mod any_bytes {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// Cut, doubled, and with anything put in: parsed or refused, never a panic.
        #[test]
        fn are_survived(at in 0.0f64..1.0, length in 0usize..300, times in 0usize..60, put in ".{0,12}") {
            let text = &Policies::builtin().files()["people.cedar"].clone();
            let from = text.floor_char_boundary((text.len() as f64 * at) as usize);
            let to = text.floor_char_boundary((from + length).min(text.len()));
            let changed = format!("{}{}{put}{}", &text[..from], text[from..to].repeat(times), &text[to..]);
            let _ = Policies::parse(files(&changed));
        }
    }
}
