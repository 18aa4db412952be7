//! What the local way sees of the site: the roster as it is, and the streams
//! with a way to watch them. The supervisor shows it; nothing here changes it.

use std::collections::BTreeMap;

use model::{CameraAccess, CameraId, DeviceId, GatewayId, PersonId, Rendition, Timestamp};
use seal::roster::{Camera, Roster};

use crate::events;
use crate::onvif::OnvifAccess;
use crate::stream::Outlet;

pub(crate) type StreamKey = (CameraId, Rendition);

#[derive(Debug)]
pub(crate) struct View {
    pub(crate) gateway: GatewayId,
    pub(crate) roster: Roster,
    pub(crate) streams: BTreeMap<StreamKey, Outlet>,
    /// Where cameras are asked that have services of their own.
    pub(crate) services: BTreeMap<CameraId, OnvifAccess>,
}

impl View {
    pub(crate) fn services(cameras: &BTreeMap<CameraId, CameraAccess>) -> BTreeMap<CameraId, OnvifAccess> {
        let service = |(camera, access): (&CameraId, &CameraAccess)| {
            Some((*camera, events::access(access.onvif_url.as_ref()?, access)))
        };
        cameras.iter().filter_map(service).collect()
    }

    /// The person of a device in force.
    pub(super) fn person(&self, device: DeviceId, now: Timestamp) -> Option<PersonId> {
        self.roster.device_in_force(device, now).map(|device| device.person)
    }

    /// A camera of this gateway that the device may open. What it may not open
    /// does not exist for it.
    pub(super) fn camera(&self, device: DeviceId, camera: CameraId, now: Timestamp) -> Option<&Camera> {
        let known = self.roster.camera(camera).filter(|camera| camera.gateway == self.gateway)?;
        self.roster.right_of_device(device, camera, now).map(|_| known)
    }

    pub(super) fn cameras(&self, device: DeviceId, now: Timestamp) -> impl Iterator<Item = &Camera> {
        self.roster.cameras().filter_map(move |camera| self.camera(device, camera.id, now))
    }
}
