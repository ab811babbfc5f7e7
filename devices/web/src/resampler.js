const ZERO_CROSSINGS = 64; // of the sinc, on each side
const CUTOFF = 0.9565; // share of half the lower rate
const KAISER_BETA = 9; // -90 dB outside the band

/**
 * Converts a stream of mono samples to another rate with a polyphase filter: a sinc with a Kaiser
 * window. It passes sound up to 91 % of half the lower rate. How the samples are cut into calls does
 * not change the result.
 */
export class Resampler {
  /**
   * @param {number} inputRate in Hz
   * @param {number} outputRate in Hz
   */
  constructor(inputRate, outputRate) {
    const divisor = greatestCommonDivisor(inputRate, outputRate);
    this.up = outputRate / divisor; // output samples for `down` input samples
    this.down = inputRate / divisor;
    const lower = Math.min(1, outputRate / inputRate);
    this.half = Math.ceil(ZERO_CROSSINGS / lower); // taps on each side
    this.phases = Array.from({ length: this.up }, (_, i) => this.#taps(i / this.up, CUTOFF * lower));
    this.history = new Float32Array(this.half - 1); // silence before the first sample
    this.phase = 0;
    this.due = 0; // output samples that the input so far makes, times `down`
  }

  /**
   * Takes the next samples. Returns those that can be computed.
   * @param {Float32Array} samples
   */
  accept(samples) {
    this.due += samples.length * this.up;
    return this.#filter(samples);
  }

  /** Ends the stream. Returns the samples that the filter still holds. */
  finish() {
    return this.#filter(new Float32Array(this.half + 1));
  }

  /** @param {Float32Array} samples */
  #filter(samples) {
    const input = new Float32Array(this.history.length + samples.length);
    input.set(this.history);
    input.set(samples, this.history.length);
    const output = [];
    let position = 0;
    while (position + 2 * this.half <= input.length && this.due > 0) {
      const taps = this.phases[this.phase];
      let sum = 0;
      for (let i = 0; i < taps.length; i++) {
        sum += taps[i] * input[position + i];
      }
      output.push(sum);
      this.due -= this.down;
      this.phase += this.down;
      position += Math.floor(this.phase / this.up);
      this.phase %= this.up;
    }
    this.history = input.slice(position);
    return Float32Array.from(output);
  }

  /**
   * The filter at the input samples around a place that lies `fraction` after a sample.
   * @param {number} fraction
   * @param {number} cutoff
   */
  #taps(fraction, cutoff) {
    const taps = Float64Array.from({ length: 2 * this.half }, (_, i) => {
      const t = i - (this.half - 1) - fraction;
      return sinc(cutoff * t) * kaiser(t / this.half);
    });
    const sum = taps.reduce((total, tap) => total + tap);
    return taps.map((tap) => tap / sum); // a constant stays as it is
  }
}

/** @param {number} x */
function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** @param {number} x */
function kaiser(x) {
  return Math.abs(x) >= 1 ? 0 : bessel(KAISER_BETA * Math.sqrt(1 - x * x)) / bessel(KAISER_BETA);
}

/**
 * The modified Bessel function of order 0.
 * @param {number} x
 */
function bessel(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/**
 * @param {number} a
 * @param {number} b
 * @returns {number}
 */
function greatestCommonDivisor(a, b) {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
