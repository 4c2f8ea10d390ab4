// The job, as in job.go: of all blocks of numbers below `below`, every `of`-th
// from block `number` on.
const BLOCK = 10_000

module.exports = function count ({ number, of, below }) {
  const start = performance.now()
  let primes = 0
  for (let from = number * BLOCK; from < below; from += of * BLOCK) {
    for (let n = from; n < Math.min(from + BLOCK, below); n++) {
      if (isPrime(n)) primes++
    }
  }
  return { primes, wall: (performance.now() - start) / 1000 }
}

function isPrime (n) {
  if (n < 4) return n > 1
  if (n % 2 === 0) return false
  for (let d = 3; d * d <= n; d += 2) {
    if (n % d === 0) return false
  }
  return true
}
