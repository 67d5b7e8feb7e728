//! The generator behind torch's `randperm` on the CPU, so that upstream's orders can be repeated.

/// Words of the state: `n` of the paper (Matsumoto and Nishimura 1998).
const N: usize = 624;
const M: usize = 397;

/// Mersenne Twister with 32-bit words, as `torch.manual_seed` seeds it.
#[derive(Clone, Debug)]
pub struct Mt19937 {
    state: Vec<u32>,
    next: usize,
}

impl Mt19937 {
    /// `init_genrand(seed)`. Torch takes the low 32 bits of its seed.
    pub fn new(seed: u32) -> Mt19937 {
        let mut state = Vec::with_capacity(N);
        let mut word = seed;
        state.push(word);
        for i in 1..N as u32 {
            word = (word ^ (word >> 30))
                .wrapping_mul(1_812_433_253)
                .wrapping_add(i);
            state.push(word);
        }
        Mt19937 { state, next: N }
    }

    /// The next word: `genrand_int32`.
    pub fn next_u32(&mut self) -> u32 {
        if self.next == N {
            self.twist();
            self.next = 0;
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn twist(&mut self) {
        for i in 0..N {
            let joined = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + M) % N] ^ (joined >> 1) ^ odd;
        }
    }
}

/// `torch.randperm(n)`: Fisher and Yates from the front, a word modulo what is left for each place.
/// (Torch takes longer words beyond 2³² / 20 places.)
pub fn random_permutation(generator: &mut Mt19937, n: usize) -> Vec<usize> {
    let mut permutation: Vec<usize> = (0..n).collect();
    for i in 0..n.saturating_sub(1) {
        let word = generator.next_u32() as usize;
        permutation.swap(i, i + word % (n - i));
    }
    permutation
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the C++ standard, [rand.predef]: the 10000th word of the default seed.
    #[test]
    fn the_ten_thousandth_word_is_the_standard_one() {
        let mut generator = Mt19937::new(5489);
        let word = (0..10_000).map(|_| generator.next_u32()).last();
        assert_eq!(word, Some(4_123_659_995));
    }
}
