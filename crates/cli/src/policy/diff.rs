//! What a change of policies opens and closes, person by person and camera by
//! camera, before it is put in force.

use std::collections::BTreeMap;

use anyhow::ensure;
use cloud_core::policy::{Circumstances, Operation, Policies, Question};

use super::world::World;

/// Each is a few microseconds, twice.
const QUESTIONS_MAX: usize = 5_000_000;

/// Whom and what it is about; everybody and all cameras where nothing stands.
#[derive(Default, clap::Args)]
pub(crate) struct Part {
    /// These people only.
    #[arg(long, value_name = "ID")]
    person: Vec<String>,
    /// These cameras only.
    #[arg(long, value_name = "ID")]
    camera: Vec<String>,
}

pub(super) struct Change {
    pub(super) person: String,
    pub(super) camera: String,
    pub(super) opens: Vec<Operation>,
    pub(super) closes: Vec<Operation>,
}

pub(super) struct Compared {
    pub(super) questions: usize,
    pub(super) changes: Vec<Change>,
}

/// `progress` is told how many questions have been asked.
pub(super) fn compare(
    (old, new): (&Policies, &Policies),
    world: &World,
    part: &Part,
    circumstances: &Circumstances,
    progress: impl Fn(usize),
) -> anyhow::Result<Compared> {
    let wanted = |chosen: &[String], name: &String| chosen.is_empty() || chosen.contains(name);
    let people: Vec<&String> = world.people.keys().filter(|name| wanted(&part.person, name)).collect();
    let cameras: Vec<&String> = world.cameras.keys().filter(|name| wanted(&part.camera, name)).collect();
    let size = people.len() * cameras.len() * Operation::OF_CAMERAS.len();
    ensure!(
        size <= QUESTIONS_MAX,
        "that is {size} questions for {} people and {} cameras; at most {QUESTIONS_MAX} are asked: choose \
         some with --person and --camera",
        people.len(),
        cameras.len()
    );
    let objects = cameras.iter().map(|camera| Ok(((*camera).clone(), world.object(camera)?)));
    let objects: BTreeMap<_, _> = objects.collect::<anyhow::Result<_>>()?;
    let mut compared = Compared { questions: 0, changes: Vec::new() };
    for person in people {
        let asker = world.asker(person)?;
        for (camera, object) in objects.iter().filter(|(camera, _)| world.opens(person, camera)) {
            let mut change = Change {
                person: person.clone(),
                camera: camera.clone(),
                opens: Vec::new(),
                closes: Vec::new(),
            };
            for operation in Operation::OF_CAMERAS {
                let question = Question {
                    asker: asker.clone(),
                    operation,
                    object: object.clone(),
                    circumstances: circumstances.clone(),
                };
                match (old.ask(&question)?.allowed, new.ask(&question)?.allowed) {
                    (false, true) => change.opens.push(operation),
                    (true, false) => change.closes.push(operation),
                    _ => {}
                }
                compared.questions += 1;
            }
            if !change.opens.is_empty() || !change.closes.is_empty() {
                compared.changes.push(change);
            }
        }
        progress(compared.questions);
    }
    Ok(compared)
}
