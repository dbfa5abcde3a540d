//! One question to one server: its name, a packet there, a packet back. Everything has a time limit, and so has patience with strangers' packets.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use adit_config::HostPort;
use adit_sys::clock;
use ed25519_dalek::VerifyingKey;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::{
    net::{UdpSocket, lookup_host},
    time::{Instant, timeout, timeout_at},
};

use super::{
    interval::Interval,
    roughtime,
    sntp::{self, Rejected},
};

/// For a name. The C library may try longer; nobody waits for it.
const NAME_LIMIT: Duration = Duration::from_secs(10);
/// For an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// Packets that are not the answer, before a question is given up: whoever guesses our port may send more.
const STRAY_PACKETS: usize = 16;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("its name is not found: {0}")]
    Name(io::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no answer")]
    Silent,
    #[error("{0}")]
    Sntp(#[from] Rejected),
    #[error("{0}")]
    Roughtime(#[from] roughtime::Rejected),
}

/// `attempt` goes through the addresses of a name one by one: some may lead nowhere from here.
async fn connect(server: &HostPort, attempt: usize) -> Result<UdpSocket, Failed> {
    let named = timeout(NAME_LIMIT, lookup_host((server.host.as_str(), server.port))).await;
    let named = named.map_err(|_| Failed::Name(io::ErrorKind::TimedOut.into()))?;
    let addresses: Vec<SocketAddr> = named.map_err(Failed::Name)?.take(8).collect();
    let address = addresses.get(attempt % addresses.len().max(1));
    let address = address.ok_or_else(|| Failed::Name(io::ErrorKind::NotFound.into()))?;
    let any = if address.is_ipv4() {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    } else {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    Ok(socket)
}

pub(crate) async fn sntp(server: &HostPort, attempt: usize, near: i64) -> Result<Interval, Failed> {
    let socket = connect(server, attempt).await?;
    let nonce = u64::from_ne_bytes(random()?);
    exchange(&socket, &sntp::question(nonce), |packet, sent| {
        match sntp::answer(packet, nonce, sent, clock::raw(), near) {
            Err(Rejected::Origin) => None,
            other => Some(other.map_err(Failed::from)),
        }
    })
    .await
}

pub(crate) async fn roughtime(
    server: &HostPort,
    key: &VerifyingKey,
    attempt: usize,
) -> Result<Interval, Failed> {
    let socket = connect(server, attempt).await?;
    let question = roughtime::question(random()?, key);
    exchange(&socket, &question, |packet, sent| {
        match roughtime::answer(packet, &question, key, sent, clock::raw()) {
            Err(roughtime::Rejected::Nonce) => None,
            other => Some(other.map_err(Failed::from)),
        }
    })
    .await
}

/// Sends, and shows what comes back to `read` until that recognises the answer.
async fn exchange(
    socket: &UdpSocket,
    question: &[u8],
    read: impl Fn(&[u8], Duration) -> Option<Result<Interval, Failed>>,
) -> Result<Interval, Failed> {
    let deadline = Instant::now() + ANSWER_LIMIT;
    let sent = clock::raw();
    socket.send(question).await?;
    let mut packet = [0; roughtime::LONGEST_ANSWER];
    for _ in 0..STRAY_PACKETS {
        let length = timeout_at(deadline, socket.recv(&mut packet)).await.map_err(|_| Failed::Silent)??;
        if let Some(result) = read(&packet[..length], sent) {
            return result;
        }
    }
    Err(Failed::Silent)
}

/// From the kernel; an error as long as it has none to give.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    match getrandom(&mut bytes, GetRandomFlags::NONBLOCK)? {
        length if length == N => Ok(bytes),
        _ => Err(io::ErrorKind::WouldBlock.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each question with these packets, made from the question.
    async fn server(answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> HostPort {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut packet = [0; 2_048];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                for answer in answers(&packet[..length]) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        HostPort { host: "127.0.0.1".to_owned(), port }
    }

    /// What a server of stratum 1 says at 2026-02-01 00:00:00.
    fn good(question: &[u8]) -> Vec<u8> {
        let time = ((1_769_904_000u64 + 2_208_988_800) << 32).to_be_bytes();
        [&[4 << 3 | 4, 1, 0, 0], &[0; 20][..], &question[40..48], &time, &time].concat()
    }

    fn stray(question: &[u8]) -> Vec<u8> {
        let mut packet = good(question);
        packet[24] ^= 1;
        packet
    }

    #[tokio::test]
    async fn packets_of_strangers_do_not_count_and_the_answer_behind_them_does() {
        let server = server(|question| {
            let mut all = vec![stray(question); STRAY_PACKETS - 1];
            all.push(good(question));
            all
        })
        .await;
        let found = sntp(&server, 0, 1_767_225_600).await.unwrap();
        let now = found.middle() + super::super::interval::micros(clock::raw());
        assert!((now - 1_769_904_000_000_000).abs() < 60_000_000, "{now}");
    }

    #[tokio::test]
    async fn a_flood_ends_the_question() {
        let server = server(|question| vec![stray(question); STRAY_PACKETS + 1]).await;
        assert!(matches!(sntp(&server, 0, 1_767_225_600).await, Err(Failed::Silent)));
    }

    #[tokio::test]
    async fn a_kiss_of_death_is_understood_and_a_huge_packet_survived() {
        let kissing = server(|question| {
            let mut kiss = good(question);
            kiss[1] = 0;
            kiss[12..16].copy_from_slice(b"RATE");
            vec![kiss]
        })
        .await;
        let found = sntp(&kissing, 0, 1_767_225_600).await;
        assert!(matches!(found, Err(Failed::Sntp(Rejected::Kiss(code))) if code == *b"RATE"), "{found:?}");
        let huge = server(|_| vec![vec![0xff; 60_000]]).await;
        let found = sntp(&huge, 0, 1_767_225_600).await;
        assert!(matches!(found, Err(Failed::Sntp(Rejected::Mode(7)))), "{found:?}");
    }

    #[tokio::test]
    async fn a_roughtime_server_that_cannot_sign_is_not_believed() {
        let server = server(|question| vec![question.to_vec(), vec![0; 1_400]]).await;
        let key = VerifyingKey::from_bytes(&super::super::servers::signed()[0].key).unwrap();
        assert!(matches!(roughtime(&server, &key, 0).await, Err(Failed::Roughtime(_))));
    }
}
