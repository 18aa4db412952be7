//! `lenskeep recording list` and `lenskeep export`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use model::wire::Gap;
use model::{CameraId, EpochId, GatewayId, Hash, Rendition, Timestamp};
use seal::action::Action;
use seal::recording::{ChunkRef, ReadError, Recording};
use serde::{Deserialize, Serialize};

use crate::client::Session;
use crate::dating::{self, Known};
use crate::device;
use crate::grants::Grants;
use crate::mp4::{self, Clips, Source};
use crate::proof::ProofFile;
use crate::times;

/// How long before a stretch a recording may have ended whose key its note has.
const BEFORE_MS: u64 = Timestamp::HOUR;
/// No recording outlives its epoch.
const RECORDING_MS_MAX: u64 = Timestamp::HOUR;

#[derive(clap::Args)]
pub(crate) struct Range {
    #[arg(long, value_name = "ID")]
    pub(crate) camera: CameraId,
    /// RFC 3339 (2026-11-23T10:00:00Z), or a time ago such as 15m or 2h.
    #[arg(long, value_name = "TIME", value_parser = times::parse, default_value = "1h")]
    pub(crate) from: Timestamp,
    #[arg(long, value_name = "TIME", value_parser = times::parse, default_value = "now")]
    pub(crate) to: Timestamp,
    /// `main` or `sub`.
    #[arg(long, default_value = "main")]
    pub(crate) rendition: Rendition,
}

#[derive(clap::Args)]
pub(crate) struct ExportKind {
    /// Why; stands in the history with this device's signature.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Leave the sound out.
    #[arg(long)]
    no_sound: bool,
    /// Write a proof beside it: that the gateway sealed these pictures as of this camera and time.
    /// Whoever has it opens this part of the recordings and no other; `lenskeep verify` reads it.
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
}

#[derive(Deserialize, Serialize)]
struct Page {
    recordings: Vec<Listed>,
    gaps: Vec<Gap>,
    more_from: Option<Timestamp>,
    /// Of servers of before: no.
    #[serde(default)]
    site_unreachable: bool,
}

/// The cloud's index of one recording: where to look, not what to believe.
#[derive(Deserialize, Serialize)]
struct Listed {
    id: Hash,
    epoch: EpochId,
    started_at: Timestamp,
    duration_ms: u64,
    bytes: u64,
    codec: String,
    has_audio: bool,
    available: bool,
    /// On its gateway alone so far, through which it is read.
    #[serde(default)]
    on_site: bool,
}

#[derive(Serialize, Default)]
struct List {
    recordings: Vec<Listed>,
    gaps: Vec<Gap>,
    /// The gateway was not reached, and may have more that it has not forwarded.
    site_unreachable: bool,
}

impl List {
    fn say_what_may_be_missing(&self) {
        if self.site_unreachable {
            println!(
                "The gateway does not answer. It may have more of this time that it has not forwarded yet."
            );
        }
    }
}

pub(crate) async fn list(session: &Session, range: &Range, as_json: bool) -> anyhow::Result<()> {
    let list = fetch(session, range).await?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&list)?);
        return Ok(());
    }
    if list.recordings.is_empty() {
        println!("No recordings in this time. A recording is listed when it has closed.");
    }
    for recording in &list.recordings {
        let Listed { id, started_at, duration_ms, bytes, codec, on_site, .. } = recording;
        let begin = times::format(*started_at);
        let place = if *on_site { "  on the gateway" } else { "" };
        println!("{begin}  {:>6.1} s  {bytes:>9} bytes  {codec}  {id}{place}", *duration_ms as f64 / 1_000.0);
    }
    list.say_what_may_be_missing();
    for gap in &list.gaps {
        let (from, to) = (times::format(gap.from), times::format(gap.to));
        println!("gap {from} to {to}: {}", gap.reason.as_str().replace('_', " "));
    }
    Ok(())
}

async fn fetch(session: &Session, range: &Range) -> anyhow::Result<List> {
    let Range { camera, rendition, mut from, to } = *range;
    ensure!(from < to, "--from must be before --to");
    let mut list = List::default();
    loop {
        let path =
            format!("/api/v1/cameras/{camera}/recordings?from={}&to={}&rendition={rendition}", from.0, to.0);
        let page: Page = session.client.get(&path).await?;
        list.recordings.extend(page.recordings);
        list.gaps.extend(page.gaps);
        list.site_unreachable |= page.site_unreachable;
        match page.more_from {
            Some(more) if more > from => from = more,
            _ => return Ok(list),
        }
    }
}

/// Opens the recordings of a range and writes one MP4, or several where the
/// camera's parameters changed; and the proof of them, if one is wanted.
pub(crate) async fn export(
    session: &mut Session,
    range: &Range,
    kind: ExportKind,
    out: &Path,
) -> anyhow::Result<()> {
    let ExportKind { reason, no_sound, proof } = kind;
    let mut list = fetch(session, range).await?;
    let maybe = if list.site_unreachable {
        "; the gateway does not answer, and may have some that it has not forwarded yet"
    } else {
        ""
    };
    ensure!(!list.recordings.is_empty(), "there are no recordings in this time{maybe}");
    list.recordings.sort_by_key(|listed| listed.started_at);
    // What cannot be written is said before the history says that it was exported.
    let mut proof = proof.map(ProofFile::begin).transpose()?;
    let Range { camera, from, to, .. } = *range;
    session.act(Action::Export { camera, from, to, reason }).await?;
    let progress = ProgressBar::new(list.recordings.len() as u64);
    progress.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} recordings, {eta} left")?);
    let mut grants = Grants::default();
    let mut clips = Clips::at(out);
    let (mut last, mut gateways) = (None, BTreeSet::new());
    let known = Known::of(&session.home, &session.roster)?;
    let (mut log, mut undated, mut signatures) = (None, 0, BTreeSet::new());
    for listed in &list.recordings {
        let path = format!("/api/v1/recordings/{}?camera={camera}", listed.id);
        let reading = session.client.bytes(&path).await;
        let bytes = reading.with_context(|| {
            let begin = times::format(listed.started_at);
            let place = if listed.on_site { ", which is on its gateway alone," } else { "" };
            format!("the recording that began at {begin}{place} was not read")
        })?;
        let recording = Recording::parse(&bytes)?;
        // First the header: what is not believed is not read on.
        let opener = grants.opener(session, &recording.header).await?;
        recording.verify(&session.roster)?;
        ensure!(recording.header.id == listed.id, "the cloud sent another recording than was asked for");
        let header = &recording.header.header;
        ensure!(
            header.camera == range.camera && header.rendition == range.rendition,
            "the cloud sent a recording of another camera"
        );
        ensure!(
            last.replace(header.started_at).is_none_or(|last| last < header.started_at),
            "the cloud lists recordings again, or with other times than the gateway's"
        );
        let source = Source::of(header, !no_sound);
        let wanted = wanted(&recording, &source, range);
        for chunk in &wanted {
            let mut buffer = chunk.ciphertext.to_vec();
            let opened = opener.open(chunk.number, chunk.head_bytes, &mut buffer).map(|plain| plain.len());
            let length = match opened {
                Err(error @ ReadError::NoKey(_)) if source.is_sound(chunk.head.track) => {
                    return Err(anyhow::Error::new(error)
                        .context("you may watch this camera and not hear it: export with --no-sound"));
                }
                opened => opened?,
            };
            buffer.truncate(length);
            signatures.extend(source.camera_signatures(chunk.head.track, &buffer));
            clips.add(&source, chunk.head, buffer.into())?;
        }
        if let Some(proof) = &mut proof {
            let dating = dating::fetch(session, &known, &recording).await;
            undated += usize::from(dating.as_ref().is_none_or(|dating| dating.stored.is_none()));
            proof.add(&recording, &opener, &source, &wanted, dating.as_ref())?;
            log = log.or(dating);
        }
        gateways.insert(header.gateway);
        progress.inc(1);
    }
    progress.finish_and_clear();
    let mut files = clips.finish()?;
    if let Some(proof) = proof {
        files.push(proof.finish()?);
        println!("Whoever verifies the proof needs, by another way:");
        for gateway in gateways.iter().filter_map(|id| session.roster.gateway(*id)) {
            println!("  {}", device::gateway_in_words(gateway));
        }
        for words in dating::keys_in_words(&known, log.as_ref(), session.roster.org()) {
            println!("  {words}");
        }
        if undated > 0 {
            println!(
                "Of {undated} recordings the proof does not show that they exist by now: they are not in the history \
                 yet. An export in some minutes can."
            );
        }
    }
    list.say_what_may_be_missing();
    for gap in &list.gaps {
        let (from, to) = (times::format(gap.from), times::format(gap.to));
        println!("gap {from} to {to}: {}", gap.reason.as_str().replace('_', " "));
    }
    if let Some(words) = mp4::signed_by_camera(&signatures) {
        println!("{words}");
    }
    for file in files {
        println!("{}", file.display());
    }
    Ok(())
}

/// Gateway and epoch of what is recorded in a stretch, or shortly before it, as the
/// recording itself says and the gateway signed.
pub(crate) async fn place_of(
    session: &mut Session,
    grants: &mut Grants,
    camera: CameraId,
    (from, to): (Timestamp, Timestamp),
) -> anyhow::Result<Option<(GatewayId, EpochId)>> {
    let range =
        Range { camera, from: from.minus_ms(BEFORE_MS), to: to.plus_ms(1), rendition: Rendition::Main };
    let list = fetch(session, &range).await?;
    let covers = |listed: &&Listed| listed.started_at.plus_ms(listed.duration_ms) >= from;
    let Some(listed) = list.recordings.iter().find(covers).or(list.recordings.last()) else {
        return Ok(None);
    };
    let bytes = session.client.bytes(&format!("/api/v1/recordings/{}?camera={camera}", listed.id)).await?;
    let recording = Recording::parse(&bytes)?;
    grants.opener(session, &recording.header).await?;
    recording.verify(&session.roster)?;
    let header = &recording.header.header;
    ensure!(header.camera == camera, "the cloud sent a recording of another camera");
    ensure!(is_near(header.started_at, (from, to)), "the cloud sent a recording of another time");
    Ok(Some((header.gateway, header.epoch)))
}

/// Whether the key of what was recorded then may seal a note: one of another time would
/// open it to devices that had access then.
fn is_near(started_at: Timestamp, (from, to): (Timestamp, Timestamp)) -> bool {
    started_at <= to && started_at.plus_ms(RECORDING_MS_MAX + BEFORE_MS) >= from
}

/// Chunks of the range, from the key frame at or before it on, so that it
/// decodes; none of a recording that lies outside, whatever the cloud listed.
fn wanted<'r>(recording: &'r Recording<'_>, source: &Source, range: &Range) -> Vec<&'r ChunkRef<'r>> {
    let of_source = || recording.chunks.iter().filter(|chunk| source.has(chunk.head.track));
    let at = |chunk: &ChunkRef<'_>| source.at(chunk.head.track, chunk.head.time);
    if !of_source().any(|chunk| (range.from..range.to).contains(&at(chunk))) {
        return Vec::new();
    }
    let before = of_source().filter(|chunk| chunk.head.is_key_frame());
    let before = before.take_while(|chunk| at(chunk) <= range.from).last();
    let first = before.map_or(0, |chunk| chunk.number);
    of_source().filter(|chunk| chunk.number >= first && at(chunk) < range.to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hostile cloud lists an old recording as one of now, so that the note is sealed
    /// with a key that devices have which were shut out since.
    #[test]
    fn a_note_has_the_key_of_its_own_time() {
        let now = Timestamp(1_795_824_000_000);
        let range = (now, now.plus_ms(Timestamp::MINUTE));
        for ago in [0, Timestamp::MINUTE, Timestamp::HOUR, 2 * Timestamp::HOUR] {
            assert!(is_near(now.minus_ms(ago), range), "{ago}");
        }
        assert!(!is_near(now.minus_ms(2 * Timestamp::HOUR + 1), range));
        assert!(!is_near(now.minus_ms(365 * Timestamp::DAY), range));
        assert!(!is_near(range.1.plus_ms(1), range));
    }
}
