//! The viewers' API as an OpenAPI document, made from the handlers.

use utoipa::OpenApi;

use crate::http::rules::RuleSchema;
use crate::http::types::{
    BandwidthSchema, DeviceSchema, EnvelopeSchema, ForwardingSchema, GapSchema, GatewayKeysSchema,
    RecordingSchema, SignatureSchema, SiteSettingsSchema, SpanSchema, StreamStatusSchema, TimelinePartSchema,
};
use crate::http::{
    actions, cameras, devices, enrolments, events, factors, history, hours, live, login, notices, passwords,
    past, people, proposals, providers, reasons, recordings, recovery, roster, rules, services, sessions,
    setup, sheet, sites, status, timeline, verifications, walls,
};
use crate::problem::ProblemBody;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lenskeep, viewers' API",
        description = "What the web app and the command line ask of the cloud. Signed and sealed formats are in \
                       docs/format.md, the rules of this API in docs/protocol.md. Every error has the shape of \
                       `Problem`; what a caller may not see is 404. Requests that change something need the \
                       header `X-Lenskeep: 1`.",
    ),
    paths(
        status::status,
        setup::begin,
        setup::finish,
        login::begin_passkey,
        login::passkey,
        sheet::challenge,
        sheet::prove,
        sheet::roster,
        sheet::append,
        login::device_challenge,
        login::device,
        passwords::sign_in,
        recovery::recover,
        providers::begin,
        providers::finish,
        login::logout,
        login::who_am_i,
        sessions::list,
        sessions::end,
        sessions::end_others,
        sessions::end_of_person,
        roster::read,
        roster::append,
        verifications::begin,
        verifications::finish,
        verifications::by_code,
        factors::list,
        factors::change,
        factors::rename,
        factors::begin_passkey,
        factors::add_passkey,
        passwords::begin,
        passwords::finish,
        actions::act,
        actions::signature,
        proposals::list,
        proposals::propose,
        proposals::sign,
        proposals::carry_out,
        proposals::decline,
        people::list,
        people::erase,
        devices::link,
        devices::list,
        devices::request,
        devices::asked,
        devices::answer,
        devices::decline,
        people::invite,
        people::begin_invitation,
        people::accept_invitation,
        enrolments::find,
        enrolments::accept,
        sites::list,
        sites::command,
        cameras::list,
        cameras::recordings,
        timeline::timeline,
        events::list,
        events::review,
        notices::read,
        notices::order,
        notices::end,
        notices::test,
        walls::list,
        walls::save,
        walls::remove,
        hours::list,
        hours::one,
        cameras::raise_event,
        live::ticket,
        live::live,
        recordings::read,
        recordings::dating,
        recordings::epoch_grant,
        past::read,
        past::open,
        past::epochs,
        past::hand_on,
        services::list,
        services::create,
        services::revoke,
        rules::policy,
        rules::set_policy,
        rules::roles,
        rules::assign_roles,
        rules::explanation,
        reasons::state,
        reasons::read,
        history::read,
        history::checkpoint,
        history::consistency,
        history::tile,
        history::proof,
    ),
    components(schemas(
        DeviceSchema,
        EnvelopeSchema,
        GapSchema,
        TimelinePartSchema,
        BandwidthSchema,
        ForwardingSchema,
        SiteSettingsSchema,
        SpanSchema,
        GatewayKeysSchema,
        RecordingSchema,
        SignatureSchema,
        StreamStatusSchema,
        RuleSchema,
        ProblemBody,
    ))
)]
struct Document;

/// The document as it is committed: indented JSON and a line end.
pub fn openapi() -> String {
    let mut text = Document::openapi().to_pretty_json().expect("the document serialises");
    text.push('\n');
    text
}
