//! What an administrator's device has the gateway find out, and that changes
//! nothing: the connection test, and the questions of the page on which cameras
//! are added. Their answers hold addresses of the site's network, and a picture
//! at times, and are sealed to the device that asked.

use std::collections::BTreeMap;

use model::wire::Envelope;
use model::{CameraAccess, CameraId, OnvifUrl};
use seal::answer::{
    Addressed, Answer, CameraQuestion, Cause, Found, FoundCamera, Look, Offer, Picture, Refused, SeenStream,
    seal_answer,
};
use seal::command::{CameraReport, Command, CommandError, CommandResult, SiteCommand, StreamReport};
use seal::envelope::PAYLOAD_MAX;
use seal::keys::KemPublic;
use seal::roster::Roster;
use seal::sealed::Sealed;
use tokio::time::{Duration, timeout};

use crate::config::DiscoverySection;
use crate::data::Identity;
use crate::leaks::{self, Order};
use crate::onvif::{FindLimits, OfferError, OnvifAccess, OnvifError};
use crate::rtsp::{self, Limits, Seen, SourceError};
use crate::{camera_test, clock, finding, onvif, random};

/// A camera that takes longer is given up: the one who asked is no longer there.
const PATIENCE: Duration = Duration::from_secs(25);

/// What is to be found out.
pub(crate) enum Question {
    Test(Box<CameraAccess>),
    Find(DiscoverySection, BTreeMap<CameraId, CameraAccess>),
    Ask(Box<CameraQuestion>),
    Look(Box<CameraAccess>),
    List(leaks::Asking, Option<CameraId>, Option<u64>),
    Order(leaks::Asking, leaks::Order),
}

impl Question {
    /// `None` of a command that changes the site.
    pub(crate) fn of(
        command: &SiteCommand,
        identity: &Identity,
        section: &DiscoverySection,
        (known, leaks): (&BTreeMap<CameraId, CameraAccess>, &leaks::Asking),
    ) -> Option<Result<Self, CommandError>> {
        let open = |camera: &CameraId, sealed: &Sealed| {
            seal::command::open_access(command, *camera, sealed, &identity.kem).map(Box::new)
        };
        Some(match &command.command {
            Command::TestCamera { camera, sealed } => open(camera, sealed).map(Question::Test),
            Command::LookAtCamera { camera, sealed } => open(camera, sealed).map(Question::Look),
            Command::AskCamera { sealed } => seal::answer::open_question(command, sealed, &identity.kem)
                .map(|question| Question::Ask(Box::new(question))),
            Command::FindCameras {} => Ok(Question::Find(section.clone(), known.clone())),
            Command::ListFindings { after, seen } => Ok(Question::List(leaks.clone(), *after, *seen)),
            Command::SweepCameras { camera } => Ok(Question::Order(leaks.clone(), Order::Sweep(*camera))),
            Command::StopSweep {} => Ok(Question::Order(leaks.clone(), Order::Stop)),
            Command::PutCamera { .. }
            | Command::RemoveCamera { .. }
            | Command::SetRetention { .. }
            | Command::SetForwarding { .. }
            | Command::SetBandwidth { .. } => return None,
        })
    }

    /// It connects to no camera, and waits for none: others do not wait for it.
    pub(crate) fn is_quick(&self) -> bool {
        matches!(self, Question::List(..) | Question::Order(..))
    }

    /// What the cloud may read of the answer, and what it may not.
    pub(crate) async fn answer(self) -> Outcome {
        match self {
            Question::Test(access) => {
                let tested = camera_test::test(&access).await;
                tested.map(Said::Report).map_err(|error| error.to_string())
            }
            Question::Find(section, known) => {
                let found = finding::find(&section, FindLimits::default()).await;
                let found = found.map(|found| Answer::Found(marked(found, &known)));
                found.map(Said::sealed).map_err(|error| error.to_string())
            }
            Question::Ask(question) => Ok(Said::sealed(refusable(Box::pin(ask(&question))).await)),
            Question::List(leaks, after, seen) => {
                Ok(Said::sealed(Answer::Findings(leaks.list(after, seen).await)))
            }
            Question::Order(leaks, order) => {
                leaks.order(order).await.map(|page| Said::sealed(Answer::Findings(page)))
            }
            Question::Look(access) => Ok(Said::sealed(refusable(Box::pin(look(&access))).await)),
        }
    }
}

pub(crate) type Outcome = Result<Said, String>;

pub(crate) enum Said {
    Done,
    Report(CameraReport),
    Sealed(Box<Answer>),
}

impl Said {
    fn sealed(answer: Answer) -> Self {
        Said::Sealed(Box::new(answer))
    }
}

/// Whom an answer is sealed to: the device whose signature the command has.
pub(crate) fn asker(envelope: &Envelope, roster: &Roster) -> Option<(model::DeviceId, KemPublic)> {
    let device = envelope.signatures.first()?.keyid.parse().ok()?;
    let kem = KemPublic::from_bytes(&roster.device(device)?.kem.0).ok()?;
    Some((device, kem))
}

pub(crate) fn sign_result(
    identity: &Identity,
    org: model::OrgId,
    asker: Option<&(model::DeviceId, KemPublic)>,
    nonce: String,
    outcome: Outcome,
) -> Envelope {
    let (mut report, mut answer, mut error) = (None, None, None);
    match outcome {
        Ok(Said::Done) => {}
        Ok(Said::Report(said)) => report = Some(said),
        Ok(Said::Sealed(said)) => match asker {
            Some((device, kem)) => {
                let addressed = Addressed { org, gateway: identity.id, device: *device, nonce: &nonce };
                answer = Some(seal_answer(&said, kem, addressed, random::bytes()));
            }
            None => {
                error = Some("the device that asked has no key to which the answer could be sealed".into())
            }
        },
        Err(words) => error = Some(words),
    }
    let (gateway, at, ok) = (identity.id, clock::now(), error.is_none());
    let mut result = CommandResult { org, gateway, nonce, at, ok, error, report, answer };
    let signed = result.sign(&identity.sign);
    if signed.payload.0.len() <= PAYLOAD_MAX {
        return signed;
    }
    // Readers refuse it without a word that would help.
    (result.ok, result.report, result.answer) = (false, None, None);
    result.error =
        Some(format!("the answer is larger than the {} KiB that can be signed", PAYLOAD_MAX >> 10));
    result.sign(&identity.sign)
}

/// What a camera refuses is an answer, too.
async fn refusable(asking: impl Future<Output = Result<Answer, Refused>>) -> Answer {
    match timeout(PATIENCE, asking).await {
        Ok(answer) => answer.unwrap_or_else(Answer::Refused),
        Err(_) => Answer::Refused(Refused {
            cause: Cause::Unreachable,
            error: format!("the camera was not done within {} s", PATIENCE.as_secs()),
        }),
    }
}

/// Which of them this gateway records already: by its event service where one is
/// set, and else by its host. A recorder has many cameras at one address, which
/// are told apart by their paths; where one alone answers there, it is that one,
/// whatever path somebody wrote.
fn marked(mut found: Found, known: &BTreeMap<CameraId, CameraAccess>) -> Found {
    fn place(url: &OnvifUrl) -> (Option<String>, Option<u16>) {
        let url = url.as_url();
        (url.host().map(|host| host.to_string()), url.port_or_known_default())
    }
    let at =
        |camera: &FoundCamera, url: &OnvifUrl| camera.onvif_urls.iter().any(|own| place(own) == place(url));
    let is_same = |one: &OnvifUrl, other: &OnvifUrl| {
        let path = |url: &OnvifUrl| (url.as_url().path().to_owned(), url.as_url().query().map(str::to_owned));
        place(one) == place(other) && path(one) == path(other)
    };
    let cameras = &found.cameras;
    let is_known = |camera: &FoundCamera, access: &CameraAccess| match &access.onvif_url {
        Some(url) => {
            let is_alone = || cameras.iter().filter(|other| at(other, url)).count() == 1;
            camera.onvif_urls.iter().any(|own| is_same(own, url)) || (at(camera, url) && is_alone())
        }
        None => access.url.host() == camera.address,
    };
    let of =
        |camera: &FoundCamera| known.iter().find(|(_, access)| is_known(camera, access)).map(|(id, _)| *id);
    let marks: Vec<_> = cameras.iter().map(of).collect();
    for (camera, mark) in found.cameras.iter_mut().zip(marks) {
        camera.camera = mark;
    }
    found
}

async fn ask(question: &CameraQuestion) -> Result<Answer, Refused> {
    let CameraQuestion { onvif_url, username, password, certificate } = question;
    let url = onvif_url.as_url();
    if url.scheme() == "https" && certificate.is_none() {
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(443));
        let found = rtsp::probe_certificate(host, port, &Limits::default()).await.map_err(refused)?;
        let [manufacturer, model, firmware] = [None, None, None];
        return Ok(Answer::Offer(Offer {
            manufacturer,
            model,
            firmware,
            clock_off_seconds: None,
            certificate: Some(found),
            profiles: Vec::new(),
        }));
    }
    let access = OnvifAccess {
        url: url.clone(),
        username: username.clone(),
        password: password.clone(),
        certificate: *certificate,
    };
    let offer = onvif::offer(&access, &onvif::Limits::default()).await;
    offer.map(Answer::Offer).map_err(|error| Refused { cause: cause(&error), error: error.to_string() })
}

fn cause(error: &OfferError) -> Cause {
    let error = match error {
        OfferError::Right => return Cause::Right,
        OfferError::Onvif(error) => error,
    };
    match error {
        OnvifError::Unauthorized => Cause::Password,
        OnvifError::Locked | OnvifError::Status { status: 423 | 429, .. } => Cause::Locked,
        OnvifError::Status { status: 403, .. } => Cause::Right,
        OnvifError::Connect { .. } | OnvifError::AnswerTimeout { .. } | OnvifError::Closed { .. } => {
            Cause::Unreachable
        }
        OnvifError::WrongCertificate { .. }
        | OnvifError::Tls
        | OnvifError::NoPin
        | OnvifError::PinWithoutTls => Cause::Certificate,
        OnvifError::Status { .. }
        | OnvifError::Redirected { .. }
        | OnvifError::Xml(_)
        | OnvifError::BadAnswer { .. }
        | OnvifError::NoEventService => Cause::NoOnvif,
        OnvifError::Address
        | OnvifError::BasicWithoutTls
        | OnvifError::UnknownAuthentication
        | OnvifError::Fault { .. }
        | OnvifError::AnswerTooLong { .. }
        | OnvifError::Still(_)
        | OnvifError::Local { .. } => Cause::Other,
    }
}

async fn look(access: &CameraAccess) -> Result<Answer, Refused> {
    let limits = Limits::default();
    if access.url.is_tls() && access.certificate.is_none() {
        let found = rtsp::probe_certificate(access.url.host(), access.url.port(), &limits).await;
        let certificate = Some(found.map_err(refused)?);
        return Ok(Answer::Look(Look { main: None, sub: None, certificate, events: None, picture: None }));
    }
    let (main, sub) = rtsp::look_at_camera(access, &limits).await.map_err(refused)?;
    let events = camera_test::events(access).await;
    // The small one does: it is there to be looked at.
    let picture = picture(sub.as_ref().unwrap_or(&main)).or_else(|| picture(&main));
    Ok(Answer::Look(Look {
        main: Some(seen(main)),
        sub: sub.map(seen),
        certificate: access.certificate,
        events,
        picture,
    }))
}

fn seen(seen: Seen) -> SeenStream {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    SeenStream {
        bits_per_second: seen.bits_per_second,
        frames_per_second: seen.frames_per_second,
        key_frame_every_ms: seen.key_frame_every.map(ms),
        for_ms: ms(seen.looked_for),
        stream: stream_report(seen.report),
    }
}

pub(crate) fn stream_report(report: rtsp::StreamReport) -> StreamReport {
    StreamReport {
        video_codec: report.video_codec,
        width: report.width,
        height: report.height,
        audio_codec: report.audio_codec,
        key_frame_after_ms: report.key_frame_after.as_millis() as u64,
    }
}

fn picture(seen: &Seen) -> Option<Picture> {
    let Seen { picture, report, .. } = seen;
    (picture.data.len() <= Picture::BYTES_MAX).then(|| Picture {
        codec: picture.codec.clone(),
        description: picture.description.as_ref().map(|bytes| bytes.to_vec().into()),
        width: report.width,
        height: report.height,
        data: picture.data.to_vec().into(),
    })
}

fn refused(error: SourceError) -> Refused {
    let cause = match &error {
        SourceError::Unauthorized => Cause::Password,
        SourceError::Connect { .. }
        | SourceError::ConnectTimeout { .. }
        | SourceError::AnswerTimeout { .. }
        | SourceError::Closed
        | SourceError::NoPacket { .. }
        | SourceError::NotFound { .. }
        | SourceError::Refused { .. }
        | SourceError::Message(_) => Cause::NoRtsp,
        SourceError::NoPin
        | SourceError::PinWithoutTls
        | SourceError::WrongCertificate { .. }
        | SourceError::Tls { .. } => Cause::Certificate,
        SourceError::NoVideo { .. } => Cause::Codec,
        SourceError::NoSubStream
        | SourceError::NoPicture
        | SourceError::UdpWithTls
        | SourceError::NoKeyFrame { .. }
        | SourceError::Stalled { .. }
        | SourceError::Flood { .. }
        | SourceError::AccessUnitTooLong { .. }
        | SourceError::BadStream { .. }
        | SourceError::Local { .. } => Cause::Other,
    };
    Refused { cause, error: error.to_string() }
}

#[cfg(test)]
mod tests;
