//! Moving a camera of Axis (VAPIX, "Pan tilt zoom API"): `ptz.cgi` and, for what
//! the camera remembers, `ptzconfig.cgi`. Requests are a query each, answers lines
//! of text; what went wrong is one that begins with `Error`, with status 200.
//!
//! A movement has no time of its own here: the camera goes on until it is told to
//! stop, which the caller sees to. The camera's first channel is moved.

use std::time::Duration;

use seal::ptz::{Movement, Preset, SPEED_MAX};

use super::super::client::{Client, Target};
use super::{ANSWER_MAX, Limits, OnvifAccess, OnvifError, PtzAbilities, listed};

const PARAMETERS: &str = "/axis-cgi/param.cgi";
const CONTROL: &str = "/axis-cgi/com/ptz.cgi";
const CONFIGURATION: &str = "/axis-cgi/com/ptzconfig.cgi";
/// What is asked of the parameters, in place of all, which are some thousands.
const GROUPS: &str = "action=list&group=root.Properties.PTZ,root.PTZ.Support.S1,root.PTZ.Various.V1";
/// Of one answer: 256 presets have a tenth of that.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// Speeds are parts of this.
const SPEED: i16 = 100;

/// One camera of Axis.
#[derive(Debug)]
pub(super) struct Axis {
    client: Client,
    control: Target,
    configuration: Target,
    patience: Duration,
    /// It remembers positions.
    remembers: bool,
    pub(super) abilities: PtzAbilities,
}

/// What it is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// As errors name it.
    pub(super) step: &'static str,
    query: String,
    changes_presets: bool,
}

impl Axis {
    pub(super) async fn find(access: &OnvifAccess, limits: &Limits) -> Result<Option<Self>, OnvifError> {
        let mut client = Client::new(access, limits)?;
        let mut parameters = client.place(PARAMETERS);
        parameters.set_query(GROUPS);
        let step = "the question for its PTZ";
        let text = client.fetch(&parameters, step, (limits.answer, ANSWER_BYTES_MAX)).await?;
        let known = known(&String::from_utf8_lossy(&text))?;
        let Some((abilities, remembers)) = known else { return Ok(None) };
        Ok(Some(Axis {
            control: client.place(CONTROL),
            configuration: client.place(CONFIGURATION),
            client,
            patience: limits.answer,
            remembers,
            abilities,
        }))
    }

    pub(super) async fn presets(&mut self) -> Result<Vec<Preset>, OnvifError> {
        if !self.remembers {
            return Ok(Vec::new());
        }
        let step = "query=presetposcam";
        self.control.set_query(step);
        let limits = (self.patience, ANSWER_BYTES_MAX);
        let text = self.client.fetch(&self.control, step, limits).await?;
        let text = String::from_utf8_lossy(&text);
        match refusal(&text) {
            Some(reason) => Err(self.refused(step, reason)),
            None => presets(&text),
        }
    }

    pub(super) fn beside(&self) -> Self {
        Axis {
            client: self.client.beside(),
            control: self.control.clone(),
            configuration: self.configuration.clone(),
            ..*self
        }
    }

    pub(super) fn request_for(&self, movement: &Movement) -> Request {
        let request = |step: &'static str, value: &str| Request {
            step,
            query: format!("{step}={value}"),
            changes_presets: movement.changes_presets(),
        };
        match movement {
            Movement::Move { pan, tilt, zoom } => self.velocity((*pan, *tilt), *zoom),
            Movement::Stop => self.velocity((0, 0), 0),
            Movement::Home => request("move", "home"),
            Movement::GoTo { preset } => request("gotoserverpresetname", &encoded(preset)),
            Movement::SavePreset { name } => request("setserverpresetname", &encoded(name)),
            Movement::RemovePreset { preset } => request("removeserverpresetname", &encoded(preset)),
        }
    }

    /// Both at once: the camera is never told half of it.
    fn velocity(&self, (pan, tilt): (i16, i16), zoom: i16) -> Request {
        let PtzAbilities { pan_tilt, zoom: zooms, .. } = self.abilities;
        let (pan, tilt, zoom) = (part(pan), part(tilt), part(zoom));
        let parts = [
            pan_tilt.then(|| format!("continuouspantiltmove={pan},{tilt}")),
            zooms.then(|| format!("continuouszoommove={zoom}")),
        ];
        let query = parts.into_iter().flatten().collect::<Vec<_>>().join("&");
        let step = if pan_tilt { "continuouspantiltmove" } else { "continuouszoommove" };
        Request { step, query, changes_presets: false }
    }

    pub(super) async fn carry_out(&mut self, request: &Request) -> Result<(), OnvifError> {
        let to = if request.changes_presets { &mut self.configuration } else { &mut self.control };
        to.set_query(&request.query);
        let limits = (ANSWER_MAX, ANSWER_BYTES_MAX);
        let text = self.client.fetch(to, request.step, limits).await?;
        let text = String::from_utf8_lossy(&text);
        match (refusal(&text), text.trim()) {
            (Some(reason), _) => Err(self.refused(request.step, reason)),
            // Newer firmware says nothing (204), older OK.
            (None, "" | "OK") => Ok(()),
            (None, _) => Err(OnvifError::BadAnswer { reason: "it neither does it nor refuses it" }),
        }
    }

    fn refused(&self, step: &'static str, reason: &str) -> OnvifError {
        OnvifError::Fault { step, code: "VAPIX".to_owned(), reason: self.client.words(reason) }
    }
}

/// Of its own thousandths; what is slow does not become a stop.
fn part(speed: i16) -> i16 {
    let step = SPEED_MAX / SPEED;
    speed.signum() * (speed.abs() + step - 1).div_euclid(step)
}

/// Every byte that is no letter, digit or dash: a name is one value of the query,
/// whatever it holds.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// The camera's reason, if it did not do it.
fn refusal(text: &str) -> Option<&str> {
    let reason = text.trim().strip_prefix("Error")?;
    Some(reason.trim_start_matches([':', ' ', '\r', '\n']))
}

/// What the camera can do, and whether it remembers positions. `None` for one that
/// cannot be moved. It may have all of the parameters and
/// be locked all the same, as those are whose PTZ is digital and switched off.
fn known(text: &str) -> Result<Option<(PtzAbilities, bool)>, OnvifError> {
    let value = |name: &str| {
        let of = |line: &'_ str| {
            Some(line.trim().strip_prefix("root.")?.strip_prefix(name)?.strip_prefix('=')?.to_owned())
        };
        text.lines().find_map(of)
    };
    let is = |name: &str| value(name).is_some_and(|value| matches!(&*value, "yes" | "true" | "1"));
    let is_off = |name: &str| value(name).is_some_and(|value| matches!(&*value, "no" | "false" | "0"));
    let is_of_list = |line: &str| line.starts_with("root.") || line.starts_with("# Error");
    if !text.lines().any(|line| is_of_list(line.trim())) {
        return Err(OnvifError::BadAnswer { reason: "it is no list of parameters" });
    }
    if !is("Properties.PTZ.PTZ") || is("PTZ.Various.V1.Locked") {
        return Ok(None);
    }
    if value("PTZ.Support.S1.ContinuousPan").is_none() && value("PTZ.Support.S1.ContinuousZoom").is_none() {
        return Err(OnvifError::BadAnswer { reason: "it can be moved, and does not tell this user how" });
    }
    let can = |ability: &str, switch: &str| {
        is(&format!("PTZ.Support.S1.{ability}")) && !is_off(&format!("PTZ.Various.V1.{switch}"))
    };
    let abilities = PtzAbilities {
        pan_tilt: can("ContinuousPan", "PanEnabled") || can("ContinuousTilt", "TiltEnabled"),
        zoom: can("ContinuousZoom", "ZoomEnabled"),
        // Every camera of the make has one: where it looks after its start, if no other was chosen.
        home: true,
    };
    Ok(abilities.moves().then_some((abilities, is("PTZ.Support.S1.ServerPreset"))))
}

/// `presetposno1=Home`, below a line that says of which channel. A preset is told
/// again by its name, which no other of the channel has.
fn presets(text: &str) -> Result<Vec<Preset>, OnvifError> {
    let numbered = |line| {
        let (number, name) = str::strip_prefix(line, "presetposno")?.split_once('=')?;
        // What came as other than UTF-8 cannot be told again.
        (!name.contains('\u{fffd}')).then_some((number.parse::<u32>().ok()?, name))
    };
    let lines = text.lines().map(|line| line.trim_end_matches('\r')).filter(|line| !line.trim().is_empty());
    if !lines.clone().all(|line| line.starts_with("presetposno") || line.starts_with("Preset Positions")) {
        return Err(OnvifError::BadAnswer { reason: "it is no list of presets" });
    }
    let mut found: Vec<(u32, &str)> = lines.filter_map(numbered).collect();
    found.sort_by_key(|(number, _)| *number);
    Ok(listed(found.into_iter().map(|(_, name)| (name, name))))
}

pub(super) fn fuzz(text: &[u8]) -> Vec<Preset> {
    let text = String::from_utf8_lossy(text);
    let _ = (known(&text), refusal(&text));
    presets(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOME: &str = "root.Properties.PTZ.PTZ=yes\r\nroot.PTZ.Support.S1.ContinuousPan=true\r\n\
                        root.PTZ.Support.S1.ContinuousTilt=true\r\nroot.PTZ.Support.S1.ContinuousZoom=true\r\n\
                        root.PTZ.Support.S1.ServerPreset=true\r\nroot.PTZ.Various.V1.Locked=false\r\n";

    #[test]
    fn what_a_camera_can_do_stands_in_its_parameters() {
        let all = PtzAbilities { pan_tilt: true, zoom: true, home: true };
        assert_eq!(known(DOME), Ok(Some((all, true))));
        let switched =
            format!("{DOME}root.PTZ.Various.V1.PanEnabled=false\nroot.PTZ.Various.V1.TiltEnabled=no\n");
        let zooms = PtzAbilities { pan_tilt: false, ..all };
        assert_eq!(known(&switched), Ok(Some((zooms, true))));
        let rows = [
            DOME.replace("PTZ.PTZ=yes", "PTZ.PTZ=no"),
            DOME.replace("Locked=false", "Locked=true"),
            DOME.replace("true", "false"),
            "# Error: Error -1 getting param in group 'root.Properties.PTZ'".to_owned(),
        ];
        for text in rows {
            assert_eq!(known(&text), Ok(None), "{text}");
        }
        for text in ["", "<html>log in</html>", "OK", "root.Properties.PTZ.PTZ=yes"] {
            assert!(matches!(known(text), Err(OnvifError::BadAnswer { .. })), "{text}");
        }
    }

    #[test]
    fn presets_are_told_again_as_they_were_told() {
        let text = "Preset Positions for camera 1\r\npresetposno10=Gate & yard\r\npresetposno2=  \r\npresetposno1=Home\r\n\
                    presetposno3=a=b\r\npresetposno4=\r\npresetposno5=Gate & yard\r\npresetposno6=\u{202e}door\r\n\
                    presetposno7=Stra\u{fffd}e\r\npresetposnox=None\r\n";
        let told: Vec<_> =
            presets(text).unwrap().into_iter().map(|preset| (preset.token, preset.name)).collect();
        let expected =
            [("Home", "Home"), ("a=b", "a=b"), ("Gate & yard", "Gate & yard"), ("\u{202e}door", "door")];
        let mut expected = expected.map(|(token, name)| (token.to_owned(), name.to_owned())).to_vec();
        expected.sort();
        let mut sorted = told.clone();
        sorted.sort();
        assert_eq!(sorted, expected);
        assert_eq!(told[0].0, "Home", "by number");
        assert_eq!(presets(""), Ok(Vec::new()));
        let many: String = (0..5_000).map(|n| format!("presetposno{n}=p{n}\n")).collect();
        assert_eq!(presets(&many).unwrap().len(), seal::ptz::PRESETS_MAX);
        assert!(presets("<html>").is_err());
    }

    #[test]
    fn speeds_are_rounded_away_from_a_stop() {
        let rows = [(0, 0), (1, 1), (-1, -1), (10, 1), (11, 2), (999, 100), (1_000, 100), (-1_000, -100)];
        for (speed, expected) in rows {
            assert_eq!(part(speed), expected, "{speed}");
        }
    }

    /// The attack: a preset whose name is another order.
    #[test]
    fn a_name_is_one_value_of_the_query() {
        assert_eq!(encoded("a&move=home#é+ %"), "a%26move%3Dhome%23%C3%A9%2B%20%25");
    }

    #[test]
    fn an_error_is_told_from_what_was_done() {
        assert_eq!(refusal("Error:\r\nNo such preset\r\n"), Some("No such preset"));
        assert_eq!(refusal("  Error: Busy"), Some("Busy"));
        assert_eq!(refusal("presetposno1=Error"), None);
    }
}
