//! Notices: each signed incident, to people and programs outside, as it rises.
//!
//! They go out of band: on a thread for each place, so that a server that hangs holds up neither a vote nor another place.
//! What a place does not take is tried again a few times and then told in the monitor's own log; the incident stands in
//! the record all the same. Whoever gets one verifies the envelope, whatever brought it.

mod post;

use std::net::ToSocketAddrs as _;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport as _};
use statement::kind::Incident;
use statement::{Envelope, KeyId, RealmId};

use self::post::Post;
use crate::config::{Mail, MailTls, Notice};
use crate::{Error, read};

/// How long a place may take for one notice.
const PATIENCE: Duration = Duration::from_secs(10);
/// Notices that wait for a place at most. More in one go tell nobody more.
const WAITING_MAX: usize = 64;
/// How long to wait before each further try.
const AGAIN: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(15)];

/// The places that notices go to.
#[derive(Debug)]
pub(crate) struct Notices {
    places: Vec<(String, SyncSender<Told>)>,
}

/// A signed incident, and what people read of it.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) envelope: Vec<u8>,
    pub(crate) subject: String,
    pub(crate) text: String,
}

/// What takes notices to one place.
trait Carrier: Send {
    fn carry(&self, told: &Told) -> Result<(), String>;
}

impl Notices {
    /// Makes a way to each place; nothing is sent yet.
    pub(crate) fn new(notices: &[Notice]) -> Result<Self, Error> {
        let mut places = Vec::new();
        for notice in notices {
            let (name, carrier): (String, Box<dyn Carrier>) = match notice {
                Notice::Url(url) => (url.clone(), Box::new(Post::new(url, PATIENCE)?)),
                Notice::Mail(mail) => (format!("mail by {}", mail.server), Box::new(Letter::new(mail)?)),
            };
            let (sender, receiver) = sync_channel(WAITING_MAX);
            let thread = std::thread::Builder::new().name("notices".to_owned());
            let of_thread = name.clone();
            let begun = thread.spawn(move || deliver(&of_thread, &*carrier, &receiver, &AGAIN));
            begun.map_err(|error| wrong(error.to_string()))?;
            places.push((name, sender));
        }
        Ok(Self { places })
    }

    /// Hands a notice to every place. It does not wait.
    pub(crate) fn tell(&self, told: &Told) {
        for (place, sender) in &self.places {
            match sender.try_send(told.clone()) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => {
                    tracing::warn!(%place, "too many notices wait; this one is left out");
                }
                Err(TrySendError::Disconnected(_)) => tracing::warn!(%place, "notices are no longer sent"),
            }
        }
    }
}

impl Told {
    pub(crate) fn of(
        envelope: &Envelope,
        incident: &Incident,
        change: &str,
        realm: &RealmId,
        by: KeyId,
    ) -> Result<Self, Error> {
        let response = serde_json::to_value(incident.response).ok();
        let response = response.as_ref().and_then(serde_json::Value::as_str).unwrap_or("unknown").to_owned();
        let slot = &incident.slot;
        Ok(Self {
            envelope: envelope.to_bytes()?,
            subject: format!("[countersign] {realm}: {slot}: {response}"),
            text: format!(
                "A monitor of realm {realm} asks for `{response}` in slot {slot}.\n\n\
                 change:   {change}\norder:    {}\nincident: {}\nmonitor:  {by}\n\n\
                 What is done is what a quorum of monitors says. The signed incident is attached; \
                 `countersign incident show` and `countersign show {change}` tell what the record has.\n",
                incident.order,
                envelope.id(),
            ),
        })
    }
}

/// Carries what comes, until nobody can say anything any more.
fn deliver(place: &str, carrier: &dyn Carrier, told: &Receiver<Told>, again: &[Duration]) {
    for told in told {
        let mut pauses = again.iter();
        while let Err(reason) = carrier.carry(&told) {
            let Some(pause) = pauses.next() else {
                tracing::error!(%place, %reason, "a notice could not be sent");
                break;
            };
            tracing::warn!(%place, %reason, "a notice is not taken; it is tried again");
            std::thread::sleep(*pause);
        }
    }
}

/// The envelope with some words, to people.
struct Letter {
    transport: SmtpTransport,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Letter {
    fn new(mail: &Mail) -> Result<Self, Error> {
        let (host, port) =
            mail.server.rsplit_once(':').ok_or_else(|| wrong("`server` is not HOST:PORT".to_owned()))?;
        let port = port.parse().map_err(|_| wrong("`server` is not HOST:PORT".to_owned()))?;
        let address =
            |text: &str| text.parse::<Mailbox>().map_err(|error| wrong(format!("`{text}`: {error}")));
        let from = address(&mail.from)?;
        let to = mail.to.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() {
            return Err(wrong("`to` names nobody".to_owned()));
        }
        let parameters = || {
            let mut parameters = TlsParameters::builder(host.to_owned());
            if let Some(path) = &mail.ca_file {
                let certificate = Certificate::from_pem(read(path)?.as_bytes());
                parameters =
                    parameters.add_root_certificate(certificate.map_err(|error| wrong(error.to_string()))?);
            }
            parameters.build_rustls().map_err(|error| wrong(error.to_string()))
        };
        let tls = match mail.tls {
            MailTls::Required => Tls::Required(parameters()?),
            MailTls::Wrapped => Tls::Wrapper(parameters()?),
            MailTls::None => {
                if mail.user.is_some() && !is_here(host, port) {
                    return Err(wrong("a password is sent in the clear to this machine alone".to_owned()));
                }
                Tls::None
            }
        };
        let mut transport =
            SmtpTransport::builder_dangerous(host).port(port).tls(tls).timeout(Some(PATIENCE));
        match (&mail.user, &mail.password_file) {
            (Some(user), Some(path)) => {
                transport =
                    transport.credentials(Credentials::new(user.clone(), read(path)?.trim().to_owned()));
            }
            (None, None) => {}
            _ => return Err(wrong("`user` and `password_file` belong together".to_owned())),
        }
        Ok(Self { transport: transport.build(), from, to })
    }
}

impl Carrier for Letter {
    fn carry(&self, told: &Told) -> Result<(), String> {
        let mut message = Message::builder().from(self.from.clone()).subject(&told.subject);
        for to in &self.to {
            message = message.to(to.clone());
        }
        let kind = ContentType::parse("application/json").map_err(|error| error.to_string())?;
        let envelope = Attachment::new("incident.json".to_owned()).body(told.envelope.clone(), kind);
        let parts = MultiPart::mixed().singlepart(SinglePart::plain(told.text.clone())).singlepart(envelope);
        let message = message.multipart(parts).map_err(|error| error.to_string())?;
        self.transport.send(&message).map(drop).map_err(|error| error.to_string())
    }
}

/// Whether a server is on this machine.
fn is_here(host: &str, port: u16) -> bool {
    let found = (host, port).to_socket_addrs();
    found.is_ok_and(|mut found| found.all(|address| address.ip().is_loopback()))
}

const fn wrong(reason: String) -> Error {
    Error::Config { what: "notices", reason }
}

#[cfg(test)]
mod tests;
