//! Who may come from where to which database, and how they prove who they are: an ordered list of rules, of which the
//! first that fits decides, as in PostgreSQL's `pg_hba.conf`. In: how a client came. Out: its rule. Knows no sockets.

use std::net::IpAddr;

use super::AuthenticationMethod;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HbaRule {
    pub connection: HbaConnection,
    /// `None`: all, the console's too.
    pub databases: Option<Vec<String>>,
    pub users: Option<Vec<String>>,
    /// `None`: from everywhere. Never looked at on a Unix socket.
    pub address: Option<AddressRange>,
    pub verdict: HbaVerdict,
    pub certificate: ClientCertificate,
    /// Whom a certificate of a common name may come as; `None`: as the user of that name.
    pub map: Option<Vec<MappedName>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MappedName {
    pub common_name: String,
    /// `None`: anybody.
    pub users: Option<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HbaConnection {
    /// A Unix socket.
    Local,
    /// TCP, with TLS or without.
    Host,
    HostTls,
    HostPlain,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HbaVerdict {
    Check(AuthenticationMethod),
    /// The client's certificate says who it is.
    Certificate,
    Reject,
}

/// What a client has to show in its TLS handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientCertificate {
    Unasked,
    /// Any that `client_ca` signed: verify-ca.
    Signed,
    /// One for the name of the user: verify-full.
    Named,
}

/// Where a client comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    Local,
    Tcp { address: IpAddr, tls: bool },
}

/// The addresses whose first `bits` are those of `base`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressRange {
    base: IpAddr,
    bits: u8,
}

impl AddressRange {
    /// `10.0.0.0/8`, `fd00::/8`; without a mask one address.
    pub fn parse(text: &str) -> Option<Self> {
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) if bits.bytes().all(|byte| byte.is_ascii_digit()) => (base, Some(bits.parse().ok()?)),
            Some(_) => return None,
            None => (text, None),
        };
        let base: IpAddr = base.parse().ok()?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Self { base, bits })
    }

    /// Every address of its kind.
    pub fn is_all(self) -> bool {
        self.bits == 0
    }

    fn contains(self, address: IpAddr) -> bool {
        let differing = match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => (base.to_bits() ^ address.to_bits()).leading_zeros(),
            (IpAddr::V6(base), IpAddr::V6(address)) => (base.to_bits() ^ address.to_bits()).leading_zeros(),
            _ => return false,
        };
        differing >= u32::from(self.bits)
    }
}

impl HbaRule {
    /// Whether a certificate of that common name is the user's.
    pub fn names(&self, common_name: &str, user: &str) -> bool {
        match &self.map {
            None => common_name == user,
            Some(map) => map
                .iter()
                .filter(|mapped| mapped.common_name == common_name)
                .any(|mapped| mapped.users.as_ref().is_none_or(|users| users.iter().any(|known| known == user))),
        }
    }

    fn fits(&self, origin: Origin, database: &str, user: &str) -> bool {
        let connection = match (self.connection, origin) {
            (HbaConnection::Local, Origin::Local) => true,
            (HbaConnection::Local, Origin::Tcp { .. }) | (_, Origin::Local) => false,
            (HbaConnection::Host, Origin::Tcp { .. }) => true,
            (HbaConnection::HostTls, Origin::Tcp { tls, .. }) => tls,
            (HbaConnection::HostPlain, Origin::Tcp { tls, .. }) => !tls,
        };
        let names = |names: &Option<Vec<String>>, name: &str| {
            names.as_ref().is_none_or(|names| names.iter().any(|known| known == name))
        };
        let address = match (self.address, origin) {
            // A socket that listens to IPv6 shows clients of IPv4 as mapped addresses.
            (Some(range), Origin::Tcp { address, .. }) => range.contains(address.to_canonical()),
            _ => true,
        };
        connection && address && names(&self.databases, database) && names(&self.users, user)
    }
}

/// The first rule that fits; `None`: none does, and the client isn't let in.
pub fn first_rule<'r>(rules: &'r [HbaRule], origin: Origin, database: &str, user: &str) -> Option<&'r HbaRule> {
    rules.iter().find(|rule| rule.fits(origin, database, user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_their_bits_say() {
        let contains = |range: &str, address: &str| {
            AddressRange::parse(range).expect(range).contains(address.parse().expect(address))
        };
        for (range, inside, outside) in [
            ("10.0.0.0/8", "10.255.3.4", "11.0.0.0"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.2"),
            ("10.1.2.3/31", "10.1.2.2", "10.1.2.1"),
            ("0.0.0.0/0", "255.1.1.1", "::1"),
            ("::/0", "::1", "127.0.0.1"),
            ("fd00::/7", "fc00::1", "fe00::1"),
            ("::1", "::1", "::2"),
        ] {
            assert!(contains(range, inside), "{range} {inside}");
            assert!(!contains(range, outside), "{range} {outside}");
        }
        for wrong in ["10.0.0.0/33", "10.0.0/8", "::/129", "/8", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/-1", "host", ""]
        {
            assert_eq!(AddressRange::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let check = HbaVerdict::Check(AuthenticationMethod::ScramSha256);
        let rule = |connection, database: Option<&str>, address: Option<&str>, verdict| HbaRule {
            connection,
            databases: database.map(|name| vec![name.to_owned()]),
            users: None,
            address: address.and_then(AddressRange::parse),
            verdict,
            certificate: ClientCertificate::Unasked,
            map: None,
        };
        let rules = [
            rule(HbaConnection::HostPlain, Some("shop"), None, HbaVerdict::Reject),
            rule(HbaConnection::Host, None, Some("10.0.0.0/8"), check),
            rule(HbaConnection::HostTls, None, None, HbaVerdict::Check(AuthenticationMethod::Md5)),
            rule(HbaConnection::Local, Some("shardway"), None, HbaVerdict::Check(AuthenticationMethod::Trust)),
        ];
        let of = |origin, database| {
            let found = first_rule(&rules, origin, database, "ada")?;
            rules.iter().position(|rule| std::ptr::eq(rule, found))
        };
        let tcp = |address: &str, tls| Origin::Tcp { address: address.parse().expect(address), tls };
        assert_eq!(of(tcp("10.1.1.1", false), "shop"), Some(0));
        assert_eq!(of(tcp("10.1.1.1", true), "shop"), Some(1));
        assert_eq!(of(tcp("10.1.1.1", false), "other"), Some(1));
        assert_eq!(of(tcp("::ffff:10.1.1.1", false), "other"), Some(1));
        assert_eq!(of(tcp("11.1.1.1", true), "shop"), Some(2));
        assert_eq!(of(tcp("11.1.1.1", false), "other"), None);
        assert_eq!(of(Origin::Local, "shardway"), Some(3));
        assert_eq!(of(Origin::Local, "shop"), None);
    }
}
