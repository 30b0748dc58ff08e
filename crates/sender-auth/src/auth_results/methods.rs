//! How the results of our checks stand in the field (RFC 8601 §2.7).

use std::net::IpAddr;

use super::MethodResult;
use crate::{DmarcResult, IprevResult, SpfResult, SpfScope, SpfSession};

impl SpfResult {
    /// RFC 8601 §2.7.2: `smtp.mailfrom` or `smtp.helo`, whichever was checked.
    #[must_use]
    pub fn method(&self, session: &SpfSession<'_>) -> MethodResult {
        let (property, value) = match self.scope {
            SpfScope::MailFrom if !session.mail_from.is_empty() => ("mailfrom", session.mail_from),
            // RFC 7208 §2.4: the null reverse-path is checked by the HELO name.
            SpfScope::MailFrom | SpfScope::Helo => ("helo", session.helo),
        };
        MethodResult::new("spf", self.outcome.verdict)
            .commented(self.outcome.reason())
            .with("smtp", property, value)
    }
}

impl DmarcResult {
    /// RFC 9989 §9.1, RFC 8601 §2.7: `header.from`, and the policy that applies.
    #[must_use]
    pub fn method(&self) -> MethodResult {
        let method = MethodResult::new("dmarc", self.outcome.verdict)
            .commented(self.outcome.reason())
            .with("header", "from", &self.from);
        match &self.published {
            Some(published) => method.with("policy", "dmarc", published.policy.as_str()),
            None => method,
        }
    }
}

impl IprevResult {
    /// RFC 8601 §2.7.3: `policy.iprev`.
    #[must_use]
    pub fn method(&self, ip: IpAddr) -> MethodResult {
        MethodResult::new("iprev", self.outcome.verdict).commented(self.outcome.reason()).with(
            "policy",
            "iprev",
            &ip.to_canonical().to_string(),
        )
    }
}
