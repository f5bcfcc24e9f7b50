//! One call of the guest: its arguments lie in the guest's memory.

use wasmtime::error::Context as _;
use wasmtime::{AsContext, AsContextMut, Caller, Memory, Result};

use super::{Host, Status, Text};

/// A call under way.
pub(super) struct Call<'a> {
    caller: Caller<'a, Host>,
}

impl<'a> Call<'a> {
    /// Begins, and counts, a call of `name`.
    pub(super) fn begin(mut caller: Caller<'a, Host>, name: &'static str) -> Self {
        *caller.data_mut().cost.hostcalls.entry(name).or_default() += 1;
        Self { caller }
    }

    pub(super) fn host(&mut self) -> &mut Host {
        self.caller.data_mut()
    }

    /// Bytes of the guest.
    pub(super) fn bytes(&mut self, (begin, size): Text) -> Result<Vec<u8>> {
        self.host().cost.bytes += u64::from(size);
        let (begin, size) = (usize::try_from(begin)?, usize::try_from(size)?);
        let memory = self.memory()?;
        let all = memory.data(self.caller.as_context());
        let bytes = all.get(begin..).and_then(|rest| rest.get(..size));
        Ok(bytes
            .context("the guest names bytes beyond its memory")?
            .to_vec())
    }

    /// A text of the guest that must be UTF-8.
    pub(super) fn text(&mut self, text: Text) -> Result<String> {
        Ok(String::from_utf8(self.bytes(text)?)?)
    }

    /// Writes bytes where the guest said.
    pub(super) fn put(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        let memory = self.memory()?;
        memory.write(self.caller.as_context_mut(), usize::try_from(at)?, bytes)?;
        Ok(())
    }

    /// Returns bytes: gets memory from the guest, copies them there, and says where they are.
    pub(super) fn give(&mut self, bytes: &[u8], at: Text) -> Result<Status> {
        let size = u32::try_from(bytes.len())?;
        self.host().cost.bytes += u64::from(size);
        let begin = if bytes.is_empty() {
            0
        } else {
            self.allocate(size)?
        };
        self.put(begin, bytes)?;
        self.put(at.0, &begin.to_le_bytes())?;
        self.put(at.1, &size.to_le_bytes())?;
        Ok(Status::Ok)
    }

    fn allocate(&mut self, size: u32) -> Result<u32> {
        self.host().cost.allocations += 1;
        let names = ["proxy_on_memory_allocate", "malloc"];
        let exports = names.iter().filter_map(|name| self.caller.get_export(name));
        let allocate = exports.filter_map(wasmtime::Extern::into_func).next();
        let allocate = allocate.context("the module exports no malloc")?;
        let allocate = allocate.typed::<u32, u32>(self.caller.as_context())?;
        allocate.call(self.caller.as_context_mut(), size)
    }

    fn memory(&mut self) -> Result<Memory> {
        let memory = self.caller.get_export("memory");
        let memory = memory.and_then(wasmtime::Extern::into_memory);
        memory.context("the module exports no memory")
    }
}
