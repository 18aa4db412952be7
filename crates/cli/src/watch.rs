//! `lenskeep camera watch`: opens a live stream and says how it comes in.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures_util::StreamExt as _;
use model::wire::{FRAME_CHUNK, FRAME_HEADER};
use model::{CameraId, Rendition};
use seal::recording::{CHUNK_HEAD_LEN, ChunkHead, ChunkOpener, SignedHeader, TrackKind};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Session, now};
use crate::grants::Grants;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    pub(crate) camera: CameraId,
    /// `main` or `sub`.
    #[arg(long, default_value = "main")]
    rendition: Rendition,
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    #[arg(long)]
    json: bool,
}

/// Delay: from the time that the gateway gives a picture until it was opened
/// here. The gateway's timeline begins when the first picture arrives; a camera
/// that starts with a backlog is ahead of it, and its delays are negative.
#[derive(Default, Serialize)]
struct Figures {
    first_picture_ms: u64,
    pictures: u64,
    bytes: u64,
    delay_ms_p50: i64,
    delay_ms_p99: i64,
}

struct Open {
    header: SignedHeader,
    opener: ChunkOpener,
    caught_up: bool,
}

pub(crate) async fn watch(session: &mut Session, arguments: Arguments) -> anyhow::Result<()> {
    let client = session.client.clone();
    tokio::select! {
        watched = Box::pin(look(session, arguments)) => watched,
        Err(error) = client.stay() => Err(error),
    }
}

async fn look(session: &mut Session, arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { camera, rendition, seconds, json } = arguments;
    let begun = Instant::now();
    let until = begun + Duration::from_secs(seconds);
    if !json {
        println!("Watching for {seconds} s …");
    }
    let mut socket = session.client.live(camera, rendition).await?;
    let mut grants = Grants::default();
    let mut open: Option<Open> = None;
    let mut figures = Figures::default();
    let mut delays = Vec::new();
    while let Ok(message) = timeout_at(until, socket.next()).await {
        let frame = match message.context("the live stream ended")?? {
            Message::Binary(frame) => frame,
            Message::Text(text) if text.contains("\"ended\"") => bail!("the live stream ended: {text}"),
            _ => continue,
        };
        match frame.split_first() {
            Some((&FRAME_HEADER, rest)) => open = Some(begin(session, &mut grants, camera, rest).await?),
            Some((&FRAME_CHUNK, rest)) => {
                let open = open.as_mut().context("a chunk came before its header")?;
                let Some(delay) = open.chunk(rest)? else { continue };
                if figures.pictures == 0 {
                    figures.first_picture_ms = begun.elapsed().as_millis() as u64;
                }
                figures.pictures += 1;
                figures.bytes += frame.len() as u64;
                // The group that was kept for late joiners is old by its nature.
                open.caught_up |= delay < 1_000;
                if open.caught_up && begun.elapsed() > Duration::from_secs(2) {
                    delays.push(delay);
                }
            }
            _ => bail!("a frame of an unknown kind"),
        }
    }
    ensure!(figures.pictures > 0, "no picture within {seconds} s");
    delays.sort_unstable();
    let at =
        |percent: usize| delays.get(delays.len().saturating_sub(1) * percent / 100).copied().unwrap_or(0);
    (figures.delay_ms_p50, figures.delay_ms_p99) = (at(50), at(99));
    if json {
        println!("{}", serde_json::to_string(&figures)?);
        return Ok(());
    }
    let Figures { first_picture_ms, pictures, bytes, delay_ms_p50, delay_ms_p99 } = figures;
    println!(
        "first picture after {first_picture_ms} ms; {:.1} pictures/s, {} kbit/s; delay {delay_ms_p50} ms (p50), \
         {delay_ms_p99} ms (p99)",
        pictures as f64 / seconds as f64,
        bytes * 8 / 1_000 / seconds.max(1)
    );
    Ok(())
}

async fn begin(
    session: &mut Session,
    grants: &mut Grants,
    camera: CameraId,
    bytes: &[u8],
) -> anyhow::Result<Open> {
    let header = SignedHeader::parse(bytes)?;
    ensure!(header.header.camera == camera, "the cloud shows another camera");
    let opener = grants.opener(session, &header).await?;
    Ok(Open { header, opener, caught_up: false })
}

impl Open {
    /// Opens a chunk; its delay in milliseconds if it is a picture.
    fn chunk(&mut self, bytes: &[u8]) -> anyhow::Result<Option<i64>> {
        let (number, rest) = bytes.split_first_chunk::<4>().context("a chunk that is cut off")?;
        let (head_bytes, ciphertext) =
            rest.split_first_chunk::<CHUNK_HEAD_LEN>().context("a chunk that is cut off")?;
        let head = ChunkHead::parse(head_bytes).context("a chunk with a broken head")?;
        self.opener.open(u32::from_be_bytes(*number), head_bytes, &mut ciphertext.to_vec())?;
        let header = &self.header.header;
        let video =
            header.tracks.iter().find(|track| track.id == head.track && track.kind == TrackKind::Video);
        Ok(video.map(|track| {
            let at =
                header.started_at.plus_ms(u64::from(head.time) * 1_000 / u64::from(track.timescale.max(1)));
            now().0 as i64 - at.0 as i64
        }))
    }
}
