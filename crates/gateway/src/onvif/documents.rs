//! What a camera writes down of itself: its logs, its backup and the report for
//! support (ONVIF), and of a camera of Axis its parameters, too (VAPIX, "Parameter
//! management" and "System settings"). Read only: nothing is set, and no log is emptied.

use std::collections::VecDeque;
use std::time::Duration;

use super::client::Client;
use super::events::set_clock;
use super::messages::Request;
use super::{Limits, OnvifAccess, OnvifError, media};

/// One of them: what it is called, and where it is.
#[derive(Debug)]
struct Place {
    name: &'static str,
    /// As errors name the question for it.
    step: &'static str,
    path: &'static str,
    query: Option<&'static str>,
}

const PLACES: [Place; 4] = [
    Place {
        name: "parameters",
        step: "the question for its parameters",
        path: "/axis-cgi/param.cgi",
        query: Some("action=list"),
    },
    Place {
        name: "system log",
        step: "the question for its system log",
        path: "/axis-cgi/systemlog.cgi",
        query: None,
    },
    Place {
        name: "access log",
        step: "the question for its access log",
        path: "/axis-cgi/accesslog.cgi",
        query: None,
    },
    Place {
        name: "server report",
        step: "the question for its server report",
        path: "/axis-cgi/serverreport.cgi",
        query: Some("mode=text"),
    },
];

/// The same as ONVIF has it (Core Specification section 8.1, "System"). Each answer is
/// read as it came: text, base64, or an attachment (MTOM).
#[derive(Debug)]
struct Kept {
    name: &'static str,
    operation: &'static str,
    action: &'static str,
    parameters: &'static str,
}

const NAMESPACE: &str = "http://www.onvif.org/ver10/device/wsdl";
const LOG: &str = "http://www.onvif.org/ver10/device/wsdl/GetSystemLog";

const KEPT: [Kept; 4] = [
    Kept {
        name: "ONVIF system log",
        operation: "GetSystemLog",
        action: LOG,
        parameters: "<LogType>System</LogType>",
    },
    Kept {
        name: "ONVIF access log",
        operation: "GetSystemLog",
        action: LOG,
        parameters: "<LogType>Access</LogType>",
    },
    Kept {
        name: "support information",
        operation: "GetSystemSupportInformation",
        action: "http://www.onvif.org/ver10/device/wsdl/GetSystemSupportInformation",
        parameters: "",
    },
    Kept {
        name: "backup",
        operation: "GetSystemBackup",
        action: "http://www.onvif.org/ver10/device/wsdl/GetSystemBackup",
        parameters: "",
    },
];

impl Kept {
    fn request(&self) -> Request {
        let Kept { action, operation, parameters, .. } = self;
        let body = format!("<{operation} xmlns=\"{NAMESPACE}\">{parameters}</{operation}>");
        Request { step: operation, action, body }
    }
}

/// Of one of them. A server report has a few MB.
pub const DOCUMENT_BYTES_MAX: usize = 64 << 20;
/// From the question to the last byte: cameras take half a minute for their report.
const PATIENCE: Duration = Duration::from_secs(120);

/// Refusals after the camera has let us in once: a camera that counts them locks nobody out.
const REFUSED_MAX: u32 = 2;

/// One document, or why it was not had.
#[derive(Debug)]
pub struct Document {
    pub name: &'static str,
    pub read: Result<Vec<u8>, OnvifError>,
}

/// Reads them one after the other.
#[derive(Debug)]
pub struct Documents {
    client: Client,
    left: VecDeque<Question>,
    /// Of one document.
    bytes_max: usize,
    /// It has taken the password for something: what it refuses then is a matter of
    /// rights.
    is_let_in: bool,
    refused: u32,
}

#[derive(Debug)]
enum Question {
    Vapix(&'static Place),
    Onvif(&'static Kept),
}

impl Documents {
    /// Of a camera of Axis.
    ///
    /// # Errors
    /// If the address is none.
    pub fn of_axis(access: &OnvifAccess, limits: &Limits, bytes_max: usize) -> Result<Self, OnvifError> {
        let left = PLACES.iter().map(Question::Vapix).collect();
        let client = Client::new(access, limits)?;
        Ok(Documents { client, left, bytes_max, is_let_in: false, refused: 0 })
    }

    /// Of any camera that speaks ONVIF, and what a camera of Axis has beside.
    ///
    /// # Errors
    /// If the address is none, or the camera does not say what it is.
    pub async fn of(access: &OnvifAccess, limits: &Limits, bytes_max: usize) -> Result<Self, OnvifError> {
        let mut client = Client::new(access, limits)?;
        let device = client.device();
        Box::pin(set_clock(&mut client)).await?;
        // The first question for which cameras demand the password.
        let answer = Box::pin(client.ask(&device, &media::ask_information())).await?;
        let maker = media::information(&answer).manufacturer.unwrap_or_default();
        let is_axis = maker.to_ascii_lowercase().starts_with("axis");
        let vapix = PLACES.iter().filter(|_| is_axis).map(Question::Vapix);
        let left = KEPT.iter().map(Question::Onvif).chain(vapix).collect();
        Ok(Documents { client, left, bytes_max, is_let_in: true, refused: 0 })
    }

    /// The next one, if there is one.
    ///
    /// # Errors
    /// If the camera cannot be reached or does not let us in: ask for no other then,
    /// since cameras lock a user out after some failures.
    pub async fn next(&mut self) -> Result<Option<Document>, OnvifError> {
        let Some(question) = self.left.pop_front() else { return Ok(None) };
        let limits = (PATIENCE, self.bytes_max);
        let (name, read) = match question {
            Question::Vapix(Place { name, step, path, query }) => {
                let mut place = self.client.place(path);
                if let Some(query) = query {
                    place.set_query(query);
                }
                (*name, self.client.fetch(&place, step, limits).await)
            }
            Question::Onvif(kept) => {
                let device = self.client.device();
                (kept.name, self.client.ask_raw(&device, &kept.request(), limits).await)
            }
        };
        match read {
            Err(OnvifError::Unauthorized) if self.is_let_in && self.refused < REFUSED_MAX => {
                self.refused += 1;
                Ok(Some(Document { name, read: Err(OnvifError::Unauthorized) }))
            }
            Err(
                error @ (OnvifError::Unauthorized
                | OnvifError::Locked
                | OnvifError::BasicWithoutTls
                | OnvifError::Connect { .. }),
            ) => Err(error),
            read => {
                self.is_let_in |= read.is_ok();
                Ok(Some(Document { name, read }))
            }
        }
    }
}
