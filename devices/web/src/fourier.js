/**
 * The Fourier transform of real samples, for any length, in double precision: Stockham's
 * mixed-radix algorithm, which needs no second pass to sort the results.
 */
export class FourierTransform {
  /** @param {number} length */
  constructor(length) {
    this.length = length;
    this.radices = factors(length);
    this.cos = Float64Array.from({ length }, (_, i) => Math.cos((2 * Math.PI * i) / length));
    this.sin = Float64Array.from({ length }, (_, i) => Math.sin((2 * Math.PI * i) / length));
    this.re = new Float64Array(length);
    this.im = new Float64Array(length);
    this.nextRe = new Float64Array(length);
    this.nextIm = new Float64Array(length);
  }

  /**
   * Fills `power` with the squared magnitudes of the bins 0 to length / 2.
   * @param {Float64Array} samples
   * @param {Float64Array} power
   */
  power(samples, power) {
    this.re.set(samples);
    this.im.fill(0);
    let rest = this.length;
    let stride = 1;
    for (const radix of this.radices) {
      rest /= radix;
      this.#pass(radix, rest, stride);
      stride *= radix;
      [this.re, this.nextRe] = [this.nextRe, this.re];
      [this.im, this.nextIm] = [this.nextIm, this.im];
    }
    for (let k = 0; k < power.length; k++) {
      power[k] = this.re[k] * this.re[k] + this.im[k] * this.im[k];
    }
  }

  /**
   * One pass over `rest` groups.
   * @param {number} radix
   * @param {number} rest
   * @param {number} stride
   */
  #pass(radix, rest, stride) {
    const { length, cos, sin, re, im, nextRe, nextIm } = this;
    const part = stride * rest;
    for (let p = 0; p < rest; p++) {
      for (let k = 0; k < radix; k++) {
        const c0 = cos[stride * p * k];
        const s0 = sin[stride * p * k];
        for (let q = 0; q < stride; q++) {
          const from = q + stride * p;
          let sumRe = re[from];
          let sumIm = im[from];
          for (let j = 1; j < radix; j++) {
            const root = (length / radix) * ((j * k) % radix);
            const x = re[from + j * part];
            const y = im[from + j * part];
            sumRe += cos[root] * x + sin[root] * y;
            sumIm += cos[root] * y - sin[root] * x;
          }
          const to = q + stride * (radix * p + k);
          nextRe[to] = c0 * sumRe + s0 * sumIm;
          nextIm[to] = c0 * sumIm - s0 * sumRe;
        }
      }
    }
  }
}

/** @param {number} number */
function factors(number) {
  const found = [];
  for (let radix = 2; number > 1; radix++) {
    while (number % radix === 0) {
      found.push(radix);
      number /= radix;
    }
  }
  return found;
}
