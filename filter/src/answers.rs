//! Answers, in the module that touches them.

use crate::host;
use crate::vm;

/// The headers of a response are here.
pub(crate) fn respond(context: u32) {
    vm::with(|vm| {
        let header = vm.underway.get_mut(context)?.traceresponse.take()?;
        vm.count(host::replace_response_header("traceresponse", &header))
    });
}
