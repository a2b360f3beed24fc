/**
 * Latencies in a fixed amount of memory: exact counts in buckets that grow with the value.
 * Log-linear buckets as in HdrHistogram: 32 per power of two, so a percentile is at most 3.2 % too high.
 */
import type { LatencyStats } from './policy.ts'

const PER_OCTAVE = 32
const MIN_EXPONENT = -10
const OCTAVES = 36
const BUCKETS = OCTAVES * PER_OCTAVE

// The exponent and the first bits of the mantissa of a double are its bucket already.
const double = new Float64Array(1)
const words = new Uint32Array(double.buffer)
const HIGH = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 1 : 0

export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS)
  #count = 0
  #sum = 0
  #max = 0

  /** Counts one duration in ms. Anything that is no duration counts as 0: recording never throws. */
  record(duration: number): void {
    const value = duration > 0 ? duration : 0
    const bucket = bucketOf(value)
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1
    this.#count++
    this.#sum += value
    if (value > this.#max) this.#max = value
  }

  /** How many were recorded. */
  get count(): number {
    return this.#count
  }

  /**
   * The smallest bucket edge that `share` of the recorded values do not exceed, those of `other` included;
   * 0 without values.
   */
  percentile(share: number, other: Histogram = EMPTY): number {
    const rank = Math.ceil((this.#count + other.#count) * share)
    const max = Math.max(this.#max, other.#max)
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += (this.#counts[bucket] as number) + (other.#counts[bucket] as number)
      if (seen >= rank && seen > 0) return Math.min(upperEdge(bucket), max)
    }
    return max
  }

  stats(): LatencyStats {
    return {
      count: this.#count,
      mean: this.#count === 0 ? 0 : this.#sum / this.#count,
      p50: this.percentile(0.5),
      p90: this.percentile(0.9),
      p99: this.percentile(0.99),
      max: this.#max,
    }
  }
}

const EMPTY = new Histogram()

function bucketOf(value: number): number {
  double[0] = value
  const bits = (words[HIGH] as number) >>> 15
  const bucket = bits - ((MIN_EXPONENT + 1023) << 5)
  if (bucket < 0) return 0
  return bucket < BUCKETS ? bucket : BUCKETS - 1
}

function upperEdge(bucket: number): number {
  const exponent = MIN_EXPONENT + Math.floor(bucket / PER_OCTAVE)
  return 2 ** exponent * (1 + ((bucket % PER_OCTAVE) + 1) / PER_OCTAVE)
}
