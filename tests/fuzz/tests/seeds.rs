//! A short run of every target: its seeds, then mutations of them, the same ones each time.

use fuzz::TARGETS;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

/// Mutations a target.
const MUTATIONS: u32 = 4_000;
/// Pieces that parsers make decisions by.
const PIECES: [&[u8]; 24] = [
    b"\"",
    b",",
    b"\n",
    b"\r\n",
    b"\0",
    b"[",
    b"]",
    b"{",
    b"}",
    b":",
    b"\\u0000",
    b"\xFF\xFE",
    b"\xEF\xBB\xBF",
    b"\x1F\x8B",
    b"PK\x03\x04",
    b"-",
    b"null",
    b"99999999999999999999",
    b"2025-02-30",
    b"9999-12-31",
    b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
    b"\x80",
    b"-1",
    b" ",
];

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no seed", folder.display());
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn mutated(rng: &mut ChaCha8Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds.choose(rng).unwrap().clone();
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..=bytes.len());
        let to = rng.random_range(at..=bytes.len().min(at + 16));
        match rng.random_range(0..6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..to)),
            2 => drop(bytes.splice(at..at, PIECES.choose(rng).unwrap().iter().copied())),
            3 => drop(bytes.splice(at..to, PIECES.choose(rng).unwrap().iter().copied())),
            4 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            _ => {
                let other = seeds.choose(rng).unwrap();
                let from = rng.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
    bytes
}

#[test]
fn every_target_bears_its_seeds_and_their_mutations() {
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        for seed in &seeds {
            target(seed);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(42);
        for _ in 0..MUTATIONS {
            let bytes = mutated(&mut rng, &seeds);
            let borne = catch_unwind(|| target(&bytes)).is_ok();
            assert!(borne, "{name} does not bear {:?}", String::from_utf8_lossy(&bytes));
        }
    }
}
