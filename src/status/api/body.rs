//! The body of a response, produced while it is sent.

use std::io;

use tracing::error;

use super::encoder::BodyEncoder;
use crate::negotiation::ContentCoding;
use crate::status::document::{DocumentPage, Position};

/// The chunks of the body. An empty chunk means that the caller should yield before it asks for
/// the next one: every chunk takes a millisecond or two.
pub(super) struct DocumentBody {
    page: DocumentPage,
    position: Position,
    /// `None` at the end of the body.
    encoder: Option<BodyEncoder>,
    has_worked: bool,
}

impl DocumentBody {
    pub(super) fn new(page: DocumentPage, coding: ContentCoding) -> io::Result<Self> {
        let encoder = Some(BodyEncoder::new(coding)?);
        Ok(Self { page, position: Position::START, encoder, has_worked: false })
    }

    /// Renders and compresses the next part. `None` at the end of the body.
    fn next_part(&mut self) -> Option<io::Result<Vec<u8>>> {
        let mut encoder = self.encoder.take()?;
        let mut plain = Vec::new();
        if let Err(error) = self.page.render(&mut self.position, &mut plain) {
            return Some(Err(error.into()));
        }
        let mut ready = match encoder.encode(&plain) {
            Ok(ready) => ready,
            Err(error) => return Some(Err(error)),
        };
        if matches!(self.position, Position::End) {
            return Some(encoder.finish().map(|rest| {
                ready.extend_from_slice(&rest);
                ready
            }));
        }
        self.encoder = Some(encoder);
        Some(Ok(ready))
    }
}

impl Iterator for DocumentBody {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if std::mem::take(&mut self.has_worked) && self.encoder.is_some() {
            return Some(Vec::new());
        }
        self.has_worked = true;
        match self.next_part()? {
            Ok(part) => Some(part),
            Err(error) => {
                // The text ends early, so it is not valid JSON, and the client notices.
                error!(error = %error, "cannot render the status document, which is a bug");
                None
            }
        }
    }
}
