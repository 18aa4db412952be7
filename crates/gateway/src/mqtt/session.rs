//! One connection to the broker, until it is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use gateway_core::home_assistant::OFFLINE;
use gateway_core::mqtt::{Connect, Incoming, PINGREQ, Reader, publish, refusal, subscribe};
use model::Secret;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tokio_rustls::TlsConnector;
use tracing::warn;

use super::state::{Publication, State};
use super::{Broker, Mqtt, connected};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For each thing that a broker has to say, and to take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// A broker counts a gateway as gone after one and a half of it.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Messages that the broker has not confirmed; Mosquitto takes 20 at once.
const INFLIGHT_MAX: usize = 16;
/// Read at once.
const BUFFER: usize = 4 << 10;
/// Of the one subscription; those of messages begin when it is confirmed.
const SUBSCRIPTION: u16 = 1;

trait Line: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

/// What was sent and is not confirmed yet, in the order of sending.
#[derive(Default)]
struct Inflight {
    next: u16,
    sent: BTreeMap<u64, (u16, Instant, Publication)>,
    count: u64,
}

/// `Ok`: nobody is left to tell anything.
pub(super) async fn run(mqtt: &mut Mqtt, state: &mut State, told: &mut Option<String>) -> anyhow::Result<()> {
    let connecting = timeout(CONNECT_TIMEOUT, open(&mqtt.broker));
    let mut line = connecting.await.context("the broker cannot be reached in time")??;
    let topics = mqtt.frigate.as_ref().map_or(&[][..], |frigate| frigate.topics()).to_vec();
    let mut reader = Reader::subscribing(&topics);
    timeout(ANSWER_TIMEOUT, begin(&mut line, mqtt, state, &mut reader))
        .await
        .context("the broker does not answer")??;
    if !topics.is_empty() {
        write(&mut line, &subscribe(&topics, SUBSCRIPTION)).await?;
        timeout(ANSWER_TIMEOUT, subscribed(&mut line, mqtt, &mut reader))
            .await
            .context("the broker does not say whether it lets us read")??;
    }
    connected(told);
    state.all_again();
    let mut inflight = Inflight::default();
    let ended = go_on(&mut line, mqtt, state, &mut reader, &mut inflight).await;
    // In the order in which they were sent.
    for (_, (_, _, publication)) in inflight.sent.into_iter().rev() {
        state.put_back(publication);
    }
    ended
}

async fn open(broker: &Broker) -> anyhow::Result<Box<dyn Line>> {
    let failed = || format!("cannot connect to {}:{}", broker.host, broker.port);
    let stream = TcpStream::connect((broker.host.as_str(), broker.port)).await.with_context(failed)?;
    stream.set_nodelay(true)?;
    let Some((config, name)) = &broker.tls else { return Ok(Box::new(stream)) };
    let connector = TlsConnector::from(config.clone());
    let stream = connector.connect(name.clone(), stream).await;
    Ok(Box::new(stream.context("no TLS with the broker")?))
}

async fn begin(
    line: &mut Box<dyn Line>,
    mqtt: &Mqtt,
    state: &State,
    reader: &mut Reader,
) -> anyhow::Result<()> {
    // Letters and digits of the id, as many as every broker takes.
    let id: String = mqtt.gateway.to_string().chars().filter(char::is_ascii_alphanumeric).take(15).collect();
    let will = state.topics().availability();
    let connect = Connect {
        client_id: &format!("lenskeep{id}"),
        keep_alive_seconds: KEEP_ALIVE.as_secs() as u16,
        will: (&will, OFFLINE.as_bytes()),
        username: mqtt.broker.username.as_deref(),
        password: mqtt.broker.password.as_ref().map(Secret::expose),
    };
    let packet = zeroize::Zeroizing::new(connect.encode());
    line.write_all(&packet).await.context("the broker hangs up")?;
    line.flush().await.context("the broker hangs up")?;
    let mut buffer = [0; 64];
    loop {
        let said = receive(line, &mut buffer, reader).await?;
        match said[..] {
            [] => {}
            [Incoming::Connected(0)] => return Ok(()),
            [Incoming::Connected(code)] => bail!("{}", refusal(code)),
            _ => bail!("the broker says something else than whether we are connected"),
        }
    }
}

/// Messages may come before the answer (section 3.8.4).
async fn subscribed(line: &mut Box<dyn Line>, mqtt: &mut Mqtt, reader: &mut Reader) -> anyhow::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut is_subscribed = false;
    while !is_subscribed {
        for said in receive(line, &mut buffer, reader).await? {
            is_subscribed |= matches!(said, Incoming::Subscribed(..));
            hear(mqtt, said)?;
        }
    }
    Ok(())
}

/// What comes of a subscription alone; without one, [`Reader`] takes none of it.
fn hear(mqtt: &mut Mqtt, said: Incoming) -> anyhow::Result<()> {
    let frigate = mqtt.frigate.as_mut().context("the broker says what nobody asked for")?;
    match said {
        Incoming::Subscribed(SUBSCRIPTION, are_let) => frigate.subscribed(&are_let),
        Incoming::Heard(heard) => frigate.hear(&heard),
        Incoming::TooLong => frigate.too_long(),
        _ => bail!("the broker says something else than whether it lets us read"),
    }
    Ok(())
}

async fn receive(
    line: &mut Box<dyn Line>,
    buffer: &mut [u8],
    reader: &mut Reader,
) -> anyhow::Result<Vec<Incoming>> {
    let read = line.read(buffer).await.context("the broker hangs up")?;
    ensure!(read > 0, "the broker hangs up");
    Ok(reader.read(&buffer[..read])?)
}

async fn go_on(
    line: &mut Box<dyn Line>,
    mqtt: &mut Mqtt,
    state: &mut State,
    reader: &mut Reader,
    inflight: &mut Inflight,
) -> anyhow::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut wrote = Instant::now();
    // When a PINGREQ went out that has no answer.
    let mut asked: Option<Instant> = None;
    loop {
        let packets = inflight.fill(state);
        if !packets.is_empty() {
            write(line, &packets).await?;
            wrote = Instant::now();
        }
        tokio::select! {
            said = receive(line, &mut buffer, reader) => {
                for incoming in said? {
                    match incoming {
                        Incoming::Taken(number) => {
                            ensure!(inflight.taken(number), "the broker confirms what it was not sent");
                        }
                        Incoming::Alive => ensure!(asked.take().is_some(), "the broker answers unasked"),
                        Incoming::Connected(_) => bail!("the broker says once more that we are connected"),
                        Incoming::Subscribed(..) => bail!("the broker says once more what it lets us read"),
                        heard @ (Incoming::Heard(_) | Incoming::TooLong) => hear(mqtt, heard)?,
                    }
                }
            }
            message = mqtt.messages.recv() => match message {
                Some(message) => state.hear(message),
                None => return Ok(()),
            },
            _ = second.tick() => {
                mqtt.tick(state);
                let late = asked.or(inflight.oldest()).is_some_and(|since| since.elapsed() > ANSWER_TIMEOUT);
                ensure!(!late, "the broker confirms nothing");
                if wrote.elapsed() >= KEEP_ALIVE / 2 && asked.is_none() {
                    write(line, &PINGREQ).await?;
                    (wrote, asked) = (Instant::now(), Some(Instant::now()));
                }
            }
        }
    }
}

async fn write(line: &mut Box<dyn Line>, bytes: &[u8]) -> anyhow::Result<()> {
    let writing = async {
        line.write_all(bytes).await?;
        line.flush().await
    };
    timeout(ANSWER_TIMEOUT, writing).await.context("the broker takes nothing")?.context("the broker hangs up")
}

impl Inflight {
    /// As much as may be under way.
    fn fill(&mut self, state: &mut State) -> Vec<u8> {
        let mut packets = Vec::new();
        while self.sent.len() < INFLIGHT_MAX {
            let Some(publication) = state.next() else { break };
            // Section 2.3.1: not 0, and none that is under way.
            self.next = self.next.checked_add(1).unwrap_or(1);
            while self.sent.values().any(|(number, ..)| *number == self.next) {
                self.next = self.next.checked_add(1).unwrap_or(1);
            }
            let payload = publication.payload.as_bytes();
            let Some(packet) = publish(&publication.topic, payload, publication.is_retained, self.next)
            else {
                warn!(topic = publication.topic, "a message is too long for the broker");
                continue;
            };
            packets.extend(packet);
            self.count += 1;
            self.sent.insert(self.count, (self.next, Instant::now(), publication));
        }
        packets
    }

    /// Whether it was under way.
    fn taken(&mut self, number: u16) -> bool {
        let count = self.sent.len();
        self.sent.retain(|_, (sent, ..)| *sent != number);
        self.sent.len() < count
    }

    fn oldest(&self) -> Option<Instant> {
        self.sent.first_key_value().map(|(_, (_, since, _))| *since)
    }
}
