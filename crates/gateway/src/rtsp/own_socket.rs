//! Whether the other end of a loopback connection is a socket of this very
//! process. Another user on the machine may connect to any loopback port, but
//! cannot have a socket in our `/proc/self/fd`.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

/// `peer` is the connecting end, `local` the accepting one. Reads `/proc`:
/// blocking, though nothing there waits for a disk.
pub(super) fn is_ours(peer: SocketAddr, local: SocketAddr) -> io::Result<bool> {
    let (SocketAddr::V4(peer), SocketAddr::V4(local)) = (peer, local) else { return Ok(false) };
    let table = fs::read_to_string("/proc/self/net/tcp")?;
    let Some(inode) = inode_of(&table, peer, local) else { return Ok(false) };
    let target = format!("socket:[{inode}]");
    for entry in fs::read_dir("/proc/self/fd")? {
        // Descriptors close while we look; the one we search for does not.
        let Ok(link) = entry.and_then(|entry| fs::read_link(entry.path())) else { continue };
        if link.as_os_str() == target.as_str() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The row whose own end is `from` (proc(5): addresses are hex in host byte
/// order, the inode is the tenth column).
fn inode_of(table: &str, from: SocketAddrV4, to: SocketAddrV4) -> Option<u64> {
    let (from, to) = (Some(from), Some(to));
    table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let ends = (address(columns.next()?), address(columns.next()?));
        let inode = columns.nth(6)?.parse().ok()?;
        // 0 stands where no process holds the socket any longer.
        (ends == (from, to) && inode != 0).then_some(inode)
    })
}

fn address(text: &str) -> Option<SocketAddrV4> {
    let (ip, port) = text.split_once(':')?;
    let ip = Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?.to_ne_bytes());
    Some(SocketAddrV4::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn our_own_connection_is_recognised_and_a_closed_one_is_not() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, peer) = listener.accept().unwrap();
        let local = accepted.local_addr().unwrap();
        assert!(is_ours(peer, local).unwrap());
        assert!(!is_ours(local, SocketAddr::from((Ipv4Addr::LOCALHOST, 1))).unwrap());
        drop(ours);
        assert!(!is_ours(peer, local).unwrap());
    }

    #[test]
    fn the_inode_is_the_tenth_column() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 20 4 30 10 -1\n";
        let [a, b] = [8080, 0xc001].map(|port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
        if cfg!(target_endian = "little") {
            assert_eq!(inode_of(table, a, b), Some(4242));
            assert_eq!(inode_of(table, b, a), None);
        }
    }
}
