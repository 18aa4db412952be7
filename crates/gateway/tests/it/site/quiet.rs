//! Footage in which nothing happened goes earlier than what is around events.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{EventKind, Hash, Quiet, Timestamp};
use seal::command::Command;
use seal::recording::Recording;

use super::administrator::now;
use super::events::{MOTION, listens, site, stored};
use super::{Site, until};

const PERSON: &str = "tns1:RuleEngine/PersonDetector/Person";
/// As the gateway has it, and a little: recordings end between two pictures.
const PRE_ROLL_MS: u64 = 5_000;
const SLACK_MS: u64 = 500;

/// A recording of the full stream that the store has: its id and when it ended.
struct Kept {
    id: Hash,
    began: Timestamp,
    ended: Timestamp,
}

impl Site {
    fn pictures(&self) -> Vec<Kept> {
        let objects = self.objects().into_iter().filter(|(name, _)| name.contains("/main/"));
        let kept = |(_, bytes): (String, Vec<u8>)| {
            let recording = Recording::parse(&bytes).unwrap();
            let (header, footer) = (&recording.header, recording.footer.as_ref().unwrap());
            let began = header.header.started_at;
            Kept { id: header.id, began, ended: began.plus_ms(footer.duration_ms) }
        };
        objects.map(kept).collect()
    }

    async fn keep_quiet(&self, kinds: &[EventKind]) {
        let quiet = Quiet { days_max: 2, kinds: kinds.iter().copied().collect() };
        self.order(Command::SetRetention { bytes_max: 100_000_000, age_days_max: 30, quiet: Some(quiet) })
            .await;
    }

    /// Stops, and starts again as if all that the cloud has were three days old.
    async fn three_days_later(&mut self) -> Vec<PathBuf> {
        self.stop().await;
        self.make_confirmed_old().await;
        let files = self.confirmed().await;
        self.cloud.forget_status();
        self.start().await;
        until("the gateway is there again", || self.cloud.last_status().is_some()).await;
        files
    }
}

fn is_of(file: &Path, ids: &BTreeSet<String>) -> bool {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    ids.iter().any(|id| name.contains(id.as_str()))
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_footage_goes_and_what_is_around_an_event_stays() {
    let mut site = site().await;
    site.add_camera().await;
    listens(&site).await;
    let heard = now();
    tokio::time::sleep(Duration::from_secs(6)).await;
    site.simulated.raise(MOTION, "Yard", Some(true));
    site.simulated.raise(MOTION, "Yard", Some(false));
    tokio::time::sleep(Duration::from_secs(9)).await;
    site.simulated.raise(PERSON, "Yard", Some(true));
    let person = || stored(&site).into_iter().find(|event| event.kind == EventKind::Person);
    until("somebody is seen", || person().is_some()).await;
    let seen = person().unwrap().at;
    until("what follows is stored", || site.pictures().iter().any(|kept| kept.began > seen.plus_ms(2_000)))
        .await;

    let pictures = site.pictures();
    let ids = |which: &dyn Fn(&&Kept) -> bool| -> BTreeSet<String> {
        pictures.iter().filter(which).map(|kept| kept.id.to_string()).collect()
    };
    let begins = seen.minus_ms(PRE_ROLL_MS);
    let quiet = ids(&|kept| kept.began > heard && kept.ended.plus_ms(SLACK_MS) < begins);
    let of_event = ids(&|kept| kept.ended >= begins);
    assert!(quiet.len() >= 3 && of_event.len() >= 2, "{} {}", quiet.len(), of_event.len());

    let files = site.three_days_later().await;
    let there =
        |ids: &BTreeSet<String>| files.iter().filter(|file| is_of(file, ids) && file.exists()).count();
    let all_of_event = there(&of_event);
    assert!(all_of_event >= 1, "something of the event was confirmed");
    assert!(there(&quiet) >= quiet.len() - 1, "they were confirmed");
    // Motion alone does not count.
    for _ in 0..100 {
        site.keep_quiet(&[EventKind::Motion]).await;
        if there(&quiet) == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(there(&quiet), 0, "what is quiet stays for ever");
    assert!(site.cloud.read_back() > 0, "the store was asked for it before");
    assert_eq!(there(&of_event), all_of_event);
    let of_others = files.iter().filter(|file| file.to_string_lossy().contains("/events/"));
    assert!(
        of_others.clone().count() >= 1 && of_others.clone().all(|file| file.exists()),
        "the record of events"
    );
}

/// A camera of which nobody tells anything has no quiet footage: that nothing is
/// known of it is no news.
#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_tells_no_events_keeps_all_of_its_footage() {
    let mut site = Site::recording().await;
    until("recordings are confirmed", || site.objects().len() >= 3).await;
    let files = site.three_days_later().await;
    assert!(files.len() >= 2);
    for _ in 0..3 {
        site.keep_quiet(&EventKind::SEEN).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(files.iter().all(|file| file.exists()), "retention took what nobody watched");
    let settings = site.cloud.settings().unwrap();
    assert_eq!(settings.quiet.map(|quiet| quiet.kinds.len()), Some(EventKind::SEEN.len()));
}
