//! One half of an exchange on its way past the filter: what Envoy holds back, what it loses.
//!
//! As `Context::encodeData` and `ActiveStreamFilterBase` do it in those versions of Envoy
//! that are strictest: what follows a body that was let go is lost unless it is held, which 1.40 was not seen to do.

/// Which half of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// From the client to the service.
    Request,
    /// From the service to the client.
    Response,
}

/// Where the filter stopped a half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// At the headers: nothing behind them is shown.
    Headers,
    /// In the body: what comes is shown with what is held back.
    Body,
}

/// A half.
#[derive(Clone, Debug, Default)]
pub(super) struct Way {
    pub(super) stop: Option<Stop>,
    /// Whether what comes is put behind what was held back before it is shown. Stays set after a resumption.
    is_buffering: bool,
    buffer: Vec<u8>,
    /// What came, during its callback.
    part: Vec<u8>,
    passed: Vec<u8>,
    /// Whether the last part came.
    pub(super) has_ended: bool,
    /// Whether all of it went on.
    pub(super) is_over: bool,
}

impl Way {
    /// What a callback can see.
    pub(super) const fn visible(&mut self) -> &mut Vec<u8> {
        if self.is_buffering {
            &mut self.buffer
        } else {
            &mut self.part
        }
    }

    /// A part came. Whether it is to be shown.
    pub(super) fn arrive(&mut self, bytes: &[u8]) -> bool {
        if self.stop == Some(Stop::Headers) || self.is_buffering {
            self.buffer.extend(bytes);
        } else {
            self.part.extend(bytes);
        }
        self.stop != Some(Stop::Headers)
    }

    /// The filter lets pass what it saw. False when bytes are lost, because they were put behind others that are gone.
    pub(super) fn pass(&mut self) -> bool {
        self.is_buffering = false;
        if self.stop.is_some() {
            self.resume();
            return true;
        }
        self.passed.append(&mut self.part);
        self.is_over = self.has_ended;
        let is_whole = self.buffer.is_empty();
        self.buffer.clear();
        is_whole
    }

    /// The filter holds back what it saw.
    pub(super) fn pause(&mut self) {
        self.is_buffering = true;
        self.stop = Some(Stop::Body);
        self.buffer.append(&mut self.part);
    }

    /// What was held back goes on. After a stop at the headers, what is behind them is to be shown then.
    pub(super) fn resume(&mut self) {
        let stop = self.stop.take();
        if stop == Some(Stop::Headers) {
            self.part.append(&mut self.buffer);
        } else {
            self.buffer.append(&mut self.part);
            self.passed.append(&mut self.buffer);
            self.is_over = self.has_ended;
        }
    }

    /// Whether something behind the headers was not shown yet.
    pub(super) const fn is_unseen(&self) -> bool {
        !self.part.is_empty() || (self.has_ended && !self.is_over)
    }

    /// What went on.
    pub(super) fn passed(&self) -> &[u8] {
        &self.passed
    }
}
