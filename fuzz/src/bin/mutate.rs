//! A small mutation driver for stable Rust: no coverage feedback, so it finds less than libFuzzer; it runs everywhere.
//!
//! ```text
//! mutate TARGET SECONDS SEEDS [RANDOM_SEED]
//! ```
//!
//! Takes a file of the folder SEEDS, changes it (bytes, numbers, parts of other seeds), and gives it to the target. The input at
//! hand is in `fuzz/artifacts/TARGET/current`; one that panics is kept as `crash-N`, one that takes over ten seconds as `slow`.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SECONDS_PER_INPUT: u64 = 10;
const INPUT_BYTES: usize = 1 << 16;
const INTERESTING: [&[u8]; 12] =
    [b"-1", b"0", b"1e999", b"4294967296", b"9223372036854775808", b"null", b"[]", b"{}", b"\"\"", b"\xff\xff\xff\xff\x0f", b"\0\0\0\0", b"(?<=a)*"];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut data = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(data.len() + 1);
        match random.below(7) {
            0 if at < data.len() => data[at] = random.next() as u8,
            1 if at < data.len() => data[at] ^= 1 << random.below(8),
            2 => drop(data.drain(at..(at + random.below(64)).min(data.len()))),
            3 => data.truncate(at),
            4 => {
                let bytes = INTERESTING[random.below(INTERESTING.len())];
                data.splice(at..at, bytes.iter().copied());
            }
            5 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                let part = other[from..(from + random.below(256)).min(other.len())].to_vec();
                data.splice(at..at, part);
            }
            _ => {
                // A number, whole, becomes another: lengths and ids are where loaders go wrong.
                let digits = data[at..].iter().position(u8::is_ascii_digit).map(|start| at + start);
                if let Some(start) = digits {
                    let end = start + data[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                    data.splice(start..end, INTERESTING[random.below(5)].iter().copied());
                }
            }
        }
    }
    data.truncate(INPUT_BYTES);
    data
}

fn seeds_of(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut seeds: Vec<_> = paths.iter().filter_map(|path| std::fs::read(path).ok()).filter(|seed| seed.len() <= INPUT_BYTES).collect();
    seeds.push(Vec::new());
    seeds
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, seconds, folder, rest @ ..] = &arguments[..] else {
        eprintln!("usage: mutate TARGET SECONDS SEEDS [RANDOM_SEED]");
        std::process::exit(2);
    };
    let Some((_, target)) = russet_fuzz::TARGETS.iter().find(|(known, _)| known == name) else {
        eprintln!("no target {name}");
        std::process::exit(2);
    };
    let seconds: u64 = seconds.parse().expect("SECONDS is a number");
    let mut random = Random(rest.first().and_then(|seed| seed.parse().ok()).unwrap_or(1));
    let artifacts = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts").join(name);
    std::fs::create_dir_all(&artifacts).expect("fuzz/artifacts can be written");
    let seeds = seeds_of(Path::new(folder));

    // The watchdog ends the process when one input takes too long: `current` is that input.
    let begun = Instant::now();
    let input_begun = Arc::new(AtomicU64::new(0));
    let (watched, current) = (input_begun.clone(), artifacts.join("current"));
    let slow = artifacts.join("slow");
    std::thread::spawn(move || loop {
        std::thread::sleep(Duration::from_secs(1));
        if begun.elapsed().as_secs() > watched.load(Ordering::Relaxed) + SECONDS_PER_INPUT {
            let _ = std::fs::copy(&current, &slow);
            eprintln!("an input took more than {SECONDS_PER_INPUT} s: {}", slow.display());
            std::process::exit(1);
        }
    });

    let (mut inputs, mut crashes) = (0u64, 0u32);
    let mut next = seeds.clone().into_iter();
    while begun.elapsed().as_secs() < seconds {
        let data = next.next().unwrap_or_else(|| mutate(&mut random, &seeds));
        std::fs::write(artifacts.join("current"), &data).expect("fuzz/artifacts can be written");
        input_begun.store(begun.elapsed().as_secs(), Ordering::Relaxed);
        if catch_unwind(|| target(&data)).is_err() {
            crashes += 1;
            let path = artifacts.join(format!("crash-{crashes}"));
            std::fs::write(&path, &data).expect("fuzz/artifacts can be written");
            eprintln!("kept as {}", path.display());
            if crashes >= 10 {
                break;
            }
        }
        inputs += 1;
    }
    let _ = std::fs::remove_file(artifacts.join("current"));
    println!("{name}: {inputs} inputs from {} seeds in {} s, {crashes} crashes", seeds.len(), begun.elapsed().as_secs());
    std::process::exit(i32::from(crashes > 0));
}
