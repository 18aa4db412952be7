//! The same head as cameras of Axis move it: VAPIX, "Pan tilt zoom API". What is
//! asked for stands in the query or, of a POST, in its body; what goes wrong is
//! said with status 200. A movement goes on until somebody ends it.

use std::time::Duration;

use hyper::{Response, StatusCode};

use super::OnvifOptions;
use super::ptz::{LASTS_AT_FAULT, PtzFault, SLOW};
use super::still::Content;
use crate::Fault;
use crate::head::{Head, Position};

/// Which of its programs is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Parameters,
    Control,
    Configuration,
    /// Its logs and the report for support, which are read and never set.
    Documents(Document),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Document {
    SystemLog,
    AccessLog,
    Report,
}

impl Program {
    pub(super) fn at(path: &str) -> Option<Self> {
        match path {
            "/axis-cgi/param.cgi" => Some(Program::Parameters),
            "/axis-cgi/com/ptz.cgi" => Some(Program::Control),
            "/axis-cgi/com/ptzconfig.cgi" => Some(Program::Configuration),
            "/axis-cgi/systemlog.cgi" => Some(Program::Documents(Document::SystemLog)),
            "/axis-cgi/accesslog.cgi" => Some(Program::Documents(Document::AccessLog)),
            "/axis-cgi/serverreport.cgi" => Some(Program::Documents(Document::Report)),
            _ => None,
        }
    }
}

/// How long a preset's name may be, in characters.
const NAME_CHARS_MAX: usize = 31;

/// `None`: it was done, and there is nothing to say.
type Said = Result<Option<String>, &'static str>;

pub(super) async fn answer(
    options: &OnvifOptions,
    head: &Head,
    (program, asked): (Program, &[u8]),
    fault: Option<Fault>,
) -> Response<Content> {
    let asked: Vec<(String, String)> = url::form_urlencoded::parse(asked).into_owned().collect();
    let is_of_head = matches!(program, Program::Control | Program::Configuration);
    let said = match fault {
        Some(Fault::VapixGarbage) => Ok(Some("<html><body>log in</body></html>".to_owned())),
        Some(Fault::VapixHuge) => Ok(Some("presetposno1=Home\r\n".repeat(1_000_000))),
        Some(Fault::VapixRefuses) if is_of_head => Err("somebody else has the camera"),
        Some(Fault::OnvifEcho) if is_of_head => return told(format!("Error:\r\n{asked:?}")),
        _ if is_of_head && !options.ptz => Err("there is no PTZ driver"),
        _ => match program {
            Program::Parameters => Ok(Some(parameters(options, value(&asked, "group")))),
            // As of old firmware that keeps no log of who came.
            Program::Documents(Document::AccessLog) => return none(),
            Program::Documents(Document::SystemLog) => Ok(Some(options.log.join("\r\n"))),
            Program::Documents(Document::Report) => {
                Ok(Some(format!("----- Server report\r\n{}\r\n", options.log.join("\r\n"))))
            }
            Program::Control => control(options.ptz_fault, head, &asked).await,
            Program::Configuration => configure(head, &asked),
        },
    };
    match said {
        Ok(Some(text)) => told(text),
        Ok(None) => {
            let mut response = Response::new(Content::of(""));
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        Err(reason) => told(format!("Error:\r\n{reason}\r\n")),
    }
}

fn none() -> Response<Content> {
    let mut response = told("not here".to_owned());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn told(text: String) -> Response<Content> {
    Response::new(Content::of(text))
}

fn value<'a>(asked: &'a [(String, String)], name: &str) -> Option<&'a str> {
    asked.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Those of the groups that somebody asked for.
fn parameters(options: &OnvifOptions, groups: Option<&str>) -> String {
    let ptz = options.ptz;
    let mut all = vec!["root.Brand.Brand=AXIS".to_owned()];
    all.extend(options.parameters.iter().cloned());
    all.push(format!("root.Properties.PTZ.PTZ={}", if ptz { "yes" } else { "no" }));
    if ptz {
        let abilities = ["ContinuousPan", "ContinuousTilt", "ContinuousZoom", "ServerPreset"];
        all.extend(abilities.map(|ability| format!("root.PTZ.Support.S1.{ability}=true")));
        all.extend(
            ["PanEnabled", "TiltEnabled", "ZoomEnabled"].map(|on| format!("root.PTZ.Various.V1.{on}=true")),
        );
        all.push("root.PTZ.Various.V1.Locked=false".to_owned());
    }
    let Some(groups) = groups else { return all.join("\r\n") };
    let of = |group: &str| {
        let group = if group.starts_with("root.") { group.to_owned() } else { format!("root.{group}") };
        let within =
            |line: &&String| line.strip_prefix(&group).is_some_and(|rest| rest.starts_with(['.', '=']));
        let found: Vec<String> = all.iter().filter(within).cloned().collect();
        match found.is_empty() {
            true => format!("# Error: Error -1 getting param in group '{group}'"),
            false => found.join("\r\n"),
        }
    };
    groups.split(',').map(of).collect::<Vec<_>>().join("\r\n")
}

async fn control(fault: Option<PtzFault>, head: &Head, asked: &[(String, String)]) -> Said {
    let value = |name: &str| value(asked, name);
    match value("query") {
        Some("presetposcam" | "presetposall") => {
            if fault == Some(PtzFault::SlowPresets) {
                tokio::time::sleep(SLOW).await;
            }
            let lines =
                head.presets().into_iter().map(|(number, name)| format!("presetposno{number}={name}"));
            let header = "Preset Positions for camera 1".to_owned();
            return Ok(Some(std::iter::once(header).chain(lines).collect::<Vec<_>>().join("\r\n")));
        }
        Some("position") => {
            let Position { pan, tilt, zoom } = head.position();
            let (pan, tilt, zoom) = (pan * 180.0, tilt * 90.0, 1.0 + zoom * 9_998.0);
            return Ok(Some(format!("pan={pan:.4}\r\ntilt={tilt:.4}\r\nzoom={zoom:.0}\r\n")));
        }
        Some(_) => return Err("this question is not known"),
        None => {}
    }
    if let Some(name) = value("gotoserverpresetname") {
        return number(head, name)
            .filter(|number| head.go_to(Some(*number)))
            .map(|_| None)
            .ok_or("No such preset");
    }
    if let Some(preset) = value("gotoserverpresetno") {
        let known = preset.parse().is_ok_and(|number| head.go_to(Some(number)));
        return known.then_some(None).ok_or("No such preset");
    }
    match value("move") {
        Some("home") => {
            head.go_to(None);
            return Ok(None);
        }
        Some("stop") => return stop(fault, head),
        Some(_) => return Err("this movement is not known"),
        None => {}
    }
    let pan_tilt = value("continuouspantiltmove").map(|speeds| {
        let (pan, tilt) = speeds.split_once(',')?;
        Some((speed(pan)?, speed(tilt)?))
    });
    let zoom = value("continuouszoommove").map(speed);
    match (pan_tilt, zoom) {
        (None, None) => Err("nothing was asked for"),
        (Some(None), _) | (_, Some(None)) => Err("speeds are from -100 to 100"),
        (pan_tilt, zoom) => {
            let (pan, tilt) = pan_tilt.flatten().unwrap_or_default();
            let speed = Position { pan, tilt, zoom: zoom.flatten().unwrap_or_default() };
            if speed == Position::default() {
                return stop(fault, head);
            }
            head.turn(speed, LASTS);
            Ok(None)
        }
    }
}

/// Longer than anybody waits.
const LASTS: Duration = LASTS_AT_FAULT;

fn stop(fault: Option<PtzFault>, head: &Head) -> Said {
    let stopped = head.stop(fault == Some(PtzFault::StopFails));
    stopped.then_some(None).ok_or("the motor does not answer")
}

fn speed(text: &str) -> Option<f64> {
    let speed: i32 = text.parse().ok()?;
    (-100..=100).contains(&speed).then(|| f64::from(speed) / 100.0)
}

fn number(head: &Head, name: &str) -> Option<u32> {
    head.presets().into_iter().find(|(_, known)| known == name).map(|(number, _)| number)
}

fn configure(head: &Head, asked: &[(String, String)]) -> Said {
    if let Some(name) = value(asked, "setserverpresetname") {
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
            return Err("the name is too long");
        }
        // One that is there already is moved to where the camera looks now.
        if let Some(known) = number(head, name) {
            head.forget(known);
        }
        return head.remember(name.to_owned()).map(|_| None).ok_or("there is no room for another preset");
    }
    let name = value(asked, "removeserverpresetname").ok_or("nothing was asked for")?;
    let forgotten = number(head, name).is_some_and(|number| head.forget(number));
    forgotten.then_some(None).ok_or("No such preset")
}
