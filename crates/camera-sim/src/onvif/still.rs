//! Still pictures: where they are, and the picture of this moment as a JPEG. As
//! with real cameras, HTTP Digest opens them, whatever the services ask for.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType};
use quick_xml::escape::escape;
use tokio::time::Sleep;

use super::answers::{Answer, content};
use super::request::Request;
use super::{Onvif, OnvifAuth, response};
use crate::picture::Picture;
use crate::{Fault, Shape};

const PATH: &str = "/onvif/snapshot";
/// As cameras come from the factory: some dozens of kilobytes.
const QUALITY: u8 = 70;
/// From one byte to the next of a picture that is slow.
const SLOWNESS: Duration = Duration::from_millis(200);
/// Of what never ends, at a time.
const PIECE: usize = 16 << 10;

/// The content of an answer.
pub(super) enum Content {
    Whole(Option<Bytes>),
    /// Over and over, after what it begins with.
    Endless(Option<Bytes>),
    Slow(Bytes, Pin<Box<Sleep>>),
}

impl Content {
    pub(super) fn of(bytes: impl Into<Bytes>) -> Self {
        Content::Whole(Some(bytes.into()))
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut *self {
            Content::Whole(bytes) => bytes.take(),
            Content::Endless(first) => Some(first.take().unwrap_or_else(|| Bytes::from_static(&[1; PIECE]))),
            Content::Slow(bytes, sleep) => {
                std::task::ready!(sleep.as_mut().poll(context));
                *sleep = Box::pin(tokio::time::sleep(SLOWNESS));
                (!bytes.is_empty()).then(|| bytes.split_to(1))
            }
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// Where the still picture of a profile is, as the camera says it.
pub(super) fn uri(onvif: &Onvif, request: &Request, is_new: bool, fault: Option<Fault>) -> Answer {
    let token = request.text("ProfileToken").unwrap_or_default();
    if !onvif.streams.iter().any(|stream| stream.name == token) {
        return Answer::fault("Sender", "NoProfile", "there is no such profile");
    }
    let origin = match fault {
        Some(Fault::StillNone) => {
            return Answer::fault("Receiver", "ActionNotSupported", "there are no still pictures");
        }
        Some(Fault::StillElsewhere) => "http://169.254.169.254",
        _ => onvif.named(),
    };
    let address = format!("{origin}{PATH}?profile={token}");
    let uri = escape(&address);
    content(&match is_new {
        true => format!("<tr2:GetSnapshotUriResponse><tr2:Uri>{uri}</tr2:Uri></tr2:GetSnapshotUriResponse>"),
        false => format!(
            "<trt:GetSnapshotUriResponse><trt:MediaUri><tt:Uri>{uri}</tt:Uri>\
             <tt:InvalidAfterConnect>false</tt:InvalidAfterConnect><tt:InvalidAfterReboot>false</tt:InvalidAfterReboot>\
             <tt:Timeout>PT60S</tt:Timeout></trt:MediaUri></trt:GetSnapshotUriResponse>"
        ),
    })
}

pub(super) fn answer(
    onvif: &Onvif,
    target: &str,
    authorization: Option<&str>,
    fault: Option<Fault>,
) -> Response<Content> {
    onvif.stills.fetch_add(1, Ordering::Relaxed);
    let token = target.strip_prefix(PATH).and_then(|rest| rest.strip_prefix("?profile="));
    let Some(stream) = onvif.streams.iter().find(|stream| Some(stream.name) == token) else {
        let mut nothing = Response::new(Content::of("there is nothing here"));
        *nothing.status_mut() = StatusCode::NOT_FOUND;
        return nothing;
    };
    if let Some(credentials) = &onvif.credentials {
        let way = match onvif.options.auth {
            OnvifAuth::UsernameToken => OnvifAuth::Md5,
            way => way,
        };
        let mut guard = onvif.still_guard.lock().unwrap_or_else(PoisonError::into_inner);
        let right = authorization
            .is_some_and(|header| guard.accepts_header(header, way, credentials, ("GET", target)));
        if !right || fault == Some(Fault::WrongPassword) {
            return response(Answer::Unauthorized(guard.challenge(way)));
        }
    }
    let shape = Shape {
        width: stream.width as usize,
        height: stream.height as usize,
        frames_per_second: stream.frames_per_second,
    };
    let picture = || jpeg(onvif, shape);
    let (kind, content) = match fault {
        Some(Fault::StillRedirect) => {
            return response(Answer::Redirect(format!("{}{target}", onvif.named())));
        }
        Some(Fault::StillHtml) => ("text/html", Content::of("<html><script>alert(1)</script></html>")),
        Some(Fault::StillGarbage) => {
            let mut noise = vec![0; 30_000];
            aws_lc_rs::rand::fill(&mut noise).expect("the system's random numbers");
            ("image/jpeg", Content::of(noise))
        }
        Some(Fault::StillScript) => ("image/jpeg", Content::of(with_scripts(&picture()))),
        Some(Fault::StillVast) => ("image/jpeg", Content::of(vast(picture()))),
        Some(Fault::StillEndless) => ("image/jpeg", Content::Endless(Some(picture().into()))),
        Some(Fault::StillSlow) => {
            let sleep = Box::pin(tokio::time::sleep(SLOWNESS));
            ("image/jpeg", Content::Slow(picture().into(), sleep))
        }
        _ => ("image/jpeg", Content::of(picture())),
    };
    let mut response = Response::new(content);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// What the camera sees now.
fn jpeg(onvif: &Onvif, shape: Shape) -> Vec<u8> {
    let mut picture = Picture::new(shape, onvif.name());
    picture.look(onvif.head.position());
    let number = onvif.began.elapsed().as_millis() * u128::from(shape.frames_per_second) / 1_000;
    picture.draw(u64::try_from(number).unwrap_or(0), SystemTime::now());
    let mut file = Vec::new();
    Encoder::new(&mut file, QUALITY)
        .encode_image(Planes { shape, planes: picture.planes() })
        .expect("a picture within the bounds of JPEG, into memory");
    file
}

struct Planes<'a> {
    shape: Shape,
    planes: &'a [u8],
}

impl ImageBuffer for Planes<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.shape.width as u16
    }

    fn height(&self) -> u16 {
        self.shape.height as u16
    }

    /// JPEG takes all of a byte, and a colour for each dot.
    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let Shape { width, height, .. } = self.shape;
        let (luma, chroma) = self.planes.split_at(width * height);
        let (blue, red) = chroma.split_at(chroma.len() / 2);
        let y = usize::from(y);
        let wide = |value: u8, from: i32, range: i32, middle: i32| {
            ((i32::from(value) - from) * 255 / range + middle).clamp(0, 255) as u8
        };
        buffers[0].extend(luma[y * width..][..width].iter().map(|luma| wide(*luma, 16, 219, 0)));
        for (plane, buffer) in [blue, red].into_iter().zip(&mut buffers[1..]) {
            let row = &plane[y / 2 * (width / 2)..][..width / 2];
            buffer.extend((0..width).map(|x| wide(row[(x / 2).min(row.len() - 1)], 128, 224, 128)));
        }
    }
}

/// A comment that is a page, where the camera stands, and an archive behind the end.
fn with_scripts(picture: &[u8]) -> Vec<u8> {
    let segment = |marker: u8, content: &[u8]| {
        let length = u16::try_from(content.len() + 2).expect("a short text").to_be_bytes();
        [&[0xff, marker], &length[..], content].concat()
    };
    let (start, rest) = picture.split_at(2);
    let comment = segment(0xfe, b"<html><script>alert(1)</script>");
    let place = segment(0xe1, b"Exif\0\0GPS 47.3769 N 8.5417 E");
    [start, &comment, &place, rest, b"PK\x03\x04<script>alert(1)</script>"].concat()
}

/// Says that it has 65 500 by 65 500 pixels.
fn vast(mut picture: Vec<u8>) -> Vec<u8> {
    let frame = picture.windows(2).position(|two| two == [0xff, 0xc0]).expect("a frame");
    let side = 65_500_u16.to_be_bytes();
    picture[frame + 5..frame + 9].copy_from_slice(&[side, side].concat());
    picture
}
