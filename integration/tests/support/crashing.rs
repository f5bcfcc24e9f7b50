//! A module that an Envoy loads and starts, and that crashes when it is configured.
//!
//! Written by hand, as WebAssembly Core 2.0, 5.4 and 5.5, has it: no compiler makes one that is this small.

/// The numbers of sections.
const TYPES: u8 = 1;
const FUNCTIONS: u8 = 3;
const MEMORIES: u8 = 5;
const EXPORTS: u8 = 7;
const CODE: u8 = 10;

/// What proxy-wasm calls (ABI 0.2.1), the number of its type below, and what it does.
const CALLED: [(&str, u8, &[u8]); 5] = [
    ("proxy_abi_version_0_2_1", 0, &[]),
    // i32.const 1024: that there is always room.
    ("proxy_on_memory_allocate", 1, &[0x41, 0x80, 0x08]),
    ("proxy_on_context_create", 2, &[]),
    // i32.const 1: it may go on.
    ("proxy_on_vm_start", 3, &[0x41, 0x01]),
    // unreachable
    ("proxy_on_configure", 3, &[0x00]),
];

/// How many parameters and results the functions have; all are i32.
const SHAPES: [(usize, usize); 4] = [(0, 0), (1, 1), (2, 0), (2, 1)];

/// The bytes of the module.
pub fn module() -> Vec<u8> {
    let types = SHAPES.map(|(parameters, results)| {
        let of = |count: usize| list(&vec![vec![0x7f]; count]);
        [vec![0x60], of(parameters), of(results)].concat()
    });
    let functions = CALLED.map(|(_, shape, _)| vec![shape]);
    let memory = ("memory", 2, 0);
    let exports = (0..)
        .zip(CALLED)
        .map(|(index, (name, ..))| (name, 0, index));
    let exports: Vec<Vec<u8>> = [memory].into_iter().chain(exports).map(export).collect();
    // No variables, the instructions, and end.
    let code = CALLED.map(|(_, _, does)| sized(&[&[0], does, &[0x0b]].concat()));
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(TYPES, &list(&types)),
        section(FUNCTIONS, &list(&functions)),
        // One page at least.
        section(MEMORIES, &list(&[vec![0, 1]])),
        section(EXPORTS, &list(&exports)),
        section(CODE, &list(&code)),
    ]
    .concat()
}

fn export((name, kind, index): (&str, u8, u8)) -> Vec<u8> {
    [sized(name.as_bytes()), vec![kind, index]].concat()
}

fn section(number: u8, content: &[u8]) -> Vec<u8> {
    [vec![number], sized(content)].concat()
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    [number(items.len()), items.concat()].concat()
}

fn sized(content: &[u8]) -> Vec<u8> {
    [number(content.len()), content.to_vec()].concat()
}

/// A number below 16,384 as LEB128, always in two bytes.
fn number(given: usize) -> Vec<u8> {
    assert!(given < 1 << 14);
    let byte = |part: usize| u8::try_from(part).unwrap();
    vec![byte(given & 0x7f) | 0x80, byte(given >> 7)]
}
