//! What a camera of Axis writes down of itself: its parameters, its logs, and the
//! report for support (VAPIX, "Parameter management" and "System settings"). Read
//! only: nothing is set, and no log is emptied.

use std::time::Duration;

use super::client::Client;
use super::{Limits, OnvifAccess, OnvifError};

/// One of them: what it is called, and where it is.
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

/// Of one of them. A server report has a few MB.
pub const DOCUMENT_BYTES_MAX: usize = 64 << 20;
/// From the question to the last byte: cameras take half a minute for their report.
const PATIENCE: Duration = Duration::from_secs(120);

/// One document, or why it was not had.
#[derive(Debug)]
pub struct Document {
    pub name: &'static str,
    pub read: Result<Vec<u8>, OnvifError>,
}

/// Reads all of them, and tells of each.
///
/// # Errors
/// If the address is none, or the camera does not let us in: nothing more is asked
/// then, since cameras lock a user out after some failures.
pub async fn documents(
    access: &OnvifAccess,
    limits: &Limits,
    mut each: impl FnMut(Document),
) -> Result<(), OnvifError> {
    let mut client = Client::new(access, limits)?;
    for Place { name, step, path, query } in PLACES {
        let mut place = client.place(path);
        if let Some(query) = query {
            place.set_query(query);
        }
        let read = client.fetch(&place, step, (PATIENCE, DOCUMENT_BYTES_MAX)).await;
        match read {
            Err(error @ (OnvifError::Unauthorized | OnvifError::Locked | OnvifError::BasicWithoutTls)) => {
                return Err(error);
            }
            Err(error @ OnvifError::Connect { .. }) => return Err(error),
            read => each(Document { name, read }),
        }
    }
    Ok(())
}
