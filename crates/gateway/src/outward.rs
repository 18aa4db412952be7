//! Where events leave the sealed world: to systems that this machine's
//! configuration names, and to nobody else. Recording waits for none of them.

use std::sync::Arc;

use gateway_core::webhooks::EventMessage;
use model::{CameraId, GatewayId, Timestamp};
use seal::event::Event;
use tokio::sync::watch;

use crate::local::View;
use crate::{mqtt, webhooks};

/// Whom streams of events tell.
#[derive(Clone, Debug)]
pub(crate) struct Outward {
    pub(crate) gateway: GatewayId,
    /// Names of cameras.
    pub(crate) view: watch::Receiver<Arc<View>>,
    pub(crate) webhooks: Option<webhooks::Inlet>,
    pub(crate) mqtt: Option<mqtt::Inlet>,
    /// What somebody was not told, in words.
    pub(crate) concern: watch::Receiver<Option<String>>,
}

impl Outward {
    /// Never waits.
    pub(crate) fn tell(&self, camera: CameraId, event: &Event, began_at: Option<Timestamp>) {
        if self.webhooks.is_none() && self.mqtt.is_none() {
            return;
        }
        let message = self.message(camera, event, began_at);
        if let Some(mqtt) = &self.mqtt {
            mqtt.push(message.clone());
        }
        if let Some(webhooks) = &self.webhooks {
            webhooks.push(message);
        }
    }

    /// What goes on since before this start: a broker's sensors went off with the
    /// gateway, and webhooks were told. Never waits.
    pub(crate) fn goes_on(&self, camera: CameraId, event: &Event) {
        if let Some(mqtt) = &self.mqtt {
            mqtt.push(self.message(camera, event, None));
        }
    }

    fn message(&self, camera: CameraId, event: &Event, began_at: Option<Timestamp>) -> EventMessage {
        let view = self.view.borrow();
        let camera_name = view.roster.camera(camera).map(|camera| camera.name.clone()).unwrap_or_default();
        drop(view);
        let event = event.clone();
        EventMessage {
            event: event.id,
            phase: event.phase,
            at: event.at,
            began_at,
            gateway: self.gateway,
            camera,
            camera_name,
            kind: event.kind,
            rule: event.rule,
            topic: event.topic,
            source: event.source,
        }
    }

    pub(crate) fn concern(&self) -> Option<String> {
        self.concern.borrow().clone()
    }
}
