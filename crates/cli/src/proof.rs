//! Proofs of exports: excerpts of the sealed recordings, one after the other
//! (`*.lkproof`, format.md section 5.1), and what they prove to a stranger.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Hash, Timestamp};
use seal::keys::VerifyingKey;
use seal::recording::{ChunkOpener, ChunkRef, Excerpt, ExcerptError, Part, Recording, TrackKind};
use seal::roster::Roster;

use crate::mp4::{Clips, Source};
use crate::times;

pub(crate) const EXTENSION: &str = "lkproof";
/// Longest file that is read: some hours of a camera.
const PROOF_BYTES_MAX: u64 = 4 << 30;

/// A proof that is being written.
pub(crate) struct ProofFile {
    path: PathBuf,
    file: File,
    excerpts: usize,
}

impl ProofFile {
    pub(crate) fn begin(path: PathBuf) -> anyhow::Result<Self> {
        let named = path.extension().is_some_and(|extension| extension == EXTENSION);
        ensure!(named, "{}: name the file of a proof *.{EXTENSION}", path.display());
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .with_context(|| format!("{} could not be made", path.display()))?;
        Ok(ProofFile { path, file, excerpts: 0 })
    }

    /// These chunks of the recording; what lies between them is withheld.
    pub(crate) fn add(
        &mut self,
        recording: &Recording<'_>,
        opener: &ChunkOpener,
        chunks: &[&ChunkRef<'_>],
    ) -> anyhow::Result<()> {
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { return Ok(()) };
        let shown: BTreeSet<u32> = chunks.iter().map(|chunk| chunk.number).collect();
        let stretch = (first.number as usize, (last.number - first.number) as usize + 1);
        let mut bytes = Vec::new();
        let written =
            Excerpt::write(recording, opener, stretch, |chunk| shown.contains(&chunk.number), &mut bytes);
        match written {
            Ok(()) => {
                self.excerpts += 1;
                self.file
                    .write_all(&bytes)
                    .with_context(|| format!("{} could not be written", self.path.display()))
            }
            Err(ExcerptError::NotClosed) => {
                tracing::warn!(
                    "the recording that began at {} was cut off and is not in the proof: its gateway has not \
                     signed it",
                    times::format(recording.header.header.started_at)
                );
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn finish(self) -> anyhow::Result<PathBuf> {
        ensure!(self.excerpts > 0, "nothing of this time can be proven: {} is empty", self.path.display());
        self.file.sync_all().with_context(|| format!("{} could not be written", self.path.display()))?;
        Ok(self.path)
    }
}

/// By whose keys a proof is judged.
pub(crate) enum Judge<'r> {
    Roster(&'r Roster),
    /// Of the one gateway, as the organisation says.
    Gateway(VerifyingKey),
}

/// The key as `--gateway-key` takes it and `lenskeep gateway list` prints it.
pub(crate) fn gateway_key(text: &str) -> anyhow::Result<VerifyingKey> {
    let bytes = STANDARD.decode(text.trim()).ok();
    let key = bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
    key.context("--gateway-key is an Ed25519 public key in base64, as `lenskeep gateway list` prints it")
}

/// What one excerpt proves, in words.
struct Proven {
    words: String,
    root: Hash,
    previous: Option<Hash>,
    begins: bool,
    ends: bool,
}

/// Says what the proof proves, and writes its pictures to `out`.
pub(crate) fn verify(judge: &Judge<'_>, path: &Path, out: Option<&Path>) -> anyhow::Result<()> {
    let failed = || format!("{} could not be read", path.display());
    let length = std::fs::metadata(path).with_context(failed)?.len();
    ensure!(length <= PROOF_BYTES_MAX, "{} is too long for a proof", path.display());
    let bytes = std::fs::read(path).with_context(failed)?;
    let place = |number: usize| format!("{}, part {number}: REFUSED", path.display());
    let (mut rest, mut excerpts): (&[u8], Vec<Excerpt<'_>>) = (&bytes, Vec::new());
    while !rest.is_empty() {
        let (excerpt, after) = Excerpt::parse(rest).with_context(|| place(excerpts.len() + 1))?;
        excerpts.push(excerpt);
        rest = after;
    }
    ensure!(!excerpts.is_empty(), "{} is empty", path.display());
    let sound = excerpts.iter().any(shows_sound);
    let (mut clips, mut proven) = (out.map(Clips::at), Vec::new());
    for (n, excerpt) in excerpts.iter().enumerate() {
        proven.push(judged(judge, excerpt, sound, clips.as_mut()).with_context(|| place(n + 1))?);
    }
    for (n, Proven { words, .. }) in proven.iter().enumerate() {
        println!("genuine  part {} of {}: {words}", n + 1, proven.len());
    }
    for (n, pair) in proven.windows(2).enumerate() {
        let joined = pair[0].ends && pair[1].begins && pair[1].previous == Some(pair[0].root);
        if !joined {
            println!("parts {} and {} are not joined: something between them may be left out", n + 1, n + 2);
        }
    }
    println!(
        "\nProven: the gateway sealed these chunks, bit by bit, as coming from this camera at this time by its clock, \
         and within a part nothing was left out but what is said to be withheld. Not proven: that the clock was \
         right, that the camera showed the truth, or what the rest of the recording shows."
    );
    if let Some(clips) = clips {
        for file in clips.finish()? {
            println!("{}", file.display());
        }
    } else {
        println!("A file beside it proves nothing: `--out FILE.mp4` writes what the proof holds.");
    }
    Ok(())
}

fn shows_sound(excerpt: &Excerpt<'_>) -> bool {
    let tracks = &excerpt.header.header.tracks;
    let is_sound = |id: u8| tracks.iter().any(|track| track.id == id && track.kind == TrackKind::Audio);
    excerpt.parts.iter().any(|part| matches!(part, Part::Shown { head, .. } if is_sound(head.track)))
}

fn judged(
    judge: &Judge<'_>,
    excerpt: &Excerpt<'_>,
    sound: bool,
    mut clips: Option<&mut Clips<'_>>,
) -> anyhow::Result<Proven> {
    let header = &excerpt.header.header;
    let (key, gateway, camera) = match judge {
        Judge::Gateway(key) => (*key, header.gateway.to_string(), header.camera.to_string()),
        Judge::Roster(roster) => {
            ensure!(header.org == roster.org(), "it is of another organisation than this roster");
            let gateway = roster.gateway(header.gateway).context("the roster knows no such gateway")?;
            let camera = roster.camera(header.camera).context("the roster knows no such camera")?;
            let key = VerifyingKey::from_bytes(&gateway.sign.0).context("the gateway's key in the roster")?;
            (
                key,
                format!("{} ({})", gateway.name, header.gateway),
                format!("{} ({})", camera.name, camera.id),
            )
        }
    };
    excerpt.verify(&key)?;
    let source = Source::of(header, sound);
    let (mut shown, mut from, mut to) = (0_u32, Timestamp(u64::MAX), Timestamp(0));
    for (index, part) in excerpt.parts.iter().enumerate() {
        let Part::Shown { head, .. } = part else { continue };
        let plaintext = excerpt.open(index).context("a shown chunk has a key")??;
        let at = source.at(head.track, head.time);
        (from, to, shown) = (from.min(at), to.max(at), shown + 1);
        if let Some(clips) = clips.as_mut() {
            clips.add(&source, *head, plaintext.into())?;
        }
    }
    ensure!(shown > 0, "it shows nothing");
    let (first, count) = (excerpt.first, excerpt.parts.len() as u32);
    let total = excerpt.footer.chunks;
    let withheld = count - shown;
    let words = format!(
        "camera {camera}, {}, {} to {}; chunks {first} to {} of {total}, {withheld} of them withheld; sealed and \
         signed by the gateway {gateway}",
        header.rendition,
        times::format(from),
        times::format(to),
        first + count - 1,
    );
    Ok(Proven {
        words,
        root: excerpt.footer.root,
        previous: excerpt.footer.previous_root,
        begins: first == 0,
        ends: u64::from(first) + u64::from(count) == u64::from(total),
    })
}
