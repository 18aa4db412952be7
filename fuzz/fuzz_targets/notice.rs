#![no_main]

use libfuzzer_sys::fuzz_target;
use seal::notice::{Channel, Notice, NoticeKey, NoticeOrder, Wishes};
use seal::push::Recipient;

// Orders come by way of the cloud, notices by way of a push service, and a
// browser says where it is reached. What is read is written again as it was.
fuzz_target!(|data: &[u8]| {
    if let Ok(order) = seal::from_canonical::<NoticeOrder>(data) {
        assert_eq!(seal::to_canonical(&order), data);
    }
    if let Ok(wishes) = seal::from_canonical::<Wishes>(data) {
        assert_eq!(seal::to_canonical(&wishes), data);
    }
    if let Ok(notice) = seal::from_canonical::<Notice>(data) {
        assert_eq!(seal::to_canonical(&notice), data);
    }
    let channel = Channel {
        org: model::OrgId::from_random([1; 16]),
        gateway: model::GatewayId::from_random([2; 16]),
        device: model::DeviceId::from_random([3; 16]),
    };
    assert!(Notice::open(data, &NoticeKey::from_random([4; 32]), &channel).is_err(), "nobody sealed it");
    if let Some((public, auth)) = data.split_at_checked(65) {
        let _ = Recipient::new(public, auth);
    }
});
