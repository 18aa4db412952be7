//! What stands in every line of a log and only looks like a secret: one false finding a
//! line would bury the others. Beside each, what is one.

use fastrand::Rng;
use sweep::Rules;

use crate::made::made;
use crate::sweep;

/// Words that end like a name, and what follows them.
const NEAR: &[&str] = &[
    // Of `pass`.
    "dma0: flags bypass={digits:7}",
    "dsp: bypass: {digits:7}",
    "  bypass = {digits:8}",
    "\"bypass\": \"{digits:7}\"",
    "nav compass={digits:6} roll=3",
    "imu compass: {digits:7}",
    "trespass={digits:7}",
    "encompass = {digits:6}",
    "overpass={digits:8}",
    "underpass: {digits:8}",
    "lowpass={digits:6} highpass={digits:6}",
    "bandpass={digits:6}",
    "setBypass={digits:6}",
    "h264_bypass={digits:8}",
    "vk: subpass={digits:6}",
    "renderpass={digits:8}",
    "x265: first pass: {digits:7} bytes",
    "second pass={digits:7}",
    "first_pass={digits:8}",
    "firstPass={digits:8}",
    "last pass = {digits:8}",
    "bytes per pass: {digits:6}",
    "tests pass={digits:7}",
    "pass={digits:7} fail=0 skip=3",
    "PASS: {digits:7} FAIL: 12",
    "pass: {digits:7}, failed: 3",
    "passing={digits:7}",
    "passed={digits:8}",
    "passed: {digits:8}",
    "passes: {digits:7}",
    "passengers={digits:7}",
    "passthrough={digits:7}",
    "passwd: files sss",
    "passwd: compat systemd",
    "passwd: db files2",
    "password_len={digits:7}",
    // Of `pwd`.
    "pwd=/home/cam{digits:2}",
    "PWD=/srv/build{digits:3}",
    "OLDPWD=/srv/nvr{digits:3}",
    "pwd: ~/work{digits:2}",
    "pwd=./release{digits:4}",
    "pwd=../build{digits:4}",
    // Of `secret`.
    "creating secret camera-tls-{digits:1}",
    "Creating secret NVR-{digits:1}",
    "creating secret NAME-1",
    "deleted secret cam-certs-{digits:2}",
    "kubectl get secret cam{digits:4}",
    "kubectl describe secret nvr-{lower:5}7",
    "reconciling secret nvr-credentials-{lower:4}7",
    "mounted secret default-token-{lower:4}7",
    "updated secret tls-cert-2026",
    "failed to find secret tls-cert-2026",
    "no such secret tls-cert-2026",
    "buying for secret santa{digits:4}",
    "the secret garden{digits:1}",
    "secret/camera-tls-{digits:1} created",
    // Of `key`.
    "cache miss key={hex:32}",
    "cache hit key={hex:40} ttl=300",
    "level=debug msg=\"cache miss\" key={hex:32}",
    "{\"msg\":\"cache miss\",\"key\":\"{hex:32}\",\"ttl\":300}",
    "evicted key={hex:32}",
    "evicting entry key: {hex:32}",
    "redis: lookup key={alnum:24}",
    "s3: object key={hex:40}",
    "duplicate key={hex:32}",
    "no entry for key={hex:32}",
    "memcached set key={hex:32} size=12",
    "kafka: offset=12 partition=3 key={hex:32}",
    "bucket=clips key={hex:40}",
    "dedup key={hex:64}",
    "monkey={hex:32}",
    "donkey: {hex:32}",
    "turkey={alnum:20}1",
    "hockey={hex:32}",
    "whiskey = {hex:32}",
    "keyframe={hex:16}",
    "keyboard={hex:32}",
    "keyspace={hex:32}",
    // Of `token`.
    "token count: {digits:7}",
    "token_count={digits:16}",
    "max_tokens: {digits:7}",
    "tokens={digits:16}",
    // Of commands.
    "mysql -u root -p camdb{digits:4}",
    "mysql -h 10.0.0.2 -u root -p nvr{digits:4}",
    "mysqldump -u root -p nvr{digits:4} > nvr.sql",
    "mariadb -u root -p nvr{digits:4}",
    "mysql --user root --password nvr{digits:4}",
    "mariadb-dump --user root -p nvr{digits:4}",
    "ps -u root -p {digits:7}",
    "top -b -u root -p {digits:7}",
    "strace -f -u cam -p {digits:7}",
    "docker run -u root -p 8080:80 nvr",
    "psql -U cam -p {digits:6} nvr",
];

/// What stands beside them, `«…»` the secret.
const TRUE: &[&str] = &[
    "password=«1048576»",
    "pass=«1048576»",
    "Pass: «1048576»",
    "pass=«4711Zebra» failover=no",
    "sentry key=«{hex:32}»",
    "camera_pass=«1048576»",
    "dbpass=«{password}»",
    "smtppass=«{password}»",
    "bypass_password=«{password}»",
    "one pass: «{password}»",
    "pwd=«1048576»",
    "pwd: «{password}»",
    "passwd: «{password}»",
    "set secret «{password}»",
    "radius-server shared secret «{password}»",
    "client secret «{password}»",
    "api key=«{hex:32}»",
    "key=«{hex:32}»",
    "loading key=«{hex:32}»",
    "stream key=«{alnum:24}7»",
    "GET /rest?key=«{hex:32}»&x=1",
    "session=«{hex:32}»",
    "token: «{hex:40}»",
    "mysql -u root -p«{password}» nvr",
    "mysql -u root -p«{password}»",
    "mysql -u root -p'«{password}»' nvr",
    "mysqldump -ucam -p«{password}» nvr",
    "mariadb -u root -p«{password}» nvr",
    "mysql -u root --password=«{password}» nvr",
    "mongo -u root -p «{password}»",
    "ipmitool -U root -P «{password}» power status",
];

#[test]
fn a_log_of_near_misses_gives_no_finding() {
    let rules = Rules::built_in();
    let mut rng = Rng::with_seed(21);
    let mut wrong = Vec::new();
    for near in NEAR {
        let line = |rng: &mut Rng| format!("2026-11-28T10:15:02Z {}\n", made(near, rng));
        let bare = |rng: &mut Rng| format!("{}\n", made(near, rng));
        let text: String =
            (0..150).map(|_| line(&mut rng)).chain(std::iter::once("\n".to_owned())).collect::<String>()
                + &(0..150).map(|_| bare(&mut rng)).collect::<String>();
        let (found, _) = sweep(&rules, text.as_bytes());
        if let Some(one) = found.first() {
            let line = text.lines().nth(one.location.line.unwrap_or(1) as usize - 1);
            wrong.push(format!("{} × {}: {line:?}", found.len(), one.rule.id));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), NEAR.len(), wrong.join("\n"));
}

#[test]
fn what_stands_beside_near_misses_is_found() {
    let rules = Rules::built_in();
    let mut rng = Rng::with_seed(22);
    let mut wrong = Vec::new();
    for template in TRUE {
        for _ in 0..20 {
            let line = made(template, &mut rng);
            let (before, rest) = line.split_once('«').expect("a secret");
            let (secret, after) = rest.split_once('»').expect("its end");
            let text = format!("{before}{secret}{after}\n");
            let (found, _) = sweep(&rules, text.as_bytes());
            if !found.iter().any(|one| one.secret.reveal() == secret.as_bytes()) {
                wrong.push(text);
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.concat());
}
