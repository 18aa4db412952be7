//! `lenskeep bookmark`: notes about stretches of a camera's time, and evidence
//! locks. What is listed was signed by a device of the roster, and what is called
//! locked by its gateway; the cloud's word counts for neither.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use model::wire::Envelope;
use model::{BookmarkId, CameraId, EpochId, GatewayId, Hash, PersonId, Timestamp};
use seal::bookmark::{Bookmark, CASE_MAX, Lock, LockRefusal, LockResult, NOTE_MAX, Note, NoteKey};
use seal::keys::VerifyingKey;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::{Session, now, random};
use crate::grants::Grants;
use crate::recordings;
use crate::text::printable;
use crate::times;

/// For a gateway that is connected to say what it holds.
const ANSWER_WAIT: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_secs(1);
/// Later than anything that is marked.
const EVER: Timestamp = Timestamp(1 << 53);

#[derive(clap::Subcommand)]
pub(crate) enum BookmarkCommand {
    /// What people marked, with their notes, and what of it is locked.
    List {
        #[arg(long, value_name = "ID")]
        camera: Option<CameraId>,
        /// RFC 3339 (2026-11-23T10:00:00Z), or a time ago such as 15m or 2h.
        #[arg(long, value_name = "TIME", value_parser = times::parse, default_value = "30d")]
        from: Timestamp,
        #[arg(long, value_name = "TIME", value_parser = times::parse, default_value = "now")]
        to: Timestamp,
        #[arg(long)]
        json: bool,
    },
    /// Mark a stretch of a camera's time.
    Add {
        #[arg(long, value_name = "ID")]
        camera: CameraId,
        #[arg(long, value_name = "TIME", value_parser = times::parse)]
        from: Timestamp,
        /// Default: the same moment.
        #[arg(long, value_name = "TIME", value_parser = times::parse)]
        to: Option<Timestamp>,
        /// What is seen there. Who can open the footage reads it, and nobody else.
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// Name of a case that it belongs to with others.
        #[arg(long, value_name = "NAME")]
        case: Option<String>,
        /// Have the gateway delete nothing of it.
        #[arg(long)]
        lock: bool,
        #[command(flatten)]
        end: End,
    },
    /// Have the gateway delete nothing of what is marked.
    Lock {
        bookmark: BookmarkId,
        #[command(flatten)]
        end: End,
    },
    /// Lift a lock: what is marked is deleted in its time, and the note stays.
    Unlock { bookmark: BookmarkId },
    /// Remove a bookmark that locks nothing.
    Remove { bookmark: BookmarkId },
}

#[derive(clap::Args)]
pub(crate) struct End {
    /// The last day of a lock, such as 2027-12-31. Default: until somebody lifts it.
    #[arg(long, value_name = "DATE", value_parser = times::end)]
    until: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Page {
    bookmarks: Vec<Listed>,
    more_to: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Listed {
    person: Option<PersonId>,
    envelope: Envelope,
    result: Option<Envelope>,
}

/// One whose signature is of a device of the organisation.
struct Marked {
    person: Option<PersonId>,
    bookmark: Bookmark,
    /// What its gateway says of this very order.
    result: Option<LockResult>,
}

#[derive(Default)]
struct Found {
    marked: Vec<Marked>,
    /// What nobody of the organisation signed.
    unsigned: usize,
}

pub(crate) async fn run(session: &mut Session, command: BookmarkCommand) -> anyhow::Result<()> {
    match command {
        BookmarkCommand::List { camera, from, to, json } => {
            ensure!(from < to, "--from must be before --to");
            list(session, camera, (from, to), json).await
        }
        BookmarkCommand::Add { camera, from, to, note, case, lock, end } => {
            ensure!(lock || end.until.is_none(), "--until is of a lock: give --lock as well");
            let lock = lock.then_some(Lock { until: end.until });
            let note = checked(note, case)?;
            Box::pin(add(session, camera, (from, to.unwrap_or(from)), (note, lock))).await
        }
        BookmarkCommand::Lock { bookmark, end } => {
            Box::pin(change(session, bookmark, Some(Lock { until: end.until }))).await
        }
        BookmarkCommand::Unlock { bookmark } => Box::pin(change(session, bookmark, None)).await,
        BookmarkCommand::Remove { bookmark } => remove(session, bookmark).await,
    }
}

/// As every reader demands it of a note.
fn checked(text: String, case: Option<String>) -> anyhow::Result<Note> {
    ensure!(text.encode_utf16().count() <= NOTE_MAX, "a note has at most {NOTE_MAX} characters");
    let is_case = |case: &String| {
        (1..=CASE_MAX).contains(&case.encode_utf16().count()) && !case.chars().any(char::is_control)
    };
    ensure!(case.as_ref().is_none_or(is_case), "a case has a name of 1 to {CASE_MAX} characters");
    Ok(Note { text, case })
}

async fn list(
    session: &mut Session,
    camera: Option<CameraId>,
    stretch: (Timestamp, Timestamp),
    as_json: bool,
) -> anyhow::Result<()> {
    let Found { marked, unsigned } = fetch(session, camera, stretch).await?;
    let mut grants = Grants::default();
    let mut shown = Vec::new();
    for Marked { person, bookmark, result } in marked {
        let note = open(session, &mut grants, &bookmark).await;
        shown.push(Shown::of(person, &bookmark, result.as_ref(), note));
    }
    if as_json {
        println!("{}", serde_json::to_string_pretty(&json!({ "bookmarks": shown, "unsigned": unsigned }))?);
        return Ok(());
    }
    if shown.is_empty() {
        println!("Nothing is marked in this time.");
    }
    for one in &shown {
        println!("{one}");
    }
    if unsigned > 0 {
        println!(
            "{unsigned} more that the cloud lists are signed by nobody of this organisation, and left out."
        );
    }
    Ok(())
}

/// Each of them once, though others are changed while it is asked.
async fn fetch(
    session: &Session,
    camera: Option<CameraId>,
    (from, mut to): (Timestamp, Timestamp),
) -> anyhow::Result<Found> {
    let of = camera.map(|camera| format!("camera={camera}&")).unwrap_or_default();
    let mut found = Found::default();
    loop {
        let path = format!("/api/v1/bookmarks?{of}from={}&to={}", from.0, to.0);
        let page: Page = session.client.get(&path).await?;
        for listed in page.bookmarks {
            let Some(marked) = authentic(session, listed) else {
                found.unsigned += 1;
                continue;
            };
            let is_known = |known: &Marked| known.bookmark.bookmark == marked.bookmark.bookmark;
            if camera.is_none_or(|camera| camera == marked.bookmark.camera)
                && !found.marked.iter().any(is_known)
            {
                found.marked.push(marked);
            }
        }
        match page.more_to {
            Some(more) if more < to => to = more,
            _ => return Ok(found),
        }
    }
}

fn authentic(session: &Session, listed: Listed) -> Option<Marked> {
    let (bookmark, order) = Bookmark::authentic(&listed.envelope, &session.roster).ok()?;
    let result = listed.result.and_then(|result| answered(session, &bookmark, order, &result));
    Some(Marked { person: listed.person, bookmark, result })
}

/// What the bookmark's gateway signed of this order, and of no other.
fn answered(session: &Session, bookmark: &Bookmark, order: Hash, envelope: &Envelope) -> Option<LockResult> {
    let gateway = session.roster.gateway(bookmark.gateway)?;
    let key = VerifyingKey::from_bytes(&gateway.sign.0).ok()?;
    let result = LockResult::verify(envelope, (gateway.id, key)).ok()?;
    ((result.bookmark, result.order) == (bookmark.bookmark, order)).then_some(result)
}

async fn key_of(
    session: &mut Session,
    grants: &mut Grants,
    (gateway, epoch, camera): (GatewayId, EpochId, CameraId),
) -> anyhow::Result<NoteKey> {
    Ok(NoteKey::new(&grants.keys(session, gateway, epoch, camera).await?.video, camera))
}

async fn open(session: &mut Session, grants: &mut Grants, bookmark: &Bookmark) -> anyhow::Result<Note> {
    let place = (bookmark.gateway, bookmark.epoch, bookmark.camera);
    Ok(key_of(session, grants, place).await?.open(bookmark.bookmark, &bookmark.note)?)
}

async fn add(
    session: &mut Session,
    camera: CameraId,
    (from, to): (Timestamp, Timestamp),
    (note, lock): (Note, Option<Lock>),
) -> anyhow::Result<()> {
    ensure!(from <= to, "--from must not be after --to");
    ensure!(lock.is_none() || from < to, "a lock is of a stretch of time: give --to as well");
    let mut grants = Grants::default();
    let found = Box::pin(recordings::place_of(session, &mut grants, camera, (from, to))).await?;
    let (gateway, epoch) = found.context(
        "nothing is recorded there yet, or nothing that is closed; a recording closes about a minute after it began",
    )?;
    let bookmark = BookmarkId::from_random(random());
    let key = key_of(session, &mut grants, (gateway, epoch, camera)).await?;
    let marked = Bookmark {
        org: session.roster.org(),
        gateway,
        camera,
        bookmark,
        device: session.device(),
        from,
        to,
        lock,
        issued_at: now(),
        epoch,
        note: key.seal(bookmark, &note, random()),
    };
    put(session, &marked).await?;
    println!("{bookmark}");
    if lock.is_some() { wait_for_the_gateway(session, &marked).await } else { Ok(()) }
}

/// Locks, or lifts the lock.
async fn change(session: &mut Session, id: BookmarkId, lock: Option<Lock>) -> anyhow::Result<()> {
    let before = find(session, id).await?;
    ensure!(lock.is_some() || before.lock.is_some(), "it locks nothing");
    ensure!(lock.is_none() || before.from < before.to, "it marks a moment; a lock is of a stretch of time");
    let mut grants = Grants::default();
    // Under the same key, so that whoever reads it now reads it afterwards.
    let note = open(session, &mut grants, &before).await.context("its note cannot be kept")?;
    let key = key_of(session, &mut grants, (before.gateway, before.epoch, before.camera)).await?;
    let after = Bookmark {
        device: session.device(),
        lock,
        issued_at: now().max(before.issued_at.plus_ms(1)),
        note: key.seal(id, &note, random()),
        ..before
    };
    put(session, &after).await?;
    wait_for_the_gateway(session, &after).await
}

async fn find(session: &Session, id: BookmarkId) -> anyhow::Result<Bookmark> {
    let found = fetch(session, None, (Timestamp(0), EVER)).await?;
    let marked = found.marked.into_iter().find(|marked| marked.bookmark.bookmark == id);
    Ok(marked.with_context(|| format!("there is no bookmark {id} that you may see"))?.bookmark)
}

async fn put(session: &Session, bookmark: &Bookmark) -> anyhow::Result<()> {
    let envelope = bookmark.sign(&session.keys.sign);
    session.client.post("/api/v1/bookmarks", &json!({ "envelope": envelope })).await.map(drop)
}

/// What is locked is what the gateway says it holds, and not what was asked for.
async fn wait_for_the_gateway(session: &Session, bookmark: &Bookmark) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let stretch = (bookmark.from, bookmark.to.plus_ms(1));
        let found = fetch(session, Some(bookmark.camera), stretch).await?;
        let same = |marked: &&Marked| marked.bookmark == *bookmark;
        if let Some(result) = found.marked.iter().find(same).and_then(|marked| marked.result.as_ref()) {
            ensure!(result.refused.is_none(), "the gateway refused: {}", refusal(result.refused));
            match bookmark.lock {
                Some(_) => println!("{}", held(result)),
                None => println!("The gateway holds it no more."),
            }
            return Ok(());
        }
        if begun.elapsed() > ANSWER_WAIT {
            println!(
                "It waits for its gateway, which has not answered yet. `lenskeep bookmark list` says when it has."
            );
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn remove(session: &Session, id: BookmarkId) -> anyhow::Result<()> {
    session.client.delete(&format!("/api/v1/bookmarks/{id}")).await?;
    println!("{id} is removed.");
    Ok(())
}

fn held(result: &LockResult) -> String {
    let LockResult { recordings, bytes, .. } = result;
    format!("The gateway holds {recordings} recordings, {bytes} bytes.")
}

fn refusal(refused: Option<LockRefusal>) -> &'static str {
    match refused {
        None => "",
        Some(LockRefusal::NotAllowed) => "its roster does not let this device lock anything at this camera",
        Some(LockRefusal::Older) => "it took a later order of this bookmark before",
        Some(LockRefusal::Full) => "locks may hold half of what it may record, and this would be more",
        Some(LockRefusal::TooMany) => "it remembers as many bookmarks as it can",
    }
}

/// How a lock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum LockState {
    None,
    /// Nobody knows that the gateway has heard of it.
    Waiting,
    Locked,
    Refused,
    Over,
}

impl LockState {
    fn of(bookmark: &Bookmark, result: Option<&LockResult>, now: Timestamp) -> Self {
        match (bookmark.lock, result) {
            (None, _) => LockState::None,
            _ if !bookmark.locks_at(now) => LockState::Over,
            (_, None) => LockState::Waiting,
            (_, Some(LockResult { refused: Some(_), .. })) => LockState::Refused,
            (_, Some(_)) => LockState::Locked,
        }
    }
}

#[derive(Serialize)]
struct Shown {
    bookmark: BookmarkId,
    camera: CameraId,
    /// As the cloud says; null of somebody who was erased.
    person: Option<PersonId>,
    from: Timestamp,
    to: Timestamp,
    lock: LockState,
    /// None: until somebody lifts it.
    until: Option<Timestamp>,
    /// That the gateway holds.
    recordings: u64,
    note: Option<String>,
    case: Option<String>,
    /// Why the note is not here.
    problem: Option<String>,
    #[serde(skip)]
    held: String,
}

impl Shown {
    fn of(
        person: Option<PersonId>,
        bookmark: &Bookmark,
        result: Option<&LockResult>,
        note: anyhow::Result<Note>,
    ) -> Self {
        let lock = LockState::of(bookmark, result, now());
        let holding = result.filter(|_| lock == LockState::Locked);
        let held = match lock {
            LockState::None => String::new(),
            LockState::Waiting => "The lock waits for its gateway.".to_owned(),
            LockState::Locked => holding.map(held).unwrap_or_default(),
            LockState::Refused => {
                format!("The gateway locks nothing: {}.", refusal(result.and_then(|result| result.refused)))
            }
            LockState::Over => "The lock is over.".to_owned(),
        };
        let (note, problem) = match note {
            Ok(note) => (Some(note), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        let case = note.as_ref().and_then(|note| note.case.clone());
        Shown {
            bookmark: bookmark.bookmark,
            camera: bookmark.camera,
            person,
            from: bookmark.from,
            to: bookmark.to,
            lock,
            until: bookmark.lock.and_then(|lock| lock.until),
            recordings: holding.map_or(0, |result| result.recordings),
            note: note.map(|note| note.text),
            case,
            problem,
            held,
        }
    }
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (from, to) = (times::format(self.from), times::format(self.to));
        write!(f, "{}  {from} to {to}  {}", self.bookmark, self.camera)?;
        if let Some(case) = &self.case {
            write!(f, "  case {}", printable(case))?;
        }
        let text = self.note.as_deref().unwrap_or_default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            write!(f, "\n  {}", printable(line))?;
        }
        if let Some(problem) = &self.problem {
            write!(f, "\n  The note does not open here: {}", printable(problem))?;
        }
        if !self.held.is_empty() {
            write!(f, "\n  {}", self.held)?;
        }
        if let (LockState::Locked | LockState::Waiting, Some(until)) = (self.lock, self.until) {
            write!(f, " Until {}.", times::format(until))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use model::{Base64, DeviceId, OrgId};

    use super::*;

    fn bookmark(lock: Option<Lock>) -> Bookmark {
        Bookmark {
            org: OrgId::from_random([1; 16]),
            gateway: GatewayId::from_random([2; 16]),
            camera: CameraId::from_random([3; 16]),
            bookmark: BookmarkId::from_random([4; 16]),
            device: DeviceId::from_random([5; 16]),
            from: Timestamp(1_000),
            to: Timestamp(2_000),
            lock,
            issued_at: Timestamp(3_000),
            epoch: EpochId::from_random([6; 16]),
            note: Base64(Vec::new()),
        }
    }

    fn result(refused: Option<LockRefusal>) -> LockResult {
        let Bookmark { org, gateway, bookmark, .. } = bookmark(None);
        let (order, at) = (Hash([7; 32]), Timestamp(4_000));
        LockResult { org, gateway, bookmark, order, at, refused, recordings: 2, bytes: 3, recorded_ms: 4 }
    }

    #[test]
    fn what_is_called_locked_the_gateway_says() {
        let open = Some(Lock { until: None });
        let ends = Some(Lock { until: Some(Timestamp(5_000)) });
        let rows = [
            (None, Some(result(None)), LockState::None),
            (open, None, LockState::Waiting),
            (open, Some(result(None)), LockState::Locked),
            (open, Some(result(Some(LockRefusal::Full))), LockState::Refused),
            (ends, Some(result(None)), LockState::Over),
        ];
        for (lock, result, expected) in rows {
            assert_eq!(LockState::of(&bookmark(lock), result.as_ref(), Timestamp(5_000)), expected);
        }
    }

    /// The attack: somebody who may write notes colours the terminal of who reads them.
    #[test]
    fn a_note_moves_no_cursor() {
        let note = Note { text: "\u{1b}[2Ja parcel\n\n\tby the door\r".into(), case: Some("c".into()) };
        let words = Shown::of(None, &bookmark(None), None, Ok(note)).to_string();
        assert!(words.contains("  [2Ja parcel\n  by the door") && words.contains("case c"), "{words:?}");
        assert!(!words.chars().any(|c| c.is_control() && c != '\n'), "{words:?}");
    }

    #[test]
    fn notes_are_as_every_reader_wants_them() {
        assert!(checked("x".repeat(NOTE_MAX), Some("a".into())).is_ok());
        assert!(checked("x".repeat(NOTE_MAX + 1), None).is_err());
        for case in ["", "a\nb"] {
            assert!(checked(String::new(), Some(case.into())).is_err(), "{case:?}");
        }
    }
}
