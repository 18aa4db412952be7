//! Where a camera's services are (ONVIF Core Specification section 8).

use super::OnvifError;
use super::client::Client;
use super::events::set_clock;
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
    set_clock(client).await?;
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
