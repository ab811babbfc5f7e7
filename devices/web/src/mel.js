/**
 * Triangular filters with peak 1, equally spaced from 0 Hz to half the sample rate on the mel scale
 * of HTK: 2595 log10(1 + f / 700).
 */
export class MelFilters {
  /** @param {import("./specification.js").FeatureSettings} settings */
  constructor(settings) {
    const bins = Math.floor(settings.window / 2) + 1;
    const bands = settings.melBands;
    const top = mel(settings.sampleRate / 2);
    /** First bin of each band. @type {number[]} */
    this.first = [];
    /** Weights of each band, from its first bin on. @type {Float64Array[]} */
    this.weights = [];
    for (let band = 0; band < bands; band++) {
      const [left, centre, right] = [0, 1, 2].map((i) => hertz((top * (band + i)) / (bands + 1)));
      const triangle = new Float64Array(bins);
      let nearest = 0;
      for (let bin = 0; bin < bins; bin++) {
        const f = (bin * settings.sampleRate) / settings.window;
        triangle[bin] = Math.max(0, Math.min((f - left) / (centre - left), (right - f) / (right - centre)));
        if (Math.abs(f - centre) < Math.abs((nearest * settings.sampleRate) / settings.window - centre)) {
          nearest = bin;
        }
      }
      triangle[nearest] = 1; // a band narrower than a bin would be zero everywhere
      const first = triangle.findIndex((weight) => weight > 0);
      const last = triangle.findLastIndex((weight) => weight > 0);
      this.first.push(first);
      this.weights.push(triangle.slice(first, last + 1));
    }
  }

  /**
   * Sums the power of the bins of each band.
   * @param {Float64Array} power by bin
   * @param {Float64Array} bands filled with the sums
   */
  apply(power, bands) {
    this.weights.forEach((weights, band) => {
      const from = this.first[band];
      let sum = 0;
      for (let i = 0; i < weights.length; i++) {
        sum += weights[i] * power[from + i];
      }
      bands[band] = sum;
    });
  }
}

/** @param {number} hertz */
function mel(hertz) {
  return 2595 * Math.log10(1 + hertz / 700);
}

/** @param {number} mel */
function hertz(mel) {
  return 700 * (10 ** (mel / 2595) - 1);
}
