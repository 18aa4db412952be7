//! Footage that a link opens: who may make one, and what it opens.

use super::*;
use crate::request::ShareFacts;

#[test]
fn a_link_opens_its_own_capsule_while_it_lasts_and_nothing_else() {
    let (share, other) = (ShareId::from_random([6; 16]), ShareId::from_random([7; 16]));
    let known = ShareFacts {
        org: org(),
        until: NOW.plus_ms(1),
        withdrawn: false,
        openings_left: None,
        sharer_may_open: true,
    };
    let ask = |known: Option<ShareFacts>, action| {
        let facts = Facts { share: known, ..facts() };
        let request = Request { id: None, org: org(), principal: Principal::Link(share), action };
        decide(&request, &facts, Some(&Policies::builtin()), NOW).map(|_| ())
    };
    let open = |known| ask(Some(known), Action::OpenShare { share });
    assert_eq!(open(known), Ok(()));
    assert_eq!(open(ShareFacts { openings_left: Some(1), ..known }), Ok(()));
    assert_eq!(open(ShareFacts { openings_left: Some(0), ..known }), Err(Denial::ShareUsedUp));
    assert_eq!(open(ShareFacts { until: NOW, ..known }), Err(Denial::ShareOver));
    assert_eq!(open(ShareFacts { withdrawn: true, ..known }), Err(Denial::ShareWithdrawn));
    assert_eq!(open(ShareFacts { sharer_may_open: false, ..known }), Err(Denial::Sharer));
    let elsewhere = OrgId::from_random([9; 16]);
    assert_eq!(open(ShareFacts { org: elsewhere, ..known }), Err(Denial::Principal));
    assert_eq!(ask(None, Action::OpenShare { share }), Err(Denial::Principal));
    assert_eq!(ask(Some(known), Action::OpenShare { share: other }), Err(Denial::Principal));
    // Whatever else a person may do, a link does not.
    for action in [live(), Action::ListCameras, Action::EndShare { share }, Action::ReadHistory] {
        assert_eq!(ask(Some(known), action), Err(Denial::Principal));
    }
    let facts = Facts { share: Some(known), ..facts() };
    assert_eq!(person_asks(Action::OpenShare { share }, &facts), Err(Denial::Principal));
}

#[test]
fn sharing_takes_a_role_that_includes_it() {
    let builtin = Policies::builtin();
    let mut facts = facts();
    facts.person.as_mut().unwrap().administrator = false;
    let mut with = |role: &str, may_open| {
        facts.person.as_mut().unwrap().roles = BTreeSet::from([role.parse().unwrap()]);
        facts.cameras.get_mut(&camera()).unwrap().person_may_open = may_open;
        let share = ShareId::from_random([6; 16]);
        let (from, to, signature) = (Timestamp(1), Timestamp(2), Hash([8; 32]));
        person_of(&builtin, &facts, Action::Share { share, camera: camera(), from, to, signature })
    };
    assert_eq!(with("operator all", true), Ok(()));
    assert_eq!(with("viewer all", true), Err(Denial::Role));
    assert_eq!(with("operator all", false), Err(Denial::Camera), "a role opens nothing by itself");
}
