use mail_types::Acceptance;

use super::{Flow, Session, Status};

impl<R: Acceptance> Session<R> {
    // RFC 4978 §3: the first octet behind the tagged OK is compressed; the client sends nothing
    // until it has seen it.
    pub(super) fn compress(&mut self, algorithm: &str) -> Flow {
        if algorithm != "DEFLATE" {
            return self.bad("", "The only algorithm is DEFLATE");
        }
        if self.compressed {
            let text = "DEFLATE is active already";
            return self.finish_silently(Status::No, "[COMPRESSIONACTIVE]", text);
        }
        self.compressed = true;
        self.write_tagged(Status::Ok, "", "DEFLATE is active from here on");
        self.tag = None;
        self.reader.clear();
        Flow::StartCompression
    }
}
