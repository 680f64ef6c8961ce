//! What 403 is about: one entity that the account may not write, as those of another plant or company code, or all of them. The answer
//! looks the same. So what was forbidden waits for what becomes of the others of its call.

use wharf_sdk::{Error, Result};
use wharf_shared_odata::service::TRIES;

use crate::course::judge;
use crate::operation::Answer;
use crate::target::Target;
use crate::{Call, Odata};

/// So many that are forbidden in a call, and nothing written beside them, are not what is at fault.
const SEVERAL: usize = 20;

/// What was forbidden in a call and is not judged yet.
#[derive(Debug, Default)]
pub struct Forbidden {
    /// By the index of the record.
    answers: Vec<(u32, Answer)>,
    /// The account may write: it has done so in this call.
    pub has_written: bool,
}

impl Forbidden {
    pub fn push(&mut self, index: u32, answer: Answer) {
        self.answers.push((index, answer));
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Nothing more should be sent before these are judged.
    #[must_use]
    pub const fn are_several(&self) -> bool {
        !self.has_written && self.answers.len() >= SEVERAL
    }
}

impl Odata {
    /// Judges what was forbidden, when nothing else of the call can be sent. Beside a write that was done it is of its record. Where
    /// nothing was written it comes again twice, as a session may have expired. Then a few are of their records where the service lets
    /// the account read the set: the window of dead letters stops the sink where it may write nothing. Several are the account's.
    ///
    /// # Errors
    /// `fatal` where the account is not let in, or may not write.
    pub(crate) fn settle_forbidden(&mut self, target: &Target, call: &mut Call) -> Result<()> {
        if call.forbidden.has_written {
            return self.judge_forbidden(target, call);
        }
        let text = self.exchange.forbidden();
        self.forbidden += 1;
        if self.forbidden <= TRIES {
            call.pause = Some((text, None));
            return Ok(());
        }
        if call.forbidden.are_several() {
            return Err(Error::fatal(text));
        }
        match self.exchange.has_set() {
            Ok(true) => self.judge_forbidden(target, call),
            Ok(false) => Err(Error::fatal(text)),
            Err(Error::Retry { message, after }) => {
                call.pause = Some((message, after));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// What was forbidden is of its record.
    ///
    /// # Errors
    /// As [`Odata::settle`].
    pub(crate) fn judge_forbidden(&mut self, target: &Target, call: &mut Call) -> Result<()> {
        self.forbidden = 0;
        self.exchange.welcomed();
        for (index, answer) in std::mem::take(&mut call.forbidden.answers) {
            let Some(place) = call.waiting.release(index) else { continue };
            let Some(judged) = call.waiting.get_mut(place).map(|entry| judge(target, entry, &answer)) else { continue };
            if self.settle(target, call, place, judged)? {
                call.decided += 1;
                call.waiting.remove(&[index]);
            }
        }
        Ok(())
    }
}
