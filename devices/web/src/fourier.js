/**
 * The Fourier transform of real samples, for any length, in double precision.
 *
 * An even length is transformed as half as many complex numbers, by Stockham's mixed-radix algorithm,
 * which needs no second pass to sort the results.
 */
export class FourierTransform {
  /** @param {number} length */
  constructor(length) {
    this.length = length;
    this.points = length % 2 ? length : length / 2; // complex ones
    this.radices = factors(this.points);
    this.cos = Float64Array.from({ length }, (_, i) => Math.cos((2 * Math.PI * i) / length));
    this.sin = Float64Array.from({ length }, (_, i) => Math.sin((2 * Math.PI * i) / length));
    this.re = new Float64Array(this.points);
    this.im = new Float64Array(this.points);
    this.nextRe = new Float64Array(this.points);
    this.nextIm = new Float64Array(this.points);
  }

  /**
   * Fills `power` with the squared magnitudes of the bins 0 to length / 2.
   * @param {Float64Array} samples
   * @param {Float64Array} power
   */
  power(samples, power) {
    const halved = this.points < this.length;
    for (let i = 0; i < this.points; i++) {
      this.re[i] = halved ? samples[2 * i] : samples[i];
      this.im[i] = halved ? samples[2 * i + 1] : 0;
    }
    this.#transform();
    for (let k = 0; k < power.length; k++) {
      power[k] = halved ? this.#realPower(k) : this.re[k] * this.re[k] + this.im[k] * this.im[k];
    }
  }

  #transform() {
    let rest = this.points;
    let stride = 1;
    for (const radix of this.radices) {
      rest /= radix;
      if (radix === 2) {
        this.#pass2(rest, stride);
      } else {
        this.#pass(radix, rest, stride);
      }
      stride *= radix;
      [this.re, this.nextRe] = [this.nextRe, this.re];
      [this.im, this.nextIm] = [this.nextIm, this.im];
    }
  }

  /**
   * Power of bin k of the real samples, whose even and odd ones are the two parts of a point.
   * @param {number} k
   */
  #realPower(k) {
    const { re, im, cos, sin, points } = this;
    const a = k % points;
    const b = (points - k) % points;
    const oddRe = (im[a] + im[b]) / 2;
    const oddIm = (re[b] - re[a]) / 2;
    const real = (re[a] + re[b]) / 2 + cos[k] * oddRe + sin[k] * oddIm;
    const imaginary = (im[a] - im[b]) / 2 + cos[k] * oddIm - sin[k] * oddRe;
    return real * real + imaginary * imaginary;
  }

  /**
   * One pass of radix 2 over `rest` groups.
   * @param {number} rest
   * @param {number} stride
   */
  #pass2(rest, stride) {
    const { cos, sin, re, im, nextRe, nextIm } = this;
    const turn = (this.length / this.points) * stride; // of one twiddle factor, in entries of the tables
    const part = stride * rest;
    for (let p = 0; p < rest; p++) {
      const c = cos[p * turn];
      const s = sin[p * turn];
      for (let q = 0; q < stride; q++) {
        const from = q + stride * p;
        const to = q + 2 * stride * p;
        const x = re[from] - re[from + part];
        const y = im[from] - im[from + part];
        nextRe[to] = re[from] + re[from + part];
        nextIm[to] = im[from] + im[from + part];
        nextRe[to + stride] = c * x + s * y;
        nextIm[to + stride] = c * y - s * x;
      }
    }
  }

  /**
   * One pass of any radix.
   * @param {number} radix
   * @param {number} rest
   * @param {number} stride
   */
  #pass(radix, rest, stride) {
    const { length, points, cos, sin, re, im, nextRe, nextIm } = this;
    const scale = length / points;
    const part = stride * rest;
    for (let p = 0; p < rest; p++) {
      for (let k = 0; k < radix; k++) {
        const c0 = cos[scale * stride * p * k];
        const s0 = sin[scale * stride * p * k];
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
