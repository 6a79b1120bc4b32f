//! Which hosts a request may be for, where no key is asked for.
//!
//! A web page can make a browser send requests to this machine, under a name that its owner lets point here (DNS
//! rebinding). Such requests carry that name.

use std::net::IpAddr;

/// Whether a `Host` header names this machine by itself.
pub(crate) fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:8080", "[::1]:8080", "127.9.9.9"] {
            assert!(is_local(host), "{host}");
        }
        for host in
            ["example.com", "localhost.example.com", "10.0.0.1:80", "[::2]", "", "127.0.0.1.example.com"]
        {
            assert!(!is_local(host), "{host}");
        }
    }
}
