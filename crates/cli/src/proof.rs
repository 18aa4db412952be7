//! Proofs of exports: excerpts of the sealed recordings, one after the other
//! (`*.lkproof`, format.md section 5.1), and what they prove to a stranger.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{CameraId, Hash, OrgId, Rendition, Timestamp};
use seal::dating::Dating;
use seal::keys::VerifyingKey;
use seal::recording::{
    ChunkOpener, ChunkRef, Clock, Ended, Excerpt, ExcerptError, Part, Recording, TrackKind, flags,
};
use seal::roster::Roster;

use crate::dating::{self, Known};
use crate::mp4::{self, Clips, Source};
use crate::roster::unheard;
use crate::text::printable;
use crate::times;

/// Longest file that is written or read: half an hour and more of a camera.
const PROOF_BYTES_MAX: u64 = 1 << 30;
const EXTENSION: &str = "lkproof";

pub(crate) fn is_proof(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(EXTENSION))
}

/// A proof that is being written, beside its name until it is whole.
pub(crate) struct ProofFile {
    path: PathBuf,
    part: PathBuf,
    file: File,
    bytes: u64,
}

impl ProofFile {
    pub(crate) fn begin(path: PathBuf) -> anyhow::Result<Self> {
        ensure!(is_proof(&path), "{}: name the file of a proof *.{EXTENSION}", path.display());
        ensure!(!path.exists(), "{} is there already", path.display());
        let part = path.with_extension(format!("{EXTENSION}.part"));
        let file = File::create(&part).with_context(|| format!("{} could not be made", part.display()))?;
        Ok(ProofFile { path, part, file, bytes: 0 })
    }

    /// These chunks of the recording; what lies between them is withheld.
    pub(crate) fn add(
        &mut self,
        recording: &Recording<'_>,
        opener: &ChunkOpener,
        source: &Source,
        chunks: &[&ChunkRef<'_>],
        dating: Option<&Dating>,
    ) -> anyhow::Result<()> {
        let shown: BTreeSet<u32> = chunks.iter().map(|chunk| chunk.number).collect();
        let (Some(&first), Some(&last)) = (shown.first(), shown.last()) else { return Ok(()) };
        // Sound that was left out does not make the ends of a recording unproven.
        let of_source = || recording.chunks.iter().filter(|chunk| source.has(chunk.head.track));
        let first = if of_source().any(|chunk| chunk.number < first) { first as usize } else { 0 };
        let is_last = !of_source().any(|chunk| chunk.number > last);
        let end = if is_last { recording.chunks.len() } else { last as usize + 1 };
        let mut bytes = Vec::new();
        let shows = |chunk: &ChunkRef<'_>| shown.contains(&chunk.number);
        match Excerpt::write(recording, opener, (first, end - first), shows, &mut bytes) {
            Ok(()) => {}
            Err(ExcerptError::NotClosed) => {
                tracing::warn!(
                    "the recording that began at {} was cut off and is not in the proof: its gateway has not \
                     signed its end",
                    times::format(recording.header.header.started_at)
                );
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        bytes.extend(dating.map(Dating::to_bytes).unwrap_or_default());
        self.bytes += bytes.len() as u64;
        ensure!(self.bytes <= PROOF_BYTES_MAX, "a proof has at most 1 GiB: export a shorter time");
        self.file.write_all(&bytes).with_context(|| format!("{} could not be written", self.part.display()))
    }

    pub(crate) fn finish(self) -> anyhow::Result<PathBuf> {
        let failed = || format!("{} could not be written", self.path.display());
        if self.bytes == 0 {
            std::fs::remove_file(&self.part).with_context(failed)?;
            anyhow::bail!("nothing of this time can be proven: no recording of it was closed");
        }
        self.file.sync_all().with_context(failed)?;
        std::fs::rename(&self.part, &self.path).with_context(failed)?;
        Ok(self.path)
    }
}

/// By whose keys a proof is judged.
pub(crate) enum Judge<'r> {
    Roster(&'r Roster),
    /// Of gateways, as the organisation says.
    Gateways(Vec<VerifyingKey>),
}

/// A key as `--gateway-key` takes it and `lenskeep gateway list` prints it.
pub(crate) fn gateway_key(text: &str) -> anyhow::Result<VerifyingKey> {
    let bytes = STANDARD.decode(text.trim()).ok();
    let key = bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
    key.context("--gateway-key is an Ed25519 public key in base64, as `lenskeep gateway list` prints it")
}

/// What one excerpt proves.
struct Proven {
    of: (OrgId, CameraId, Rendition),
    recording: Hash,
    started_at: Timestamp,
    chunks: std::ops::Range<u32>,
    total: u32,
    root: Hash,
    previous: Option<Hash>,
    shows_sound: bool,
    words: Vec<String>,
}

/// Shown pictures with withheld ones between them: the part that shows the
/// later one, and both times.
struct Hole {
    part: usize,
    from: Timestamp,
    to: Timestamp,
}

/// Says what the proof proves, and writes its pictures to `out`.
pub(crate) fn verify(
    judge: &Judge<'_>,
    known: &Known,
    path: &Path,
    out: Option<&Path>,
) -> anyhow::Result<()> {
    let failed = || format!("{} could not be read", path.display());
    let length = std::fs::metadata(path).with_context(failed)?.len();
    ensure!(length <= PROOF_BYTES_MAX, "{} is longer than a proof can be (1 GiB)", path.display());
    let bytes = std::fs::read(path).with_context(failed)?;
    ensure!(!bytes.is_empty(), "{} is empty", path.display());
    let (mut rest, mut proven): (&[u8], Vec<Proven>) = (&bytes, Vec::new());
    while !rest.is_empty() {
        let place = || format!("{}, part {}: REFUSED", path.display(), proven.len() + 1);
        let (excerpt, after) = Excerpt::parse(rest).with_context(place)?;
        let (dating, after) = dating_of(after).with_context(place)?;
        let mut next = judged(judge, &excerpt).with_context(place)?;
        let of = dating::dated(&excerpt.header.header, excerpt.header.id, excerpt.footer.root);
        let times = dating::words(&excerpt.header.header, of, dating.as_ref(), known);
        next.words.extend(times.with_context(place)?);
        if let Some(last) = proven.last() {
            next.follows(last).with_context(place)?;
        }
        proven.push(next);
        rest = after;
    }
    for (n, part) in proven.iter().enumerate() {
        println!("genuine  part {} of {}", n + 1, proven.len());
        for words in &part.words {
            println!("         {words}");
        }
        if n > 0 && !part.joins(&proven[n - 1]) {
            println!("         not joined to the part before: something between them may be left out");
        }
    }
    println!(
        "\nProven: whoever holds the gateway's key sealed these chunks, bit by bit, as coming from this camera at \
         this time by its clock, and nothing within a part was left out but what is said above. Not proven: that \
         the gateway was in honest hands, that its clock was right beyond the times that others vouch for above, that the camera showed the truth, or what the \
         rest of the recording shows."
    );
    let Some(out) = out else {
        println!("A film beside it proves nothing: `--out FILE.mp4` writes what the proof holds.");
        return Ok(());
    };
    let sound = proven.iter().any(|part| part.shows_sound);
    let files =
        film(&bytes, out, sound).context("the proof is genuine, but its film could not be written")?;
    for file in files {
        println!("{}", file.display());
    }
    Ok(())
}

/// The dating that may follow an excerpt.
fn dating_of(bytes: &[u8]) -> anyhow::Result<(Option<Dating>, &[u8])> {
    Ok(match Dating::parse(bytes)? {
        Some((dating, after)) => (Some(dating), after),
        None => (None, bytes),
    })
}

impl Proven {
    /// One camera, forwards, nothing twice: else a film of it would lie.
    fn follows(&self, last: &Proven) -> anyhow::Result<()> {
        ensure!(self.of == last.of, "it is of another camera or rendition than the part before");
        let again = self.recording == last.recording && self.chunks.start < last.chunks.end;
        ensure!(
            !again && self.started_at >= last.started_at,
            "it goes back in time, or shows again what the part before shows"
        );
        Ok(())
    }

    fn joins(&self, last: &Proven) -> bool {
        if self.recording == last.recording {
            return self.chunks.start == last.chunks.end;
        }
        last.chunks.end == last.total && self.chunks.start == 0 && self.previous == Some(last.root)
    }
}

fn judged(judge: &Judge<'_>, excerpt: &Excerpt<'_>) -> anyhow::Result<Proven> {
    let header = &excerpt.header.header;
    let mut notes = Vec::new();
    let (gateway, camera) = match judge {
        Judge::Gateways(keys) => {
            let mut tried = keys.iter().map(|key| excerpt.verify(key));
            let found = tried.next().context("--gateway-key names no key")?;
            tried.fold(found, |found, next| found.or(next))?;
            (header.gateway.to_string(), header.camera.to_string())
        }
        Judge::Roster(roster) => {
            ensure!(header.org == roster.org(), "it is of another organisation than this roster");
            let gateway = roster.gateway(header.gateway).context("the roster knows no such gateway")?;
            let camera = roster.camera(header.camera).context("the roster knows no such camera")?;
            let key = VerifyingKey::from_bytes(&gateway.sign.0).context("the gateway's key in the roster")?;
            excerpt.verify(&key)?;
            if let Some(made) = unheard(roster, header.roster_head, header.started_at) {
                notes.push(format!(
                    "its gateway had not heard of a change of the roster from {}",
                    times::format(made)
                ));
            }
            if !roster.contains_hash(header.roster_head) {
                notes.push("its gateway went by a statement that is not in this roster".to_owned());
            }
            let named = |name: &str, id: &dyn std::fmt::Display| format!("{} ({id})", printable(name));
            (named(&gateway.name, &gateway.id), named(&camera.name, &camera.id))
        }
    };
    ensure!(header.rendition != Rendition::Events, "it shows events, and this command checks pictures");
    let source = Source::of(header, true);
    let is_sound =
        |id: u8| header.tracks.iter().any(|track| track.id == id && track.kind == TrackKind::Audio);
    let (mut pictures, mut sound, mut marked) = (Vec::new(), 0_u32, 0_u32);
    let (mut pictures_withheld, mut sound_withheld) = (0_u32, 0_u32);
    let mut signatures = BTreeSet::new();
    for (index, part) in excerpt.parts.iter().enumerate() {
        let Part::Shown { head, .. } = part else {
            let kind = if is_sound(part.head().track) { &mut sound_withheld } else { &mut pictures_withheld };
            *kind += 1;
            continue;
        };
        // Opened here already: what does not open was not sealed so.
        let plaintext = excerpt.open(index).context("a shown chunk has a key")??;
        signatures.extend(source.camera_signatures(head.track, &plaintext));
        marked += u32::from(head.flags & flags::DISCONTINUITY != 0);
        if is_sound(head.track) {
            sound += 1;
        } else {
            ensure!(
                !pictures.is_empty() || head.is_key_frame(),
                "its first picture builds on one that is not shown"
            );
            pictures.push(source.at(head.track, head.time));
        }
    }
    let (Some(from), Some(to)) = (pictures.first(), pictures.last()) else {
        anyhow::bail!("it shows no picture")
    };
    let (first, end) = (excerpt.first, excerpt.first + excerpt.parts.len() as u32);
    let total = excerpt.footer.chunks;
    let mut words = vec![
        format!(
            "camera {camera}, {}: {} pictures from {} to {}",
            header.rendition,
            pictures.len(),
            times::format(*from),
            times::format(*to)
        ),
        format!(
            "chunks {} to {end} of {total}; withheld: {pictures_withheld} of pictures, {sound_withheld} of sound; shown of \
             sound: {sound}; sealed and signed by the gateway {gateway}",
            first + 1
        ),
    ];
    for Hole { from, to, .. } in holes(excerpt, &source) {
        words.push(format!("no picture is shown between {} and {}", times::format(from), times::format(to)));
    }
    if marked > 0 {
        words.push(format!("the gateway marked {marked} places before which time or pictures are missing"));
    }
    if end == total && excerpt.footer.ended == Ended::Lost {
        words.push("the recording ended because the stream was lost or the gateway was".to_owned());
    }
    if header.clock == Clock::Unknown {
        words.push("the gateway did not know how well its clock was set".to_owned());
    }
    words.extend(mp4::signed_by_camera(&signatures));
    words.extend(notes);
    Ok(Proven {
        of: (header.org, header.camera, header.rendition),
        recording: excerpt.header.id,
        started_at: header.started_at,
        chunks: first..end,
        total,
        root: excerpt.footer.root,
        previous: excerpt.footer.previous_root,
        shows_sound: sound > 0,
        words,
    })
}

fn holes(excerpt: &Excerpt<'_>, source: &Source) -> Vec<Hole> {
    let (mut holes, mut last, mut withheld) = (Vec::new(), None, false);
    for (part, shown) in excerpt.parts.iter().enumerate() {
        let head = shown.head();
        if source.is_sound(head.track) {
            continue;
        }
        if matches!(shown, Part::Withheld { .. }) {
            withheld = true;
            continue;
        }
        let to = source.at(head.track, head.time);
        if let Some(from) = last.replace(to)
            && withheld
        {
            holes.push(Hole { part, from, to });
        }
        withheld = false;
    }
    holes
}

/// What was judged, as MP4; a hole begins another file.
fn film(mut rest: &[u8], out: &Path, sound: bool) -> anyhow::Result<Vec<PathBuf>> {
    let mut clips = Clips::at(out);
    while !rest.is_empty() {
        let (excerpt, after) = Excerpt::parse(rest)?;
        let (_, after) = dating_of(after)?;
        let source = Source::of(&excerpt.header.header, sound);
        // Of all tracks: sound that is left out is no hole.
        let whole = Source::of(&excerpt.header.header, true);
        let holes: BTreeSet<usize> = holes(&excerpt, &whole).iter().map(|hole| hole.part).collect();
        for (index, part) in excerpt.parts.iter().enumerate() {
            let Part::Shown { head, .. } = part else { continue };
            if holes.contains(&index) {
                clips.cut()?;
            }
            let plaintext = excerpt.open(index).context("a shown chunk has a key")??;
            clips.add(&source, *head, plaintext.into())?;
        }
        rest = after;
    }
    clips.finish()
}
