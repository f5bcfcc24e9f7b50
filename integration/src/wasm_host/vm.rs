//! One VM: starting it, configuring its filters, letting time pass.

use std::time::Duration;

use anyhow::Context as _;
use wasmtime::{Instance, Linker, Store};

use super::Module;
use super::host::{Cost, Host, Root, SharedTrouble};
use super::imports;
use super::stream::Exchange;

/// More instructions than any test needs; fewer would end one that runs away.
const FUEL: u64 = 1 << 50;

/// A VM with the filters that are configured in it.
pub struct Vm {
    pub(super) store: Store<Host>,
    instance: Instance,
    pub(super) last_context: u32,
}

impl std::fmt::Debug for Vm {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.store.data().fmt(formatter)
    }
}

/// Life of the VM and of its filters.
impl Vm {
    /// Starts a VM whose randomness comes from `seed`.
    ///
    /// # Errors
    ///
    /// When the module cannot be instantiated.
    pub fn start(module: &Module, seed: u64) -> anyhow::Result<Self> {
        Self::start_in(Host::new(seed), module)
    }

    /// Starts another VM of the same Envoy, as of another worker: they share data, and their clocks show the same.
    /// From then on, each passes by itself.
    ///
    /// # Errors
    ///
    /// As [`Vm::start`].
    pub fn start_beside(&self, module: &Module, seed: u64) -> anyhow::Result<Self> {
        Self::start_in(self.store.data().beside(seed), module)
    }

    fn start_in(host: Host, module: &Module) -> anyhow::Result<Self> {
        let Module(module) = module;
        let mut linker = Linker::new(module.engine());
        imports::all(&mut linker)?;
        linker.define_unknown_imports_as_traps(module)?;
        let mut store = Store::new(module.engine(), host);
        store.set_fuel(FUEL)?;
        let instance = linker.instantiate(&mut store, module)?;
        let mut vm = Self {
            store,
            instance,
            last_context: 0,
        };
        vm.call("_initialize", &[])
            .context("the module does not start")?;
        Ok(vm)
    }

    /// Pushes a configuration for the filter `root_id`; whether the filter takes it.
    ///
    /// As in Envoy, each push makes a new root context. When it is taken, the
    /// old one ends with its last exchange, and its calls are cancelled; when
    /// it is refused, the old one goes on.
    #[track_caller]
    pub fn configure(&mut self, root_id: &str, configuration: &str) -> bool {
        let old = self.root(root_id);
        self.last_context += 1;
        let new = self.last_context;
        let root = Root {
            root_id: root_id.into(),
            configuration: configuration.into(),
            period: Duration::ZERO,
            due: Duration::ZERO,
        };
        self.store.data_mut().roots.insert(new, root);
        let size = u32::try_from(configuration.len()).unwrap_or(u32::MAX);
        self.enter(new, "proxy_on_context_create", &[new, 0]);
        let taken = self.enter(new, "proxy_on_vm_start", &[new, 0]) != Some(0)
            && self.enter(new, "proxy_on_configure", &[new, size]) != Some(0);
        if !taken {
            self.end_root(new);
        } else if let Some(old) = old {
            self.end_if_unused(old);
        }
        taken
    }

    /// Removes the listener of the filter `root_id`: its root context ends, and its timer and calls with it.
    ///
    /// # Panics
    ///
    /// When an exchange still holds it.
    #[track_caller]
    pub fn remove(&mut self, root_id: &str) {
        let root = self.root(root_id);
        let mut streams = self.store.data().streams.values();
        let is_held = streams.any(|stream| Some(stream.root) == root);
        assert!(!is_held, "{root_id} is in use");
        if let Some(root) = root {
            self.end_root(root);
        }
    }

    /// Lets another VM come between this one's reading and writing of shared data, so many times.
    pub fn contend(&mut self, times: u32) {
        self.store.data_mut().shared_trouble = SharedTrouble::Contended(times);
    }

    /// Forbids the VM to use shared data, as a restriction of its capabilities does.
    pub fn forbid_shared_data(&mut self) {
        self.store.data_mut().shared_trouble = SharedTrouble::Gone;
    }

    /// Lets time pass; filters that asked for ticks get them when they are due.
    #[track_caller]
    pub fn advance(&mut self, by: Duration) {
        let end = self.store.data().since_start + by;
        while let Some((context, due)) = self.next_tick().filter(|(_, due)| *due <= end) {
            let host = self.store.data_mut();
            host.since_start = host.since_start.max(due);
            if let Some(root) = host.roots.get_mut(&context) {
                root.due = due + root.period;
            }
            self.enter(context, "proxy_on_tick", &[context]);
        }
        self.store.data_mut().since_start = end;
    }

    /// Ticks every filter that asked for ticks, whether due or not.
    #[track_caller]
    pub fn tick(&mut self) {
        let roots = self.store.data().roots.iter();
        let ticking = roots.filter(|(_, root)| !root.period.is_zero());
        for context in ticking.map(|(context, _)| *context).collect::<Vec<_>>() {
            self.enter(context, "proxy_on_tick", &[context]);
        }
    }

    /// Sets the wall clock forward or back, as time synchronisation does. The monotonic clock does not notice.
    pub fn set_wall_clock_by(&mut self, millis: i64) {
        self.store.data_mut().wall_set_ms += millis;
    }

    /// Milliseconds since the Unix epoch by the virtual wall clock.
    #[must_use]
    pub fn wall_ms(&self) -> u64 {
        self.store.data().wall() / 1_000_000
    }

    /// Time between ticks that the filter asked for; zero when it asked for none.
    #[must_use]
    pub fn tick_period(&self, root_id: &str) -> Duration {
        let root = self.root(root_id);
        let root = root.and_then(|context| self.store.data().roots.get(&context));
        root.map_or(Duration::ZERO, |root| root.period)
    }

    /// How many root contexts live: those of the filters, and old ones that exchanges still hold.
    #[must_use]
    pub fn roots(&self) -> usize {
        self.store.data().roots.len()
    }

    /// What the filters logged, and forgets it.
    pub fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.store.data_mut().log)
    }

    /// The value of a metric that the filters defined.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<i64> {
        let mut metrics = self.store.data().metrics.iter();
        Some(metrics.find(|metric| metric.name == name)?.value)
    }

    /// Bytes of the guest's memory. It grows, and never shrinks.
    #[must_use]
    pub fn memory(&mut self) -> usize {
        let memory = self.instance.get_memory(&mut self.store, "memory");
        memory.map_or(0, |memory| memory.data_size(&self.store))
    }

    /// What everything cost so far.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.store.data().cost.clone()
    }
}

/// The machinery.
impl Vm {
    /// Calls into the guest, then does what Envoy does after that: answers of the filter pass its own response callback.
    #[track_caller]
    #[expect(clippy::panic, reason = "a trap of the guest is the failure of a test")]
    pub(super) fn enter(&mut self, context: u32, callback: &str, arguments: &[u32]) -> Option<u32> {
        self.store.data_mut().effective = context;
        let result = match self.call(callback, arguments) {
            Ok(result) => result,
            Err(trap) => {
                let log = self.take_log().join("\n");
                panic!("the filter trapped in {callback}: {trap:#}\nits log:\n{log}");
            }
        };
        for replied in std::mem::take(&mut self.store.data_mut().replied) {
            if self.store.data().streams.contains_key(&replied) {
                self.response_headers(Exchange(replied), 1);
            }
        }
        for (resumed, half) in std::mem::take(&mut self.store.data_mut().resumed) {
            if self.store.data().streams.contains_key(&resumed) {
                self.resume(Exchange(resumed), half);
            }
        }
        result
    }

    /// Calls an export if the module has it. Nothing is returned when it has not, or returns nothing.
    fn call(&mut self, export: &str, arguments: &[u32]) -> anyhow::Result<Option<u32>> {
        let Some(function) = self.instance.get_func(&mut self.store, export) else {
            return Ok(None);
        };
        let arguments: Vec<_> = arguments
            .iter()
            .map(|argument| wasmtime::Val::I32(argument.cast_signed()))
            .collect();
        let mut results = vec![wasmtime::Val::I32(0); function.ty(&self.store).results().len()];
        let before = self.store.get_fuel()?;
        function.call(&mut self.store, &arguments, &mut results)?;
        let spent = before - self.store.get_fuel()?;
        let cost = &mut self.store.data_mut().cost;
        cost.fuel += spent;
        cost.entries += 1;
        let result = results.first().and_then(wasmtime::Val::i32);
        Ok(result.map(i32::cast_unsigned))
    }

    /// The context of the filter's configuration in force.
    pub(super) fn root(&self, root_id: &str) -> Option<u32> {
        let roots = self.store.data().roots.iter();
        let mut named = roots.filter(|(_, root)| root.root_id == root_id);
        Some(*named.next_back()?.0)
    }

    fn next_tick(&self) -> Option<(u32, Duration)> {
        let roots = self.store.data().roots.iter();
        let ticking = roots.filter(|(_, root)| !root.period.is_zero());
        ticking
            .map(|(context, root)| (*context, root.due))
            .min_by_key(|(_, due)| *due)
    }

    /// Ends a root context that a newer one has replaced, once no exchange holds it.
    #[track_caller]
    pub(super) fn end_if_unused(&mut self, context: u32) {
        let host = self.store.data();
        let Some(root) = host.roots.get(&context) else {
            return;
        };
        let is_in_force = self.root(&root.root_id) == Some(context);
        let is_held = host.streams.values().any(|stream| stream.root == context);
        if !is_in_force && !is_held {
            self.end_root(context);
        }
    }

    #[track_caller]
    fn end_root(&mut self, context: u32) {
        self.enter(context, "proxy_on_done", &[context]);
        self.enter(context, "proxy_on_delete", &[context]);
        let host = self.store.data_mut();
        host.roots.remove(&context);
        host.calls.retain(|_, call| call.context != context);
    }
}
