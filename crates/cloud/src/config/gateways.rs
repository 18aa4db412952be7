//! What gateways are watched for.

use anyhow::ensure;
use serde::Deserialize;

const SILENT_SECONDS_MAX: u64 = 86_400;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewaysSection {
    /// A gateway of which nothing is heard for so long is told to people who have
    /// ordered notices from it, 1 to 86 400; 0: nobody is told. Default 300.
    pub silent_after_seconds: u64,
}

impl Default for GatewaysSection {
    fn default() -> Self {
        GatewaysSection { silent_after_seconds: 300 }
    }
}

impl GatewaysSection {
    pub(super) fn validate(&self) -> anyhow::Result<()> {
        let silent_after_seconds = self.silent_after_seconds;
        ensure!(
            silent_after_seconds <= SILENT_SECONDS_MAX,
            "gateways.silent_after_seconds = {silent_after_seconds} must be from 0 (nobody is told) to {SILENT_SECONDS_MAX}"
        );
        Ok(())
    }
}
