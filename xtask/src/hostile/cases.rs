//! The inputs of one parser, each made from its number and the seed alone, so that a report names
//! an input by its number and any process can make it again.

use super::parsers::Parser;

/// Random mutations of each parser's samples.
const RANDOM: u64 = 50_000;

/// In a quick run, one input in this many is taken (and every file of the corpus).
const QUICK_STEP: usize = 8;

/// All inputs of one parser.
pub(super) struct Cases {
    seeds: Vec<(String, Vec<u8>)>,
    attacks: Vec<(String, Vec<u8>)>,
    parser: Parser,
    random_seed: u64,
    cases: Vec<Case>,
}

#[derive(Clone, Copy)]
enum Case {
    Seed(usize),
    Attack(usize),
    Generated(usize),
    Prefix {
        seed: usize,
        length: usize,
    },
    Change {
        seed: usize,
        position: usize,
        change: Change,
        repaired: bool,
    },
    Random {
        number: u64,
        repaired: bool,
    },
}

#[derive(Clone, Copy)]
enum Change {
    To(u8),
    Flip(u8),
}

impl Cases {
    pub(super) fn new(parser: &Parser, random_seed: u64, quick: bool) -> std::io::Result<Self> {
        let seeds = parser.seeds()?;
        let attacks = parser.attacks()?;
        let repairs: &[bool] = if parser.repair.is_some() {
            &[false, true]
        } else {
            &[false]
        };

        let mut mutations = Vec::new();
        for (seed, (_, content)) in seeds.iter().enumerate() {
            mutations.extend((0..content.len()).map(|length| Case::Prefix { seed, length }));
            for position in 0..content.len() {
                let flips = (0..8).map(Change::Flip);
                for change in [Change::To(0), Change::To(255)].into_iter().chain(flips) {
                    mutations.extend(repairs.iter().map(|&repaired| Case::Change {
                        seed,
                        position,
                        change,
                        repaired,
                    }));
                }
            }
        }
        for number in 0..RANDOM {
            mutations.extend(
                repairs
                    .iter()
                    .map(|&repaired| Case::Random { number, repaired }),
            );
        }

        let step = if quick { QUICK_STEP } else { 1 };
        let mut cases: Vec<_> = (0..seeds.len()).map(Case::Seed).collect();
        cases.extend((0..attacks.len()).map(Case::Attack));
        cases.extend((0..parser.generated.len()).map(Case::Generated));
        cases.extend(mutations.into_iter().step_by(step));
        Ok(Self {
            seeds,
            attacks,
            parser: parser.clone(),
            random_seed,
            cases,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether input `index` is a valid sample, which must be accepted.
    pub(super) fn is_seed(&self, index: usize) -> bool {
        matches!(self.cases[index], Case::Seed(_))
    }

    /// Writes input `index` to `out`.
    pub(super) fn make(&self, index: usize, out: &mut Vec<u8>) {
        out.clear();
        let mut repair = false;
        match self.cases[index] {
            Case::Seed(seed) => out.extend(&self.seeds[seed].1),
            Case::Attack(attack) => out.extend(&self.attacks[attack].1),
            Case::Generated(number) => out.extend((self.parser.generated[number].make)()),
            Case::Prefix { seed, length } => out.extend(&self.seeds[seed].1[..length]),
            Case::Change {
                seed,
                position,
                change,
                repaired,
            } => {
                out.extend(&self.seeds[seed].1);
                match change {
                    Change::To(value) => out[position] = value,
                    Change::Flip(bit) => out[position] ^= 1 << bit,
                }
                repair = repaired;
            }
            Case::Random { number, repaired } => {
                self.mutate(number, out);
                repair = repaired;
            }
        }
        if repair && let Some(repair) = self.parser.repair {
            repair(out);
        }
    }

    /// What input `index` is, in words.
    pub(super) fn describe(&self, index: usize) -> String {
        let seed_name = |seed: usize| &self.seeds[seed].0;
        let with = |repaired: bool| if repaired { ", checksums repaired" } else { "" };
        match self.cases[index] {
            Case::Seed(seed) => format!("seeds/{}/{}", self.parser.name, seed_name(seed)),
            Case::Attack(attack) => format!("{}/{}", self.parser.name, self.attacks[attack].0),
            Case::Generated(number) => format!("generated: {}", self.parser.generated[number].name),
            Case::Prefix { seed, length } => format!("{}, first {length} bytes", seed_name(seed)),
            Case::Change {
                seed,
                position,
                change,
                repaired,
            } => {
                let change = match change {
                    Change::To(value) => format!("set to {value}"),
                    Change::Flip(bit) => format!("bit {bit} flipped"),
                };
                format!(
                    "{}, byte {position} {change}{}",
                    seed_name(seed),
                    with(repaired)
                )
            }
            Case::Random { number, repaired } => {
                format!("random mutation {number}{}", with(repaired))
            }
        }
    }

    /// One to eight random changes of a random sample.
    fn mutate(&self, number: u64, out: &mut Vec<u8>) {
        let mut random = Random::new(self.random_seed, number);
        if self.seeds.is_empty() {
            return;
        }
        out.extend(&self.seeds[random.below(self.seeds.len())].1);
        for _ in 0..=random.below(8) {
            let at = random.below(out.len() + 1);
            let length = random.below(out.len() - at + 1).min(1 << random.below(8));
            match random.below(7) {
                0 if at < out.len() => out[at] = random.next() as u8,
                1 if at < out.len() => out[at] ^= 1 << random.below(8),
                2 => write_number(&mut random, &mut out[at..]),
                3 => drop(out.drain(at..at + length)),
                4 => {
                    let copy = out[at..at + length].to_vec();
                    let to = random.below(out.len() + 1);
                    out.splice(to..to, copy);
                }
                5 => {
                    let other = &self.seeds[random.below(self.seeds.len())].1;
                    let from = random.below(other.len() + 1);
                    let end = (from + length).min(other.len());
                    out.splice(at..at, other[from..end].iter().copied());
                }
                _ if random.below(8) == 0 => out.truncate(at),
                _ => {}
            }
        }
    }
}

/// Overwrites the front of `place` with a number at which arithmetic tends to go wrong.
fn write_number(random: &mut Random, place: &mut [u8]) {
    let width = 1 << random.below(4);
    let edge = 1_u64 << random.below(64);
    let value = match random.below(4) {
        0 => edge,
        1 => edge.wrapping_sub(1),
        2 => edge.wrapping_neg(),
        _ => random.next() >> random.below(64),
    };
    let mut bytes = value.to_le_bytes();
    if random.below(2) == 0 {
        bytes[..width].reverse();
    }
    for (to, from) in place.iter_mut().zip(&bytes[..width]) {
        *to = *from;
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same on every machine.
struct Random(u64);

impl Random {
    fn new(seed: u64, number: u64) -> Self {
        let mut mixed = Self(seed);
        Self(mixed.next() ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % (end.max(1) as u64)) as usize
    }
}
