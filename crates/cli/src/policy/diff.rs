//! What a change of policies opens and closes before it is put in force: for
//! everybody, every action of the schema and every thing, and under all
//! circumstances that the conditions of either set tell apart.

use std::collections::BTreeMap;

use anyhow::ensure;
use cloud_core::policy::{Asker, Circumstances, Object, Operation, Policies, Question};

use super::cases::Cases;
use super::world::{ORGANISATION, When, World};

/// Each is a few microseconds, twice.
const QUESTIONS_MAX: usize = 5_000_000;
/// As it stands in lines about people's own devices.
const OWN_DEVICE: &str = "own device";

/// Whom and what it is about; everybody and everything where nothing stands.
#[derive(Default, clap::Args)]
pub(crate) struct Part {
    /// These people only.
    #[arg(long, value_name = "ID")]
    person: Vec<String>,
    /// These cameras only.
    #[arg(long, value_name = "ID")]
    camera: Vec<String>,
    /// These actions only.
    #[arg(long, value_name = "ACTION", value_parser = operation)]
    does: Vec<Operation>,
}

fn operation(text: &str) -> Result<Operation, String> {
    let known = || Operation::ALL.iter().map(|known| known.as_str()).collect::<Vec<_>>().join(", ");
    Operation::named(text).ok_or_else(|| format!("`{text}` is no action; there are {}", known()))
}

pub(super) struct Change {
    pub(super) who: String,
    /// A camera, a site, the organisation, or the person's own device.
    pub(super) what: String,
    pub(super) operation: Operation,
    pub(super) opens: bool,
    /// When; empty if always.
    pub(super) circumstances: String,
}

#[derive(Default)]
pub(super) struct Compared {
    pub(super) questions: usize,
    pub(super) changes: Vec<Change>,
}

/// Both sets, and the circumstances of each kind of question, worked out once.
struct Comparison<'c> {
    sets: (&'c Policies, &'c Policies),
    when: &'c When,
    circumstances: Circumstances,
    cases: BTreeMap<(Operation, &'static str), Cases>,
    compared: Compared,
}

/// Who may ask for what to which: askers times things times actions.
struct Group<'g> {
    kind: &'static str,
    askers: Vec<&'g String>,
    things: Vec<&'g String>,
    operations: &'static [Operation],
}

/// `progress` is told how many questions have been asked.
pub(super) fn compare(
    sets: (&Policies, &Policies),
    world: &World,
    part: &Part,
    when: &When,
    progress: impl Fn(usize),
) -> anyhow::Result<Compared> {
    let mut comparison = Comparison {
        sets,
        when,
        circumstances: when.circumstances()?,
        cases: BTreeMap::new(),
        compared: Compared::default(),
    };
    let organisation = ORGANISATION.to_owned();
    let device = OWN_DEVICE.to_owned();
    let groups = groups(world, part, (&organisation, &device));
    let mut size = 0_usize;
    for Group { kind, askers, things, operations } in &groups {
        let (Some(asker), Some(thing)) = (askers.first(), things.first()) else { continue };
        for operation in operations.iter().filter(|operation| wanted(&part.does, operation)) {
            let question = comparison.question(world, asker, thing, *operation)?;
            let cases = comparison.cases(kind, &question).count();
            size = size.saturating_add(cases.saturating_mul(askers.len() * things.len()));
        }
    }
    ensure!(
        size <= QUESTIONS_MAX,
        "that is {size} questions for {} people and {} cameras; at most {QUESTIONS_MAX} are asked: choose \
         some with --person, --camera and --does, or hold circumstances with --at, --network, \
         --second-factor, --approvals and --reason",
        world.people.len(),
        world.cameras.len()
    );
    for Group { kind, askers, things, operations } in &groups {
        for asker in askers {
            for thing in things.iter().filter(|thing| world.concerns(asker, thing)) {
                for operation in operations.iter().filter(|operation| wanted(&part.does, operation)) {
                    let question = comparison.question(world, asker, thing, *operation)?;
                    comparison.compare(kind, (asker, thing), &question);
                }
            }
            progress(comparison.compared.questions);
        }
    }
    Ok(comparison.compared)
}

fn wanted<T: PartialEq>(chosen: &[T], one: &T) -> bool {
    chosen.is_empty() || chosen.contains(one)
}

fn groups<'w>(
    world: &'w World,
    part: &Part,
    (organisation, device): (&'w String, &'w String),
) -> Vec<Group<'w>> {
    let people: Vec<&String> = world.people.keys().filter(|name| wanted(&part.person, name)).collect();
    let cameras: Vec<&String> = world.cameras.keys().filter(|name| wanted(&part.camera, name)).collect();
    // Whoever chooses people or cameras wants to hear of those.
    let others = part.person.is_empty();
    let sites: Vec<&String> = world.gateways.keys().filter(|_| part.camera.is_empty()).collect();
    let whole: Vec<&String> = [organisation].into_iter().filter(|_| part.camera.is_empty()).collect();
    let own: Vec<&String> = [device].into_iter().filter(|_| part.camera.is_empty()).collect();
    let gateways: Vec<&String> = world.gateways.keys().filter(|_| others).collect();
    let programs: Vec<&String> = world.programs.keys().filter(|_| others).collect();
    let group = |kind, askers: &[&'w String], things: &[&'w String], operations| Group {
        kind,
        askers: askers.to_vec(),
        things: things.to_vec(),
        operations,
    };
    vec![
        group("person and camera", &people, &cameras, &Operation::OF_CAMERAS),
        group("person and site", &people, &sites, &Operation::OF_GATEWAYS),
        group("person and organisation", &people, &whole, &Operation::OF_ORGANISATIONS),
        group("person and device", &people, &own, &[Operation::ReadGrants]),
        group("program and camera", &programs, &cameras, &Operation::OF_PROGRAMS.0),
        group("program and organisation", &programs, &whole, &Operation::OF_PROGRAMS.1),
        group("gateway and camera", &gateways, &cameras, &[Operation::MintUpload]),
        group("gateway and itself", &gateways, &sites, &[Operation::MintUpload]),
    ]
}

impl Comparison<'_> {
    fn question(
        &self,
        world: &World,
        who: &str,
        what: &str,
        operation: Operation,
    ) -> anyhow::Result<Question> {
        let object = match what {
            OWN_DEVICE => Object::Device { id: what.to_owned(), owner: who.to_owned() },
            what => world.object(what)?,
        };
        let asker: Asker = world.asker(who)?;
        Ok(Question { asker, operation, object, circumstances: self.circumstances.clone() })
    }

    fn cases(&mut self, kind: &'static str, question: &Question) -> &Cases {
        let (old, new) = self.sets;
        self.cases.entry((question.operation, kind)).or_insert_with(|| {
            let conditions = old.conditions(question).and(new.conditions(question));
            Cases::of(&conditions, self.when, question.circumstances.now)
        })
    }

    fn compare(&mut self, kind: &'static str, (who, what): (&str, &str), question: &Question) {
        let (old, new) = self.sets;
        let cases = self.cases(kind, question);
        let (mut opens, mut closes) = (Vec::new(), Vec::new());
        for case in 0..cases.count() {
            let asked = cases.question(question, case);
            // A set that gives no answer permits nothing.
            let allows = |set: &Policies| set.ask(&asked).is_ok_and(|answer| answer.allowed);
            match (allows(old), allows(new)) {
                (false, true) => opens.push(case),
                (true, false) => closes.push(case),
                _ => {}
            }
        }
        let count = cases.count();
        let change = |found: &[usize], opens| Change {
            who: who.to_owned(),
            what: what.to_owned(),
            operation: question.operation,
            opens,
            circumstances: cases.words(found),
        };
        let changes = [(&opens, true), (&closes, false)];
        let changes = changes.into_iter().filter(|(found, _)| !found.is_empty());
        let changes: Vec<Change> = changes.map(|(found, opens)| change(found, opens)).collect();
        self.compared.questions += count;
        self.compared.changes.extend(changes);
    }
}

#[cfg(test)]
mod tests {
    use cloud_core::policy::Files;

    use super::*;

    const WORLD: &str = r#"
        [gateways.north]
        [cameras.door]
        gateway = "north"
        groups = ["entrances"]
        [cameras.yard]
        gateway = "north"
        [people.anna]
        opens = ["group:entrances"]
        [people.root]
        opens = ["all"]
        administrator = true
        [programs.screen]
        opens = ["camera:yard"]
        permissions = ["list_cameras"]
    "#;

    fn with(text: &str) -> Policies {
        let mut files: Files = Policies::builtin().files().clone();
        files.insert("own.cedar".to_owned(), text.to_owned());
        Policies::parse(files).unwrap()
    }

    /// What a further policy changes: word, who, what, action, and when.
    fn changes(text: &str, when: &When) -> Vec<String> {
        let world = World::parse(WORLD).unwrap();
        let sets = (&Policies::builtin(), &with(text));
        let compared = compare(sets, &world, &Part::default(), when, |_| ()).unwrap();
        let told = compared.changes.iter().map(|change| {
            let Change { who, what, operation, opens, circumstances } = change;
            let word = if *opens { "opens" } else { "closes" };
            format!("{word} {who} {what} {} {circumstances}", operation.as_str()).trim().to_owned()
        });
        told.collect()
    }

    fn forbids(action: &str, condition: &str) -> String {
        format!(
            "@id(\"own\") @why(\"because\") forbid (principal is Person, action == Action::\"{action}\", resource) {condition};"
        )
    }

    #[test]
    fn what_differs_only_at_night_is_found_by_day() {
        let night =
            "when { context.now.toTime() >= duration(\"22h\") || context.now.toTime() < duration(\"6h\") }";
        let found = changes(&forbids("playback", night), &When::default());
        let at = |who: &str, what: &str| {
            format!("closes {who} {what} playback 00:00–06:00 UTC or 22:00–24:00 UTC")
        };
        assert_eq!(found, [at("anna", "door"), at("root", "door"), at("root", "yard")]);
        // Held to one time, only that is asked.
        let noon = When { at: Some("2026-11-25T12:00:00Z".to_owned()), ..When::default() };
        assert!(changes(&forbids("playback", night), &noon).is_empty());
        let weekend = changes(&forbids("live", "when { context.weekday > 5 }"), &When::default());
        assert_eq!(weekend.len(), 3);
        assert!(weekend[0].contains("Saturday") && weekend[0].contains("Sunday"), "{weekend:?}");
        assert!(!weekend[0].contains("Friday"), "{weekend:?}");
    }

    #[test]
    fn what_differs_only_without_a_second_factor_is_found() {
        let text = forbids("playback", "unless { context.secondFactor }");
        let found = changes(&text, &When::default());
        assert_eq!(found[0], "closes anna door playback without a second factor");
        assert!(changes(&text, &When { second_factor: true, ..When::default() }).is_empty());
    }

    #[test]
    fn what_differs_only_by_reason_network_posture_or_date_is_found() {
        let only = |action, condition| changes(&forbids(action, condition), &When::default())[0].clone();
        assert_eq!(
            only("export", "unless { context has reason && context.reason like \"case *\" }"),
            "closes anna door export without a reason or with a reason"
        );
        assert_eq!(
            only(
                "playback",
                "unless { context has network && context.network.isInRange(ip(\"10.0.0.0/8\")) }"
            ),
            "closes anna door playback from elsewhere (203.0.113.77)"
        );
        assert_eq!(
            only("playback", "when { resource.posture == \"unknown\" }"),
            "closes anna door playback posture unknown"
        );
        let from = only("live", "when { context.now >= datetime(\"2031-05-01\") }");
        assert!(from.contains("on the day of 2031-05-01 or the day after"), "{from}");
        assert!(!from.contains("the day before"), "{from}");
    }

    #[test]
    fn every_action_of_the_schema_is_compared() {
        let everything = "@id(\"own\") @why(\"because\") forbid (principal, action, resource);";
        let found = changes(everything, &When::default());
        let closed = |action: &Operation| {
            found
                .iter()
                .any(|line| line.starts_with("closes") && line.contains(&format!(" {}", action.as_str())))
        };
        let missing: Vec<&Operation> = Operation::ALL.iter().filter(|action| !closed(action)).collect();
        assert_eq!(missing, [&Operation::Share; 0]);
        for line in [
            "closes north north mintUpload",
            "closes north yard mintUpload",
            "closes screen organisation listCameras",
            "closes root organisation breakGlass",
            "closes root north configure",
            "closes anna own device readGrants",
            "closes root yard delete with 2 approvals",
        ] {
            assert!(found.iter().any(|found| found.starts_with(line)), "{line}: {found:#?}");
        }
    }

    #[test]
    fn what_is_no_question_is_not_asked_and_too_many_are_refused() {
        let cameras: String = (0..3_000).map(|n| format!("[cameras.c{n}]\ngateway = \"north\"\n")).collect();
        let people: String = (0..3_000).map(|n| format!("[people.p{n}]\nopens = [\"all\"]\n")).collect();
        let world = World::parse(&format!("[gateways.north]\n{cameras}{people}")).unwrap();
        let builtin = Policies::builtin();
        let ask = |part: &Part| compare((&builtin, &builtin), &world, part, &When::default(), |_| ());
        let error = ask(&Part::default()).err().unwrap().to_string();
        assert!(error.contains("5000000") && error.contains("--person, --camera and --does"), "{error}");
        let part = Part {
            person: vec!["p1".to_owned()],
            camera: vec!["c1".to_owned()],
            does: vec![Operation::Playback],
        };
        assert_eq!(ask(&part).unwrap().questions, 1);
    }

    #[test]
    fn cases_are_named_where_they_are_no_product() {
        let text =
            forbids("playback", "when { context.secondFactor || context.now.toTime() < duration(\"6h\") }");
        let found = changes(&text, &When::default());
        assert!(
            found[0].contains("00:00–06:00 UTC, without a second factor") && found[0].contains("; or "),
            "{found:?}"
        );
    }
}
