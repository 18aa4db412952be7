//! One client's connection: requests in, answers and packets out.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::feed::Feed;
use crate::message::{self, Request};
use crate::playing::{Output, Playing, Track};
use crate::rtp::Sender;
use crate::running::{Camera, Connection};
use crate::{Fault, auth, sdp};

/// A client that takes nothing for so long is gone.
const WRITE_MAX: Duration = Duration::from_secs(10);

struct Client<'a, S> {
    stream: S,
    camera: &'a Camera,
    /// Both ends' addresses, where UDP may be used.
    udp: Option<(IpAddr, IpAddr)>,
    nonce: String,
    session: String,
    video: Option<Track>,
    audio: Option<Track>,
    playing: Option<Playing>,
}

pub(crate) async fn serve<S: Connection>(
    stream: S,
    udp: Option<(IpAddr, IpAddr)>,
    camera: &Camera,
) -> io::Result<()> {
    let (nonce, session) = (hex(random()), hex(random()));
    let mut client = Client { stream, camera, udp, nonce, session, video: None, audio: None, playing: None };
    let mut buffer = BytesMut::with_capacity(4 << 10);
    loop {
        while let Some(request) = message::take_request(&mut buffer)
            .map_err(|message::Malformed| io::Error::from(ErrorKind::InvalidData))?
        {
            camera.requests.fetch_add(1, Ordering::Relaxed);
            if !client.answer(&request).await? {
                return Ok(());
            }
        }
        let frame = async {
            match &mut client.playing {
                Some(playing) => playing.player.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            read = client.stream.read_buf(&mut buffer) => {
                if read? == 0 {
                    return Ok(());
                }
            }
            frame = frame => {
                let (Some((ticks, frame)), Some(playing)) = (frame, &mut client.playing) else {
                    return Ok(());
                };
                let mut out = Vec::new();
                let more = playing.packets(ticks, &frame, camera, &mut out);
                client.write(&out).await?;
                if let Some(playing) = &client.playing {
                    playing.played.count();
                }
                if !more {
                    return Ok(());
                }
            }
        }
        if let Some(mut endless) = client.playing.as_mut().and_then(|playing| playing.endless.take()) {
            return client.write_for_ever(|| endless.packets()).await;
        }
    }
}

impl<S: Connection> Client<'_, S> {
    /// Whether the connection stays open.
    async fn answer(&mut self, request: &Request) -> io::Result<bool> {
        match self.camera.fault() {
            Some(Fault::NoAnswer) => return Ok(true),
            Some(Fault::EndlessHead) => {
                self.write(b"RTSP/1.0 200 OK\r\nX-Lens: ").await?;
                self.write_for_ever(|| vec![b'a'; 4 << 10]).await?;
            }
            Some(Fault::Busy) if request.method == "DESCRIBE" => {
                return self.respond(request, 503, &[], "").await;
            }
            _ => {}
        }
        if request.method == "OPTIONS" {
            let public = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN".to_owned();
            return self.respond(request, 200, &[public], "").await;
        }
        if !self.allowed(request) {
            let challenges = auth::challenges(self.camera.options.auth, &self.nonce);
            return self.respond(request, 401, &challenges, "").await;
        }
        match request.method.as_str() {
            "DESCRIBE" => self.describe(request).await,
            "SETUP" => self.setup(request).await,
            "PLAY" => self.play(request).await,
            "GET_PARAMETER" | "SET_PARAMETER" => {
                let session = self.session_header();
                self.respond(request, 200, &[session], "").await
            }
            "TEARDOWN" => {
                let session = self.session_header();
                self.respond(request, 200, &[session], "").await?;
                Ok(false)
            }
            _ => self.respond(request, 405, &[], "").await,
        }
    }

    fn allowed(&self, request: &Request) -> bool {
        let Some(credentials) = &self.camera.options.credentials else {
            return self.camera.fault() != Some(Fault::WrongPassword);
        };
        let auth = self.camera.options.auth;
        self.camera.fault() != Some(Fault::WrongPassword)
            && request.header("authorization").is_some_and(|header| {
                auth::accepts(header, auth, credentials, &self.nonce, &request.method, &request.uri)
            })
    }

    fn feed(&self, path: &str) -> Option<&Feed> {
        match path.split('/').next() {
            Some("main") => Some(&self.camera.main),
            Some("sub") => self.camera.sub.as_ref(),
            _ => None,
        }
    }

    async fn describe(&mut self, request: &Request) -> io::Result<bool> {
        let Some(feed) = self.feed(request.path()) else {
            return self.respond(request, 404, &[], "").await;
        };
        let options = &self.camera.options;
        let base = format!("{}/", request.uri.trim_end_matches('/'));
        // A whole URL names the camera as it knows itself.
        let control = match options.absolute_control {
            true => format!("rtsp://camera.local/{}/", request.path()),
            false => String::new(),
        };
        let sdp = sdp::describe(feed.parameters(), options.audio, &control, self.camera.fault());
        self.respond(request, 200, &[format!("Content-Base: {base}")], &sdp).await
    }

    async fn setup(&mut self, request: &Request) -> io::Result<bool> {
        let path = request.path();
        let audio = path.ends_with("/audio");
        if self.feed(path).is_none() || !(audio || path.ends_with("/video")) {
            return self.respond(request, 404, &[], "").await;
        }
        let offered = request.header("transport").unwrap_or_default();
        let Some((output, transport)) = self.output(offered).await? else {
            return self.respond(request, 461, &[], "").await;
        };
        let payload_type = if audio { sdp::AUDIO_TYPE } else { sdp::VIDEO_TYPE };
        let (mut sequence, mut base) = (random(), random());
        if self.camera.fault() == Some(Fault::Wrap) {
            // Wraps within the first pictures.
            (sequence, base) = (65_530, u64::from(u32::MAX - 20_000));
        }
        let ssrc = (random() & 0xffff_ffff) as u32;
        let sender = Sender::new(payload_type, ssrc, (sequence & 0xffff) as u16, (base & 0xffff_ffff) as u32);
        let track = Track { sender, output };
        *(if audio { &mut self.audio } else { &mut self.video }) = Some(track);
        let headers = [format!("Transport: {transport};ssrc={ssrc:08x}"), self.session_header()];
        self.respond(request, 200, &headers, "").await
    }

    /// The first transport offered that there is (RFC 2326 section 12.39).
    async fn output(&self, offered: &str) -> io::Result<Option<(Output, String)>> {
        for transport in offered.split(',').map(str::trim) {
            let port = |name: &str| -> Option<u16> {
                let parts = transport.split(';').filter_map(|part| part.split_once('='));
                let (_, value) = parts.into_iter().find(|(key, _)| *key == name)?;
                value.split('-').next()?.parse().ok()
            };
            if transport.starts_with("RTP/AVP/TCP") {
                let channel = port("interleaved").unwrap_or(0).min(254);
                let text = format!("RTP/AVP/TCP;unicast;interleaved={channel}-{}", channel + 1);
                return Ok(Some((Output::Interleaved((channel & 0xff) as u8), text)));
            }
            let (Some((local, peer)), Some(theirs)) = (self.udp, port("client_port")) else { continue };
            let Some(theirs_rtcp) = theirs.checked_add(1) else { continue };
            let (rtp, rtcp) = (UdpSocket::bind((local, 0)).await?, UdpSocket::bind((local, 0)).await?);
            rtp.connect((peer, theirs)).await?;
            rtcp.connect((peer, theirs_rtcp)).await?;
            let ours = (rtp.local_addr()?.port(), rtcp.local_addr()?.port());
            let text = format!(
                "RTP/AVP;unicast;client_port={theirs}-{theirs_rtcp};server_port={}-{}",
                ours.0, ours.1
            );
            return Ok(Some((Output::Udp { rtp, rtcp }, text)));
        }
        Ok(None)
    }

    async fn play(&mut self, request: &Request) -> io::Result<bool> {
        let player = self.feed(request.path()).map(Feed::play);
        let (Some(player), Some(video)) = (player, self.video.take()) else {
            return self.respond(request, 454, &[], "").await;
        };
        let session = self.session_header();
        let answered = self.respond(request, 200, &[session, "Range: npt=0-".into()], "").await?;
        let played = self.camera.begin_play(request.path());
        self.playing = Some(Playing::new(player, played, video, self.audio.take()));
        Ok(answered)
    }

    fn session_header(&self) -> String {
        format!("Session: {};timeout=60", self.session)
    }

    async fn respond(
        &mut self,
        request: &Request,
        status: u16,
        headers: &[String],
        body: &str,
    ) -> io::Result<bool> {
        let response = message::response(request, status, headers, body);
        if self.camera.fault() == Some(Fault::SlowAnswers) {
            for piece in response.as_bytes().chunks(response.len().div_ceil(3)) {
                tokio::time::sleep(Duration::from_millis(150)).await;
                self.write(piece).await?;
            }
            return Ok(true);
        }
        self.write(response.as_bytes()).await?;
        Ok(true)
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let writing = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        timeout(WRITE_MAX, writing).await?
    }

    /// Ends when the client does.
    async fn write_for_ever(&mut self, mut piece: impl FnMut() -> Vec<u8> + Send) -> io::Result<()> {
        loop {
            self.write(&piece()).await?;
        }
    }
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has random bytes");
    u64::from_ne_bytes(bytes)
}

fn hex(number: u64) -> String {
    format!("{number:016x}")
}
