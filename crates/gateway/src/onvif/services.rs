//! Where a camera's services are (ONVIF Core Specification section 8).

use tracing::debug;

use super::OnvifError;
use super::client::Client;
use super::messages;
use super::xml::Element;

/// What `pick` takes out of the camera's list of its services; `None` if it is
/// not there. Sets the client's clock by the camera's on the way: whoever dates
/// a password by another is refused.
pub(super) async fn find<T>(
    client: &mut Client,
    pick: impl Fn(&Element) -> Option<T>,
) -> Result<Option<T>, OnvifError> {
    let device = client.device();
    match client.ask_unsigned(&device, &messages::ask_time()).await {
        Ok(answer) => {
            if let Some(time) = messages::system_time(&answer) {
                client.set_clock(time);
            }
        }
        // It is for everybody (ONVIF Core Specification section 8.3.5), but not
        // every camera knows that.
        Err(error @ (OnvifError::Unauthorized | OnvifError::Fault { .. } | OnvifError::Status { .. })) => {
            debug!(%error, "the camera does not tell its time; ours is taken");
        }
        Err(error) => return Err(error),
    }
    // Old cameras know the second question alone.
    let (mut answered, mut refused) = (false, None);
    for request in [messages::ask_services(), messages::ask_capabilities()] {
        match client.ask(&device, &request).await {
            Ok(answer) => {
                if let Some(found) = pick(&answer) {
                    return Ok(Some(found));
                }
                answered = true;
            }
            Err(error @ (OnvifError::Fault { .. } | OnvifError::Status { .. })) => refused = Some(error),
            Err(error) => return Err(error),
        }
    }
    match refused {
        Some(error) if !answered => Err(error),
        _ => Ok(None),
    }
}
